"""MNIST read, downloaded and refused; small files of the same form stand in for it, but for the last tests."""

import gzip
import hashlib
import json
import os
import re
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.idx import read_idx
from data.mnist import FINGERPRINT, MNIST, load_original
from data.mnist_download import FILES
from data.splits import DataError, Dataset, DataUnavailable, Splits
from tests.waiting import HANG_SECONDS

ROOT = Path(__file__).parents[2]
REAL = ROOT.parent / "shared" / "data"
SMALL = dict(zip(FILES, [(40, 28, 28), (40,), (10, 28, 28), (10,)], strict=True))
IMAGES, LABELS = list(SMALL)[:2]


def idx(array: np.ndarray) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + b"".join(size.to_bytes(4, "big") for size in array.shape) + array.tobytes()


def small_content(name: str) -> bytes:
    shape = SMALL[name]
    return idx((np.arange(np.prod(shape)) % 10).astype(np.uint8).reshape(shape))


CONTENTS = {name: small_content(name) for name in SMALL}
GZIPPED = {f"{name}.gz": gzip.compress(content, mtime=0) for name, content in CONTENTS.items()}
MD5S = {name: hashlib.md5(content).hexdigest() for name, content in GZIPPED.items()}


def load(data_dir: Path, *mirrors: str, say=lambda line: None) -> Splits:
    return load_original(data_dir, say, files=SMALL, mirrors=mirrors, md5s=MD5S, fingerprint=None)


def store(data_dir: Path, contents: dict[str, bytes]) -> Path:
    raw = data_dir / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for name, content in contents.items():
        (raw / name).write_bytes(content)
    return raw


def check_small(splits: Splits) -> None:
    assert (splits.name, splits.origin, splits.num_classes) == ("mnist", "original", 10)
    assert [len(split) for split in (splits.train, splits.val, splits.test)] == [34, 6, 10]
    assert splits.test.x.tobytes() == CONTENTS["t10k-images-idx3-ubyte"][16:]
    assert splits.test.y.tolist() == list(range(10))


def test_existing_files_are_read_without_network(tmp_path: Path):
    store(tmp_path, CONTENTS)
    check_small(load(tmp_path))


def test_gzipped_files_are_read(tmp_path: Path):
    store(tmp_path, GZIPPED)
    check_small(load(tmp_path))


def test_the_plain_file_takes_precedence_over_the_gzipped_one(tmp_path: Path):
    store(tmp_path, CONTENTS | {f"{IMAGES}.gz": b"something else"})
    check_small(load(tmp_path))


def test_a_download_leaves_the_files_as_torchvision_keeps_them(serve, tmp_path: Path):
    lines: list[str] = []
    check_small(load(tmp_path / "new", serve(GZIPPED), say=lines.append))

    raw = tmp_path / "new" / "MNIST" / "raw"
    assert {path.name: path.read_bytes() for path in raw.iterdir()} == CONTENTS | GZIPPED
    assert any("t10k-labels" in line for line in lines)
    check_small(load(tmp_path / "new"))


def test_only_what_is_missing_is_downloaded(serve, tmp_path: Path):
    raw = store(tmp_path, {IMAGES: CONTENTS[IMAGES]})
    check_small(load(tmp_path, serve({name: GZIPPED[name] for name in GZIPPED if not name.startswith(IMAGES)})))
    assert not (raw / f"{IMAGES}.gz").exists()


def test_the_next_mirror_is_tried_for_a_file_that_the_first_gets_wrong(serve, tmp_path: Path):
    first, second = serve(GZIPPED | {f"{LABELS}.gz": b"something else"}), serve(GZIPPED)
    check_small(load(tmp_path, first, second))


def test_a_mirror_that_does_not_answer_is_skipped(serve, refused: str, tmp_path: Path):
    check_small(load(tmp_path, refused, serve(GZIPPED)))


def test_without_files_and_network_the_message_says_where_and_what_to_do(refused: str, tmp_path: Path):
    with pytest.raises(DataUnavailable) as failure:
        load(tmp_path, refused)
    for part in (*SMALL, str(tmp_path / "MNIST" / "raw"), refused, "copy", "data_dir=", "data=made"):
        assert part in str(failure.value)
    assert list(tmp_path.iterdir()) == []


