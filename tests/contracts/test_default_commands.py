"""Every task's default command, with num_trials=2 alone changed, goes to leaderboard, confirmation and report.

A new file in search/tasks/ is found here by itself. `make test-tasks` cuts the stand-ins down to a few images, since on
all of them some tasks take an hour on two cores; `TASKS=whole make test-tasks` runs the commands on all that stands in.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import results
from results.schema import Status
from search import tasks
from tests.search.command import ROOT, environment
from tests.waiting import HANG_SECONDS

pytestmark = pytest.mark.tasks

SEEDS = 3
"""The default number of trainings of each finalist."""
NUM_TRIALS = 2
NO_NETWORK = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")


@pytest.fixture(params=tasks.names())
def task(request: pytest.FixtureRequest) -> str:
    return request.param


def test_on_a_few_images(task: str, cluster: str, tmp_path: Path):
    run("tests.contracts.on_few_images", task, tmp_path, cluster)
    check(task, tmp_path)


@pytest.mark.skipif(os.environ.get("TASKS") != "whole", reason="takes hours; TASKS=whole runs it")
def test_on_all_that_stands_in(task: str, tmp_path: Path):
    run("search.run", task, tmp_path, "address=local")
    check(task, tmp_path)


def run(module: str, task: str, folder: Path, address: str) -> None:
    """Runs the command without network and without files. `address` and the folders do not change its work."""
    command = [sys.executable, "-m", module, f"task={task}", "data=made", f"num_trials={NUM_TRIALS}", address]
    homes = {"FRUGAL_DATA_DIR": str(folder / "data"), "TORCH_HOME": str(folder / "torch")}
    done = subprocess.run(
        [*command, f"runs_dir={folder / 'runs'}", "run=a"],
        cwd=ROOT,
        env=environment() | NO_NETWORK | homes,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=HANG_SECONDS if address != "address=local" else None,
    )
    assert done.returncode == 0, done.stdout
    assert "internal error" not in done.stdout


def check(name: str, folder: Path) -> None:
    """Checks that all trials ended, that finalists were retrained and tested, and that a report and models exist."""
    runs = folder / "runs"
    board = results.load(name, runs)
    drawn = board[board["reference"].isna()]
    ended = {Status.COMPLETE, Status.PRUNED}
    assert len(drawn) == NUM_TRIALS
    assert set(drawn["status"]) <= ended
    assert set(board[board["reference"].notna()]["status"]) <= {*ended, Status.UNAVAILABLE}
    assert set(board["dataset_origin"]) == {"made"}
    assert set(results.load(name, runs, table="curves")["trial"]) == set(board[board["status"].isin(ended)]["trial"])
    finalists = results.load(name, runs, table="finalists")
    confirmed = drawn[drawn["status"] == Status.COMPLETE]
    assert set(confirmed["trial"]) <= set(finalists["trial"])
    assert set(finalists.groupby("trial")["seed"].nunique()) == {SEEDS}
    assert set(finalists["scored_on"]) == {"test"}
    assert finalists["test_score"].notna().all()
    page = (runs / "a" / "report.html").read_text(encoding="utf-8")
    names = finalists["reference"].fillna("trial " + finalists["trial"].astype(str))
    assert [name for name in names.unique() if name not in page] == []
    assert all((runs / "a" / path).is_file() for path in ["models/best.pt", *finalists["model_path"]])
