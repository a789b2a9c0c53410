"""Searches from Python have the command line's keys and errors, run in any thread, repeat, and stop in order."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import search
from results.files import StorageError
from search import api
from search.run import main
from search.session.session import Ending
from tests.search.command import ROOT, environment
from tests.waiting import HANG_SECONDS

SMALL: dict[str, Any] = {
    "data": "made",
    "num_trials": 2,
    "max_epochs": 1,
    "train_examples": 600,
    "val_examples": 200,
    "references": False,
    "confirm": {"top_k": 0},
    "report": False,
}
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)


def test_importing_it_is_light():
    code = "import search, sys; print(sorted({'torch', 'ray', 'pandas', 'optuna'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment(), capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr


def test_it_takes_no_interrupts_from_another_command(tmp_path):
    """A user's program that imports search keeps its own Ctrl-C."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "__init__.py").write_text("import search\n")
    (tmp_path / "mine" / "main.py").write_text("import signal; print(signal.getsignal(signal.SIGINT).__name__)\n")
    variables = environment() | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "mine.main"]
    done = subprocess.run(command, cwd=tmp_path, env=variables, capture_output=True, text=True)
    assert done.stdout == "default_int_handler\n", done.stderr


@pytest.mark.parametrize(
    ("keys", "typed"),
    [
        ({"num_trails": 3}, ["num_trails=3"]),
        ({"num_trials": "many"}, ["num_trials=many"]),
        ({"num_trials": 1.5}, ["num_trials=1.5"]),
        ({"num_trials": -1}, ["num_trials=-1"]),
        ({"max_epochs": True}, ["max_epochs=true"]),
        ({"references": "perhaps"}, ["references=perhaps"]),
        ({"sampler": "best"}, ["sampler=best"]),
        ({"task": "tiny"}, ["task=tiny"]),
        ({"fix": {"optimizer": "x"}}, ["fix.optimizer=x"]),
        ({"fix": {"nothing": None}}, ["fix.nothing=null"]),
        ({"fix": "adam"}, ["fix=adam"]),
        ({"confirm": {"seeds": 0}}, ["confirm.seeds=0"]),
        ({"confirm": {"many": 1}}, ["confirm.many=1"]),
        ({"grace_epochs": 3, "max_epochs": 2}, ["grace_epochs=3", "max_epochs=2"]),
        ({"data": Path("mine")}, ["data=mine"]),
        ({"run": "a/b"}, ["run=a/b"]),
        ({"data_dir": Path("~nobody-of-that-name/x")}, ["data_dir=~nobody-of-that-name/x"]),
    ],
)
def test_a_mistake_is_the_command_lines_own(keys, typed, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(typed) == 2
    error = capsys.readouterr().err.removeprefix("search.run: ").removesuffix("\n")
    with pytest.raises(ValueError, match=f"^{re.escape(error)}$"):
        search.start(**keys)


def test_its_help_lists_the_keys():
    import inspect

    parameters = inspect.signature(search.start).parameters
    assert {"task", "stop", "num_trials", "fix", "confirm"} <= parameters.keys()


def test_a_dry_run_prints_the_preview_and_makes_nothing(tmp_path, capsys):
    run = search.start("tiny10k", runs_dir=tmp_path, run="a", dry_run=True, **SMALL)
    assert "predicted time" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ValueError, match="there is no such run"):
        run.resume()
    assert "there is no such run" in repr(run)


def test_a_missing_run_is_named_with_those_that_are_there(tmp_path, monkeypatch):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "journal.log").touch()
    for where in ((tmp_path / "mine",), ("mine", tmp_path)):
        with pytest.raises(ValueError, match=f"run=mine: there is no such run in {tmp_path}; it has other"):
            search.open(*where)
    monkeypatch.setenv("FRUGAL_RUNS_DIR", str(tmp_path))
    assert search.open("other").folder == tmp_path / "other"


def test_what_fails_is_an_error_that_has_the_run(tmp_path, monkeypatch):
    def fail(config, stop):
        raise StorageError("disk full. The journal is kept.")

    monkeypatch.setattr(api, "run_search", fail)
    with pytest.raises(search.RunFailed, match=r"disk full\. The journal is kept\.") as failed:
        search.start(runs_dir=tmp_path, run="a")
    assert failed.value.run.folder == tmp_path / "a"
    monkeypatch.setattr(api, "run_search", lambda config, stop: Ending(failure="all trials failed", exit_code=1))
    with pytest.raises(search.RunFailed, match="all trials failed"):
        search.start(runs_dir=tmp_path, run="a")


def test_the_loss_of_ray_is_an_error_and_no_exit(tmp_path, monkeypatch):
    def lose(config, stop):
        stop.lost = "the loss of Ray"
        raise KeyboardInterrupt

    monkeypatch.setattr(api, "run_search", lose)
    with pytest.raises(search.RunFailed, match="the loss of Ray"):
        search.start(runs_dir=tmp_path, run="a")


