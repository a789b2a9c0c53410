"""Arrays in pickles, read without running anything that a pickle may ask for."""

import copyreg
import io
import math
import pickle
import re
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from data.pickle_bounds import ClosedFunction, check_pickle
from data.splits import DataError

MAX_OBJECTS = 10_000
"""In the pickle of an array of numbers, which takes some fifty."""
MAX_OBJECTS_OF_OBJECTS = 10_000_000
MAX_TEXT_BYTES = 10**9
"""Of an array of text, all as long as the longest."""


def read_array(path: Path) -> np.ndarray:
    """The array of numbers that a pickle holds, as NumPy or pandas of any age wrote it; it may be read-only.

    DataError, naming the file, for one that is not there, truncated, no pickle, or asks for anything beyond one plain
    array: that is named, and not run.
    """
    try:
        with path.open("rb") as file:
            return _load(file, MAX_OBJECTS).to_numpy()
    except _Refused as refused:
        raise DataError(f"{path}: expected a pickle of one NumPy array of numbers; {refused}") from None
    except Exception as error:  # damaged bytes can make an unpickler raise anything
        raise DataError(
            f"{path}: expected a pickle of one NumPy array of numbers, found a file that cannot be read as one "
            f"({type(error).__name__}: {error}); it is truncated or something else"
        ) from error


def read_objects(file: BinaryIO) -> np.ndarray:
    """The array of a pickled array of objects, as an .npy file holds it behind its header, if all are text or numbers.

    ValueError for anything else: that is named, and not run.
    """
    try:
        return _load(io.BytesIO(file.read()), MAX_OBJECTS_OF_OBJECTS).objects_to_numpy()
    except _Refused as refused:
        raise ValueError(f"an array of objects; expected text or whole numbers alone; {refused}") from None
    except Exception as error:  # damaged bytes can make an unpickler raise anything
        raise ValueError(f"an array of objects that cannot be read ({type(error).__name__}: {error})") from error


def _load(file: BinaryIO, max_objects: int) -> "_Array":
    check_pickle(file, max_objects)
    # An extension that this process has met before would be handed out without asking find_class.
    copyreg.clear_extension_cache()
    # Python 2 wrote its arrays as text; "bytes" leaves them as they are.
    found = _ArrayUnpickler(file, encoding="bytes").load()
    if not isinstance(found, _Array):
        raise _Refused(f"found {_kind(found)}")
    return found


class _Refused(Exception):
    """What was found instead of an array of numbers."""


# The unpickler meets nothing but the following stand-ins, never NumPy itself, whose own functions for this trust what
# they are given: __setstate__ of its dtypes alone is enough to write where nothing should be written.


class _Array:
    """What a pickle says of an array."""

    __slots__ = ("axes", "content", "dtype", "is_fortran", "shape")

    def __init__(self) -> None:
        self.shape = self.dtype = self.content = None
        self.is_fortran: object = False
        self.axes: tuple[int, ...] | None = None

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        *_version, self.shape, self.dtype, self.is_fortran, self.content = state

    def to_numpy(self) -> np.ndarray:
        if not isinstance(self.dtype, _Dtype):
            raise _Refused("found one whose dtype is missing")
        dtype = self.dtype.to_numpy()
        if not isinstance(self.content, bytes | bytearray):
            raise _Refused(f"found {_kind(self.content)} in the place of its bytes")
        if not isinstance(self.shape, tuple) or not all(isinstance(size, int) and size >= 0 for size in self.shape):
            raise _Refused("found one without a shape")
        if math.prod(self.shape) * dtype.itemsize != len(self.content):
            raise _Refused(f"found {len(self.content):,} bytes for shape {self.shape} of {dtype}")
        array = np.frombuffer(self.content, dtype).reshape(self.shape, order="F" if self.is_fortran else "C")
        return array if self.axes is None else array.transpose(self.axes)

    def objects_to_numpy(self) -> np.ndarray:
        """The objects as an array of str, or of whole numbers."""
        objects = self.content
        if not isinstance(objects, list) or not isinstance(self.shape, tuple) or not objects:
            raise _Refused(f"found {_kind(objects)} in the place of its objects")
        kinds = {type(value) for value in objects}
        if kinds not in ({str}, {bytes}, {int}, {bool}):
            raise _Refused(f"found {', '.join(sorted(kind.__name__.strip('_').lower() for kind in kinds))}")
        if kinds <= {str, bytes} and 4 * len(objects) * max(map(len, objects)) > MAX_TEXT_BYTES:
            raise _Refused("found text that is too long")
        array = np.array(objects)
        if array.dtype.kind == "O":
            raise _Refused("found numbers of more than 64 bits")
        return array.reshape(self.shape, order="F" if self.is_fortran else "C")


class _Dtype:
    """What a pickle says of a dtype: a code like f8 and, if it goes on to say so, the order of bytes."""

    __slots__ = ("byte_order", "code")

    def __init__(self, code: str | bytes, align: bool = False, copy: bool = True) -> None:
        self.code, self.byte_order = _text(code), "="

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.byte_order = _text(state[1])

    def to_numpy(self) -> np.dtype:
        if not re.fullmatch(r"[biuf]\d{1,2}", self.code) or self.byte_order not in tuple("<>=|"):
            raise _Refused(f"found one of dtype {self.code[:20]!a}")
        return np.dtype(self.byte_order + self.code)


def _ndarray(*args: object) -> None:
    raise _Refused("refused: it calls numpy.ndarray")  # pickles of arrays only mention it


def _reconstruct(subtype: object, shape: object, code: object) -> _Array:
    return _Array()


def _frombuffer(
    content: object, dtype: object, shape: object, order: object, axes: tuple[int, ...] | None = None
) -> _Array:
    array = _Array()
    array.__setstate__((shape, dtype, order == "F", content))
    array.axes = axes if order == "K" else None
    return array


def _encode(text: str, encoding: str) -> bytes:
    if encoding != "latin1":
        raise _Refused(f"refused: it asks for the encoding {ascii(encoding)[:40]}")
    return text.encode("latin1")


def _bytes() -> bytes:
    return b""


_NUMPY = ("numpy.core", "numpy._core")  # before and since NumPy 2
_ADMITTED = {
    ("numpy", "ndarray"): ClosedFunction(_ndarray),
    ("numpy", "dtype"): ClosedFunction(_Dtype),
    **{(f"{package}.multiarray", "_reconstruct"): ClosedFunction(_reconstruct) for package in _NUMPY},
    **{(f"{package}.numeric", "_frombuffer"): ClosedFunction(_frombuffer) for package in _NUMPY},
    # how protocols 0 to 2 write bytes
    ("_codecs", "encode"): ClosedFunction(_encode),
    ("builtins", "bytes"): ClosedFunction(_bytes),
    ("__builtin__", "bytes"): ClosedFunction(_bytes),
}


class _ArrayUnpickler(pickle.Unpickler):
    def find_class(self, module_name: str, global_name: str) -> ClosedFunction:
        if (module_name, global_name) not in _ADMITTED:
            raise _Refused(f"refused: it asks for {ascii(f'{module_name}.{global_name}')[1:-1][:100]}")
        return _ADMITTED[module_name, global_name]

    def persistent_load(self, pid: object) -> None:
        raise _Refused("refused: it asks for an object kept elsewhere, by a persistent id")


def _text(code: str | bytes) -> str:
    return code.decode("ascii") if isinstance(code, bytes) else code


def _kind(found: object) -> str:
    if isinstance(found, ClosedFunction):
        return "a function"
    return "nothing" if found is None else f"a {type(found).__name__.strip('_').lower()}"
