"""A pickle that would build too much is refused before anything is built."""

import io
import pickle
import struct
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from data.pickle_bounds import MAX_DEPTH, check_pickle
from tests.bounded import outcomes

MANY = 1_000_000
END = b"."


def chain_of_open_lists() -> bytes:
    """Lists that are made first, and put into each other afterwards, the outer ones before the inner ones."""
    made = b"".join(b"]" + b"r" + struct.pack("<I", k) for k in range(1001))
    joined = b"".join(b"j" + struct.pack("<I", k) + b"j" + struct.pack("<I", k + 1) + b"a" for k in range(1000))
    return made + joined + END


def laughs(num: int) -> bytes:
    """A tuple of two of a tuple of two ...: few bytes, 2**num objects to whoever walks through them."""
    return b"(" + b")" + b"".join(b"q" + bytes([k]) + b"h" + bytes([k]) + b"\x86" for k in range(num)) + b"t."


def copies(num: int) -> bytes:
    """A text of 1 MB, encoded again and again."""
    text = b"X" + struct.pack("<I", 2**20) + b"a" * 2**20 + b"q\x00"
    encode = b"c_codecs\nencode\nq\x01"
    return text + encode + b"(" + num * b"h\x01h\x00X\x06\x00\x00\x00latin1\x86R" + b"t."


HOSTILE = {
    "tuples in tuples": (b")" + b"\x85" * MANY + END, f"more than {MAX_DEPTH} deep"),
    "tuples by marks": (b"(" * MANY + b"t" * MANY + END, "more than"),
    "lists in lists": (b"]" * 9000 + b"a" * 8999 + END, f"more than {MAX_DEPTH} deep"),
    "lists that are filled later": (chain_of_open_lists(), "in use already"),
    "a list in itself": (b"]q\x00h\x00a.", "contain itself"),
    "calls in calls": (b"c_codecs\nencode\n" * 1000 + b")" + b"R" * 999 + END, "deep"),
    "a place in the memo": (b"]r\xff\xff\xff\x0a.", "it numbers an object"),
    "a place in the memo, as text": (b"]p999999999\n.", "it numbers an object"),
    "many objects": (b"]" * MANY + END, "more than 10,000 objects"),
    "many laughs": (laughs(200), "too often|deep"),
    "long laughs": (b"(X" + struct.pack("<I", 10**6) + b"a" * 10**6 + b"q\x00" + b"h\x00" * 200 + b"t.", "too often"),
    "copies": (copies(500), "too often"),
    "bytes that are not there": (b"\x8e" + struct.pack("<Q", 2**40) + b"abc", "truncated"),
    "a frame that is not there": (b"\x80\x04\x95" + struct.pack("<Q", 2**40) + b"].", "truncated"),
    "text that is not there": (b"X\xff\xff\xff\x7fabc.", "truncated"),
    "an integer that is not there": (b"\x8b\xff\xff\xff\x7fabc.", "truncated"),
    "digits": (b"L" + b"9" * MANY + b"L\n.", "read as one|digits"),
    "nothing to take": (b"\x85.", "inconsistent"),
    "nothing below a mark": (b"]((a.", "inconsistent"),
    "nothing to keep": (b"\x94.", "inconsistent"),
    "an unknown place": (b"h\x07.", "does not have"),
}  # fmt: skip


@pytest.mark.skipif(sys.platform != "linux", reason="a process's memory is bounded on Linux alone")
def test_what_would_build_too_much_is_refused_in_bounded_memory(tmp_path: Path):
    paths = []
    for number, (content, _) in enumerate(HOSTILE.values()):
        paths.append(tmp_path / f"{number}.pkl")
        paths[-1].write_bytes(content)
    messages = outcomes("data.array_pickle:read_array", paths)
    for (name, (_, reason)), path, message in zip(HOSTILE.items(), paths, messages, strict=True):
        assert message.startswith(f"ValueError: {path}: expected a pickle of one NumPy array"), name
        assert any(part in message for part in reason.split("|")), f"{name}: {message}"


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize(
    "value",
    [
        np.arange(6),
        np.array(["cat", "dog"] * 2000, dtype=object),
        {"a": [1, 2.5, None, True, b"x", "y" * 300, 2**70, -3, (), {}, []], "b": {1: (1, 2, 3, 4)}},
        [set(range(2000)), frozenset("ab"), list(range(5000)), {k: str(k) for k in range(3000)}, bytearray(b"z")],
    ],
    ids=["array", "objects", "dict", "many"],
)
def test_what_a_pickler_writes_is_within_bounds_and_the_file_stays_where_it_was(protocol: int, value: object):
    file = io.BytesIO(b"before" + pickle.dumps(value, protocol))
    file.seek(6)
    check_pickle(file, max_objects=20_000)
    assert file.tell() == 6


@pytest.mark.parametrize("content", [b"", b"\xffPNG", b"Id,Label\n0,5\n", b"\x80"])
def test_what_is_no_pickle_is_left_to_the_unpickler(content: bytes):
    with suppress(pickle.UnpicklingError, ValueError):
        check_pickle(io.BytesIO(content), 100)
    with pytest.raises((EOFError, pickle.UnpicklingError, ValueError, IndexError)):
        pickle.loads(content)
