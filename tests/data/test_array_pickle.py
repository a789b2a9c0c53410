"""Arrays pickled by every protocol and age are read; whatever else a pickle asks for is named and not run."""

import copyreg
import io
import os
import pickle
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from data.array_pickle import read_array
from data.splits import DataError

GRID = np.arange(24).reshape(2, 3, 4)

# Written by hand after what Python 2.7 with NumPy 1.16 writes: protocol 0 and protocol 2 of np.arange(6, '<i2') [2, 3].
PYTHON_2_TEXT = (
    rb"cnumpy.core.multiarray" b"\n_reconstruct\np0\n(cnumpy\nndarray\np1\n(I0\ntp2\nS'b'\np3\ntp4\nRp5\n"
    rb"(I1" b"\n(L2L\nL3L\ntp6\ncnumpy\ndtype\np7\n(S'i2'\np8\nI0\nI1\ntp9\nRp10\n"
    rb"(I3" b"\nS'<'\np11\nNNNI-1\nI-1\nI0\ntp12\nbI00\n"
    rb"S'\x00\x00\x01\x00\x02\x00\x03\x00\x04\x00\x05\x00'" b"\np13\ntp14\nb."
)  # fmt: skip
PYTHON_2_BINARY = (
    b"\x80\x02cnumpy.core.multiarray\n_reconstruct\nq\x00cnumpy\nndarray\nq\x01K\x00\x85U\x01b\x87Rq\x02"
    b"(K\x01K\x02K\x03\x86cnumpy\ndtype\nq\x03U\x02i2K\x00K\x01\x87Rq\x04(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xff"
    b"K\x00tb\x89U\x0c\x00\x00\x01\x00\x02\x00\x03\x00\x04\x00\x05\x00tb."
)


def read(content: bytes, folder: Path) -> np.ndarray:
    path = folder / "array"
    path.write_bytes(content)
    return read_array(path)


def calling(function: str, *args: object) -> bytes:
    """A pickle that calls module.name(*args), as an attacker writes one."""
    module, name = function.rsplit(".", 1)
    return b"c" + f"{module}\n{name}\n".encode() + pickle.dumps(args, 0)[:-1] + b"R."


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize(
    "array",
    [
        GRID.astype(np.uint8),
        GRID.astype(np.int64),
        GRID.astype(">f4"),
        GRID.astype(np.float16) / 3,
        GRID > 5,
        np.asfortranarray(GRID),
        GRID.transpose(2, 0, 1),
        GRID[:, ::2],
        GRID[:0],
        np.array(7.5),
    ],
    ids=lambda array: f"{array.dtype}-{array.shape}",
)
def test_every_protocol_gives_the_same_array_back(protocol: int, array: np.ndarray, tmp_path: Path):
    found = read(pickle.dumps(array, protocol), tmp_path)
    assert found.dtype == array.dtype
    np.testing.assert_array_equal(found, array)


@given(arrays(st.sampled_from(["u1", "<i4", ">i8", "f4", ">f8", "?"]), array_shapes(max_side=4)), st.integers(0, 5))
def test_any_array_of_numbers_round_trips(tmp_path_factory, array: np.ndarray, protocol: int):
    found = read(pickle.dumps(array, protocol), tmp_path_factory.getbasetemp())
    np.testing.assert_array_equal(found, array)
    assert found.dtype == array.dtype


@pytest.mark.parametrize("content", [PYTHON_2_TEXT, PYTHON_2_BINARY], ids=["text", "binary"])
def test_pickles_of_python_2_are_read(content: bytes, tmp_path: Path):
    np.testing.assert_array_equal(read(content, tmp_path), np.arange(6, dtype=np.int16).reshape(2, 3))


def test_all_bytes_of_python_3s_oldest_protocols_are_read(tmp_path: Path):
    everything = np.arange(256, dtype=np.uint8)
    for protocol in (0, 1, 2):
        np.testing.assert_array_equal(read(pickle.dumps(everything, protocol), tmp_path), everything)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_numpys_of_before_version_2_are_read(protocol: int, tmp_path: Path):
    # Protocol 4 and later write the length of a name before it, and of all in a frame, which the C reader ignores.
    content = pickle.dumps(GRID, protocol)
    old = content.replace(b"numpy._core", b"numpy.core")
    old = old.replace(b"\x16numpy.core.multiarray", b"\x15numpy.core.multiarray")
    old = old.replace(b"\x13numpy.core.numeric", b"\x12numpy.core.numeric")
    if protocol >= 4:
        frame = int.from_bytes(content[3:11], "little") - 1
        old = old[:3] + frame.to_bytes(8, "little") + old[11:]
    assert b"_core" not in old
    np.testing.assert_array_equal(read(old, tmp_path), GRID)


def test_pandas_and_numpys_own_writers_are_read(tmp_path: Path):
    pd.to_pickle(GRID, tmp_path / "pandas")
    GRID.dump(tmp_path / "numpy")
    np.testing.assert_array_equal(read_array(tmp_path / "pandas"), GRID)
    np.testing.assert_array_equal(read_array(tmp_path / "numpy"), GRID)


