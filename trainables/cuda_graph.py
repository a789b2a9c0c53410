"""A function recorded as a CUDA graph: a small network's kernels take less time than it takes to start each of them."""

from __future__ import annotations

from collections.abc import Callable

import torch

WARM_UP = 3
"""Calls before the recording: in them the optimizer makes its state, and libraries choose their kernels."""


def can_record(device: torch.device) -> bool:
    return device.type == "cuda"


class CudaGraph:
    """Calls one function again and again: as it is at first, then by replaying the kernels that it started.

    What differs between calls must come in tensors that stay where they are, and what comes out is left in such ones.
    Random numbers are drawn from `generator`, on the GPU, and go on from replay to replay. The function must not wait
    for the GPU. It is given with each call, so that this object keeps nothing alive that keeps this object.
    """

    def __init__(self, generator: torch.Generator) -> None:
        self.generator = generator
        self.stream = torch.cuda.Stream(generator.device)
        self.num_calls = 0
        self.graph: torch.cuda.CUDAGraph | None = None

    def __call__(self, function: Callable[[], None]) -> None:
        if self.num_calls < WARM_UP:
            self._aside(function)
        else:
            self.graph = self.graph or self._record(function)
            self.graph.replay()
        self.num_calls += 1

    def _aside(self, function: Callable[[], None]) -> None:
        """On the stream that it is recorded on: some of what libraries keep, they keep for each stream."""
        current = torch.cuda.current_stream(self.stream.device)
        self.stream.wait_stream(current)
        with torch.cuda.stream(self.stream):
            function()
        current.wait_stream(self.stream)

    def _record(self, function: Callable[[], None]) -> torch.cuda.CUDAGraph:
        """Runs nothing: the kernels are noted where they would start."""
        graph = torch.cuda.CUDAGraph()
        graph.register_generator_state(self.generator)
        with torch.cuda.graph(graph, stream=self.stream):
            function()
        return graph
