"""A saved model, or several whose outputs are averaged."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data.splits import Images
from results.fetch import download
from results.locations import is_remote
from search.prediction.inputs import Inputs, Progress, refuse
from spaces.layers import Shape
from trainables.inference import EVALUATION_PIXELS
from trainables.model import Model, format_shape, load_model


@dataclass(frozen=True)
class Ensemble:
    """Models by their files. All take the same images and return the same kind of output."""

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
    def gives_images(self) -> bool:
        return self.first.gives_images

    @property
    def label_names(self) -> list[str]:
        """The names of a classifier's labels: its classes, or the labels' numbers if it has no names for them."""
        return self.first.classes or [str(label) for label in range(self.first.output_shape[0])]

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Returns the models' mean for images of one size: probabilities [N, classes], or images [N, C, H, W]."""
        outputs = [model(images) for model in self.models.values()]
        outputs = outputs if self.gives_images else [output.softmax(1) for output in outputs]
        return (sum(outputs[1:], outputs[0]) / len(outputs)).numpy()

    def apply(self, images: Images) -> Iterator[np.ndarray]:
        """Yields the mean output for each image, in order, and prints the progress."""
        progress = Progress("images", len(images))
        for part in _parts(images):
            yield from self(part)
            progress.add(len(part))

    def classify(self, images: Images) -> np.ndarray:
        """Returns the probabilities [N, classes]."""
        return np.array([*self.apply(images)]).reshape(len(images), *self.first.output_shape)

    def check_sizes(self, source: Path, inputs: Inputs) -> None:
        """Raises ValueError unless every model returns images of the same shape as the inputs."""
        images = inputs.images
        names = inputs.names if isinstance(images, list) else ["all images"]
        shapes = [image.shape for image in images] if isinstance(images, list) else [images.shape[1:]]
        faults = {shape: self._find_fault((1, *shape)[-3:]) for shape in set(shapes)}
        refuse(source, [f"{name}: {faults[shape]}" for name, shape in zip(names, shapes, strict=True) if faults[shape]])

    def _find_fault(self, shape: Shape) -> str | None:
        """Returns why images of this shape do not come out in the same shape, or None if they do."""
        for path, model in self.models.items():
            try:
                found = model.output_shape_for(shape)
            except ValueError as error:
                return f"{path} cannot take {list(shape)}: {error}"
            if found != shape:
                return (
                    f"{path} returns {list(found)} for {list(shape)} (channels, height, width); expected the same shape"
                )
        return None


def load_ensemble(files: Sequence[str]) -> Ensemble:
    """Loads the models of these files or URLs. Raises ValueError, naming two files, if they cannot be averaged."""
    ensemble = Ensemble({path: load_model(path) for path in map(_local_path, files)})
    (first, expected), *others = [
        (path, _contract(model, ensemble.takes_any_size)) for path, model in ensemble.models.items()
    ]
    for path, found in others:
        for verb in expected:
            if found[verb] != expected[verb]:
                raise ValueError(f"{first} {verb} {expected[verb]}, and {path} {found[verb]}: they cannot be averaged")
    return ensemble


def _contract(model: Model, any_size: bool) -> dict[str, str]:
    """Returns, by verb, what models that are averaged must have in common."""
    output = format_shape(model.output_shape, any_size) if model.gives_images else f"{model.output_shape[0]} classes"
    classes = ", ".join(model.classes) if model.classes else "nothing"
    return {"takes": format_shape(model.input_shape, any_size), "returns": output, "names its labels": classes}


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
