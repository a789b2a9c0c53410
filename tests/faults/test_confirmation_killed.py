"""A confirmation that is killed or interrupted resumes, trains nothing twice, and has the same scores."""

import signal
import time
from pathlib import Path

import pandas as pd
import pytest

import results
from tests.faults.observed import Run, kill
from tests.search.command import timeless

ARGUMENTS = (
    *("num_trials=2", "max_epochs=3", "train_examples=600", "seed=7", "references=false", "concurrency=1"),
    *("confirm.top_k=1", "confirm.seeds=3"),
)


@pytest.fixture(scope="module")
def pair(address, tmp_path_factory) -> tuple[Run, Run]:
    """Returns an undisturbed run, and one killed in its first and third training and interrupted in its second."""
    folder = tmp_path_factory.mktemp("confirmation")
    whole, killed = (Run(folder / name, address, ARGUMENTS) for name in ("whole", "killed"))
    whole.finish()
    end_in_training(killed, 1, signal.SIGKILL)
    end_in_training(killed, 2, signal.SIGINT)
    end_in_training(killed, 3, signal.SIGKILL)
    killed.finish()
    return whole, killed


def end_in_training(run: Run, number: int, how: signal.Signals) -> None:
    with run.started() as process:
        run.wait_until(lambda: num_confirmed(run, "started") >= number, process)
        seen = len(run.notes())
        run.wait_until(lambda: len(run.notes()) > seen, process)  # until it is within an epoch
        time.sleep(0.05)
        if how == signal.SIGKILL:
            kill(process)
        else:
            process.send_signal(how)
            run.wait(process, 128 + how)


def num_confirmed(run: Run, what: str) -> int:
    """Returns the number of trainings in the confirmation's journal that were started or scored."""
    path = run.folder / "confirmation" / "journal.log"
    text = path.read_text() if path.exists() else ""
    return text.count('"candidate"' if what == "started" else '"report:1"')


def test_each_finalist_is_trained_once_with_each_seed_and_has_the_undisturbed_scores(pair, record):
    whole, killed = pair
    for name in ("finalists", "predictions"):
        expected, found = (results.load("tiny10k", run.runs_dir, table=name) for run in pair)
        pd.testing.assert_frame_equal(*(t.drop(columns="train_seconds", errors="ignore") for t in (expected, found)))
    assert killed.picture() == whole.picture()
    assert num_confirmed(killed, "started") == num_confirmed(killed, "scored") == 3
    assert timeless(results.load("tiny10k", killed.runs_dir)).equals(timeless(results.load("tiny10k", whole.runs_dir)))
    alike = whole.repeated()  # trials of the search and of the confirmation have the same numbers
    assert killed.repeated() - alike <= 3
    record("driver killed or stopped in a confirmation", 3, killed, alike=alike)


def test_it_leaves_the_same_files_as_the_undisturbed_one(pair):
    whole, killed = (sorted(str(path.relative_to(run.folder)) for path in files(run.folder)) for run in pair)
    assert killed == whole
    assert not [name for name in killed if name.endswith((".ckpt", ".model", ".answers", ".part"))]
    assert sum(name.startswith("confirmation/answers/") for name in killed) == 3


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_it_prints_the_command_that_resumes_it(pair):
    assert "Not all was trained. Resume with:" in pair[1].output
    assert "search.confirm run=a" in pair[1].output
