"""Arrays are walked through in parts that make them up, and their fingerprint does not depend on the parts."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from data import chunks as module
from data.chunks import chunks
from data.splits import Split, Splits


@given(arrays(np.uint8, array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=9)), st.integers(1, 100))
def test_chunks_make_up_the_array_and_keep_their_size(array: np.ndarray, num_bytes: int):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "CHUNK_BYTES", num_bytes)
        parts = [array[part] for part in chunks(array)]
    assert np.array_equal(np.concatenate([array[:0], *parts]), array)
    assert all(part.nbytes <= num_bytes or len(part) == 1 for part in parts if part.nbytes)


def test_the_fingerprint_depends_neither_on_the_chunks_nor_on_the_layout(monkeypatch: pytest.MonkeyPatch):
    x = np.arange(60, dtype=np.uint8).reshape(10, 3, 2)
    prints = []
    for layout, num_bytes in ((x, 10**6), (x, 50), (np.asfortranarray(x), 50)):
        monkeypatch.setattr(module, "CHUNK_BYTES", num_bytes)
        part = Split(layout, np.zeros(10, np.int64))
        prints.append(Splits(name="a", origin="made", train=part, val=part, test=part).fingerprint)
    assert prints == ["c0e30ae7f7bb0b3f"] * 3
