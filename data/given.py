"""Turns tensors, frames and lists into NumPy arrays; an array, also a memory-mapped one, is not copied."""

from collections.abc import Iterator, Sequence
from typing import Protocol, cast

import numpy as np

from data.splits import DataError, Images


class _Tensor(Protocol):
    """A tensor of PyTorch, which is not imported here."""

    def detach(self) -> "_Tensor": ...
    def cpu(self) -> "_Tensor": ...
    def numpy(self) -> object: ...


class _Frame(Protocol):
    """A frame or a series of pandas."""

    def to_numpy(self) -> object: ...


def as_arrays(given: object, where: str) -> Images:
    """Returns an array, or a list of arrays if the shapes of the entries of a list differ.

    `where` is what messages call it. Raises DataError if it holds no arrays, or no examples.
    """
    if isinstance(given, list | tuple) and any(_is_array(entry) for entry in given):
        arrays = [as_array(entry, f"{where}[{index}]") for index, entry in enumerate(cast("Sequence[object]", given))]
        if len({array.ndim for array in arrays}) > 1:
            index = next(index for index, array in enumerate(arrays) if array.ndim != arrays[0].ndim)
            raise DataError(
                f"{where}: example 0 has shape {list(arrays[0].shape)}, and example {index} has shape "
                f"{list(arrays[index].shape)}; expected the same number of axes in each"
            )
        return arrays
    array = as_array(given, where)
    if array.ndim == 0:
        raise DataError(f"{where}: found a single value, {_shorten(array[()])}; expected an array of examples")
    if not len(array):
        raise DataError(f"{where}: found no examples, an array of shape {list(array.shape)}")
    return array


def as_array(given: object, where: str) -> np.ndarray:
    """Returns one array, without a copy if it is one, also if it is memory-mapped. Raises DataError otherwise."""
    if hasattr(given, "toarray"):
        raise DataError(f"{where}: found a sparse matrix; expected an array: {where.split(' ')[0]}.toarray()")
    if isinstance(given, np.ma.MaskedArray) and np.ma.is_masked(given):
        index = int(np.argwhere(np.ma.getmaskarray(given))[0][0])
        raise DataError(f"{where}: found masked values, the first in example {index}; expected none: fill them in")
    if _is_stream(given):
        raise DataError(f"{where}: found a {type(given).__name__}; expected an array: np.stack(list(...))")
    if given is None or isinstance(given, str | bytes | dict | set | frozenset):
        raise DataError(f"{where}: found {_kind(given)}; expected an array, a list of arrays, a tensor or a frame")
    try:
        array = np.asarray(_unwrap(given))
        # NumPy would turn the None or NaN of a list of text into text.
        is_text = isinstance(given, list | tuple) and array.dtype.kind in "SU"
        return np.asarray(given, dtype=object) if is_text else array
    except Exception as error:  # any library's object can raise anything
        raise DataError(
            f"{where}: found {_kind(given)} that is no array ({error}); expected an array, or a list of arrays if "
            "sizes differ"
        ) from error


def _unwrap(given: object) -> object:
    if isinstance(given, list | tuple):
        return [_unwrap(entry) if hasattr(entry, "detach") else entry for entry in cast("Sequence[object]", given)]
    if hasattr(given, "detach"):
        given = cast("_Tensor", given).detach().cpu()
    if hasattr(given, "to_numpy"):
        return cast("_Frame", given).to_numpy()
    return cast("_Tensor", given).numpy() if hasattr(given, "numpy") else given


def _is_array(entry: object) -> bool:
    """Returns whether an entry of a list is an array, rather than a number or a list of numbers."""
    return getattr(entry, "ndim", 0) >= 1


def _is_stream(given: object) -> bool:
    return isinstance(given, Iterator) or (hasattr(given, "__iter__") and not hasattr(given, "__len__"))


def _kind(given: object) -> str:
    return "nothing" if given is None else f"a {type(given).__name__}"


def _shorten(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
