"""Reads idx files, the format of MNIST."""

import gzip
import zlib
from pathlib import Path

import numpy as np

from data.splits import DataError


def read_idx(path: Path, expected_shape: tuple[int, ...]) -> np.ndarray:
    """Reads an idx file, gzipped if its name ends in .gz, as uint8 of expected_shape.

    The format: two zero bytes, one for the type (8: unsigned bytes), one for the number of dimensions, each dimension
    as 4 bytes, big end first, then the data. Raises DataError, with what was expected and found, for anything else.
    """
    header = b"".join([bytes([0, 0, 8, len(expected_shape)]), *(size.to_bytes(4, "big") for size in expected_shape)])
    num_bytes = len(header) + int(np.prod(expected_shape))
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            content = file.read(num_bytes + 1)  # no more, however much it would unpack to
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: expected a file of MNIST, found one that cannot be read: {error}") from error
    if not content.startswith(header) or len(content) != num_bytes:
        found = f"{len(content):,}" if len(content) <= num_bytes else f"more than {num_bytes:,}"
        raise DataError(
            f"{path}: expected an idx file of {num_bytes:,} bytes that begins with {header.hex(' ')} (shape "
            f"{expected_shape}), found {found} bytes that begin with {content[: len(header)].hex(' ')!r}. "
            "It is truncated or not a file of MNIST: remove it to have it downloaded again"
        )
    # A copy, since views of bytes are read-only, and torch.from_numpy warns of these.
    return np.frombuffer(content, np.uint8, offset=len(header)).reshape(expected_shape).copy()
