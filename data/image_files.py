"""Reads image files with Pillow: formats, size limits, and what is made of each image."""

import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from data.labelled import MAX_SIDE
from data.lists import list_faults
from data.splits import DataError

MAX_PIXELS = 90_000_000
"""The maximum size of a page, above which Pillow warns too: 297x210 mm at 900 dots an inch."""
FORMATS = ("PNG", "JPEG", "JPEG2000", "BMP", "GIF", "WEBP", "TIFF", "PPM")  # no EPS, for which Pillow runs Ghostscript
MAX_LISTED = 50
NUM_THREADS = 8
NUM_AT_ONCE = 64  # a future for each file would cost more than reading a small image


def read_images(folder: Path, files: Sequence[str], known_faults: Mapping[str, str] | None = None) -> np.ndarray:
    """Reads images by their paths within folder: uint8 [N, H, W] if every pixel of all is grey, else [N, 3, H, W].

    Raises DataError that lists, together with the known faults by path, all files that cannot be read, are larger than
    256x256 pixels, have more than 8 bits a channel, or differ in size from most.
    """
    found = dict(zip(files, _read_all([folder / file for file in files]), strict=True))
    images = {file: image for file, image in found.items() if isinstance(image, np.ndarray)}
    faults = dict(known_faults or {}) | {file: fault for file, fault in found.items() if isinstance(fault, str)}
    sizes = Counter(_size(image) for image in images.values()).most_common()
    for file, image in images.items():
        if (size := _size(image)) != sizes[0][0]:
            faults[file] = f"{size} pixels; expected {sizes[0][0]}, as {sizes[0][1]:,} of {len(images):,} images have"
    if faults or not images:
        raise _refusal(folder, len(images), faults)
    x = np.empty((len(images), *max((image.shape for image in images.values()), key=len)), np.uint8)
    for place, image in enumerate(images.values()):
        x[place] = image  # a grey one among coloured ones fills all channels
    return x


def as_shown(image: Image.Image) -> Image.Image:
    """Returns an opened image as it is meant to be seen: turned as EXIF says, and on white where it is transparent."""
    image = ImageOps.exif_transpose(image)
    if {"A", "a"} & set(image.getbands()) or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image


def image_suffixes() -> list[str]:
    """Returns the suffixes of FORMATS that Pillow knows, in lower case."""
    return sorted(suffix for suffix, form in Image.registered_extensions().items() if form in FORMATS)


def check_pixels(image: Image.Image) -> None:
    """Raises ValueError, before anything is decoded, for an image of more pixels than a page has."""
    if image.width * image.height > MAX_PIXELS:
        raise ValueError(f"{image.width}x{image.height} pixels; expected at most {MAX_PIXELS:,}")


def _refusal(folder: Path, num_images: int, faults: Mapping[str, str]) -> DataError:
    summary = (
        f"{folder}: expected images of one size, at most {MAX_SIDE}x{MAX_SIDE} pixels, and nothing else, "
        f"found {num_images:,} such images and {len(faults):,} others:"
    )
    return DataError(list_faults(summary, [f"{file}: {fault}" for file, fault in sorted(faults.items())], MAX_LISTED))


def _read_all(paths: Sequence[Path]) -> list[np.ndarray | str]:
    blocks = [paths[start : start + NUM_AT_ONCE] for start in range(0, len(paths), NUM_AT_ONCE)]
    # Pillow warns of large or odd files, which says nothing here: an image is read, or listed with the reason.
    with warnings.catch_warnings(), ThreadPoolExecutor(NUM_THREADS) as threads:
        warnings.simplefilter("ignore")
        found = threads.map(lambda block: [_read(path) for path in block], blocks)
        return [image for block in found for image in block]


def _read(path: Path) -> np.ndarray | str:
    """Returns the image, [H, W] if every pixel is grey, else [3, H, W]; or the reason why it cannot be used."""
    try:
        with Image.open(path, formats=FORMATS) as image:
            if max(image.size) > MAX_SIDE:
                return f"{image.width}x{image.height} pixels; expected at most {MAX_SIDE}x{MAX_SIDE}"
            if image.mode.startswith(("I", "F")):
                # Their brightest value may be 4,095 or 1.0 as well as 65,535: only the user knows how to scale them.
                return f"more than 8 bits a channel (mode {image.mode}); expected 8: convert it"
            return _pixels(as_shown(image))
    except UnidentifiedImageError:
        return f"not an image of the formats {', '.join(FORMATS)}"
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"
    except Exception as error:  # a damaged file makes Pillow's decoders raise errors of many kinds
        return f"cannot be read: {type(error).__name__}: {error}"


def _pixels(image: Image.Image) -> np.ndarray:
    if image.mode in ("1", "L"):
        return np.array(image.convert("L"))
    x_HWC = np.array(image.convert("RGB"))
    is_grey = (x_HWC == x_HWC[:, :, :1]).all()
    return x_HWC[:, :, 0].copy() if is_grey else x_HWC.transpose(2, 0, 1)


def _size(image: np.ndarray) -> str:
    return f"{image.shape[-1]}x{image.shape[-2]}"
