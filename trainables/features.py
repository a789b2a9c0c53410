"""What comes out of a network's fixed layers, computed once: a frozen backbone costs no more than its head."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from data.cache import atomic_write, default_data_dir
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
    candidate: Candidate, num_layers: int, module: Module, split: DeviceSplit, precision: torch.dtype
) -> DeviceSplit:
    """The split as the network's first `num_layers`, which are fixed, leave it; itself where there are none.

    From the file that an earlier trial left in the folder of data files, if the weights are published ones.
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
    path = default_data_dir() / "features" / f"{backbone.name}-{_key(split.x, layers, str(precision))}.npy"
    shape = (len(split.x), *candidate.network.trace()[num_layers - 1].shape)
    if (found := _read(path, shape)) is None:
        found = _features(module, split.x, num_layers, precision).cpu()
        with suppress(OSError), atomic_write(path) as file:  # what cannot be kept is computed again
            np.save(file, found.numpy())
    return DeviceSplit(found.to(split.x.device), split.y)


def _features(module: Module, x: Tensor, num_layers: int, precision: torch.dtype) -> Tensor:
    return torch.cat([predict(module, part, precision, stop=num_layers).to(DTYPE) for (part,) in batches(x)])


def _key(x: Tensor, *texts: str) -> str:
    digest = hashlib.sha256("\n".join([*texts, str(list(x.shape)), torch.__version__]).encode())
    digest.update(x.cpu().numpy().data)
    return digest.hexdigest()[:16]


def _read(path: Path, shape: tuple[int, ...]) -> Tensor | None:
    try:
        with path.open("rb") as file:
            found = np.lib.format.read_array(file, allow_pickle=False)
    except (OSError, ValueError):  # not there, or damaged
        return None
    return torch.from_numpy(found) if (found.shape, found.dtype) == (shape, np.float16) else None
