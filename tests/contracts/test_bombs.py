"""Every reader refuses, in bounded memory, a small file that unpacks to gigabytes or contains itself."""

import gzip
import pickle
import struct
import sys
import zipfile
import zlib
from collections.abc import Callable
from functools import cache
from io import BytesIO
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data.idx import read_idx
from data.images import own
from results import tables
from results.report.run_samples import read_samples
from results.run_config import read_config
from results.schema import CURVES
from search.planning.resume import earlier
from search.prediction.forms import form_of
from search.prediction.inputs import Takes
from search.retraining.answers import read_answers
from tests.bounded import outcomes

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="a process's memory is bounded on Linux alone")

HUGE = 600 * 2**20


def npy(shape: tuple[int, ...], content: bytes = b"") -> bytes:
    """Returns an .npy file whose header claims a shape."""
    header = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}}}".encode()
    header = header.ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + content


def zipped(path: Path, **parts: bytes) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, content in parts.items():
            archive.writestr(f"{name}.npy", content)


def huge_npz(path: Path) -> None:
    path.write_bytes(_huge_npz())


@cache
def _huge_npz() -> bytes:
    file = BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("y.npy", npy((3,), b"abc"))
        with archive.open("x.npy", "w") as part:
            part.write(npy((HUGE,)))
            for _ in range(HUGE // 2**24):
                part.write(bytes(2**24))
    return file.getvalue()


def promising(path: Path) -> None:
    zipped(path, x=npy((2**20, 2**20)), y=npy((3,), b"abc"))


def deep_labels(path: Path) -> None:
    header = npy((4,)).replace(b"'|u1'", b"'|O' ")
    zipped(path, x=npy((4, 2, 2), bytes(16)), y=header + b")" + b"\x85" * 1_000_000 + b".")


def long_labels(path: Path) -> None:
    labels = np.array(["a" * 10**6, *["b"] * 1000], dtype=object)
    header = npy((1001,)).replace(b"'|u1'", b"'|O' ")
    zipped(path, x=npy((1001, 2, 2), bytes(4004)), y=header + pickle.dumps(labels, 3))


def png(path: Path, side: int) -> None:
    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    lines = zlib.compress(bytes(side + 1) * 100)
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", lines) + chunk(b"IEND", b""))


def curves(path: Path, **columns: pa.Array | pa.DictionaryArray) -> None:
    pq.write_table(pa.table(columns).replace_schema_metadata(CURVES.metadata), path)


def many_rows(path: Path) -> None:
    column = pa.nulls(5_000_000, pa.int64())
    curves(path, **{f"c{place}": column for place in range(21)})


def long_text(path: Path) -> None:
    texts = pa.DictionaryArray.from_arrays(pa.array(np.zeros(1000, np.int32)), pa.array(["a" * 10**7]))
    curves(path, run=texts)


def lists(path: Path) -> None:
    curves(path, run=pa.array([[1, 2]] * 3))


LAUGHS = "task: tiny10k\na0: &a0 [x]\n" + "".join(f"a{k + 1}: &a{k + 1} [{f'*a{k},' * 9}]\n" for k in range(30))
CONFIGS = {
    "laughs": LAUGHS,
    "itself": "task: tiny10k\nfix: &a {a: *a}\n",
    "deep": f"task: {'[' * 50_000}\n",
    "long": "task: tiny10k\n" + "# more\n" * 100_000,
    "number": f"task: tiny10k\nseed: {'1:' * 90_000}1\n",
}

Bomb = tuple[str, Callable[[Path], object], str, str]
"""By name: the file, the function that writes it, its reader, and a part of the message."""
BOMBS: dict[str, Bomb] = {
    "own npz": ("x.npz", huge_npz, "own_images", "would unpack to"),
    "own npz, by its header": ("x.npz", promising, "own_images", "0 bytes follow"),
    "own npz, labels": ("x.npz", deep_labels, "own_images", "are nested more than"),
    "own npz, text": ("x.npz", long_labels, "own_images", "text that is too long"),
    "predict npz": ("x.npz", huge_npz, "images_to_predict", "would unpack to"),
    "predict npy": ("x.npy", lambda p: p.write_bytes(npy((2**20, 2**20))), "images_to_predict", "0 bytes follow"),
    "predict png": ("x.png", lambda p: png(p, 12_000), "folder_to_predict", "12000x12000 pixels"),
    "page": ("x.png", lambda p: png(p, 12_000), "pages", "12000x12000 pixels"),
    "samples": ("samples.npz", huge_npz, "samples", "arrays take more than"),
    "samples, by their header": ("samples.npz", lambda p: zipped(p, index=npy((2**50,))), "samples", "damaged"),
    "samples, an array": ("samples.npz", lambda p: p.write_bytes(npy((2**50,))), "samples", "damaged"),
    "answers": ("0.npz", huge_npz, "answers", "none"),
    "answers, by their header": ("0.npz", lambda p: zipped(p, predicted=npy((2**50,))), "answers", "none"),
    "idx.gz": ("x.gz", lambda p: p.write_bytes(gzip.compress(bytes(HUGE), 1)), "idx", "more than 18 bytes"),
    "table of many rows": ("curves.parquet", many_rows, "table", "it has 105,000,000 values"),
    "table of long text": ("curves.parquet", long_text, "table", "its text would take 10,000,000,000 bytes"),
    "table of lists": ("curves.parquet", lists, "table", "more than one value in a row"),
    **{
        f"{name} ({reader})": ("config.yaml", lambda p, text=text: p.write_text(text), reader, "config.yaml: ")
        for name, text in CONFIGS.items()
        for reader in ("config", "config_of_report")
        if name != "number" or reader == "config"  # the only reader that checks it
    },
}  # fmt: skip


def own_images(path: Path) -> object:
    return own(path)


def images_to_predict(path: Path) -> object:
    return form_of(path).read(path, Takes((1, 4, 4)))


def folder_to_predict(path: Path) -> object:
    return form_of(path.parent).read(path.parent, Takes((1, 4, 4), any_size=True))


def pages(path: Path) -> object:
    from data.page_files import read_pages

    return read_pages(path.parent)


def samples(path: Path) -> object:
    return read_samples(path)


def answers(path: Path) -> object:
    """Reads answers; damaged ones count as missing."""
    if read_answers(path) is None:
        raise ValueError(f"{path}: none")
    return None


def idx(path: Path) -> object:
    return read_idx(path, (2, 3))


def table(path: Path) -> object:
    return tables.read(path, "curves")


def config(path: Path) -> object:
    return earlier(str(path.parent.parent), path.parent.name)


def config_of_report(path: Path) -> object:
    return read_config(path)


def read(path: Path) -> object:
    """Reads the file with the reader that its folder is named after."""
    return globals()[path.parent.name.partition("-")[0]](path)


@pytest.mark.faults
def test_what_would_take_too_much_is_refused_in_words(tmp_path: Path):
    paths = []
    for number, (name, write, reader, _) in enumerate(BOMBS.values()):
        path = tmp_path / f"{reader}-{number}" / name
        path.parent.mkdir()
        write(path)
        paths.append(path)
    for (name, bomb), path, outcome in zip(BOMBS.items(), paths, outcomes(f"{__name__}:read", paths), strict=True):
        assert outcome.startswith("ValueError: "), f"{name}: {outcome}"
        assert str(path.parent) in outcome, f"{name}: {outcome}"
        assert bomb[3] in outcome, f"{name}: {outcome}"
