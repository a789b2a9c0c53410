"""python -m search.predict: a saved model applied to new images."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data.cache import atomic_write
from search.command import key, keys_help, parse_into, run_command

USAGE = "python -m search.predict model=FILE input=FILE_OR_FOLDER output=FILE"


@dataclass
class PredictConfig:
    """What is to be labelled."""

    model: str = key("", "model file of a run, such as results/runs/NAME/models/best.pt", "needed")
    input: str = key("", "an .npy file of uint8 images [N, H, W], or a folder of PNG images", "needed")
    output: str = key("labels.csv", "CSV file to write: image, label, probability")


def main(arguments: Sequence[str] | None = None) -> int:
    """Labels what the command line says."""
    return run_command("search.predict", arguments, help_text=help_text, parse=parse, work=label)


def help_text() -> str:
    return "\n".join([f"usage: {USAGE}", "", "Labels images with a saved model. Keys:", *keys_help(PredictConfig)])


def parse(arguments: Sequence[str]) -> PredictConfig:
    config = parse_into(PredictConfig, arguments, "python -m search.predict --help")
    for name in ("model", "input"):
        if not getattr(config, name):
            raise ValueError(f"{name}= is missing; usage: {USAGE}")
    return config


def label(config: PredictConfig) -> int:
    print(f"{predict(config):,} images labelled: {config.output}")
    return 0


def predict(config: PredictConfig) -> int:
    """Writes the labels of all images, and returns how many there are. Raises ValueError before anything is written."""
    from trainables.model import load_model

    model = load_model(config.model)
    images, names = read_images(Path(config.input), model.input_shape)
    probabilities = model(images).softmax(1).numpy()
    _write_labels(Path(config.output), names, probabilities)
    return len(names)


def read_images(path: Path, shape: tuple[int, ...]) -> tuple[np.ndarray, list[str]]:
    """Images uint8 [N, H, W], or [N, C, H, W] for several channels, with a name for each.

    Raises ValueError for a file that cannot be read or whose images have another shape, naming both shapes.
    """
    if path.is_dir():
        return _read_folder(path, shape)
    if not path.exists():
        raise ValueError(f"input={path}: there is no such file or folder")
    try:
        images = np.asarray(np.load(path, allow_pickle=False))  # an array also of an archive, which is refused below
    except Exception as error:  # what a damaged file makes it raise is not documented
        raise ValueError(f"input={path}: not an .npy file of numbers ({error})") from None
    expected = shape[1:] if shape[0] == 1 else shape
    if images.shape[1:] not in (expected, shape) or images.ndim < 3:
        raise ValueError(
            f"input={path}: holds {list(images.shape)}, and the model takes [N, {', '.join(map(str, expected))}]"
        )
    if images.dtype != np.uint8:
        raise ValueError(f"input={path}: holds {images.dtype}, and the model takes uint8 from 0 to 255")
    return images, [str(index) for index in range(len(images))]


def _read_folder(folder: Path, shape: tuple[int, ...]) -> tuple[np.ndarray, list[str]]:
    from PIL import Image

    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() == ".png")
    if not paths:
        raise ValueError(f"input={folder}: the folder holds no .png files")
    channels, height, width = shape
    images = []
    for path in paths:
        try:
            with Image.open(path) as image:
                pixels = np.asarray(image.convert("L" if channels == 1 else "RGB"))
        except Exception as error:  # what a damaged file makes it raise is not documented
            raise ValueError(f"{path}: not an image that can be read ({error})") from None
        if pixels.shape[:2] != (height, width):
            found = f"{pixels.shape[0]}x{pixels.shape[1]}"
            raise ValueError(f"{path}: is {found} pixels (height x width), and the model takes {height}x{width}")
        images.append(pixels if channels == 1 else pixels.transpose(2, 0, 1))
    return np.stack(images), [path.name for path in paths]


def _write_labels(path: Path, names: list[str], probabilities: np.ndarray) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(["image", "label", "probability"])
    for name, row in zip(names, probabilities, strict=True):
        writer.writerow([name, int(row.argmax()), f"{row.max():.4f}"])
    try:
        with atomic_write(path) as file:
            file.write(text.getvalue().encode())
    except OSError as error:
        raise ValueError(f"output={path}: cannot be written: {error}") from None


if __name__ == "__main__":
    sys.exit(main())
