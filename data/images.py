"""A user's own images: a folder with a folder of images for each class, or an .npz file of x and y."""

import os
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from data.folders import NOT_UTF8, check_utf8, read_entries
from data.images_npz import MAX_SIDE, PART_OF, PARTS, Labelled, check_classes, listed, npz_class_names, read_npz
from data.made import digits as embedded
from data.splits import DataError, Dataset, DataUnavailable, Say, Split, Splits

# Changing one of these makes older rows of every leaderboard incomparable with new ones.
PART_FRACTION = 0.15  # of each class for validation, and as much for the test
SPLIT_SEED = 0

MAX_PIXELS = 90_000_000
"""Of one image, for which Pillow warns too: a page of 297x210 mm at 900 dots an inch."""
FORMATS = ("PNG", "JPEG", "JPEG2000", "BMP", "GIF", "WEBP", "TIFF", "PPM")  # no EPS, for which Pillow runs Ghostscript
MAX_LISTED = 50
STRAY = "beside the folders of classes; expected in one of them"
NESTED = "a folder in the folder of a class; expected images alone (given splits are named train, val and test)"
NUM_THREADS = 8
NUM_AT_ONCE = 64  # a future for each file would cost more than reading a small image


class File(NamedTuple):
    """An image's path within the user's folder, "/" between; root is the part of it before the class."""

    root: str
    label: int
    path: str


def own(path: Path) -> Splits:
    """The images of a folder or an .npz file; labels count the classes in the order of `class_names`.

    A folder holds a folder of images for each class; or train/ and, if wanted, val/ and test/, with such folders in
    each. Images have one size of at most 256x256 pixels: x is [N, H, W] if every pixel of all is grey, else
    [N, 3, H, W]. Of several frames the first counts, EXIF's orientation is applied, what is transparent is put on
    white. Names are UTF-8.

    An .npz file holds x, from 0 to 255 as in `array_values`, [N, H, W], [N, C, H, W] or [N, H, W, C] with C of 1 or 3
    (where both fit, the former), and y, numbers or text as in `array_values`; or x_train, y_train and, if wanted,
    x_val, y_val and x_test, y_test. Names may be longer: images and labels, train_images and train_labels.

    Splits that are not given are 15% of each class for validation and as much for the test, at least one image of each
    in each. Given ones may lack a class in val and test, but train has them all. DataError for anything else; it lists
    all files that are no such images.
    """
    check_utf8(Path(os.path.abspath(path)))
    names, given = _read_folder(path) if path.is_dir() else read_npz(path)
    parts = _completed(path, names, given)
    splits = {part: Split(x, y) for part, (x, y) in parts.items()}
    train, val = splits["train"], splits["val"]
    test = splits.get("test", train.take(np.arange(0)))
    name = os.path.basename(os.path.abspath(path))  # also for "." and "pets/.."
    return Splits(name=f"images:{name}", origin="original", train=train, val=val, test=test, classes=tuple(names))


def class_names(path: Path) -> list[str]:
    """The classes of a user's own images by label: folders in order of their names, or y's values in ascending order.

    DataError as for `own`, but no image is looked at.
    """
    return _layout(path)[1] if path.is_dir() else npz_class_names(path)