def test_auto_without_files_and_network_gives_the_made_digits_with_a_notice(refused: str, tmp_path: Path):
    original = partial(load_original, files=SMALL, mirrors=[refused], md5s=MD5S, fingerprint=None)
    lines: list[str] = []
    splits = Dataset(name="mnist", original=original, made=MNIST.made).load("auto", tmp_path, lines.append)
    assert (splits.name, splits.origin) == ("sklearn-digits", "made")
    for part in (refused, "data_dir=", "Using sklearn-digits instead", "NOT results on mnist"):
        assert part in lines[-1]


def test_a_server_that_sends_something_else_counts_as_no_network(serve, tmp_path: Path):
    with pytest.raises(DataUnavailable, match="expected MD5"):
        load(tmp_path, serve(dict.fromkeys(GZIPPED, b"please log in")))


def test_some_files_of_four_are_an_error_that_names_the_others(refused: str, tmp_path: Path):
    store(tmp_path, {IMAGES: CONTENTS[IMAGES], f"{LABELS}.gz": GZIPPED[f"{LABELS}.gz"]})
    with pytest.raises(DataError, match=r"found 2 of them.\n.*t10k-images-idx3-ubyte, t10k-labels") as failure:
        load(tmp_path, refused)
    assert IMAGES not in str(failure.value)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (IMAGES, CONTENTS[IMAGES][:-1]),
        (IMAGES, CONTENTS[IMAGES] + b"x"),
        (IMAGES, b""),
        (IMAGES, b"<html>please log in</html>"),
        (IMAGES, CONTENTS[LABELS]),
        (IMAGES, idx(np.zeros((40, 28, 14), np.uint8))),
        (LABELS, idx(np.full(40, 10, np.uint8))),
        (f"{IMAGES}.gz", GZIPPED[f"{IMAGES}.gz"][:-9]),
        (f"{IMAGES}.gz", CONTENTS[IMAGES]),
        (f"{IMAGES}.gz", GZIPPED[f"{LABELS}.gz"]),
    ],
)
def test_a_damaged_file_is_named_and_kept(serve, tmp_path: Path, name: str, content: bytes):
    others = {other: CONTENTS[other] for other in CONTENTS if other != name.removesuffix(".gz")}
    raw = store(tmp_path, others | {name: content})
    with pytest.raises(DataError, match=r"expected .* found") as failure:
        load(tmp_path, serve(GZIPPED))
    assert str(raw / name) in str(failure.value)
    assert (raw / name).read_bytes() == content


@pytest.mark.parametrize("in_the_way", ["data", "data/MNIST", "data/MNIST/raw"])
def test_a_file_in_place_of_a_folder_is_named(serve, tmp_path: Path, in_the_way: str):
    path = tmp_path / in_the_way
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("")
    with pytest.raises(DataError, match=re.escape(f"{path}: expected a folder")):
        load(tmp_path / "data", serve(GZIPPED))


def test_a_folder_that_cannot_be_made_is_named(serve, tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"cannot be written: .*file") as failure:
        load(tmp_path / "file" / "data", serve(GZIPPED))
    assert "data_dir=" in str(failure.value)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read and write everywhere")
@pytest.mark.parametrize(("mode", "found"), [(0o500, "cannot be written"), (0o000, "may not")])
def test_a_folder_without_permission_is_named(serve, tmp_path: Path, mode: int, found: str):
    folder = tmp_path / "data"
    folder.mkdir(mode=mode)
    try:
        with pytest.raises(DataError, match=found):
            load(folder, serve(GZIPPED))
    finally:
        folder.chmod(0o700)


def test_two_processes_that_download_at_once_do_no_harm(serve, tmp_path: Path):
    arguments = json.dumps([str(tmp_path), SMALL, [serve(GZIPPED)], MD5S])
    program = (
        "import json, pathlib, sys; from data.mnist import load_original\n"
        "folder, files, mirrors, md5s = json.loads(sys.argv[1])\n"
        "files = {name: tuple(shape) for name, shape in files.items()}\n"
        "splits = load_original(pathlib.Path(folder), str, files=files, mirrors=mirrors, md5s=md5s, fingerprint=None)\n"
        "print(splits.fingerprint)"
    )
    command = [sys.executable, "-W", "error", "-c", program, arguments]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) for _ in range(2)]
    fingerprints = {process.communicate(timeout=HANG_SECONDS)[0].strip() for process in both}

    assert fingerprints == {load(tmp_path).fingerprint}
    assert {path.name for path in (tmp_path / "MNIST" / "raw").iterdir()} == CONTENTS.keys() | GZIPPED.keys()


