"""Reads .npy arrays and .npz archives, after checking their headers and sizes against the file's own size."""

import math
from typing import BinaryIO
from zipfile import ZipFile

import numpy as np

MAX_RATIO = 200
"""The maximum ratio of an archive's unpacked size to its own; images of handwriting have about 20."""
FREE_BYTES = 2**29
"""Every archive may unpack to this size, whatever its own."""


def read_npy(file: BinaryIO, num_bytes: int) -> np.ndarray:
    """Reads an .npy file of num_bytes. Raises ValueError for objects, and for a header that does not fit the size."""
    shape, _, dtype = read_header(file)
    if dtype.hasobject:
        raise ValueError("it holds objects, which could run any program")
    if (left := num_bytes - file.tell()) != math.prod(shape) * dtype.itemsize:
        raise ValueError(f"its header says {dtype} {list(shape)}, and {left:,} bytes follow")
    file.seek(0)
    return np.lib.format.read_array(file, allow_pickle=False)


def read_header(file: BinaryIO) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Returns the shape, whether the array is in Fortran order, and the dtype. The file is then at the array."""
    if np.lib.format.read_magic(file) == (1, 0):
        return np.lib.format.read_array_header_1_0(file)
    return np.lib.format.read_array_header_2_0(file)  # also reads 3.0, which differs only in the names of fields


def check_archive(archive: ZipFile, num_bytes: int) -> None:
    """Raises ValueError for an archive of num_bytes that would unpack to far more."""
    unpacked = sum(info.file_size for info in archive.infolist())
    if unpacked > max(FREE_BYTES, MAX_RATIO * num_bytes):
        raise ValueError(f"its {num_bytes:,} bytes would unpack to {unpacked:,}")
