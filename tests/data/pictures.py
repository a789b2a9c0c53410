"""Pictures, folders of them, and what was read from them."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data.images import own
from data.splits import DataError, Split, Splits

GREY, COLOUR = (6, 4), (6, 4, 3)  # height, width, channels


def picture(number: int, shape: tuple[int, ...] = GREY) -> np.ndarray:
    return np.random.default_rng(number).integers(0, 256, shape, dtype=np.uint8)


def save(path: Path, image: np.ndarray | Image.Image, **options) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    (Image.fromarray(image) if isinstance(image, np.ndarray) else image).save(path, **options)


def fill(folder: Path, num: int = 10, classes: tuple[str, ...] = ("cat", "dog")) -> Path:
    """num grey PNGs in the folder of each class, of which the c-th has the pictures 100 * c and on."""
    for label, name in enumerate(classes):
        for i in range(num):
            save(folder / name / f"{i}.png", picture(100 * label + i))
    return folder


def parts(splits: Splits) -> list[Split]:
    return [splits.train, splits.val, splits.test]


def contents(*splits: Split) -> list[tuple[bytes, int]]:
    """What the splits hold, in an order that does not depend on theirs."""
    return sorted((x.tobytes(), int(y)) for split in splits for x, y in zip(split.x, split.y, strict=True))


def refusal(path: Path) -> str:
    with pytest.raises(DataError) as failure:
        own(path)
    assert str(path) in str(failure.value)
    return str(failure.value)


def non_utf8(folder: Path, name: bytes) -> Path:
    """A path whose last name is not UTF-8. Skips the test if the file system takes no such name."""
    path = folder / os.fsdecode(name)
    try:
        path.mkdir()
    except OSError:
        pytest.skip("this file system takes no names but UTF-8")
    path.rmdir()
    return path


def refusal_of(path: Path) -> str:
    """The message, which can be printed anywhere."""
    with pytest.raises(DataError) as failure:
        own(path)
    return str(failure.value).encode().decode()
