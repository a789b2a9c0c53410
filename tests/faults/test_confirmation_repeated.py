"""A confirmation training whose worker is killed too often fails, and the next command retries it."""

import os
import signal
import time
from collections import Counter

import pytest

import results
from tests.faults.observed import Run
from tests.faults.test_confirmation_killed import num_confirmed
from tests.search.command import run_command

MAX_FAILURES = 1
ARGUMENTS = (
    *("num_trials=2", "max_epochs=3", "train_examples=600", "seed=7", "references=false", "concurrency=1"),
    *("confirm.top_k=1", "confirm.seeds=2", f"max_failures={MAX_FAILURES}"),
)


@pytest.fixture(scope="module")
def failed(address, tmp_path_factory) -> tuple[Run, int, int]:
    """Returns a run whose first confirmation training was killed each time that it started its second epoch.

    Also returns the number of kills, and the number of epochs of the confirmation that look like repeated ones of the
    search.
    """
    run, kills, seen = Run(tmp_path_factory.mktemp("confirmation"), address, ARGUMENTS), 0, 0
    searched: Counter[tuple[int, int]] = Counter()
    with run.started() as process:
        while process.poll() is None:
            is_confirming = num_confirmed(run, "started") > 0
            if not is_confirming:
                searched = run.epochs()
            notes = run.notes()
            for kind, trial, epoch, pid in notes[seen:]:
                if is_confirming and (kind, trial, epoch) == ("begin", 0, 2) and kills <= MAX_FAILURES:
                    os.kill(pid, signal.SIGKILL)
                    kills += 1
            seen = len(notes)
            time.sleep(0.005)
        run.wait(process, 0)
    alike = sum(1 for each, count in run.epochs().items() if searched[each] and count > searched[each])
    return run, kills, alike


def test_it_fails_with_its_error_and_the_table_has_only_the_other_training(failed):
    run, kills, _ = failed
    assert kills == 1 + MAX_FAILURES
    finalists = results.load("tiny10k", run.runs_dir, table="finalists")
    assert finalists["seed"].tolist() == [1]
    assert ", seed 0: FAILED" in run.output
    assert "1 training may have failed because of the machine" in run.output


def test_the_next_command_retries_it_and_adds_its_row(failed, record):
    run, kills, alike = failed
    before = results.load("tiny10k", run.runs_dir, table="finalists")
    line = ("run=a", f"runs_dir={run.runs_dir}", f"address={run.address}")
    code, output = run_command("search.confirm", *line)
    assert code == 0, output
    assert ", seed 0 (FAILED): the cause may have been fixed" in output
    after = results.load("tiny10k", run.runs_dir, table="finalists")
    assert after["seed"].tolist() == [0, 1]
    assert after.tail(1)["test_score"].tolist() == before["test_score"].tolist(), "nothing else is retrained"
    assert (num_confirmed(run, "started"), num_confirmed(run, "scored")) == (3, 2)
    code, output = run_command("search.confirm", *line)
    assert code == 0, output
    assert "retrying" not in output
    assert num_confirmed(run, "started") == 3
    record("confirmation's worker killed more than max_failures times, and confirmed again", kills, run, alike=alike)