@given(
    st.binary(max_size=40) | st.binary(max_size=20).map(lambda tail: idx(np.zeros((2, 3), np.uint8)) + tail),
    st.sampled_from(["file", "file.gz"]),
    st.booleans(),
)
def test_any_bytes_give_an_array_of_the_shape_or_a_data_error(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, name: str, compress: bool
):
    path = tmp_path_factory.getbasetemp() / name
    path.write_bytes(gzip.compress(content) if compress else content)
    is_valid = content[:12] == idx(np.zeros((2, 3), np.uint8))[:12] and len(content) == 18
    if is_valid and compress == (name == "file.gz"):
        assert read_idx(path, (2, 3)).tobytes() == content[12:]
    else:
        with pytest.raises(DataError, match=re.escape(str(path))):
            read_idx(path, (2, 3))


@given(st.integers(0, 60), st.integers(0, 255))
def test_a_damaged_gzip_file_gives_the_same_content_or_a_data_error(
    tmp_path_factory: pytest.TempPathFactory, position: int, byte: int
):
    content = idx(np.arange(30, dtype=np.uint8).reshape(5, 6))
    damaged = bytearray(gzip.compress(content, mtime=0))
    damaged[position % len(damaged)] = byte
    path = tmp_path_factory.getbasetemp() / "damaged.gz"
    path.write_bytes(damaged)
    try:
        assert read_idx(path, (5, 6)).tobytes() == content[12:]
    except DataError as error:
        assert str(path) in str(error)  # noqa: PT017 - either outcome is right


@given(st.lists(st.integers(0, 4), min_size=1, max_size=3).map(tuple), st.randoms(use_true_random=False))
def test_what_is_written_is_read(tmp_path_factory: pytest.TempPathFactory, shape: tuple[int, ...], random):
    array = np.frombuffer(random.randbytes(int(np.prod(shape))), np.uint8).reshape(shape)
    path = tmp_path_factory.getbasetemp() / "written"
    path.write_bytes(idx(array))
    found = read_idx(path, shape)
    assert np.array_equal(found, array)
    assert found.flags.writeable


def test_files_of_the_right_form_that_are_not_mnist_are_refused(tmp_path: Path):
    store(tmp_path, CONTENTS)
    with pytest.raises(DataError, match=r"expected the published MNIST .*found well-formed files of something else"):
        load_original(tmp_path, str, files=SMALL)


def test_the_sources_are_those_that_torchvision_lists():
    from data.mnist_download import _torchvision_sources

    mirrors, md5s = _torchvision_sources()
    assert set(md5s) == {f"{name}.gz" for name in FILES}
    assert all(mirror.startswith("http") and mirror.endswith("/") for mirror in mirrors)


@pytest.mark.skipif(not (REAL / "MNIST" / "raw").is_dir(), reason="the files of MNIST are not here")
@pytest.mark.parametrize("choice", ["auto", "original"])
def test_the_published_mnist_is_split_in_the_one_way(choice: str):
    lines: list[str] = []
    splits = MNIST.load(choice, REAL, lines.append)

    assert lines == []
    assert splits.fingerprint == FINGERPRINT
    assert (splits.name, splits.origin, splits.num_classes) == ("mnist", "original", 10)
    assert [len(split) for split in (splits.train, splits.val, splits.test)] == [51_000, 9_000, 10_000]
    assert splits.train.x.shape == (51_000, 28, 28)
    shares = [np.bincount(split.y) / len(split) for split in (splits.train, splits.val)]
    assert np.allclose(*shares, atol=1e-3)
    assert len(splits.limited(12_000).train) == 12_000


def test_the_made_choice_needs_no_files(tmp_path: Path):
    assert MNIST.load("made", tmp_path / "absent", print).name == "sklearn-digits"
    assert list(tmp_path.iterdir()) == []
