"""The pictures in a run's samples.npz, read from a file that anyone may have made."""

from __future__ import annotations

import io
import math
import zipfile
import zlib
from pathlib import Path

import numpy as np

from results.files import content_of

_MOST_BYTES = 2**28
"""Of the file, and of its arrays together: some 50 pictures of pages, three times each, take a tenth."""
_MOST_PICTURES, _LONGEST_SIDE = 1_000, 2**14
_TEXTS = ("finalist", "scored_on", "error_name")

Samples = dict[str, np.ndarray]


def read_samples(path: Path) -> Samples | None:
    """The arrays; None where there is no such file.

    `kind` (worst or typical) and `index` [N] say what each picture is; `input_K` is uint8 [H, W] or [C, H, W] with 1
    or 3 channels. Of a network that makes images there are `output_K` and `target_K` too, and often `error` [N].
    Raises ValueError that names the file, if it is damaged or holds anything else.
    """
    content = content_of(path, _MOST_BYTES)
    if content is None:
        return None
    try:
        samples = _arrays(content)
        _check(samples)
    except (OSError, ValueError, KeyError, EOFError, NotImplementedError, RuntimeError) as error:
        raise ValueError(f"{path}: not a file of samples, or damaged: {error}") from None
    except (zipfile.BadZipFile, zlib.error, SyntaxError) as error:
        raise ValueError(f"{path}: not a file of samples, or damaged: {error}") from None
    return samples


def _arrays(content: bytes) -> Samples:
    """Without pickles, which could do anything; and none that says that it is larger than what is there."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = archive.infolist()
        if sum(member.file_size for member in members) > _MOST_BYTES:
            raise ValueError(f"its arrays take more than {_MOST_BYTES:,} bytes")
        found = {}
        for member in members:
            with archive.open(member) as file:
                _check_header(io.BytesIO(file.read(2**12)), member)
            with archive.open(member) as file:
                found[member.filename.removesuffix(".npy")] = np.lib.format.read_array(file, allow_pickle=False)
    return found


def _check_header(head: io.BytesIO, member: zipfile.ZipInfo) -> None:
    version = np.lib.format.read_magic(head)
    read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}.get(version)
    if read is None:
        raise ValueError(f"{member.filename} is an array of an unknown version")
    shape, _, dtype = read(head)
    if math.prod(shape) * dtype.itemsize > member.file_size:
        raise ValueError(f"{member.filename} says that it is larger than it is")


def _check(samples: Samples) -> None:
    """Raises ValueError that names an array which is missing or is not what it should be."""
    kinds, places = _array(samples, "kind", "U", 1), _array(samples, "index", "iu", 1)
    if len(kinds) != len(places) or len(kinds) > _MOST_PICTURES:
        raise ValueError(f"it has {len(kinds)} kinds of {len(places)} pictures, of which there can be {_MOST_PICTURES}")
    makes_images = any(name.startswith("output_") for name in samples)
    for place in range(len(places)):
        for what in ("input", "output", "target") if makes_images else ("input",):
            _check_picture(samples, f"{what}_{place}")
    for name in _TEXTS:
        if name in samples:
            _array(samples, name, "U", 0)
    if "error" in samples and len(_array(samples, "error", "f", 1)) != len(places):
        raise ValueError(f"error should have {len(places)} numbers")


def _check_picture(samples: Samples, name: str) -> None:
    shape = _array(samples, name, "u").shape
    is_grey_or_colour = len(shape) == 2 or (len(shape) == 3 and shape[0] in (1, 3))
    if samples[name].dtype != np.uint8 or not is_grey_or_colour or not all(0 < n <= _LONGEST_SIDE for n in shape):
        raise ValueError(f"{name} should be a picture, uint8 [H, W] or [3, H, W]; it is {_kind(samples[name])}")


def _array(samples: Samples, name: str, kinds: str, ndim: int | None = None) -> np.ndarray:
    if name not in samples:
        raise ValueError(f"it has no array {name}")
    found = samples[name]
    if found.dtype.kind not in kinds or ndim not in (None, found.ndim):
        raise ValueError(f"{name} is {_kind(found)}, which no report's samples are")
    return found


def _kind(array: np.ndarray) -> str:
    return f"{array.dtype} {list(array.shape)}"
