"""Reads arrays from pickles without running any function that a pickle asks for."""

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
"""The maximum number of objects in the pickle of an array of numbers, which has about fifty."""
MAX_OBJECTS_OF_OBJECTS = 10_000_000
"""The same for an array of objects."""
MAX_TEXT_BYTES = 10**9
"""The maximum size of an array of text, in which every entry is as long as the longest."""


def read_array(path: Path) -> np.ndarray:
    """Reads an array of numbers from a pickle that any version of NumPy or pandas wrote; it may be read-only.

    Raises DataError, with the file's name, for a file that is missing, truncated, not a pickle, or asks for a function
    other than those of one plain array: the function is named, and not run.
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
    """Reads a pickled array of objects, as an .npy file holds it after its header, if all are text or all are numbers.

    Raises ValueError for anything else: a function that it asks for is named, and not run.
    """
    try:
        return _load(io.BytesIO(file.read()), MAX_OBJECTS_OF_OBJECTS).objects_to_numpy()
    except _Refused as refused:
        raise ValueError(f"an array of objects; expected only text or only whole numbers; {refused}") from None
    except Exception as error:  # damaged bytes can make an unpickler raise anything
        raise ValueError(f"an array of objects that cannot be read ({type(error).__name__}: {error})") from error


def _load(file: BinaryIO, max_objects: int) -> "_Array":
    check_pickle(file, max_objects)
    # The unpickler takes extensions that this process has used before from a cache, without asking find_class.
    copyreg.clear_extension_cache()
    # Python 2 wrote its arrays as text; the encoding "bytes" leaves them unchanged.
    found = _ArrayUnpickler(file, encoding="bytes").load()
    if not isinstance(found, _Array):
        raise _Refused(f"found {_kind(found)}")
    return found


class _Refused(Exception):
    """The pickle is not a plain array; the message says what was found."""


# The unpickler uses only the following classes and functions. NumPy's own trust their arguments: __setstate__ of its
# dtypes, for example, can be made to write outside of an array.


class _Array:
    """The state of an array in a pickle."""

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
            raise _Refused(f"found {_kind(self.content)} instead of its bytes")
        if not isinstance(self.shape, tuple) or not all(isinstance(size, int) and size >= 0 for size in self.shape):
            raise _Refused("found one without a shape")
        if math.prod(self.shape) * dtype.itemsize != len(self.content):
            raise _Refused(f"found {len(self.content):,} bytes for shape {self.shape} of {dtype}")
        array = np.frombuffer(self.content, dtype).reshape(self.shape, order="F" if self.is_fortran else "C")
        return array if self.axes is None else array.transpose(self.axes)

    def objects_to_numpy(self) -> np.ndarray:
        """Returns the objects as an array of text or of whole numbers."""
        objects = self.content
        if not isinstance(objects, list) or not isinstance(self.shape, tuple) or not objects:
            raise _Refused(f"found {_kind(objects)} instead of its objects")
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
    """The state of a dtype in a pickle: a code like f8 and, optionally, the byte order."""

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
    raise _Refused("refused: it calls numpy.ndarray")  # pickles of arrays only refer to it


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
    # protocols 0 to 2 write bytes with these
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
        raise _Refused("refused: it asks for an object outside of the file, by a persistent id")


def _text(code: str | bytes) -> str:
    return code.decode("ascii") if isinstance(code, bytes) else code


def _kind(found: object) -> str:
    if isinstance(found, ClosedFunction):
        return "a function"
    return "nothing" if found is None else f"a {type(found).__name__.strip('_').lower()}"
