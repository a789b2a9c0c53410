"""Makes the optimizer of a recipe, and computes its learning rate at any point of a training."""

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
"""The share of a one-cycle schedule in which the rate rises, from 1/25 of its peak (Smith & Topin 2018)."""


def make_optimizer(
    recipe: Recipe, parameters: Iterable[nn.Parameter], *, in_graph: bool = False
) -> torch.optim.Optimizer:
    """Returns the optimizer of a recipe over the parameters that require gradients.

    With `in_graph`, its step can be replayed as part of a CUDA graph: all that changes between steps is in tensors.
    """
    kind, options = OPTIMIZERS[recipe.optimizer]
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    rate: float | Tensor = recipe.learning_rate
    if in_graph:
        rate = torch.tensor(rate, device=trained[0].device, dtype=torch.float32)
        if kind is not torch.optim.SGD:  # SGD counts no steps
            options = {**options, "capturable": True}
    return kind(trained, lr=rate, weight_decay=recipe.weight_decay, **options)  # type: ignore[call-arg]


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Sets the rate of the next steps; a tensor is changed in place."""
    for group in optimizer.param_groups:
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(rate)
        else:
            group["lr"] = rate


def load_state(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Loads the state of each weight from a `state_dict`, and keeps the settings of this recipe and device."""
    optimizer.load_state_dict({**state, "param_groups": optimizer.state_dict()["param_groups"]})


def learning_rate(recipe: Recipe, progress: float) -> float:
    """Returns the rate at `progress`, from 0 (start) to 1 (end) of a training."""
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
