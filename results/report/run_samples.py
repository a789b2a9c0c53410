"""Reads the pictures in a run's samples.npz, a file that may come from anyone."""

from __future__ import annotations

import io
import zipfile
import zlib
from pathlib import Path

import numpy as np

from data.npy import read_npy
from results.files import read_file

_MAX_BYTES = 2**28
"""The maximum size of the file, and of all its arrays: 50 pictures of pages, three times each, take a tenth."""
_MAX_PICTURES, _MAX_SIDE = 1_000, 2**14
_MAX_NAMES = 1_000
_BY_LABEL = (("label_name", "U"), ("label_count", "iu"), ("label_f1", "f"))
_TEXTS = ("finalist", "scored_on", "error_name")

Samples = dict[str, np.ndarray]


def read_samples(path: Path) -> Samples | None:
    """Returns the arrays, or None if there is no such file.

    `kind` [N] (worst or typical) and `index` [N] describe the pictures; `input_K` is uint8 [H, W] or [C, H, W] with 1
    or 3 channels. A network that makes images has `output_K` and `target_K` too, and often `error` [N]; these are class
    maps [H, W] if there are `classes` [C], their names. Examples with several labels have `label_name`, `label_count`
    and `label_f1` [L].
    Raises ValueError that names the file if it is damaged or contains anything else.
    """
    content = read_file(path, _MAX_BYTES)
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
    """Reads the arrays without pickles, which could run any program, and within the limit."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = archive.infolist()
        if sum(member.file_size for member in members) > _MAX_BYTES:
            raise ValueError(f"its arrays take more than {_MAX_BYTES:,} bytes")
        return {
            member.filename.removesuffix(".npy"): read_npy(io.BytesIO(archive.read(member)), member.file_size)
            for member in members
        }


def _check(samples: Samples) -> None:
    """Raises ValueError that names an array that is missing or not as expected."""
    kinds, places = _array(samples, "kind", "U", 1), _array(samples, "index", "iu", 1)
    if len(kinds) != len(places) or len(kinds) > _MAX_PICTURES:
        raise ValueError(f"it has {len(kinds)} kinds of {len(places)} pictures; at most {_MAX_PICTURES} are allowed")
    makes_images = any(name.startswith("output_") for name in samples)
    for place in range(len(places)):
        for what in ("input", "output", "target") if makes_images else ("input",):
            _check_picture(samples, f"{what}_{place}")
    for name in _TEXTS:
        if name in samples:
            _array(samples, name, "U", 0)
    if "classes" in samples:
        _check_maps(samples)
    if any(name in samples for name, _ in _BY_LABEL):
        sizes = {len(_array(samples, name, kinds, 1)) for name, kinds in _BY_LABEL}
        if len(sizes) != 1 or max(sizes) > _MAX_NAMES:
            raise ValueError(f"label_name, label_count and label_f1 must have one length, at most {_MAX_NAMES}")
    if "error" in samples and len(_array(samples, "error", "f", 1)) != len(places):
        raise ValueError(f"error must have {len(places)} numbers")


def _check_maps(samples: Samples) -> None:
    """Raises ValueError unless outputs and targets are class maps."""
    if len(_array(samples, "classes", "U", 1)) > _MAX_NAMES:
        raise ValueError(f"it has {len(samples['classes'])} classes; at most {_MAX_NAMES} are allowed")
    for name in samples:
        if name.startswith(("output_", "target_")):
            _array(samples, name, "u", 2)


def _check_picture(samples: Samples, name: str) -> None:
    shape = _array(samples, name, "u").shape
    is_grey_or_colour = len(shape) == 2 or (len(shape) == 3 and shape[0] in (1, 3))
    if samples[name].dtype != np.uint8 or not is_grey_or_colour or not all(0 < n <= _MAX_SIDE for n in shape):
        raise ValueError(f"{name} must be a picture, uint8 [H, W] or [3, H, W]; it is {_kind(samples[name])}")


def _array(samples: Samples, name: str, kinds: str, ndim: int | None = None) -> np.ndarray:
    if name not in samples:
        raise ValueError(f"it has no array {name}")
    found = samples[name]
    if found.dtype.kind not in kinds or ndim not in (None, found.ndim):
        raise ValueError(f"{name} is {_kind(found)}, which samples never are")
    return found


def _kind(array: np.ndarray) -> str:
    return f"{array.dtype} {list(array.shape)}"
