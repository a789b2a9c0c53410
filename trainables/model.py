"""Trained networks as files: weights with their candidate.

from trainables.model import load_model
model = load_model("results/runs/NAME/models/best.pt")
labels = model(images).argmax(1)   # for a classifier; images: uint8 [N, 28, 28]
cleaned = model([page])[0]         # for a network that gives images; page: uint8 [H, W], cleaned: float32 [1, H, W]
model = load_model("best.pt", task="my_task.py")   # for a network with a module of the task's own file
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

import numpy as np
import torch
from torch import Tensor

from spaces.recipe import Candidate
from trainables.inference import batches, predict
from trainables.model_file import FORMAT, goal_name, read_model_file
from trainables.task_code import TaskCode

Shape = tuple[int, ...]
"""The shape of one example: (channels, height, width) of an image, (channels, length) of a signal, or (features,)."""
OTHER_GOALS = ("Regress", "MultiLabel", "Segment", "Custom")
"""Goals whose outputs are not images from 0 to 1, whatever their shape."""


@dataclass(frozen=True)
class Model:
    """A trained network: call it with images uint8 [N, H, W] or [N, C, H, W] for outputs float32 [N, ...].

    A network that was trained on other numbers takes these, [N, *input_shape], as float32.

    Outputs are a classifier's logits [N, classes], or images [N, C, H, W] from 0 to 1. Those of Regress are in the
    targets' unit, those of MultiLabel logits [N, K] and those of Segment logits [N, classes, H, W]. `facts` holds the
    model's origin (run, task, trial, dataset, fingerprint, score), its goal, and `classes`, the names of the labels, if
    they have names.
    """

    candidate: Candidate
    module: torch.nn.Module
    facts: dict[str, Any]

    @property
    def input_shape(self) -> Shape:
        """The shape of the training images. Other sizes work too if `takes_any_size`."""
        return self.candidate.network.input_shape

    @property
    def output_shape(self) -> Shape:
        """The shape of the output for one image of `input_shape`."""
        return self.candidate.network.output_shape

    @property
    def input_dtype(self) -> str:
        """The type of the training inputs: "uint8", which stands for 0 to 1, or "float32"."""
        return self.facts.get("input_dtype") or "uint8"

    @property
    def takes_any_size(self) -> bool:
        """Whether it takes images of any size."""
        return len(self.input_shape) == 3 and self.candidate.network.takes_any_size

    @property
    def gives_images(self) -> bool:
        """Whether it turns images into images."""
        return len(self.output_shape) == 3 and goal_name(self.facts) not in OTHER_GOALS

    @property
    def classes(self) -> list[str] | None:
        """The names of the labels in order, or None if they have no names."""
        return self.facts.get("classes")

    def output_shape_for(self, shape: Shape) -> Shape:
        """Returns the shape of the output for one image of `shape`. Raises ValueError if it takes no such image."""
        if shape == self.input_shape:
            return self.output_shape
        if self.takes_any_size and len(shape) == 3 and shape[0] == self.input_shape[0]:
            return self.candidate.network.resized(*shape[1:]).output_shape
        raise ValueError(f"the model takes {format_shape(self.input_shape, self.takes_any_size)}, not {list(shape)}")

    @overload
    def __call__(self, images: np.ndarray | Tensor) -> Tensor: ...

    @overload
    def __call__(self, images: list[np.ndarray]) -> list[Tensor]: ...

    def __call__(self, images: np.ndarray | Tensor | list[np.ndarray]) -> Tensor | list[Tensor]:
        """Returns the outputs; for a list of images [H, W] or [C, H, W], whose sizes may differ, a list of outputs.

        Raises ValueError for inputs of another shape or type, with the expected and the given one.
        """
        if isinstance(images, list):
            return [self(image[None])[0] for image in images]
        given = images if isinstance(images, Tensor) else torch.tensor(images)  # a copy, since arrays may be read-only
        x = given.unsqueeze(1) if given.dim() == len(self.input_shape) == 3 else given
        is_typed = x.dtype == torch.uint8 if self.input_dtype == "uint8" else not x.is_complex()
        if not is_typed or x.dim() != 1 + len(self.input_shape) or not self._takes(tuple(x.shape[1:])):
            expected = format_shape(self.input_shape, self.takes_any_size, "N")
            raise ValueError(f"the model takes {self.input_dtype} {expected}, not {given.dtype} {list(given.shape)}")
        x = x if self.input_dtype == "uint8" else x.to(torch.float32)
        output_shape = self.output_shape_for(tuple(x.shape[1:]))
        outputs = [predict(self.module, part, torch.float32) for (part,) in batches(x)]
        joined = torch.cat(outputs) if outputs else torch.empty(0, *output_shape)
        return joined.clamp(0, 1) if self.gives_images else joined

    def _takes(self, shape: Shape) -> bool:
        return shape == self.input_shape or (self.takes_any_size and shape[0] == self.input_shape[0])


def format_shape(shape: Shape, any_size: bool, *first: str) -> str:
    """Returns the shape of inputs as text; grey images (1, height, width) have no channel: [N, 28, 28]."""
    if len(shape) != 3:
        return f"[{', '.join(map(str, [*first, *shape]))}]"
    channels, *sides = shape
    sides = ["height", "width"] if any_size else sides
    return f"[{', '.join(map(str, [*first, *([] if channels == 1 else [channels]), *sides]))}]"


def model_bytes(candidate: Candidate, weights: dict[str, Tensor], facts: dict[str, Any]) -> bytes:
    """Returns the content of a model file."""
    file = io.BytesIO()
    weights = {name: value.cpu() for name, value in weights.items()}
    torch.save({"format": FORMAT, "candidate": candidate.to_json(), "weights": weights, "facts": facts}, file)
    return file.getvalue()


def load_model(path: str | Path, task: str | Path | TaskCode | None = None) -> Model:
    """Reads a model file. `task` is the task's file, or its code, for a network with a module of the user's own.

    Raises ValueError, with the path, if a file is missing, damaged or inconsistent, and TaskFileError for an error in
    the task's file.
    """
    code = task if task is None or isinstance(task, TaskCode) else TaskCode.read(task)
    candidate, module, facts = read_model_file(path, code)
    return Model(candidate, module.to(memory_format=module.memory_format).eval(), facts)
