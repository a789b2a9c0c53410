"""Reads plain values and tensors that torch.save wrote, without running code and within the file's own size.

torch.load(weights_only=True) runs no code either, but trusts the file: its sizes, strides and depths can take
gigabytes, read past the end of a tensor's bytes, or overflow the stack.
"""

from __future__ import annotations

import copyreg
import io
import math
import pickle
from collections import OrderedDict
from typing import Any, BinaryIO
from zipfile import ZIP_STORED, BadZipFile, ZipFile

import torch
from torch import Tensor

from data.pickle_bounds import ClosedFunction, check_pickle

MAX_OBJECTS = 1_000_000
MAX_DIMENSIONS = 8
PICKLE = "/data.pkl"

DTYPES = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}


class NoTensorFile(ValueError):
    """Raised if a file does not consist of plain values and tensors."""


def read_tensors(file: BinaryIO, device: torch.device | str = "cpu") -> Any:
    """Returns the value that torch.save wrote: dicts, lists, tuples, text, numbers, and tensors on `device`.

    Raises NoTensorFile for a file that is damaged, not written by torch, or has anything else in it.
    """
    try:
        with ZipFile(file) as archive:
            _check_sizes(archive, file)
            (name,) = (info.filename for info in archive.infolist() if info.filename.endswith(PICKLE))
            records = _Records(archive, name.removesuffix(PICKLE))
            content = io.BytesIO(archive.read(name))
            check_pickle(content, MAX_OBJECTS)
            copyreg.clear_extension_cache()  # its entries would be returned without a call of find_class
            return _Opener(device).open(_Unpickler(content, records).load())
    except NoTensorFile:
        raise
    except (BadZipFile, pickle.UnpicklingError) as error:
        raise NoTensorFile(str(error)) from None
    except Exception as error:  # damaged bytes can make both readers raise anything
        raise NoTensorFile(f"{type(error).__name__}: {error}") from None


def _check_sizes(archive: ZipFile, file: BinaryIO) -> None:
    """Raises NoTensorFile for compressed or overlapping parts; torch writes neither."""
    infos = archive.infolist()
    if any(info.compress_type != ZIP_STORED or info.file_size != info.compress_size for info in infos):
        raise NoTensorFile("its parts are compressed")
    if sum(info.file_size for info in infos) > file.seek(0, 2):
        raise NoTensorFile("its parts are larger than the file")


class _Records:
    """The bytes of tensors. Each storage is read once."""

    def __init__(self, archive: ZipFile, root: str) -> None:
        self.archive, self.root = archive, root
        self.storages: dict[str, bytearray] = {}
        order = f"{root}/byteorder"
        if order in archive.NameToInfo and archive.read(order) != b"little":
            raise NoTensorFile("its numbers are not little-endian")

    def values(self, key: str, dtype: torch.dtype, num_values: int) -> Tensor:
        """Returns all values of a storage [N]."""
        if key not in self.storages:
            self.storages[key] = bytearray(self.archive.read(f"{self.root}/data/{key}"))
        content = self.storages[key]
        if num_values * dtype.itemsize != len(content):
            raise NoTensorFile(f"it declares {num_values:,} numbers of {dtype}, but {len(content):,} bytes are there")
        return torch.frombuffer(content, dtype=dtype) if content else torch.empty(0, dtype=dtype)


class _Ordered(OrderedDict[Any, Any]):
    """A state_dict without torch's notes about modules."""

    def __setstate__(self, state: object) -> None:
        pass


class _Closed:
    """A tensor or its storage, protected from changes by a pickle."""

    __slots__ = ("tensor",)

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor

    def __setstate__(self, state: object) -> None:
        raise NoTensorFile("it changes a tensor")


class _Unpickler(pickle.Unpickler):
    """Gets no objects of torch except dtypes, which cannot be changed."""

    def __init__(self, file: BinaryIO, records: _Records) -> None:
        super().__init__(file)
        self.records = records

    def find_class(self, module_name: str, global_name: str) -> Any:
        if (module_name, global_name) == ("torch._utils", "_rebuild_tensor_v2"):
            return ClosedFunction(_tensor)
        if (module_name, global_name) == ("collections", "OrderedDict"):
            return ClosedFunction(_Ordered)
        if module_name == "torch" and global_name in DTYPES:
            return DTYPES[global_name]
        raise NoTensorFile(f"it asks for {ascii(f'{module_name}.{global_name}')[1:-1][:100]}")

    def persistent_load(self, pid: Any) -> _Closed:
        kind, dtype, key, _device, num_values = pid
        if kind != "storage" or not isinstance(dtype, torch.dtype) or type(num_values) is not int:
            raise NoTensorFile("it refers to something outside the file")
        return _Closed(self.records.values(str(key), dtype, num_values))


def _tensor(closed: _Closed, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_more: Any) -> _Closed:
    """Returns a view of a storage's values, once checked. `_more` says whether it requires gradients."""
    storage, numbers = closed.tensor, [offset, *shape, *strides]
    if not all(type(number) is int and number >= 0 for number in numbers) or len(shape) != len(strides):
        raise NoTensorFile("it holds a tensor without a shape")
    last = offset + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
    is_within = len(shape) <= MAX_DIMENSIONS and math.prod(shape) <= len(storage)
    if not is_within or (math.prod(shape) and last >= len(storage)):
        raise NoTensorFile(f"it holds a tensor {list(shape)[:MAX_DIMENSIONS]} of {len(storage):,} numbers")
    return _Closed(storage.as_strided(shape, strides, offset))


class _Opener:
    """Replaces each _Closed by its tensor. An object that occurs twice is opened once."""

    def __init__(self, device: torch.device | str) -> None:
        self.device = device
        self.known: dict[int, Any] = {}

    def open(self, value: Any) -> Any:
        if id(value) not in self.known:
            self.known[id(value)] = self._open_new(value)
        return self.known[id(value)]

    def _open_new(self, value: Any) -> Any:
        if isinstance(value, _Closed):
            return value.tensor.to(self.device)
        if isinstance(value, dict):
            return {self.open(name): self.open(part) for name, part in value.items()}
        if isinstance(value, list | tuple):
            return type(value)(self.open(part) for part in value)
        if value is None or isinstance(value, str | int | float):
            return value
        raise NoTensorFile(f"it holds a {type(value).__name__.strip('_')}")
