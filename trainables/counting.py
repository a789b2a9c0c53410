"""Counts the parameters and the MACs of any module on torch's meta device, where nothing is allocated or computed.

A count of a network of two convolutions, two norms and two dense layers takes about 15 ms on one core. The first
count of a process takes a second or two more, since torch imports what it needs.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.utils.flop_counter import FlopCounterMode

from spaces.layers import Shape
from trainables.task_code import TaskFileError

T = TypeVar("T")
BATCH = 2
"""More than 1, so that a module that mixes up the examples of a batch is noticed."""
LIBRARIES = (Path(torch.__file__).parent, Path(__file__))


@dataclass(frozen=True)
class Counted:
    """What a module costs."""

    output_shape: Shape
    """The shape of the output for one example."""
    params: int
    frozen: int
    """The number of parameters that are not trained."""
    macs: int
    """The multiply-accumulates of its matrix products and convolutions for one example, by torch's own counter."""


class CannotCount(TaskFileError):
    """Raised for a module whose cost cannot be counted. The message says why, where, and how to mend it."""


def count(make: Callable[[], nn.Module], input_shape: Shape) -> Counted:
    """Returns what the module that `make` makes costs for one example of `input_shape`. Raises CannotCount.

    It runs forward in evaluation mode, on float32. An error in `make` itself is raised as it is.
    """
    module = make_on_meta(make)
    weights = list(module.parameters())
    if any(is_lazy(each) for each in weights):
        raise CannotCount("a lazy layer has no size until it runs: use the layer that takes its input's size")
    module.to("meta").eval()
    output, flops = _run_forward(module, torch.empty(BATCH, *input_shape, device="meta"))
    if not isinstance(output, Tensor):
        raise CannotCount(f"forward returned {type(output).__name__}: return one tensor")
    if output.dim() == 0 or output.shape[0] != BATCH:
        raise CannotCount(
            f"for {BATCH} inputs [{BATCH}, {_listed(input_shape)}] forward returned {list(output.shape)}: "
            f"return one output for each input, [{BATCH}, ...]"
        )
    frozen = sum(each.numel() for each in weights if not each.requires_grad)
    return Counted(tuple(output.shape[1:]), sum(each.numel() for each in weights), frozen, flops // (2 * BATCH))


def make_on_meta(make: Callable[[], T]) -> T:
    """Returns what `make` makes, its modules on the meta device if they can be made there, and otherwise on the CPU.

    A module that reads a value while it is made, such as a list of rates from torch.linspace, cannot be made on meta.
    An error that arises on the CPU too is raised as it is. torch's global generators stay as they are.
    """
    with torch.random.fork_rng(devices=[]):
        try:
            with torch.device("meta"):
                return make()
        except Exception:
            return make()


def _run_forward(module: nn.Module, x: Tensor) -> tuple[object, int]:
    """Returns the output and the number of floating-point operations, two for each MAC."""
    try:
        # With gradients, since without them attention takes a shortcut that the counter does not see
        with torch.random.fork_rng(devices=[]), FlopCounterMode(display=False) as counter:
            return module(x), counter.get_total_flops()
    except TaskFileError as error:
        raise CannotCount(str(error)) from error
    except Exception as error:
        raise CannotCount(_explain(error)) from error


def _explain(error: Exception) -> str:
    """Returns the error with the line of the user's code and, if it is a usual one, what to do."""
    text = " ".join(str(error).split())
    where = _place(error)
    if "meta" in text and ("cpu" in text or "same device" in text):
        return (
            f"{where}forward uses a tensor that is on the CPU: make it with device=x.device, "
            f"or keep it by register_buffer ({text[:200]})"
        )
    if "meta tensor" in text or "data-dependent" in text.lower() or isinstance(error, NotImplementedError):
        return (
            f"{where}forward reads values of a tensor, by if, .item() or the like: decide by shapes, or compute with "
            f"torch.where ({text[:200]})"
        )
    return f"{where}forward raised {type(error).__name__}: {text[:400]}"


def _place(error: Exception) -> str:
    """Returns the last line outside of torch that raised, as a prefix of a message."""
    frames = [each for each in traceback.extract_tb(error.__traceback__) if not _is_ours(Path(each.filename))]
    return f"{frames[-1].filename}, line {frames[-1].lineno}: " if frames else ""


def _is_ours(path: Path) -> bool:
    return any(path == each or each in path.parents for each in LIBRARIES)


def _listed(shape: Shape) -> str:
    return ", ".join(map(str, shape))
