"""Every reader of files, and the command line, returns a valid result or raises ValueError, for any input."""

import gzip
import pickle
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from data.array_pickle import read_array
from data.digit_csv import read_labelled
from data.idx import read_idx
from data.images import own
from data.page_files import read_pages
from results import tables
from search.planning.config import parse
from search.planning.keys import RunKeys
from search.planning.resume import earlier, resume_command
from search.prediction.forms import form_of
from search.prediction.inputs import Inputs, Takes
from search.trials.checkpoints import CheckpointStore
from spaces.recipe import Candidate
from tests.search.toy import open_study, run, toy_candidate
from trainables.build import build
from trainables.model import load_model, model_bytes

Draw = Callable[[st.SearchStrategy[Any]], Any]


@dataclass(frozen=True)
class Reader:
    """A reader of `name` in a folder: how a good file is made and read, and how its result is checked."""

    name: str
    write: Callable[[Path], object]
    read: Callable[[Path], object]
    is_result: Callable[[Any], bool]


def idx_bytes() -> bytes:
    return bytes([0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3, *range(6)])


def model() -> bytes:
    candidate = toy_candidate({"filters": 2, "optimizer": "adam"})
    return model_bytes(candidate, build(candidate.network).state_dict(), {})


def read_input(path: Path) -> Inputs:
    """Reads an input for a model of grey images of 4x4 pixels."""
    return form_of(path).read(path, Takes((1, 4, 4)))


def is_image(read: Inputs) -> bool:
    return isinstance(read.images, np.ndarray) and read.images.dtype == np.uint8 and read.images.shape[1:] == (4, 4)


IMAGE = np.arange(16, dtype=np.uint8).reshape(4, 4)
CURVES = [{"run": "a", "task": "toy", "trial": 0, "step": step, "val_score": step / 7} for step in range(20)]
CONFIG = "task: tiny10k\nnum_trials: 7\nsampler: tpe\nfix:\n  stages: 3\ndata_dir: null\nmax_epochs: 3\n"

DIGITS = ",".join(["label", *(f"pixel{place}" for place in range(784))]) + ("\n7" + ",9" * 784) * 2 + "\n"


def write_classes(folder: Path, image: Path) -> None:
    """Writes six images of two classes; the one at `image` will be damaged."""
    for name in ("a/0.png", "a/1.png", "a/2.png", "b/0.png", "b/1.png", "b/2.png"):
        (folder / name).parent.mkdir(exist_ok=True)
        Image.fromarray(IMAGE).save(folder / name)
    assert image.exists()


READERS = [
    Reader(
        "digits/train.csv",
        lambda path: path.write_text(DIGITS),
        read_labelled,
        lambda read: read[0].shape[1:] == (28, 28) and set(read[1]) <= set(range(10)),
    ),
    Reader(
        "max/test_max_x",
        lambda path: path.write_bytes(pickle.dumps(np.zeros((2, 3), np.float32))),
        read_array,
        lambda array: isinstance(array, np.ndarray) and array.dtype.kind in "buif",
    ),
    Reader(
        "own.npz",
        lambda path: np.savez(path, x=np.stack([IMAGE] * 8), y=np.arange(8) % 2),
        own,
        lambda splits: splits.num_classes >= 2,
    ),
    Reader(
        "classes/a/1.png",
        lambda path: write_classes(path.parents[1], path),
        lambda path: own(path.parents[1]),
        lambda splits: splits.num_classes == 2,
    ),
    Reader(
        "pages/x.png",
        lambda path: Image.fromarray(np.zeros((70, 80), np.uint8)).save(path),
        lambda path: read_pages(path.parent)[0],
        lambda pages: [page.dtype for page in pages] == [np.uint8],
    ),
    Reader(
        "idx",
        lambda path: path.write_bytes(idx_bytes()),
        lambda path: read_idx(path, (2, 3)),
        lambda x: x.shape == (2, 3),
    ),
    Reader(
        "idx.gz",
        lambda path: path.write_bytes(gzip.compress(idx_bytes())),
        lambda path: read_idx(path, (2, 3)),
        lambda x: x.shape == (2, 3),
    ),
    Reader("journal.log", lambda path: run(open_study(path), 3, last=2), open_study, lambda study: bool(study.space)),
    Reader(
        "config.yaml",
        lambda path: path.write_text(CONFIG),
        lambda path: earlier(str(path.parent.parent), path.parent.name),
        lambda config: isinstance(config, RunKeys),
    ),
    Reader(
        "checkpoints/3.ckpt",
        lambda path: CheckpointStore(str(path.parent.parent)).save(3, b"a state"),
        lambda path: CheckpointStore(str(path.parent.parent)).load(3),
        lambda state: state == b"a state",
    ),
    Reader(
        "curves.parquet",
        lambda path: tables.write(tables.curves(CURVES), path),
        lambda path: tables.read(path, "curves").to_pandas(),
        lambda frame: isinstance(frame, pd.DataFrame),
    ),
    Reader("best.pt", lambda path: path.write_bytes(model()), load_model, lambda m: isinstance(m.candidate, Candidate)),
    Reader("x.npy", lambda path: np.save(path, IMAGE[None]), lambda path: read_input(path), is_image),
    Reader(
        "x.npz",
        lambda path: np.savez(path, x=IMAGE[None], y=np.array(["a"], object)),
        lambda path: read_input(path),
        is_image,
    ),
    Reader(
        "pngs/x.png",
        lambda path: Image.fromarray(IMAGE).save(path),
        lambda path: read_input(path.parent),
        is_image,
    ),
]


