"""A function on tensors, recorded once and then replayed: without autograd, layers or single launches between."""

from __future__ import annotations

import keyword
import operator
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor, fx
from torch.utils.weak import WeakTensorKeyDictionary

from trainables.engine import OperationMode, overload_name, tree_map

Replay = Callable[[], None]

WARM_UP = 3
"""Calls before the recording: in them an optimizer makes its state, and libraries choose their kernels."""


def recording(generator: torch.Generator) -> Recording:
    """For a function on the generator's device, which draws its random numbers from there."""
    return _OnGpu(generator) if generator.device.type == "cuda" else _OnCpu()


class Recording(ABC):
    """Calls one function again and again: as it is at first, then by replaying what it did to tensors.

    What differs between calls must come in tensors that stay where they are, and what comes out must be left in such
    ones; a number that Python has read stays what it was. The function is given with each call, so that this object
    keeps nothing alive that keeps this object.
    """

    def __init__(self) -> None:
        self.num_calls = 0
        self.replay: Replay | None = None

    def __call__(self, function: Callable[[], None]) -> None:
        if self.replay:
            self.replay()
        elif self.num_calls == WARM_UP:
            self.replay = self.record(function)
        else:
            self.call(function)
        self.num_calls += 1

    def call(self, function: Callable[[], None]) -> None:
        """Calls the function where it is recorded."""
        function()

    @abstractmethod
    def record(self, function: Callable[[], None]) -> Replay | None:
        """Calls the function, and gives what is to be called in its place from then on; None if nothing can be."""


class _OnGpu(Recording):
    """As a CUDA graph: a small network's kernels take less time than it takes to start each of them."""

    def __init__(self, generator: torch.Generator) -> None:
        super().__init__()
        self.generator = generator
        self.stream = _side_stream(generator.device)

    def call(self, function: Callable[[], None]) -> None:
        current = torch.cuda.current_stream(self.stream.device)
        self.stream.wait_stream(current)
        with torch.cuda.stream(self.stream):
            function()
        current.wait_stream(self.stream)

    def record(self, function: Callable[[], None]) -> Replay:
        graph = torch.cuda.CUDAGraph()
        graph.register_generator_state(self.generator)
        with torch.cuda.graph(graph, stream=self.stream):  # notes kernels where they would start, and runs none
            function()
        graph.replay()
        return graph.replay


@cache
def _side_stream(device: torch.device) -> torch.cuda.Stream:
    """One for all trials of a process: PyTorch keeps cuBLAS's workspaces, up to 32 MB, for each stream that used it."""
    return torch.cuda.Stream(device)


class _OnCpu(Recording):
    """As the operations that autograd and autocast made of it, forwards and backwards: bit for bit the same."""

    def record(self, function: Callable[[], None]) -> Replay | None:
        recorder = _Recorder()
        with recorder:
            function()
        return recorder.program() if recorder.is_fixed else None


class _Recorder(OperationMode):
    """Writes down each operation beneath autograd, its arguments being earlier results or tensors from before."""

    def __init__(self) -> None:
        super().__init__()
        self.graph = fx.Graph()
        self.is_fixed = True
        """Whether no value decided on what came after it."""
        self.inputs: dict[fx.Node, Any] = {}
        self.results = WeakTensorKeyDictionary()  # weak, so that memory is free again when it would be without us

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        node_args, node_kwargs = tree_map(self._node, (args, kwargs))
        result = func(*args, **kwargs)
        if func is torch.ops.aten.detach.default:  # the same tensor, where there are no gradients
            self.results[result] = node_args[0]
            return result
        if func.namespace == "profiler":
            return result
        self.is_fixed &= not _values_decide(func, args)
        if keyword.iskeyword(overload_name(func)):  # random_.from: fx writes Python, where that is no name
            node = self.graph.call_function(operator.call, (self._input(func), *node_args), node_kwargs)
        else:
            node = self.graph.call_function(func, node_args, node_kwargs)
        if isinstance(result, Tensor):
            self.results.setdefault(result, node)  # what an operation changed in place has its name already
        elif isinstance(result, tuple | list):
            for place, part in enumerate(result):
                if isinstance(part, Tensor):
                    self.results.setdefault(part, self.graph.call_function(operator.getitem, (node, place)))
        return result

    def program(self) -> Replay:
        self.graph.output(None)
        code = self.graph.python_code("self")
        names = {**code.globals}
        exec(code.src, names)  # by a GraphModule it would be kept for good, each trial's
        run, inputs = names["forward"], [*self.inputs.values()]

        def replay() -> None:
            with torch.no_grad():
                run(None, *inputs)

        return replay

    def _node(self, value: Any) -> Any:
        if not isinstance(value, Tensor | torch.Generator):
            return value
        known = self.results.get(value) if isinstance(value, Tensor) else None
        return known or self._input(value)

    def _input(self, value: Any) -> fx.Node:
        """The node of what was there before; what is no tensor has one for each time."""
        with self.graph.inserting_after(next(reversed(self.inputs), None)):
            node = self.graph.placeholder(f"input_{len(self.inputs)}")
        self.inputs[node] = value
        if isinstance(value, Tensor):
            self.results[value] = node
        return node


def _values_decide(operation: Any, args: tuple[Any, ...]) -> bool:
    """Whether values that an operation is given decide on the shape of its result, or the result is a number."""
    if operation is torch.ops.aten.index.Tensor:  # by places it has a shape of its own; by a mask it has not
        return any(places is not None and places.dtype == torch.bool for places in args[1])
    tags = (torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape)
    return any(tag in operation.tags for tag in tags)
