"""A run whose driver is killed at random moments and resumed equals one that was never disturbed.

A run at concurrency 1 always writes the same records, so a moment is a number of records and a fraction of the time to
the next one. A run is killed at three moments. In the environment, FAULTS_RUNS=7 kills seven runs so, and FAULTS_SEED=1
draws other moments.
"""

import os
import random
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from search.replay import main as replay
from search.study.journal import Journal
from tests.faults.observed import Run, kill, wait_for
from tests.search.command import start

SEED = int(os.environ.get("FAULTS_SEED", "20261121"))
NUM_RUNS = int(os.environ.get("FAULTS_RUNS", "1"))
MOMENTS, APPENDS = 2, 1
GAP_SECONDS = 0.15  # about an epoch
PARALLEL_KILLS = 2


@dataclass(frozen=True, order=True)
class Moment:
    """A number of records, and a share (0 to 1) of the time to the next record, or of the next append's bytes."""

    num_records: int
    share: float
    is_inside_append: bool


def draw_moments(run: int, num_records: int) -> list[Moment]:
    draw = random.Random(SEED + run)
    numbers = draw.sample(range(1, num_records), MOMENTS + APPENDS)
    return sorted(Moment(number, draw.random(), index < APPENDS) for index, number in enumerate(numbers))


@pytest.fixture(scope="module")
def killed(undisturbed, tmp_path_factory) -> list[Run]:
    """Returns runs that were killed and resumed; the last at concurrency 2, the others at 1."""
    folder = tmp_path_factory.mktemp("killed")
    arguments = undisturbed.arguments
    single = [Run(folder / str(index), undisturbed.address, arguments) for index in range(NUM_RUNS)]
    longer = ("num_trials=8", "max_epochs=9", "seed=7", "concurrency=2")
    double = Run(folder / "double", undisturbed.address, longer)
    num_records = records(undisturbed)
    with ThreadPoolExecutor(NUM_RUNS + 1) as pool:
        jobs = [pool.submit(kill_at_moments, run, draw_moments(index, num_records)) for index, run in enumerate(single)]
        jobs.append(pool.submit(kill_in_mid_epoch, double))
        for job in jobs:
            job.result()
    return [*single, double]


def test_at_concurrency_1_it_equals_the_undisturbed_run(undisturbed, killed, record):
    for index, run in enumerate(killed[:-1]):
        moments = draw_moments(index, records(undisturbed))
        assert run.picture() == undisturbed.picture(), moments
        assert sequence(run) == sequence(undisturbed), moments
        assert files(run) == files(undisturbed), moments
        assert run.repeated() <= len(moments), moments
    fault = f"driver killed, concurrency 1, seed {SEED}, {NUM_RUNS * APPENDS} inside an append"
    record(fault, NUM_RUNS * (MOMENTS + APPENDS), *killed[:-1])


def test_at_concurrency_2_nothing_is_lost_or_doubled_or_left_running(killed, record):
    run = killed[-1]
    rows, curves = run.table(), run.table("curves")
    assert rows["trial"].tolist() == list(range(8 + 1))
    assert rows["candidate_json"].is_unique
    assert set(rows["status"]) <= {"COMPLETE", "PRUNED"}
    for row in rows.itertuples():
        assert curves[curves["trial"] == row.trial]["epoch"].tolist() == [1.0 + n for n in range(int(row.epochs))]
    assert set(run.epochs()) == {(row.trial, 1 + n) for row in rows.itertuples() for n in range(int(row.epochs))}
    for trial in rows["trial"]:
        repeated = sum(count - 1 for (number, _), count in run.epochs().items() if number == trial)
        assert repeated <= PARALLEL_KILLS, f"trial {trial}: at most one epoch for each time that it was killed"
    record(f"driver killed, concurrency 2, seed {SEED}", PARALLEL_KILLS, run)


def test_a_trial_that_was_killed_and_resumed_replays_bit_for_bit(killed):
    """Its curve depends on its candidate and seed only, not on the kills."""
    run = killed[0]
    for trial in run.table()["trial"]:
        assert replay([f"runs_dir={run.runs_dir}", "run=a", f"trial={trial}"]) == 0


def test_a_killed_driver_leaves_no_process_that_trains_or_writes(tmp_path):
    with start(tmp_path, "num_trials=40", "run=a") as driver:
        assert wait_for(lambda: records(Run(tmp_path, "", ())) > 6)
        processes = psutil.Process(driver.pid).children(recursive=True)
        driver.kill()
    agents = [process for process in processes if "Agent" in process.name()]  # Ray's agents notice after a minute
    others = [process for process in processes if process not in agents]
    assert any("ray::" in process.name() for process in others)
    assert wait_for(lambda: not any(process.is_running() for process in others))
    for process in agents:
        process.kill()


def kill_at_moments(run: Run, moments: list[Moment]) -> None:
    for moment in moments:
        if moment.is_inside_append:
            number = max(1, moment.num_records + 1 - records(run))  # the run may be further than that already
            with run.started(FAULTS_DIE=f"{number},{moment.share}") as process:
                run.wait(process, -signal.SIGKILL)
        else:
            with run.started() as process:
                run.wait_until(lambda moment=moment: records(run) >= moment.num_records, process)
                time.sleep(moment.share * GAP_SECONDS)
                kill(process)
    run.finish()


def kill_in_mid_epoch(run: Run) -> None:
    draw = random.Random(SEED)
    for _ in range(PARALLEL_KILLS):
        before = len(run.notes())
        with run.started() as process:
            run.wait_until(lambda before=before: len(run.notes()) >= before + 8, process)
            time.sleep(draw.random() * GAP_SECONDS)
            kill(process)
    run.finish()


def records(run: Run) -> int:
    return run.journal.read_bytes().count(b"\n") if run.journal.exists() else 0


def sequence(run: Run) -> list[tuple[int, int, int, str]]:
    """Returns all reports in the order of their arrival, with the endings of their trials."""
    entries = Journal.read(run.journal).entries()
    reports = [(r.order, e.trial.number, r.step, str(e.ending)) for e in entries for r in e.reports]
    return sorted(((*numbers, ending.split(", at=")[0]) for *numbers, ending in reports))  # type: ignore[misc]


def files(run: Run) -> list[str]:
    return sorted(str(path.relative_to(run.folder)) for path in Path(run.folder).rglob("*") if path.is_file())
