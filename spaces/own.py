"""Own: a module of the user's task as one step of a network."""

from __future__ import annotations

from dataclasses import dataclass

from spaces.layers import Cost, Layer, Shape

Choices = tuple[tuple[str, bool | int | float | str], ...]


@dataclass(frozen=True)
class Own(Layer):
    """A module that a function of the user's task makes of these choices.

    Its cost was counted when it was drawn, so that the budget, the journal and the tables need neither the function
    nor PyTorch. trainables/build.py makes the module with the task's code.
    """

    choices_made: Choices
    """Each choice by its name, in the order in which they were made."""
    output_shape: Shape
    num_params: int
    num_macs: int
    num_frozen: int = 0
    name: str = ""
    """The name of a reference that is a module; empty for a module of the task's space."""

    is_local = False
    is_fixed = False
    ends_stage = False
    choices = ()

    def cost(self, shape: Shape) -> Cost:
        return Cost(self.output_shape, self.num_params, self.num_macs, self.num_frozen)
