"""python -m search.predict: a saved model, or the mean of several, applied to new images.

What is written follows from the form of the input and from what the network gives, labels or images: HELP has a table.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from data.splits import Images
from results.command import key, keys_help, parse_into, run_command
from results.storage import copied, is_remote
from search.predict_inputs import IMAGE_SUFFIXES, Form, Progress, form_of, refuse
from search.predict_outputs import write_images, write_labels
from spaces.layers import Shape

if TYPE_CHECKING:
    from trainables.model import Model

HELP = """usage: python -m search.predict model=FILE input=FILE_OR_FOLDER [output=FILE_OR_FOLDER] [values=FILE]

Applies a saved model to new images. What is written follows from the input and from what the network gives:

  input                             a classifier writes                      a network that gives images writes
  FOLDER of images (PNG, JPEG ...)  labels.csv: image, label, probability    cleaned/: PNGs, same names and sizes
  FILE.npy, uint8 [N, H, W]         the same                                 cleaned.npy, of the same shape
  FILE.csv, as Kaggle's test.csv    submission.csv: ImageId from 1, Label
  a pickle, as test_max_x           submission.csv: Id from 0, Label

Examples (M stands for the folder models/ of a run):
  python -m search.predict model=M/best.pt input=photos
  python -m search.predict model=M/best.pt input=x.npy output=y.npy
  python -m search.predict model=[M/best.pt,N/best.pt] input=digit-recognizer/test.csv
  python -m search.predict model=M/best.pt input=modified-mnist/test_max_x
  python -m search.predict model=M/best.pt input=documents/test output=cleaned values=submission.csv

Keys:"""

Files = str | list[str]


@dataclass
class PredictConfig:
    """What a model is applied to, and where the outputs go."""

    model: Files = key("", "model file of a run; several, model=[a,b,c], are averaged", "needed")
    input: str = key("", "a folder of images, or an .npy, .csv or pickle file, as above", "needed")
    output: str | None = key(None, "file or folder to write", "as above")
    values: str | None = key(None, "also the pixels of all images as CSV: id (image_row_column, from 1), value 0 to 1")


def main(arguments: Sequence[str] | None = None) -> int:
    """Applies what the command line says."""
    return run_command("search.predict", arguments, help_text=help_text, parse=parse, work=apply)


def help_text() -> str:
    return "\n".join([HELP, *keys_help(PredictConfig)])


def parse(arguments: Sequence[str]) -> PredictConfig:
    config = parse_into(PredictConfig, arguments, "python -m search.predict --help")
    for name in ("model", "input"):
        if not getattr(config, name):
            raise ValueError(f"{name}= is missing; {HELP.partition(chr(10))[0]}")
    return config


def apply(config: PredictConfig) -> int:
    num_images, done, targets = predict(config)
    print(f"{num_images:,} images {done}: {', '.join(map(str, targets))}")
    return 0


def predict(config: PredictConfig) -> tuple[int, str, list[Path]]:
    """Writes labels or images; returns of how many images, which of the two, and where.

    Raises ValueError for what cannot be read, averaged or used together, and then writes nothing.
    """
    source = _path(config.input)
    form = form_of(source)
    ensemble = load_ensemble(config.model)
    output, values = _targets(config, form, ensemble)
    images, names = form.read(source, ensemble.input_shape, ensemble.takes_any_size)
    if ensemble.gives_images:
        _check_outputs(ensemble, source, images, names)
        shape = images.shape if isinstance(images, np.ndarray) and output.suffix.lower() == ".npy" else None
        write_images(_outputs(ensemble, images), names, source=source, target=output, shape=shape, values=values)
        return len(names), "written", [output, *([values] if values else [])]
    write_labels(output, form.header, names, _all(ensemble, images), ensemble.classes)
    return len(names), "labelled", [output]


# --- The models ---


@dataclass(frozen=True)
class Ensemble:
    """Models by their files, which take the same images and give the same kind of outputs."""

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
    def classes(self) -> list[str] | None:
        return self.first.classes

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """The models' mean for images of one size: probabilities float32 [N, classes], or images [N, C, H, W]."""
        outputs = [model(images) for model in self.models.values()]
        outputs = outputs if self.gives_images else [output.softmax(1) for output in outputs]
        return (sum(outputs[1:], outputs[0]) / len(outputs)).numpy()


