"""Plain values and tensors that torch.save wrote, read within the file's own size; nothing that it asks for is run.

torch.load(weights_only=True) runs nothing either, but believes the file: what it says of sizes, strides and depths
takes gigabytes, reads past the end of a tensor's bytes, or overflows the stack.
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
    """What was found in the place of plain values and tensors."""


def read_tensors(file: BinaryIO, device: torch.device | str = "cpu") -> Any:
    """What torch.save was given: dicts, lists, tuples, text, numbers and tensors, these on the device.

    Raises NoTensorFile for a file that is damaged, is none of torch's, or holds anything else.
    """
    try:
        with ZipFile(file) as archive:
            _check_sizes(archive, file)
            (name,) = (info.filename for info in archive.infolist() if info.filename.endswith(PICKLE))
            records = _Records(archive, name.removesuffix(PICKLE))
            content = io.BytesIO(archive.read(name))
            check_pickle(content, MAX_OBJECTS)
            copyreg.clear_extension_cache()  # what is in it would be handed out without asking find_class
            return _Opener(device).opened(_Unpickler(content, records).load())
    except NoTensorFile:
        raise
    except (BadZipFile, pickle.UnpicklingError) as error:
        raise NoTensorFile(str(error)) from None
    except Exception as error:  # damaged bytes can make both readers raise anything
        raise NoTensorFile(f"{type(error).__name__}: {error}") from None


def _check_sizes(archive: ZipFile, file: BinaryIO) -> None:
    """Raises NoTensorFile for what is compressed, or lies in the file twice: torch writes neither."""
    infos = archive.infolist()
    if any(info.compress_type != ZIP_STORED or info.file_size != info.compress_size for info in infos):
        raise NoTensorFile("its parts are compressed")
    if sum(info.file_size for info in infos) > file.seek(0, 2):
        raise NoTensorFile("its parts are larger than the file")


class _Records:
    """The bytes of tensors, each read once."""

    def __init__(self, archive: ZipFile, root: str) -> None:
        self.archive, self.root = archive, root
        self.storages: dict[str, bytearray] = {}
        order = f"{root}/byteorder"
        if order in archive.NameToInfo and archive.read(order) != b"little":
            raise NoTensorFile("its numbers are in another order of bytes")

    def values(self, key: str, dtype: torch.dtype, num_values: int) -> Tensor:
        """All values of a storage [N]."""
        if key not in self.storages:
            self.storages[key] = bytearray(self.archive.read(f"{self.root}/data/{key}"))
        content = self.storages[key]
        if num_values * dtype.itemsize != len(content):
            raise NoTensorFile(f"it says {num_values:,} numbers of {dtype} where {len(content):,} bytes are")
        return torch.frombuffer(content, dtype=dtype) if content else torch.empty(0, dtype=dtype)


class _Ordered(OrderedDict[Any, Any]):
    """A state_dict; what torch notes of its modules beside the weights is left out."""

    def __setstate__(self, state: object) -> None:
        pass


class _Held:
    """A tensor or its storage, closed to what a pickle may do with it."""

    __slots__ = ("tensor",)

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor

    def __setstate__(self, state: object) -> None:
        raise NoTensorFile("it changes a tensor")


class _Unpickler(pickle.Unpickler):
    """Meets nothing of torch's own but dtypes, which cannot be changed."""

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

    def persistent_load(self, pid: Any) -> _Held:
        kind, dtype, key, _device, num_values = pid
        if kind != "storage" or not isinstance(dtype, torch.dtype) or type(num_values) is not int:
            raise NoTensorFile("it asks for something that is kept elsewhere")
        return _Held(self.records.values(str(key), dtype, num_values))


def _tensor(held: _Held, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_more: Any) -> _Held:
    """The tensor of a storage's values, which lie where it says; _more is whether it requires gradients."""
    storage, numbers = held.tensor, [offset, *shape, *strides]
    if not all(type(number) is int and number >= 0 for number in numbers) or len(shape) != len(strides):
        raise NoTensorFile("it holds a tensor without a shape")
    last = offset + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
    is_within = len(shape) <= MAX_DIMENSIONS and math.prod(shape) <= len(storage)
    if not is_within or (math.prod(shape) and last >= len(storage)):
        raise NoTensorFile(f"it holds a tensor {list(shape)[:MAX_DIMENSIONS]} of {len(storage):,} numbers")
    return _Held(storage.as_strided(shape, strides, offset))


class _Opener:
    """Puts tensors in the place of what held them; what is there twice is opened once."""

    def __init__(self, device: torch.device | str) -> None:
        self.device = device
        self.known: dict[int, Any] = {}

    def opened(self, value: Any) -> Any:
        if id(value) not in self.known:
            self.known[id(value)] = self._opened_anew(value)
        return self.known[id(value)]

    def _opened_anew(self, value: Any) -> Any:
        if isinstance(value, _Held):
            return value.tensor.to(self.device)
        if isinstance(value, dict):
            return {self.opened(name): self.opened(part) for name, part in value.items()}
        if isinstance(value, list | tuple):
            return type(value)(self.opened(part) for part in value)
        if value is None or isinstance(value, str | int | float):
            return value
        raise NoTensorFile(f"it holds a {type(value).__name__.strip('_')}")