def read_images(folder: Path, files: Sequence[str], known_faults: Mapping[str, str] | None = None) -> np.ndarray:
    """The images at these paths within folder: uint8 [N, H, W] if every pixel of all is grey, else [N, 3, H, W].

    DataError that lists all files that cannot be read, are larger than 256x256 pixels, have more than 8 bits a
    channel, or another size than most; beside the faults, by path, that are known already.
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
    """An opened image as it is meant to be seen: turned as its EXIF says, what is transparent put on white."""
    image = ImageOps.exif_transpose(image)
    if {"A", "a"} & set(image.getbands()) or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image


def _original(data_dir: Path, say: Say) -> Splits:
    raise DataUnavailable(
        "The task is about images of your own, and none are named. Ways out: data=FOLDER, a folder with a folder of "
        "images for each class; or data=FILE.npz with x and y; or data=made, small digits that need no files."
    )


def image_suffixes() -> list[str]:
    """What names of images of FORMATS end in, in lower case, as Pillow knows them."""
    return sorted(suffix for suffix, form in Image.registered_extensions().items() if form in FORMATS)


IMAGES = Dataset(name="images", original=_original, made=lambda data_dir, say: embedded.load_made(), own=own)


def _completed(path: Path, names: list[str], given: Mapping[str, Labelled]) -> Mapping[str, Labelled]:
    """The given splits; validation, and the test if nothing is given but images, are drawn where they are missing."""
    if "val" in given:
        return given
    ((_, whole), *rest) = given.items()
    wanted = PARTS[:2] if rest else PARTS
    drawn = _split(path, names, *whole, num_parts=len(wanted))
    return dict(zip(wanted, drawn, strict=True)) | dict(rest)


def _split(path: Path, names: list[str], x: np.ndarray, y: np.ndarray, *, num_parts: int) -> list[Labelled]:
    """Training, validation and perhaps test examples, each in ascending order of their places."""
    if few := [f"{name} ({num})" for name, num in zip(names, np.bincount(y), strict=True) if num < num_parts]:
        raise DataError(
            f"{path}: expected at least {num_parts} images of each class, one for each split, "
            f"found fewer of {listed(few)}"
        )
    # Not `stratified_split`, which leaves a class of few images out of a split.
    keys = np.random.default_rng(SPLIT_SEED).random(len(y))
    part_of = np.zeros(len(y), int)
    for label in range(len(names)):
        places = np.flatnonzero(y == label)
        places = places[np.argsort(keys[places])]
        num = max(1, round(PART_FRACTION * len(places)))
        for part in range(1, num_parts):
            part_of[places[(part - 1) * num : part * num]] = part
    return [(x[part_of == part], y[part_of == part]) for part in range(num_parts)]


# --- Folders ---


def _refusal(folder: Path, num_images: int, faults: Mapping[str, str]) -> DataError:
    lines = [f"  {file}: {fault}" for file, fault in sorted(faults.items())]
    more = [f"  and {len(lines) - MAX_LISTED:,} more"] if len(lines) > MAX_LISTED else []
    summary = (
        f"{folder}: expected images of one size, at most {MAX_SIDE}x{MAX_SIDE} pixels, and nothing else, "
        f"found {num_images:,} such images and {len(faults):,} others:"
    )
    return DataError("\n".join([summary, *lines[:MAX_LISTED], *more]))


def _read_folder(folder: Path) -> tuple[list[str], dict[str, Labelled]]:
    roots, names = _layout(folder)
    faults = dict.fromkeys(read_entries(folder).files, STRAY)
    files = [file for root in roots for file in _files(folder, root, names, faults)]
    x = read_images(folder, [file.path for file in files], faults)
    y = np.array([file.label for file in files], np.int64)
    root_of = np.array([file.root for file in files])
    return names, {part: (x[root_of == root], y[root_of == root]) for root, part in roots.items()}


def _layout(folder: Path) -> tuple[dict[str, str], list[str]]:
    """Where the folders of classes are, by prefixes of paths, with the split of each; and the classes in order.

    The prefix is "" of a folder without splits, whose split is "".
    """
    folders, files, unreadable = read_entries(folder)
    check_utf8(folder, unreadable)
    roots = _given_splits(folder, folders)
    place = folder / next(iter(roots))
    if roots != {"": ""}:
        folders, files, unreadable = read_entries(place)
        check_utf8(place, unreadable)
    if not folders:
        raise DataError(
            f"{place}: expected a folder of images for each class, found {len(files):,} files and no folder"
        )
    return roots, check_classes(place, folders)


def _given_splits(folder: Path, folders: Sequence[str]) -> dict[str, str]:
    """The splits by their folders, in the order of PARTS, if all folders are called like one."""
    parts = {name: PART_OF.get(name.lower()) for name in folders}
    if not folders or None in parts.values():
        return {"": ""}
    roots = {f"{name}/": part for part in PARTS for name in folders if parts[name] == part}
    if len(set(roots.values())) < len(roots) or "train" not in roots.values():
        raise DataError(
            f"{folder}: expected train/ and, if wanted, val/ and test/ where splits are given, found {listed([*roots])}"
        )
    return roots


def _files(folder: Path, root: str, names: list[str], faults: dict[str, str]) -> Iterator[File]:
    """The files in the folders of classes below root; what is out of place there goes to faults."""
    classes, strays, unreadable = read_entries(folder / root)
    faults |= {f"{root}{stray}": STRAY for stray in strays} | {f"{root}{name}": NOT_UTF8 for name in unreadable}
    if not classes and not unreadable:
        faults[root] = "no folders of classes"
    for name in classes:
        inner, files, unreadable = read_entries(folder / root / name)
        faults |= {f"{root}{name}/{folder_name}/": NESTED for folder_name in inner}
        faults |= {f"{root}{name}/{file}": NOT_UTF8 for file in unreadable}
        if name not in names:
            faults[f"{root}{name}/"] = "a class that train/ does not have"
        elif not inner and not files and not unreadable:
            faults[f"{root}{name}/"] = "a class without images"
        else:
            yield from (File(root, names.index(name), f"{root}{name}/{file}") for file in files)


def _read_all(paths: Sequence[Path]) -> list[np.ndarray | str]:
    blocks = [paths[start : start + NUM_AT_ONCE] for start in range(0, len(paths), NUM_AT_ONCE)]
    # Pillow's warnings, as of large or odd files, say nothing here: an image can be read, or is listed with the reason.
    with warnings.catch_warnings(), ThreadPoolExecutor(NUM_THREADS) as threads:
        warnings.simplefilter("ignore")
        found = threads.map(lambda block: [_read(path) for path in block], blocks)
        return [image for block in found for image in block]


def _read(path: Path) -> np.ndarray | str:
    """The image, [H, W] if every pixel is grey, else [3, H, W]; or why it is none."""
    try:
        with Image.open(path, formats=FORMATS) as image:
            if max(image.size) > MAX_SIDE:
                return f"{image.width}x{image.height} pixels; expected at most {MAX_SIDE}x{MAX_SIDE}"
            if image.mode.startswith(("I", "F")):
                # Their brightest value may be 4,095 or 1.0 as well as 65,535: only the user knows how to scale them.
                return f"more than 8 bits a channel (mode {image.mode}); expected 8: convert it"
            return _pixels(as_shown(image))
    except UnidentifiedImageError:
        return f"no image of the formats {', '.join(FORMATS)}"
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"
    except Exception as error:  # a damaged file makes Pillow's decoders raise all sorts
        return f"cannot be read: {type(error).__name__}: {error}"


def check_pixels(image: Image.Image) -> None:
    """Raises ValueError, before anything is decoded, for an image of more pixels than a page has."""
    if image.width * image.height > MAX_PIXELS:
        raise ValueError(f"{image.width}x{image.height} pixels; expected at most {MAX_PIXELS:,}")


def _pixels(image: Image.Image) -> np.ndarray:
    if image.mode in ("1", "L"):
        return np.array(image.convert("L"))
    x_HWC = np.array(image.convert("RGB"))
    is_grey = (x_HWC == x_HWC[:, :, :1]).all()
    return x_HWC[:, :, 0].copy() if is_grey else x_HWC.transpose(2, 0, 1)


def _size(image: np.ndarray) -> str:
    return f"{image.shape[-1]}x{image.shape[-2]}"