@pytest.mark.parametrize(
    ("function", "args"),
    [
        ("os.system", ("touch harm",)),
        ("posix.system", ("touch harm",)),
        ("builtins.eval", ("open('harm', 'w')",)),
        ("__builtin__.eval", ("open('harm', 'w')",)),
        ("builtins.getattr", ("", "join")),
        ("subprocess.Popen", (["touch", "harm"],)),
        ("numpy.load", ("array",)),
        ("numpy.testing._private.utils.runstring", ("open('harm', 'w')", {})),
        ("numpy.core.multiarray.scalar", ()),
        ("numpy.memmap", ("harm", "u1", "w+", 0, (1,))),
        ("numpy._core.multiarray.fromfile", ("array",)),
        ("functools.partial", (len,)),
        ("pandas.core.frame.DataFrame", ()),
    ],
)
def test_anything_else_is_refused_by_name_and_not_run(function: str, args, tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError) as failure:
        read(calling(function, *args) if function != "functools.partial" else pickle.dumps(partial(len)), tmp_path)
    assert str(tmp_path / "array") in str(failure.value)
    assert f"refused: it asks for {function}" in str(failure.value)
    assert not (tmp_path / "harm").exists()


class Harmful:
    def __reduce__(self):
        return os.mkdir, ("harm",)


@pytest.mark.parametrize("protocol", [0, 2, 5])
@pytest.mark.parametrize(
    "wrap",
    [
        lambda harmful: np.array([harmful, None], dtype=object),
        lambda harmful: [GRID, harmful],
        lambda harmful: {"array": GRID, harmful: 1},
    ],
    ids=["array of objects", "list", "dict"],
)
def test_harm_within_something_harmless_is_refused(protocol: int, wrap, tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=r"refused: it asks for (posix|nt)\.mkdir"):
        read(pickle.dumps(wrap(Harmful()), protocol), tmp_path)
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (pickle.dumps([1, 2]), "found a list"),
        (pickle.dumps(None), "found nothing"),
        (pickle.dumps(np.ndarray), "found a function"),
        (pickle.dumps(np.dtype("f8")), "found a dtype"),
        (pickle.dumps(np.array([None, 1])), r"found one of dtype 'O8'"),
        (pickle.dumps(np.array(["text"])), r"found one of dtype 'U4'"),
        (pickle.dumps(np.zeros(3, "u1,f4")), "found one of dtype 'V5'"),
        (pickle.dumps(np.array(["2020"], "M8[D]")), "found one of dtype 'M8'"),
        (pickle.dumps(np.zeros(3, complex)), "found one of dtype 'c16'"),
        (pickle.dumps(np.float64(3)), r"asks for numpy\._core\.multiarray\.scalar"),
        (pickle.dumps(pd.Series([1, 2])), "asks for pandas"),
        (pickle.dumps(pd.DataFrame({"a": [1, 2]})), "asks for pandas"),
        (calling("_codecs.encode", "a", "rot13"), "asks for the encoding 'rot13'"),
        (calling("numpy.ndarray", (3,)), r"calls numpy\.ndarray"),
        (calling("builtins.bytes", 10**12), "TypeError"),
        (b"cnumpy\ndtype\n(dS'x'\nI1\nsb.", "it changes a function"),
        (b"Psomewhere\n.", "persistent id"),
        (b"\xffPNG", r"invalid load key, '\\xff'"),
        (b"", "EOFError"),
        (b"Id,Label\n0,5\n", "truncated or something else"),
        (b"\x93NUMPY\x01\x00", "truncated or something else"),
        (b"\x82\x05.", "unregistered extension code"),
        (b"\x80\x04\x8e\x00\x00\x00\x00\x00\x01\x00\x00abc", "truncated"),  # promises a terabyte
        (b"\x80\x63.", "unsupported pickle protocol"),
        (b"cnumpy\n\x1b[31mred\n.", r"asks for numpy\.\\x1b\[31mred"),  # a terminal must not obey it
    ],
)
def test_the_message_names_what_was_found_instead(content: bytes, found: str, tmp_path: Path):
    with pytest.raises(DataError, match=found) as failure:
        read(content, tmp_path)
    assert str(tmp_path / "array") in str(failure.value)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_truncated_file_is_refused_wherever_it_ends(protocol: int, tmp_path: Path):
    content = pickle.dumps(GRID, protocol)
    for length in range(len(content)):
        with pytest.raises(DataError, match="array: expected a pickle of one NumPy array"):
            read(content[:length], tmp_path)


@pytest.mark.parametrize(
    ("old", "new"),
    [(b"K\x02K\x03", b"K\x02K\x04"), (b"K\x02K\x03", b"NK\x03"), (b"K\x02K\x03", b"J\xff\xff\xff\xffK\x03")],
)
def test_a_shape_that_does_not_fit_is_refused(old: bytes, new: bytes, tmp_path: Path):
    assert old in PYTHON_2_BINARY
    with pytest.raises(DataError, match=r"for shape|without a shape"):
        read(PYTHON_2_BINARY.replace(old, new), tmp_path)


def test_a_registered_extension_is_refused_by_name_also_once_it_is_cached(tmp_path: Path):
    copyreg.add_extension("os", "system", 240)
    try:
        assert pickle.loads(b"\x82\xf0.") is os.system  # and now cached
        with pytest.raises(DataError, match=r"asks for os\.system"):
            read(b"\x82\xf0.", tmp_path)
    finally:
        copyreg.remove_extension("os", "system", 240)


def test_buffers_kept_elsewhere_are_refused(tmp_path: Path):
    stream = io.BytesIO()
    pickle.Pickler(stream, 5, buffer_callback=lambda buffer: None).dump(GRID)
    with pytest.raises(DataError, match="buffer"):
        read(stream.getvalue(), tmp_path)


def test_no_file_is_named(tmp_path: Path):
    with pytest.raises(DataError, match=r"absent: expected a pickle.*No such file"):
        read_array(tmp_path / "absent")
