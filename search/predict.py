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

from data.folders import check_utf8
from data.splits import Images
from results.fetch import download
from results.keys import key, keys_help, parse_into
from results.locations import is_remote
from results.own_files import check_output
from results.wording import count
from search.command_line.command import run_command
from search.prediction.inputs import Form, Inputs, Progress, form_of, refuse
from search.prediction.outputs import write_images, write_labels
from search.prediction.record import Outputs
from search.prediction.score import score_lines, trained_on
from spaces.layers import Shape

if TYPE_CHECKING:
    from trainables.model import Model

HELP = """usage: python -m search.predict model=FILE input=FILE_OR_FOLDER [output=FILE_OR_FOLDER] [values=FILE]

Applies a saved model to new images. What is written follows from the input and from what the network gives:

  input                             a classifier writes                      a network that gives images writes
  FOLDER of images (PNG, JPEG ...)  labels.csv: image, label, probability    cleaned/: PNGs, same names and sizes
  FILE.npy, [N, H, W] or as below   the same                                 cleaned.npy, of the same shape
  FILE.npz, as in training          the same
  FILE.csv, as Kaggle's test.csv    submission.csv: ImageId from 1, Label
  a pickle, as test_max_x           submission.csv: Id from 0, Label

Labels are the names of the classes, or the digits. A folder may hold a folder of images for each class, also in train/,
val/ and test/, and an .npz or .csv file may have labels: then it says as well how many were right. Arrays hold 0 to
255, or 0 to 1 in 255ths; those in colour are [N, 3, H, W] or [N, H, W, 3].

A file is replaced only where output= or values= names it, or where it is an earlier output that was not changed since
(a hidden file beside it, .frugal-outputs, knows). A folder's other files are never replaced.

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
    input: str = key("", "a folder of images, or an .npy, .npz, .csv or pickle file, as above", "needed")
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
    for line in predict(config):
        print(line)
    return 0


def predict(config: PredictConfig) -> list[str]:
    """Writes labels or images; returns what is to be said of it, line by line.

    Raises ValueError for what cannot be read, averaged, used together or written, and then writes nothing.
    """
    source = _path(config.input)
    form = form_of(source)
    ensemble = load_ensemble(config.model)
    outputs = Outputs()
    output, values = _targets(config, form, ensemble, outputs)
    inputs = form.read(source, ensemble.input_shape, ensemble.takes_any_size)
    if ensemble.gives_images:
        _check_outputs(ensemble, source, inputs)
        pixels = _outputs(ensemble, inputs.images)
        write_images(outputs, pixels, inputs, source=source, target=output, values=values)
        written = [outputs.shown(path) for path in (output, values) if path]
        return [f"{count(len(inputs.names), 'image')} written: {', '.join(written)}"]
    probabilities = _all(ensemble, inputs.images)
    labels = [ensemble.label_names[label] for label in probabilities.argmax(1)]
    write_labels(outputs, output, form.header, inputs.names, labels, probabilities.max(1, initial=0))
    return [
        f"{count(len(labels), 'image')} labelled: {outputs.shown(output)}",
        *_score(ensemble, source, inputs, labels),
    ]


def _score(ensemble: Ensemble, source: Path, inputs: Inputs, labels: list[str]) -> list[str]:
    lines = score_lines(inputs, labels, ensemble.label_names)
    if lines and any(trained_on(source, model.facts) for model in ensemble.models.values()):
        lines.append("the model was trained on a part of these very images, so this says little about new ones")
    return lines


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

    @property
    def label_names(self) -> list[str]:
        """Of a classifier, what each of its labels is called: by its class, or by its number where that says it all."""
        return self.classes or [str(label) for label in range(self.first.output_shape[0])]

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


def _targets(config: PredictConfig, form: Form, ensemble: Ensemble, outputs: Outputs) -> tuple[Path, Path | None]:
    """Where labels or images go, and where pixel values go.

    Raises ValueError for what does not fit, is an input, belongs to a run, or is another's and not named.
    """
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
    inputs = [_path(config.input), *ensemble.models]
    for name, path in targets.items():
        check_utf8(path)
        if any(_is_same(path, other) for other in inputs):
            raise ValueError(f"{name}={path}: is an input, and would be overwritten; choose another")
        check_output(name, path, runs=[model.resolve().parent.parent for model in ensemble.models])
        if name == "values" or Path(default).suffix:
            outputs.check_file(name, path, is_named=bool(getattr(config, name)))
    return targets["output"], targets.get("values")


def _is_same(path: Path, other: Path) -> bool:
    """Whether both are names of one file or folder, by links of any kind too."""
    return path.resolve() == other.resolve() or (path.exists() and other.exists() and path.samefile(other))


def _check_kind(name: str, path: Path, default: str) -> None:
    from data.images import image_suffixes

    if is_remote(path):
        raise ValueError(f"{name}={path}: expected a path on this machine")
    suffix = Path(default).suffix
    if suffix and (path.suffix.lower() != suffix or path.is_dir()):
        raise ValueError(f"{name}={path}: expected the name of a {suffix} file, such as {name}={default}")
    if not suffix and (path.suffix.lower() in (".csv", ".npy", ".npz", *image_suffixes()) or path.is_file()):
        raise ValueError(f"{name}={path}: expected the name of a folder for the images, such as {name}={default}")


def _check_outputs(ensemble: Ensemble, source: Path, inputs: Inputs) -> None:
    """Raises ValueError unless every model gives images of the very shapes that these have."""
    images = inputs.images
    who = inputs.names if isinstance(images, list) else ["all images"]
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
    return download(text) if is_remote(text) else _path(text)


def _path(text: str) -> Path:
    return Path(os.path.expanduser(text))


if __name__ == "__main__":
    sys.exit(main())
