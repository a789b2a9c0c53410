"""Features: the outputs of a network's fixed layers, computed once, so that a frozen backbone costs only its head."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from data.files import default_data_dir, replacing
from data.npy import read_npy
from spaces.backbones import Backbone
from spaces.goal import Classify, Goal
from spaces.recipe import Candidate
from trainables.build import Module
from trainables.goals import DeviceSplit
from trainables.inference import batches, predict

DTYPE = torch.float16  # half of the memory and disk, and finer than the backbones' own rounding


def num_fixed_layers(candidate: Candidate, goal: Goal) -> int:
    """Returns the number of first layers to compute once: 0 if images change each epoch or are the targets."""
    is_repeated = isinstance(goal, Classify) and not candidate.recipe.augmentation
    return candidate.network.num_fixed_layers if is_repeated else 0


def through_fixed_layers(
    candidate: Candidate,
    num_layers: int,
    module: Module,
    split: DeviceSplit,
    precision: torch.dtype,
    data_dir: Path | None = None,
) -> DeviceSplit:
    """Returns the split after the network's first `num_layers`, which are fixed; for 0 layers, the split itself.

    With published weights, features are read from or cached in the run's `data_dir`, or in the machine's own folder of
    data files if `data_dir` is not writable here.
    """
    if not num_layers:
        return split
    assert isinstance(split.x, Tensor)
    backbone = candidate.network.layers[num_layers - 1]
    assert isinstance(backbone, Backbone)
    module.eval()
    if backbone.weights == "random":  # drawn for each trial
        return DeviceSplit(_features(module, split.x, num_layers, precision), split.y)
    layers = json.dumps(candidate.network.to_json()["layers"][:num_layers])
    name = f"{backbone.name}-{_key(split.x, layers, str(precision))}.npy"
    paths = [folder / "features" / name for folder in _folders(data_dir)]
    shape = (len(split.x), *candidate.network.trace()[num_layers - 1].shape)
    found = next((kept for path in paths if (kept := _read(path, shape)) is not None), None)
    if found is None:
        found = _features(module, split.x, num_layers, precision).cpu()
        _keep(found.numpy(), paths)
    return DeviceSplit(found.to(split.x.device), split.y)


def _folders(data_dir: Path | None) -> list[Path]:
    """Returns the run's folder of data files, then the machine's own: a node may lack the first or only read it."""
    folders = [] if data_dir is None else [data_dir]
    with suppress(RuntimeError):  # raised if there is no home folder
        folders.append(default_data_dir())
    return folders


def _keep(features: np.ndarray, paths: Sequence[Path]) -> None:
    """Writes features to the first path that is writable. If there is none, they are computed again next time."""
    for path in paths:
        with suppress(OSError):
            with replacing(path, make_folder=True) as file:
                np.save(file, features)
            return


def _features(module: Module, x: Tensor, num_layers: int, precision: torch.dtype) -> Tensor:
    return torch.cat([predict(module, part, precision, stop=num_layers).to(DTYPE) for (part,) in batches(x)])


def _key(x: Tensor, *texts: str) -> str:
    digest = hashlib.sha256("\n".join([*texts, str(list(x.shape)), torch.__version__]).encode())
    digest.update(x.cpu().numpy().data)
    return digest.hexdigest()[:16]


def _read(path: Path, shape: tuple[int, ...]) -> Tensor | None:
    try:
        with path.open("rb") as file:
            found = read_npy(file, path.stat().st_size)
    except (OSError, ValueError):  # missing or damaged
        return None
    return torch.from_numpy(found) if (found.shape, found.dtype) == (shape, np.float16) else None
