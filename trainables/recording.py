"""A training step recorded once as a CUDA graph and then replayed, which saves starting its kernels one by one."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import torch

WARM_UP = 3
"""Calls before the recording: during these an optimizer creates its state and libraries choose their kernels."""


class Recording:
    """Calls a function on tensors of one GPU; after WARM_UP calls it records the function and replays the recording.

    Values that differ between calls must be in tensors that stay where they are, and so must the results; numbers that
    Python reads during the recording stay as they were. Random numbers must come from `generator`. The function is an
    argument of each call, so that this object does not keep its owner alive.
    """

    def __init__(self, generator: torch.Generator) -> None:
        self.generator = generator
        self.stream = _side_stream(generator.device)
        self.num_calls = 0
        self.replay: Callable[[], None] | None = None

    def __call__(self, function: Callable[[], None]) -> None:
        if self.replay:
            self.replay()
        elif self.num_calls == WARM_UP:
            self.replay = self._record(function)
        else:
            self._call(function)
        self.num_calls += 1

    def _call(self, function: Callable[[], None]) -> None:
        current = torch.cuda.current_stream(self.stream.device)
        self.stream.wait_stream(current)
        with torch.cuda.stream(self.stream):
            function()
        current.wait_stream(self.stream)

    def _record(self, function: Callable[[], None]) -> Callable[[], None]:
        graph = torch.cuda.CUDAGraph()
        graph.register_generator_state(self.generator)
        with torch.cuda.graph(graph, stream=self.stream):  # records the kernels without running them
            function()
        graph.replay()
        return graph.replay


@cache
def _side_stream(device: torch.device) -> torch.cuda.Stream:
    """Returns one stream for all trials of a process: PyTorch keeps up to 32 MB of cuBLAS workspace for each stream."""
    return torch.cuda.Stream(device)
