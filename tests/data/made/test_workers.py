"""Images made in several processes, which may be stopped or killed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from data import progress
from data.made import workers
from data.splits import Splits
from tests.data.toy_digits import make
from tests.waiting import HANG_SECONDS

ROOT = Path(__file__).parents[3]


def test_an_image_does_not_depend_on_who_makes_it(stand_in: Splits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(workers, "PIECE", 7)
    together, alone = make(tmp_path / "a", num_workers=2), make(tmp_path / "b", num_workers=1)
    assert together.fingerprint == alone.fingerprint


@pytest.mark.parametrize("num_workers", [1, 2])
def test_ctrl_c_leaves_nothing_behind(stand_in: Splits, tmp_path: Path, monkeypatch, num_workers: int):
    monkeypatch.setattr(workers, "PIECE", 5)
    monkeypatch.setattr(progress, "SECONDS", 0)

    def interrupt(line: str) -> None:
        if "15 of 35" in line:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make(tmp_path, interrupt, num_workers=num_workers)
    assert list((tmp_path / "made").iterdir()) == []


def test_progress_is_reported(stand_in: Splits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(workers, "PIECE", 9)
    monkeypatch.setattr(progress, "SECONDS", 0)
    lines: list[str] = []
    make(tmp_path, lines.append)
    assert lines[:3] == [
        "max-digit: making 35 images",
        "max-digit: 9 of 35 images made",
        "max-digit: 18 of 35 images made",
    ]


SCRIPT = """
import sys
from pathlib import Path
import numpy as np
from data import max_digit, progress
from data.splits import Dataset, Split, Splits

digits = Split(np.full((500, 28, 28), 200, np.uint8), np.arange(500) % 10)  # more than a pipe holds
splits = Splits(name="mnist", origin="original", train=digits, val=digits, test=digits)
max_digit.MNIST = Dataset(name="mnist", original=lambda *_: splits, made=lambda *_: splits)
progress.SECONDS = 0
{guard}max_digit.load_made(
    Path(sys.argv[1]), lambda line: print(line, flush=True), num_train={num_train}, num_test=10, num_workers=2
)
"""


def script(folder: Path, guard: str, num_train: int) -> subprocess.Popen:
    path = folder / "script.py"
    path.write_text(SCRIPT.format(guard=guard, num_train=num_train))
    return subprocess.Popen(
        [sys.executable, str(path), str(folder / "data")],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def test_a_script_that_cannot_have_workers_makes_the_images_itself(tmp_path: Path):
    process = script(tmp_path, "", 600)
    out, _ = process.communicate(timeout=HANG_SECONDS)
    assert process.returncode == 0
    assert "this process makes the others" in out
    assert len(list((tmp_path / "data" / "made").glob("*.npy"))) == 2


def test_a_kill_leaves_neither_workers_nor_partial_files(tmp_path: Path):
    process = script(tmp_path, "if __name__ == '__main__': ", 100_000)
    assert process.stdout is not None
    for line in process.stdout:
        if "images made" in line:
            break
    process.kill()
    process.communicate(timeout=HANG_SECONDS)  # ends once no worker holds its output any more
    assert list((tmp_path / "data" / "made").glob("*.npy")) == []
