"""Walks through an array a few megabytes at a time, since a memory-mapped one may not fit into memory."""

from collections.abc import Iterator

import numpy as np

CHUNK_BYTES = 2**24


def chunks(array: np.ndarray) -> Iterator[slice]:
    """Yields consecutive slices of the first axis, each of about 16 MB and at least one row, until its end."""
    num_rows = max(1, CHUNK_BYTES * max(len(array), 1) // max(array.nbytes, 1))
    for start in range(0, len(array), num_rows):
        yield slice(start, start + num_rows)
