"""What `search.predict` is given: images from a folder or a file, in each form that it takes."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data.splits import Images
from spaces.layers import Shape

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".jp2", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".pgm", ".ppm")
MAX_LISTED = 20  # lines of one error
SAY_SECONDS = 3.0

Named = tuple[Images, list[str]]
"""Images as uint8 [N, H, W] or [N, C, H, W], or a list of [H, W] or [C, H, W] where sizes differ; a name for each."""


@dataclass(frozen=True)
class Form:
    """A form of input: how images of a shape, or of any size, are read from it, and what is written for it."""

    read: Callable[[Path, Shape, bool], Named]
    header: tuple[str, ...]
    """Columns of the CSV file of labels: a name or number for each image, its label, perhaps the probability."""
    labels: str
    """Where labels go unless told otherwise."""
    images: str | None = None
    """Where images go, a folder or an .npy file; None for a form that is for classifiers alone."""


def form_of(path: Path) -> Form:
    """Raises ValueError where there is nothing, or nothing of a known form."""
    if path.is_dir():
        return FOLDER
    if not path.exists():
        raise ValueError(f"input={path}: there is no such file or folder")
    form = FORMS.get(path.suffix.lower())
    if form is None:
        raise ValueError(
            f"input={path}: expected a folder of images, or a file in .npy or .csv, or a pickle in .pkl, .pickle or "
            f"without suffix, found {path.suffix}" + ("; name its folder" if path.suffix in IMAGE_SUFFIXES else "")
        )
    return form


def read_images(path: Path, shape: Shape, any_size: bool = False) -> Named:
    """The images of a file or folder, of `shape` (channels, height, width) or of any height and width.

    Raises ValueError for what cannot be read or has another shape, naming both; of a folder, for all bad files at once.
    """
    return form_of(path).read(path, shape, any_size)


def _read_array(path: Path, shape: Shape, any_size: bool) -> Named:
    try:
        images = np.asarray(np.load(path, allow_pickle=False))  # an array also of an archive, which is refused below
    except Exception as error:  # what a damaged file makes it raise is not documented
        raise ValueError(f"input={path}: not an .npy file of numbers ({error})") from None
    _check_shape(path, images, shape, any_size)
    if images.dtype != np.uint8:
        raise ValueError(f"input={path}: holds {images.dtype}, and the model takes uint8 from 0 to 255")
    return images, _numbers(images, 0)


def _read_digits(path: Path, shape: Shape, any_size: bool) -> Named:
    from data.digit_csv import read_unlabelled

    images = read_unlabelled(path)
    _check_shape(path, images, shape, any_size)
    return images, _numbers(images, 1)


def _read_max_digits(path: Path, shape: Shape, any_size: bool) -> Named:
    from data.max_digit import read_images

    images = read_images(path)
    _check_shape(path, images, shape, any_size)
    return images, _numbers(images, 0)


def _numbers(images: np.ndarray, first: int) -> list[str]:
    return [str(number) for number in range(first, first + len(images))]


def _check_shape(path: Path, images: np.ndarray, shape: Shape, any_size: bool) -> None:
    from trainables.model import shown_shape

    found = images.shape[1:]
    found = (1, *found) if len(found) == 2 else found
    if len(found) != 3 or (found[:1] if any_size else found) != (shape[:1] if any_size else shape):
        expected = shown_shape(shape, any_size, "N")
        raise ValueError(f"input={path}: holds {list(images.shape)}, and the model takes {expected}")


def _read_folder(folder: Path, shape: Shape, any_size: bool) -> Named:
    paths = _image_files(folder)
    say = Progress("images read", len(paths))
    images, faults = [], []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Pillow, on odd files: an image can be read, or is listed with the reason
        for path in paths:
            try:
                images.append(_read_image(path, shape, any_size))
            except ValueError as error:
                faults.append(f"{path.name}: {error}")
            say.add(1)
    refuse(folder, faults)
    is_one_size = len({image.shape for image in images}) == 1
    return np.stack(images) if is_one_size else images, [path.name for path in paths]


def _image_files(folder: Path) -> list[Path]:
    try:
        files = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    except OSError as error:
        raise ValueError(f"input={folder}: cannot be read: {error}") from None
    paths = [path for path in files if path.suffix.lower() in IMAGE_SUFFIXES]
    if not paths:
        raise ValueError(f"input={folder}: the folder holds no images ({', '.join(IMAGE_SUFFIXES)})")
    if others := [path.name for path in files if path.suffix.lower() not in IMAGE_SUFFIXES]:
        shown = ", ".join([*others[:3], *(["..."] if len(others) > 3 else [])])
        print(f"{folder}: passed over, as no images by their names: {shown}")
    return paths


def _read_image(path: Path, shape: Shape, any_size: bool) -> np.ndarray:
    """uint8 [H, W], or [3, H, W] for a model of colours; what is transparent is put on white, EXIF's turns are made.

    Raises ValueError with the reason, but without the file's name.
    """
    from PIL import Image

    from data.images import FORMATS, as_shown

    channels, height, width = shape
    try:
        with Image.open(path, formats=FORMATS) as opened:
            mode = opened.mode
            pixels = np.asarray(as_shown(opened).convert("L" if channels == 1 else "RGB"))
    except Exception as error:  # what a damaged file makes it raise is not documented
        raise ValueError(f"not an image that can be read ({error})") from None
    if mode.startswith(("I", "F")):  # whose brightest value may be 4,095 as well as 65,535 or 1.0
        raise ValueError(f"has more than 8 bits a channel (mode {mode}); convert it to 8")
    if not any_size and pixels.shape[:2] != (height, width):
        found = f"{pixels.shape[0]}x{pixels.shape[1]}"
        raise ValueError(f"is {found} pixels (height x width), and the model takes {height}x{width}")
    return pixels if channels == 1 else pixels.transpose(2, 0, 1)


def refuse(source: Path, faults: list[str]) -> None:
    """Raises ValueError with the first lines on what is wrong with the source's images, if there are any."""
    if faults:
        more = [f"and {len(faults) - MAX_LISTED:,} more"] if len(faults) > MAX_LISTED else []
        raise ValueError("\n  ".join([f"input={source}: cannot be used:", *faults[:MAX_LISTED], *more]))


class Progress:
    """A line every few seconds on how much is done."""

    def __init__(self, what: str, total: int) -> None:
        self.what, self.total, self.num_done, self.said_at = what, total, 0, time.monotonic()

    def add(self, number: int) -> None:
        self.num_done += number
        if time.monotonic() - self.said_at > SAY_SECONDS:
            self.said_at = time.monotonic()
            print(f"{self.num_done:,} of {self.total:,} {self.what}", flush=True)


FOLDER = Form(_read_folder, ("image", "label", "probability"), "labels.csv", "cleaned")
ARRAY = Form(_read_array, ("image", "label", "probability"), "labels.csv", "cleaned.npy")
DIGITS = Form(_read_digits, ("ImageId", "Label"), "submission.csv")
MAX_DIGITS = Form(_read_max_digits, ("Id", "Label"), "submission.csv")
FORMS = {".npy": ARRAY, ".csv": DIGITS, "": MAX_DIGITS, ".pkl": MAX_DIGITS, ".pickle": MAX_DIGITS}
