"""What comes out of a network's fixed layers, computed once: a frozen backbone costs no more than its head."""

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

DTYPE = torch.float16  # half of the memory and disk, and finer than what the backbones' own rounding leaves


def num_fixed_layers(candidate: Candidate, goal: Goal) -> int:
    """How many of the first layers are computed once: none where images change each time, or are the targets."""
    is_same = isinstance(goal, Classify) and not candidate.recipe.augmentation
    return candidate.network.num_fixed_layers if is_same else 0


def through_fixed_layers(
    candidate: Candidate,
    num_layers: int,
    module: Module,
    split: DeviceSplit,
    precision: torch.dtype,
    data_dir: Path | None = None,
) -> DeviceSplit:
    """The split as the network's first `num_layers`, which are fixed, leave it; itself where there are none.

    If the weights are published ones, from the file that an earlier trial left in `data_dir`, the run's folder of data
    files, or, where this machine cannot write there, in its own one.
    """
    if not num_layers:
        return split
    assert isinstance(split.x, Tensor)
    backbone = candidate.network.layers[num_layers - 1]
    assert isinstance(backbone, Backbone)
    module.eval()
    if backbone.weights == "random":  # each trial's own
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
    """The run's folder of data files, and then this machine's own: a node may not have the first, or only to read."""
    folders = [] if data_dir is None else [data_dir]
    with suppress(RuntimeError):  # without a home there is none
        folders.append(default_data_dir())
    return folders


def _keep(features: np.ndarray, paths: Sequence[Path]) -> None:
    """Writes them to the first of the paths that takes them; what cannot be kept is computed again."""
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
    except (OSError, ValueError):  # not there, or damaged
        return None
    return torch.from_numpy(found) if (found.shape, found.dtype) == (shape, np.float16) else None
