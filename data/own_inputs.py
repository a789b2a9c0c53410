"""Checks a user's own x, and converts it to uint8 pixels or float32."""

from collections.abc import Iterable, Iterator

import numpy as np

from data.chunks import chunks
from data.given import as_arrays
from data.splits import DataError, Images

REFUSED = {
    "c": "take x.real and x.imag, or np.abs(x)",
    "M": "convert dates to numbers, such as days since the first",
    "m": "convert durations to numbers, such as seconds",
    "S": "convert text to numbers; data.load_rows does so for a frame",
    "U": "convert text to numbers; data.load_rows does so for a frame",
    "V": "take its fields apart",
}
"""How arrays of these kinds become numbers."""
CHANNELS = (1, 3, 4)
"""The channels of grey and coloured images, the latter with or without transparency."""
OBJECTS = (
    "convert it by x.astype(np.float32); rows of numbers and text by data.load_rows; "
    "examples of different sizes are a list of arrays"
)


def as_inputs(given: object, where: str) -> Images:
    """Returns examples as an array [N, ...], or a list, of uint8 or float32, without a copy if they are so already.

    Raises DataError for other types, NaN or infinity, and examples without a value or without an axis.
    """
    x = as_numbers(as_arrays(given, where), where)
    _check_channels(x, where)
    for index, array in examples_of(x):
        if (array.ndim if isinstance(x, list) else array.ndim - 1) == 0:
            raise DataError(
                f"{where}: found one number an example, shape {list(array.shape)}; expected [N, 1]: x[:, None]"
            )
        if not array.size:
            of = "" if index is None else f" of example {index}"
            raise DataError(
                f"{where}: found no values, shape{of} {list(array.shape)}; expected at least one an example"
            )
    return x


def _check_channels(x: Images, where: str) -> None:
    """Raises DataError for pixels whose channels come last, which would be taken for images of 3 pixels' width."""
    example = x[0]
    if example.dtype == np.uint8 and example.ndim == 3 and example.shape[2] in CHANNELS and min(example.shape[:2]) > 4:
        mended = "[each.transpose(2, 0, 1) for each in x]" if isinstance(x, list) else "x.transpose(0, 3, 1, 2)"
        raise DataError(
            f"{where}: found images of shape {list(example.shape)}, with the channels last; expected "
            f"[channels, height, width]: {mended}. Narrow images of many channels are floats: x / np.float32(255)"
        )


def as_numbers(values: Images, where: str) -> Images:
    """Returns uint8 as it is, and other numbers as float32. Raises DataError as `as_inputs` does."""
    if isinstance(values, list):
        return [_convert(array, where, index) for index, array in examples_of(values)]
    return _convert(values, where, None)


def check_one_type(parts: dict[str, Images], letter: str) -> None:
    """Raises DataError if some splits or examples are pixels and others floats, or if shapes differ between splits."""
    seen: dict[object, str] = {}
    for part, values in parts.items():
        for index, array in examples_of(values):
            of = (letter if part == "train" else f"{letter} of {part}") + (
                "" if index is None else f", example {index},"
            )
            seen.setdefault((array.dtype, array.ndim if isinstance(values, list) else array.shape[1:]), of)
    if len(seen) > 1:
        (first, where), (second, elsewhere) = list(seen.items())[:2]
        raise DataError(
            f"{where} has {_describe(first)}, and {elsewhere} {_describe(second)}; expected one type and one shape"
        )


def _describe(form: object) -> str:
    dtype, shape = form if isinstance(form, tuple) else (form, "")
    return f"{dtype} examples of {f'{shape} axes' if isinstance(shape, int) else f'shape {list(shape)}'}"


def examples_of(values: Images) -> Iterable[tuple[int | None, np.ndarray]]:
    return enumerate(values) if isinstance(values, list) else [(None, values)]


def _convert(array: np.ndarray, where: str, index: int | None) -> np.ndarray:
    if array.dtype == np.uint8:
        return array
    if array.dtype.kind not in "biuf":
        raise DataError(f"{where}: found {array.dtype}; expected numbers: {REFUSED.get(array.dtype.kind, OBJECTS)}")
    if array.dtype == np.float32:
        for part, rows in _parts(array):
            _check_finite(rows, rows, where, index, part.start)
        return array
    converted = np.empty(array.shape, np.float32)
    for part, rows in _parts(array):
        with np.errstate(over="ignore"):  # reported below, with the value
            converted[part] = rows
        _check_finite(converted[part], rows, where, index, part.start)
    return converted


def _parts(array: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    return ((part, array[part]) for part in chunks(array))


def _check_finite(converted: np.ndarray, rows: np.ndarray, where: str, index: int | None, start: int) -> None:
    """Raises DataError for values that are not finite; names the example: `index`, or the row after `start`."""
    good = np.isfinite(converted)
    if good.all():
        return
    place = tuple(np.argwhere(~good)[0])
    kind = "a value too large for float32" if np.isfinite(rows[place]) else "NaN or infinity"
    raise DataError(
        f"{where}: found {kind}, the first in example {start + int(place[0]) if index is None else index} "
        f"({rows[place]:g}); expected finite numbers: leave such examples out, or fill the values in"
    )