def test_a_sigterm_reaches_the_callers_own_handler(tmp_path, monkeypatch):
    def terminate(config, stop):
        stop.signal = signal.SIGTERM
        return Ending(stopped_by="SIGTERM", exit_code=143)

    heard = []
    before = signal.signal(signal.SIGTERM, lambda *_: heard.append(True))
    try:
        monkeypatch.setattr(api, "run_search", terminate)
        assert search.start(runs_dir=tmp_path, run="a").stopped == "SIGTERM"
    finally:
        signal.signal(signal.SIGTERM, before)
    assert heard == [True]


@pytest.fixture(scope="module")
def address(cluster) -> str:
    return cluster.removeprefix("address=")


@pytest.fixture(scope="module")
def handlers() -> list:
    return [signal.getsignal(number) for number in SIGNALS]


def check_nothing_is_left(handlers: list, variables: dict[str, str]) -> None:
    import ray

    assert [signal.getsignal(number) for number in SIGNALS] == handlers
    assert not ray.is_initialized()
    changed = {name for name in {*os.environ, *variables} if os.environ.get(name) != variables.get(name)}
    assert changed <= {"PYTEST_CURRENT_TEST"}


@pytest.fixture(scope="module")
def run(tmp_path_factory, handlers, address) -> api.Run:
    """Interrupts a search in the main thread, and resumes it in another."""

    folder = tmp_path_factory.mktemp("runs")
    variables = dict(os.environ)
    threading.Thread(target=interrupt_once_trained, args=(folder / "mine" / "journal.log",), daemon=True).start()
    found = search.start("tiny10k", runs_dir=folder, run="mine", address=address, **SMALL | {"max_epochs": 40})
    assert found.stopped == "Ctrl-C"
    assert "stopped by Ctrl-C, resume() continues it" in repr(found)
    assert set(found.leaderboard["status"]) == {"STOPPED"}
    check_nothing_is_left(handlers, variables)
    return found


def interrupt_once_trained(journal: Path) -> None:
    while not (journal.exists() and b"train_loss" in journal.read_bytes()):  # the first report
        time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.ray
def test_another_thread_stops_by_an_event_and_a_second_search_is_complete(run, tmp_path, handlers, address):
    variables, ended = dict(os.environ), []
    stop = threading.Event()
    stop.set()

    def work() -> None:
        ended.append(search.start("tiny10k", runs_dir=tmp_path, run="b", address=address, stop=stop, **SMALL).stopped)
        ended.append(search.open("b", tmp_path).resume(address=address).stopped)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(HANG_SECONDS)
    assert ended == ["the caller's stop event", None]
    assert set(search.open(tmp_path / "b").leaderboard["status"]) == {"COMPLETE"}
    check_nothing_is_left(handlers, variables)


@pytest.mark.ray
def test_a_run_is_extended_confirmed_and_reported(tmp_path, address):
    run = search.start("tiny10k", runs_dir=tmp_path, run="c", address=address, **SMALL | {"num_trials": 1})
    assert len(run.leaderboard) == len(run.curves) == 1
    assert run.finalists.empty
    best = run.best
    assert (best.trial, best.score) == (0, run.leaderboard["score"].iloc[0])
    assert best.params["optimizer"] == best.candidate.recipe.optimizer
    outputs = best.model()(np.zeros((3, 28, 28), np.uint8))
    assert tuple(outputs.shape) == (3, 10)
    assert run.extend(num_trials=2, address=address) is run
    assert len(run.leaderboard) == 2
    assert run.config.num_trials == 2
    run.confirm(seeds=1, top_k=1, address=address)
    assert run.finalists["scored_on"].tolist() == ["test"]
    assert run.report().read_text().startswith("<!DOCTYPE html>")
    assert "<td>COMPLETE</td>" in run._repr_html_()
    with pytest.raises(ValueError, match="extend\\(\\) continues run=c"):
        run.extend(run="d")
    with pytest.raises(ValueError, match="max_epochs was 1, is now 2"):
        run.extend(max_epochs=2, num_trials=3)


@pytest.mark.ray
def test_a_confirmations_mistakes_are_the_command_lines_own(run, capsys):
    from search.confirm import main as confirm

    for keys, typed in (({"seeds": 0}, "seeds=0"), ({"top": 1}, "top=1"), ({"export": "pdf"}, "export=pdf")):
        assert confirm([f"run={run.name}", f"runs_dir={run.runs_dir}", typed]) == 2
        error = capsys.readouterr().err.removeprefix("search.confirm: ").removesuffix("\n")
        with pytest.raises(ValueError, match=f"^{re.escape(error)}$"):
            run.confirm(**keys)
