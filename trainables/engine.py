"""All uses of PyTorch's private names. Check this file before each upgrade of PyTorch."""

from __future__ import annotations

import inspect
from collections.abc import Iterable

import torch
from torch import Tensor


def has_bfloat16_instructions() -> bool:
    """Whether this CPU multiplies in bfloat16. If not, oneDNN emulates it, which is slower than float32."""
    return torch.cpu._is_avx512_bf16_supported()


def move_towards(values: list[Tensor], targets: list[Tensor], share: float) -> None:
    """Moves each value towards its target by `share` (0 to 1) of the distance, in place and in one call."""
    torch._foreach_lerp_(values, targets, share)  # pyright: ignore[reportPrivateImportUsage]


def unwrap_optimizers(optimizers: Iterable[type[torch.optim.Optimizer]]) -> None:
    """Unwraps methods of PyTorch's optimizers, so that they do not import its compiler, which takes 2 seconds.

    The wrappers exclude optimizers from compilation. This process must not compile training steps afterwards.
    """
    for name in ("add_param_group", "zero_grad", "state_dict", "load_state_dict"):
        setattr(torch.optim.Optimizer, name, inspect.unwrap(getattr(torch.optim.Optimizer, name)))
    for kind in optimizers:
        kind.step = torch.no_grad()(inspect.unwrap(kind.step))
