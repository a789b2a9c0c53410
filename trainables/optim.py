"""A recipe becomes an optimizer, and a place in training a learning rate."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from spaces.recipe import Recipe

OPTIMIZERS: dict[str, tuple[type[torch.optim.Optimizer], dict[str, Any]]] = {
    "adam": (torch.optim.Adam, {"fused": True}),
    "adamw": (torch.optim.AdamW, {"fused": True}),
    "nadam": (torch.optim.NAdam, {"foreach": True}),
    "rmsprop": (torch.optim.RMSprop, {"foreach": True}),
    "sgd": (torch.optim.SGD, {"fused": True, "momentum": 0.9, "nesterov": True}),
    "adadelta": (torch.optim.Adadelta, {"foreach": True}),
}

WARMUP = 0.3
"""Share of a one-cycle schedule in which the rate rises, from a 25th of its peak (Smith & Topin 2018)."""


def make_optimizer(
    recipe: Recipe, parameters: Iterable[nn.Parameter], *, is_recorded: bool = False
) -> torch.optim.Optimizer:
    """The optimizer of a recipe over the parameters that are to be trained.

    `is_recorded`: its step will be replayed, with the numbers of its recording but for those that lie in tensors.
    """
    kind, options = OPTIMIZERS[recipe.optimizer]
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    rate: float | Tensor = recipe.learning_rate
    if is_recorded:
        device = trained[0].device
        rate = torch.tensor(rate, device=device, dtype=torch.float32 if device.type == "cuda" else torch.float64)
        if device.type == "cuda" and kind is not torch.optim.SGD:  # which counts no steps
            options = {**options, "capturable": True}
    return kind(trained, lr=rate, weight_decay=recipe.weight_decay, **options)  # type: ignore[call-arg]


def is_recordable(recipe: Recipe, device: torch.device) -> bool:
    """Whether the optimizer's step can be replayed: on a CPU, where it counts its steps within one operation."""
    return device.type == "cuda" or "fused" in OPTIMIZERS[recipe.optimizer][1]


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """From the next step on; where the rate is a tensor, in the same place."""
    for group in optimizer.param_groups:
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(rate)
        else:
            group["lr"] = rate


def load_state(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """What was gathered for each weight, from a `state_dict`; the settings, a recipe's and a device's, stay."""
    optimizer.load_state_dict({**state, "param_groups": optimizer.state_dict()["param_groups"]})


def learning_rate(recipe: Recipe, progress: float) -> float:
    """The rate at a place in training, `progress` from 0 (start) to 1 (end): a pure function, so nothing to save."""
    peak = recipe.learning_rate
    if recipe.schedule == "cosine":
        return _cosine(peak, 0.0, progress)
    if recipe.schedule == "one_cycle":
        if progress < WARMUP:
            return _cosine(peak / 25, peak, progress / WARMUP)
        return _cosine(peak, 0.0, (progress - WARMUP) / (1 - WARMUP))
    return peak


def _cosine(start: float, end: float, progress: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * progress)) / 2
