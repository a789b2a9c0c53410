"""Arrays of .npy and .npz files whose headers and sizes are held against the file before any memory is taken."""

import math
from typing import BinaryIO
from zipfile import ZipFile

import numpy as np

MAX_RATIO = 200
"""Of what an archive unpacks to, to its own bytes; images of handwriting come to some 20."""
FREE_BYTES = 2**29
"""That an archive may unpack to whatever its own size."""


def read_npy(file: BinaryIO, num_bytes: int) -> np.ndarray:
    """The array of an .npy file of so many bytes, without objects. Raises ValueError if its header promises more."""
    shape, _, dtype = read_header(file)
    if dtype.hasobject:
        raise ValueError("it holds objects, which could run any program")
    if (left := num_bytes - file.tell()) != math.prod(shape) * dtype.itemsize:
        raise ValueError(f"its header says {dtype} {list(shape)}, and {left:,} bytes follow")
    file.seek(0)
    return np.lib.format.read_array(file, allow_pickle=False)


def read_header(file: BinaryIO) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Shape, whether it is in Fortran's order, and dtype; the array follows."""
    if np.lib.format.read_magic(file) == (1, 0):
        return np.lib.format.read_array_header_1_0(file)
    return np.lib.format.read_array_header_2_0(file)  # of 3.0 as well, whose names of fields no image has


def check_archive(archive: ZipFile, num_bytes: int) -> None:
    """Raises ValueError for an archive of so many bytes that would unpack to far more."""
    unpacked = sum(info.file_size for info in archive.infolist())
    if unpacked > max(FREE_BYTES, MAX_RATIO * num_bytes):
        raise ValueError(f"its {num_bytes:,} bytes would unpack to {unpacked:,}")
