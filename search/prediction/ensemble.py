"""A saved model, or several whose outputs are averaged."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
from torch import Tensor

from data.progress import Progress
from data.splits import Images
from results.fetch import download
from results.locations import is_remote
from search.prediction.inputs import Inputs, Takes, refuse
from spaces.layers import Shape
from trainables.inference import EVALUATION_PIXELS
from trainables.model import Model, format_shape, load_model
from trainables.model_file import goal_name
from trainables.task_code import TaskCode

Kind = Literal["classes", "images", "labels", "maps", "values"]
"""What models return: one class, an image, several labels, the class of each pixel, or numbers."""
KIND_OF_GOAL: dict[str | None, Kind] = {
    "Regress": "values",
    "Custom": "values",
    "MultiLabel": "labels",
    "Segment": "maps",
}
"""The kinds by goal, except for classifiers and networks that return images."""


@dataclass(frozen=True)
class Ensemble:
    """Models by their files. All take the same examples and return the same kind of output."""

    models: Mapping[Path, Model]

    @property
    def first(self) -> Model:
        return next(iter(self.models.values()))

    @property
    def input_shape(self) -> Shape:
        return self.first.input_shape

    @property
    def takes_any_size(self) -> bool:
        return all(model.takes_any_size for model in self.models.values())

    @property
    def takes(self) -> Takes:
        features = self.first.facts.get("features") or ()
        return Takes(self.input_shape, self.takes_any_size, self.first.input_dtype, tuple(map(str, features)))

    @property
    def kind(self) -> Kind:
        return _kind_of(self.first)

    @property
    def gives_images(self) -> bool:
        return self.kind == "images"

    @property
    def label_names(self) -> list[str]:
        """The names of the outputs: the classes or labels, or their numbers if they have no names."""
        return self.first.classes or [str(label) for label in range(self.first.output_shape[0])]

    @property
    def value_names(self) -> list[str]:
        """The names of the numbers that models return for an example."""
        num_values = math.prod(self.first.output_shape)
        if num_values == 1:
            return ["value"]
        names = self.first.classes or []
        return names if len(names) == num_values else [f"value_{number}" for number in range(num_values)]

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Returns the models' mean for examples of one size [N, ...]: probabilities, except of images and numbers."""
        outputs = [_readable(model(images), self.kind) for model in self.models.values()]
        return (sum(outputs[1:], outputs[0]) / len(outputs)).numpy()

    def apply(self, images: Images) -> Iterator[np.ndarray]:
        """Yields the mean output for each example, in order, and prints the progress."""
        progress = Progress(partial(print, flush=True), len(images), f"{self.takes.noun}s")
        for part in _parts(images):
            yield from self(part)
            progress.add(len(part))

    def apply_to_all(self, images: Images) -> np.ndarray:
        """Returns the mean outputs [N, ...] for examples of one size."""
        return np.array([*self.apply(images)]).reshape(len(images), *self.first.output_shape)

    def check_sizes(self, source: Path, inputs: Inputs) -> None:
        """Raises ValueError unless every model returns images or class maps of the same size as the inputs."""
        images = inputs.images
        names = inputs.names if isinstance(images, list) else ["all images"]
        shapes = [image.shape for image in images] if isinstance(images, list) else [images.shape[1:]]
        faults = {shape: self._find_fault((1, *shape)[-3:]) for shape in set(shapes)}
        refuse(source, [f"{name}: {faults[shape]}" for name, shape in zip(names, shapes, strict=True) if faults[shape]])

    def _find_fault(self, shape: Shape) -> str | None:
        """Returns why images of this shape do not come out in the same size, or None if they do."""
        expected = shape if self.gives_images else (self.first.output_shape[0], *shape[1:])
        for path, model in self.models.items():
            try:
                found = model.output_shape_for(shape)
            except ValueError as error:
                return f"{path} cannot take {list(shape)}: {error}"
            if found != expected:
                return (
                    f"{path} returns {list(found)} for {list(shape)} (channels, height, width); expected the same "
                    + ("shape" if self.gives_images else "height and width")
                )
        return None


def load_ensemble(files: Sequence[str], task: str | None = None) -> Ensemble:
    """Loads the models of these files or URLs, with their task's file if they have a module of its own.

    Raises ValueError, naming two files, if they cannot be averaged.
    """
    code = TaskCode.read(os.path.expanduser(task)) if task else None
    ensemble = Ensemble({path: load_model(path, code) for path in map(_local_path, files)})
    (first, expected), *others = [
        (path, _contract(model, ensemble.takes_any_size)) for path, model in ensemble.models.items()
    ]
    for path, found in others:
        for verb in expected:
            if found.get(verb) != expected[verb]:
                other = found.get(verb, "none")
                raise ValueError(f"{first} {verb} {expected[verb]}, and {path} {other}: they cannot be averaged")
    return ensemble


def _kind_of(model: Model) -> Kind:
    return KIND_OF_GOAL.get(goal_name(model.facts)) or ("images" if model.gives_images else "classes")


def _readable(outputs: Tensor, kind: Kind) -> Tensor:
    """Returns logits as probabilities, and other outputs as they are."""
    if kind == "labels":
        return outputs.sigmoid()
    return outputs.softmax(1) if kind in ("classes", "maps") else outputs


def _contract(model: Model, any_size: bool) -> dict[str, str]:
    """Returns, by verb, what models that are averaged must have in common."""
    kind, num_outputs = _kind_of(model), model.output_shape[0]
    outputs = {
        "classes": f"{num_outputs} classes",
        "labels": f"{num_outputs} labels",
        "maps": f"class maps of {num_outputs} classes",
        "images": format_shape(model.output_shape, any_size),
        "values": f"numbers {list(model.output_shape)}",
    }
    dtype = "" if model.input_dtype == "uint8" else f"{model.input_dtype} "
    contract = {
        "takes": dtype + format_shape(model.input_shape, any_size),
        "returns": outputs[kind],
        "names its labels": ", ".join(model.classes) if model.classes else "nothing",
    }
    features = model.facts.get("features")
    return contract | ({"takes the features": ", ".join(map(str, features))} if features else {})


def _parts(images: Images) -> Iterator[np.ndarray]:
    """Yields the images in parts [n, ...] of one size that fit into memory."""
    if isinstance(images, list):
        yield from (image[None] for image in images)
    else:
        size = max(1, EVALUATION_PIXELS // max(1, images[:1].size))
        yield from (images[start : start + size] for start in range(0, len(images), size))


def _local_path(file: str) -> Path:
    """Returns the file's path; for a URL, the path of a copy."""
    return download(file) if is_remote(file) else Path(os.path.expanduser(file))
