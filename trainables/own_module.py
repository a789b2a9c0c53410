"""Modules of a user's task, and the state of torch's global generators that each of their trainings has."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from spaces.own import Own
from trainables.task_code import TaskCode, errors_of

MODULE_WORDS, RANDOM_WORDS = 1, 2
"""Keys of the seeds of a module's weights and of the global randomness while it trains."""


class OwnModule(nn.Module):
    """A module of the user's task. Its errors name the line of their file."""

    def __init__(self, module: nn.Module, path: str) -> None:
        super().__init__()
        self.module, self.path = module, path

    def forward(self, x: Tensor) -> Tensor:
        with errors_of(self.path):
            return self.module(x)


class Makers:
    """Makes the Own layers of a network one after another, each from a seed of its own."""

    def __init__(self, code: TaskCode | None, seed: int) -> None:
        self.code, self.seed = code, seed
        self.num_made = 0

    def make(self, layer: Own) -> OwnModule:
        """Returns the module on the CPU, where the user's own initialization gives the same weights for all devices."""
        if self.code is None:
            raise ValueError("the network has a module of the task's own file, which makes it: pass task=FILE")
        self.num_made += 1
        with torch.device("cpu"), torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(_derived(self.seed, MODULE_WORDS, self.num_made))
            return OwnModule(self.code.make_module(layer), self.code.path)


class GlobalRandomness:
    """The state of torch's global generators that one training has, since a user's module may draw from them."""

    def __init__(self, seed: int, device: torch.device) -> None:
        self.seed, self.device = _derived(seed, RANDOM_WORDS), device
        self.states = self._first_states()

    def load(self, states: Sequence[Tensor]) -> None:
        """Takes the states of a checkpoint. A GPU's state is left out on a CPU, and new if a CPU had none."""
        known, first = [state.cpu() for state in states], self._first_states()
        self.states = [*known, *first[len(known) :]][: len(first)]

    @contextmanager
    def for_training(self) -> Iterator[None]:
        """Swaps the training's state in, and afterwards keeps it and puts the former one back."""
        with self._in_place(self.states):
            yield
            self.states = self._read()

    @contextmanager
    def for_scoring(self) -> Iterator[None]:
        """Swaps in the state that the training began with, so that scores follow from the weights alone."""
        with self._in_place(self._first_states()):
            yield

    @contextmanager
    def _in_place(self, states: list[Tensor]) -> Iterator[None]:
        before = self._read()
        self._write(states)
        try:
            yield
        finally:
            self._write(before)

    def _first_states(self) -> list[Tensor]:
        devices = [torch.device("cpu"), *([self.device] if self.device.type == "cuda" else [])]
        return [torch.Generator(device).manual_seed(self.seed).get_state() for device in devices]

    def _read(self) -> list[Tensor]:
        on_gpu = [torch.cuda.get_rng_state(self.device)] if self.device.type == "cuda" else []
        return [torch.get_rng_state(), *on_gpu]

    def _write(self, states: list[Tensor]) -> None:
        torch.set_rng_state(states[0])
        for state in states[1:]:
            torch.cuda.set_rng_state(state, self.device)


def _derived(seed: int, *key: int) -> int:
    words = np.random.SeedSequence(seed, spawn_key=key).generate_state(1, np.uint64)
    return int(words[0])
