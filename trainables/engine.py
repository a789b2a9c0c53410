"""All uses of private names of PyTorch; before an upgrade of it, this file is what must be checked."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map

__all__ = [
    "OperationMode",
    "has_bfloat16_instructions",
    "leave_compiler_out",
    "move_towards",
    "overload_name",
    "tree_map",
]


class OperationMode(TorchDispatchMode):
    """Within it, each operation on tensors goes through `__torch_dispatch__`, without importing PyTorch's compiler.

    That import takes seconds, only to find out whether the mode is to be hidden from the compiler.
    """

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False


def overload_name(operation: Any) -> str:
    """The name of one of an operation's overloads, such as `Tensor` of `aten.add.Tensor`."""
    return operation._overloadname


def has_bfloat16_instructions() -> bool:
    """Whether this CPU multiplies in bfloat16; without these instructions oneDNN emulates it, slower than float32."""
    return torch.cpu._is_avx512_bf16_supported()


def move_towards(values: list[Tensor], targets: list[Tensor], share: float) -> None:
    """Moves each value towards its target by a share (0 to 1) of what lies between, in place, all in one call."""
    torch._foreach_lerp_(values, targets, share)  # pyright: ignore[reportPrivateImportUsage]


def leave_compiler_out(optimizers: Iterable[type[torch.optim.Optimizer]]) -> None:
    """Takes off PyTorch's optimizers what imports its compiler, for over a second, to tell it to leave them alone.

    For the whole process, which must then compile no training.
    """
    for name in ("add_param_group", "zero_grad", "state_dict", "load_state_dict"):
        setattr(torch.optim.Optimizer, name, inspect.unwrap(getattr(torch.optim.Optimizer, name)))
    for kind in optimizers:
        kind.step = torch.no_grad()(inspect.unwrap(kind.step))
