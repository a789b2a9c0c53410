"""A recipe becomes an optimizer, and a place in training a learning rate."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

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


def make_optimizer(recipe: Recipe, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    """The optimizer of a recipe over the parameters that are to be trained."""
    kind, options = OPTIMIZERS[recipe.optimizer]
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    return kind(trained, lr=recipe.learning_rate, weight_decay=recipe.weight_decay, **options)  # type: ignore[call-arg]


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