def load_ensemble(model: Files) -> Ensemble:
    """The models of one or several files. Raises ValueError, naming two files, if they cannot be averaged."""
    from trainables.model import load_model

    files = model if isinstance(model, list) else [model]
    ensemble = Ensemble({path: load_model(path) for path in (_model_path(file) for file in files)})
    (first, expected), *others = [(path, _contract(m, ensemble.takes_any_size)) for path, m in ensemble.models.items()]
    for path, found in others:
        for what in expected:
            if found[what] != expected[what]:
                raise ValueError(f"{first} {what} {expected[what]}, and {path} {found[what]}: they cannot be averaged")
    return ensemble


def _contract(model: Model, any_size: bool) -> dict[str, str]:
    """What models must have in common."""
    from trainables.model import shown_shape

    gives = shown_shape(model.output_shape, any_size) if model.gives_images else f"{model.output_shape[0]} classes"
    classes = ", ".join(model.classes) if model.classes else "nothing"
    return {"takes": shown_shape(model.input_shape, any_size), "gives": gives, "names its labels": classes}


def _outputs(ensemble: Ensemble, images: Images) -> Iterator[np.ndarray]:
    """Of each image, one after the other, what the models give."""
    say = Progress("images", len(images))
    for part in _parts(images):
        yield from ensemble(part)
        say.add(len(part))


def _all(ensemble: Ensemble, images: Images) -> np.ndarray:
    return np.array([*_outputs(ensemble, images)]).reshape(len(images), *ensemble.first.output_shape)


def _parts(images: Images) -> Iterator[np.ndarray]:
    """The images in parts of one size [n, ...] that fit into memory."""
    from trainables.inference import EVALUATION_PIXELS

    if isinstance(images, list):
        yield from (image[None] for image in images)
    else:
        size = max(1, EVALUATION_PIXELS // max(1, images[:1].size))
        yield from (images[start : start + size] for start in range(0, len(images), size))


# --- Where the outputs go, and whether they fit ---


def _targets(config: PredictConfig, form: Form, ensemble: Ensemble) -> tuple[Path, Path | None]:
    """Where labels or images go, and where pixel values go. Raises ValueError for what does not fit, or is an input."""
    default = form.images if ensemble.gives_images else form.labels
    if default is None:
        raise ValueError(
            f"input={config.input}: a file of this form is for classifiers, and {next(iter(ensemble.models))} gives "
            "images; expected a folder of images or an .npy file"
        )
    targets = {"output": _path(config.output or default)}
    _check_kind("output", targets["output"], default)
    if config.values:
        if not ensemble.gives_images or ensemble.first.output_shape[0] != 1:
            raise ValueError(f"values={config.values}: only a model that gives grey images has values; leave it out")
        targets["values"] = _path(config.values)
        _check_kind("values", targets["values"], "submission.csv")
    inputs = {path.resolve() for path in (_path(config.input), *ensemble.models)}
    for name, path in targets.items():
        if path.resolve() in inputs:
            raise ValueError(f"{name}={path}: is an input, and would be overwritten; choose another")
    return targets["output"], targets.get("values")


def _check_kind(name: str, path: Path, default: str) -> None:
    suffix = Path(default).suffix
    if suffix and (path.suffix.lower() != suffix or path.is_dir()):
        raise ValueError(f"{name}={path}: expected the name of a {suffix} file, such as {name}={default}")
    if not suffix and (path.suffix.lower() in (".csv", ".npy", *IMAGE_SUFFIXES) or path.is_file()):
        raise ValueError(f"{name}={path}: expected the name of a folder for the images, such as {name}={default}")


def _check_outputs(ensemble: Ensemble, source: Path, images: Images, names: list[str]) -> None:
    """Raises ValueError unless every model gives images of the very shapes that these have."""
    who = names if isinstance(images, list) else ["all images"]
    shapes = [image.shape for image in images] if isinstance(images, list) else [images.shape[1:]]
    reasons = {shape: _misfit(ensemble, (1, *shape)[-3:]) for shape in set(shapes)}
    refuse(source, [f"{name}: {reasons[shape]}" for name, shape in zip(who, shapes, strict=True) if reasons[shape]])


def _misfit(ensemble: Ensemble, shape: Shape) -> str | None:
    """Why images of a shape do not come out in the same shape, if so."""
    for path, model in ensemble.models.items():
        try:
            given = model.output_shape_for(shape)
        except ValueError as error:
            return f"{path} cannot take {list(shape)}: {error}"
        if given != shape:
            return f"{path} gives {list(given)} for {list(shape)} (channels, height, width); expected the same shape"
    return None


def _model_path(text: str) -> Path:
    """Of a model in a bucket, that of a copy."""
    return copied(text) if is_remote(text) else _path(text)


def _path(text: str) -> Path:
    return Path(os.path.expanduser(text))


if __name__ == "__main__":
    sys.exit(main())