def remove(draw: Draw, content: bytes) -> bytes:
    start, end = sorted((draw(st.integers(0, len(content))), draw(st.integers(0, len(content)))))
    return content[:start] + content[end:]


def truncate(draw: Draw, content: bytes) -> bytes:
    return content[: draw(st.integers(0, len(content)))]


def overwrite(draw: Draw, content: bytes) -> bytes:
    start, other = draw(st.integers(0, len(content))), draw(st.binary(min_size=1, max_size=4))
    return content[:start] + other + content[start + len(other) :]


def insert(draw: Draw, content: bytes) -> bytes:
    start = draw(st.integers(0, len(content)))
    return content[:start] + draw(st.binary(min_size=1, max_size=9)) + content[start:]


def rearrange_lines(draw: Draw, content: bytes) -> bytes:
    """Drops, doubles or swaps some lines."""
    lines = content.splitlines(keepends=True)
    places = list(range(len(lines)))
    for _ in range(draw(st.integers(1, 3))):
        place, other = (draw(st.integers(0, max(0, len(places) - 1))) for _ in range(2))
        places[place : place + 1] = draw(
            st.sampled_from([[], places[place : place + 1] * 2, places[other : other + 1]])
        )
    return b"".join(lines[place] for place in places)


def replace(draw: Draw, content: bytes) -> bytes:
    return draw(st.binary(max_size=60))


@st.composite
def damaged(draw: Draw, content: bytes) -> bytes:
    for damage in draw(st.lists(st.sampled_from(DAMAGES), min_size=1, max_size=3)):
        content = damage(draw, content)
    return content


DAMAGES = [remove, truncate, overwrite, insert, rearrange_lines, replace]


@pytest.fixture(params=READERS, ids=lambda reader: reader.name, scope="module")
def reader(request: pytest.FixtureRequest) -> Reader:
    return request.param


@pytest.fixture(scope="module")
def path(reader: Reader, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("run") / reader.name
    path.parent.mkdir(exist_ok=True, parents=True)
    reader.write(path)
    return path


@pytest.fixture(scope="module")
def good(path: Path) -> bytes:
    return path.read_bytes()


def test_a_good_file_is_read(reader: Reader, path: Path):
    assert reader.is_result(reader.read(path))


@settings(max_examples=200)
@given(st.data())
def test_a_damaged_one_is_read_or_refused_with_its_place_and_left_alone(reader: Reader, path: Path, good: bytes, data):
    content = data.draw(damaged(good))
    path.write_bytes(content)
    try:
        assert reader.is_result(reader.read(path))
    except ValueError as error:
        place = path.parents[reader.name.count("/") == 2]  # of classes, the folder that holds them all
        assert str(place) in str(error)  # noqa: PT017 - either outcome is right
        whole = content[: content.rfind(b"\n") + 1]  # a torn last line may be cut off before the rest is read
        assert path.read_bytes() in (content, whole)


KEYS = [field.name for field in fields(RunKeys)]
OF_FIX = ["fix.optimizer", "fix.stages", "fix.learning_rate", "fix.batch_norm", "fix.depth", "fix.", "fix.stages.x"]
ODD = ["", ".", "run.x", "seed[0]", "fix[stages]", "tsak", "task.", "fix..stages", "fix.\0", "ключ"]
TOKENS = [
    *("[", "]", "{", "}", ",", ": ", "#", "&a", "*a", "!!python/name:os.system", "!", "|", ">", "%", "@", "`", "---"),
    *("'", '"', "\\", "\n", "\t", "\0", "\x1b", "\ud800", "é", "${", "${seed}", "${run}", "${oc.env:HOME}", "${x:1}"),
    *(
        "???",
        "null",
        "~",
        "true",
        "yes",
        "nan",
        ".nan",
        "inf",
        "-1",
        "0",
        "1",
        "3",
        "2.5",
        "1e400",
        "0x3",
        "2020-01-01",
    ),
    *("adam", "tpe", "random", "made", "tiny10k", "a", "..", "/", "~nobody/", " ", "=", "<<: "),
]
VALUES = st.one_of(
    st.text(max_size=12),
    st.integers().map(str),
    st.floats().map(str),
    st.lists(st.sampled_from(TOKENS), max_size=5).map("".join),
)
ARGUMENTS = st.one_of(
    st.builds("{}={}".format, st.sampled_from([*KEYS, *KEYS, *OF_FIX, *ODD]), VALUES),
    st.text(max_size=12),
)


@settings(max_examples=400)
@given(st.lists(ARGUMENTS, max_size=4))
def test_a_command_line_is_a_configuration_or_a_value_error(arguments: list[str]):
    try:
        config = parse(arguments)
    except ValueError as error:
        assert str(error)  # noqa: PT017 - either outcome is right
    else:
        assert isinstance(config, RunKeys)
        assert isinstance(resume_command(config), str)
