"""Runs searches from Python, with the keys of `python -m search.run`, for programs and notebooks.

    import search

    run = search.start("tiny10k", num_trials=16, data_dir="datasets")
    run.leaderboard, run.curves             # pandas frames
    labels = run.best.model()(images)       # images: uint8 [N, 28, 28]
    run.confirm(seeds=5)                    # retrains the best and scores them on the test examples
    run.extend(num_trials=64)
    search.open("results/runs/NAME")        # an earlier run

Ctrl-C, or a notebook's stop button, ends a search cleanly; pressed again, it ends it immediately. In a thread other
than the main one, Python delivers no signals: pass `stop=threading.Event()` and set it.
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

import results
from results.analysis.columns import select_rows, trial_name
from results.bucket import upload
from results.files import StorageError
from results.keys import check_name
from results.locations import is_remote, user_facing_path, working_folder
from results.runs_at import runs_at
from results.schema import Status
from results.wording import count, number
from search.command_line.signals import Stop
from search.planning.config import RunConfig, from_values
from search.planning.keys import RunKeys
from search.planning.resume import earlier
from search.planning.task_text import find_code, give
from search.runs.folder import RunFolder, find_run
from search.tasks.own.parts import OwnTask as Task

if TYPE_CHECKING:
    from search.session.session import Ending
    from spaces.recipe import Candidate
    from trainables.model import Model
    from trainables.task_code import TaskCode

NUM_SHOWN = 10
SHOWN = ("rank", "trial", "reference", "status", "score", "epochs", "num_params", "num_macs")


class RunFailed(RuntimeError):
    """The error of a search or confirmation: all trials failed in the same way, the disk is full, or Ray was lost.

    `run` is the run with everything finished before; `run.resume()` continues it.
    """

    def __init__(self, message: str, run: Run) -> None:
        super().__init__(message)
        self.run = run


@dataclass(frozen=True)
class Best:
    """The best trial of a run: the first row of its leaderboard."""

    row: dict[str, Any]
    """The trial's row of the leaderboard."""
    model_path: Path
    """The file with its trained network."""
    find_code: Callable[[], TaskCode | None] = lambda: None
    """Returns the code of the run's task, if it is a user's own."""

    @property
    def trial(self) -> int:
        return int(self.row["trial"])

    @property
    def name(self) -> str:
        """A published network's name, or the trial's number."""
        return trial_name(self.row)

    @property
    def score(self) -> float:
        """The validation score that the search ranks by."""
        return float(self.row["score"])

    @property
    def params(self) -> dict[str, object]:
        """The values of the space's parameters; a published network has none."""
        found = {name: value for name, value in self.row.items() if name.startswith("param_") and not pd.isna(value)}
        return {name.removeprefix("param_"): value for name, value in found.items()}

    @property
    def candidate(self) -> Candidate:
        """The network with its recipe."""
        from spaces.recipe import Candidate

        return Candidate.from_json(self.row["candidate_json"])

    def model(self) -> Model:
        """Loads the trained network, which is called with examples as it was trained on: images uint8 [N, H, W].

        Raises ValueError if there is no such file, as in a run whose search was interrupted.
        """
        from trainables.model import load_model

        return load_model(self.model_path, self.find_code() if self.candidate.network.has_own_module else None)


class Run:
    """A run: its current tables and best network, with methods that continue, confirm and report it."""

    def __init__(self, name: str, runs_dir: str) -> None:
        self.name, self.runs_dir = name, runs_dir
        self.ending: Ending | None = None
        """How the last session that was started from here ended; None if there was none."""

    @property
    def folder(self) -> Path:
        """The run's folder; the working copy, if the run is in a bucket."""
        return working_folder(self.runs_dir) / self.name

    @property
    def config(self) -> RunConfig:
        """The settings that the run was started with. Raises ValueError if there is no such run."""
        return from_values(**self._keys())

    @property
    def stopped(self) -> str | None:
        """The reason why the last session ended early, such as "Ctrl-C"; None if it finished."""
        return self.ending.stopped_by if self.ending else None

    @property
    def leaderboard(self) -> pd.DataFrame:
        """A row for each trial, best first."""
        return self._table("leaderboard")

    @property
    def curves(self) -> pd.DataFrame:
        """A row for each validation of each trial."""
        return self._table("curves")

    @property
    def finalists(self) -> pd.DataFrame:
        """A row for each training of the confirmation; empty before the run is confirmed."""
        return self._table("finalists")

    @property
    def predictions(self) -> pd.DataFrame:
        """The prediction of each confirmed network for each scored example; empty before the run is confirmed."""
        return self._table("predictions")

    @property
    def best(self) -> Best:
        """The best completed trial. Raises ValueError if no trial was trained to its end."""
        found = self._best()
        if found is None:
            raise ValueError(f"run={self.name}: no trial was trained to its end yet; resume() continues the run")
        return found

    def resume(self, *, stop: threading.Event | None = None, **keys: object) -> Run:
        """Continues the search with its original settings, except those that are given, until it is complete."""
        return self.extend(stop=stop, **keys)

    def extend(self, *, stop: threading.Event | None = None, **keys: object) -> Run:
        """Continues the search with other settings, such as more trials: `extend(num_trials=64)`.

        Takes the keys of `start`. Raises ValueError for one that would make the trials incomparable.
        """
        find_run(self.runs_dir, self.name)
        config = from_values(**{**self._keys(), **keys})
        if (config.run, config.runs_dir) != (self.name, self.runs_dir):
            raise ValueError(f"run={config.run}: extend() continues run={self.name}; start() takes another name")
        return self._search(config, stop)

    def confirm(self, *, stop: threading.Event | None = None, **keys: object) -> Run:
        """Retrains the best candidates over several seeds and scores them on the test examples; see `finalists`.

        Takes the keys of `python -m search.confirm`, such as `seeds` and `top_k`. Finished trainings are not repeated.
        """
        from search.retraining import confirm_config
        from search.retraining.confirm_run import confirm_run

        config = confirm_config.from_values(**{**self._keys(), **keys})
        return self._work(lambda stop: confirm_run(config, stop), stop)

    def report(self) -> Path:
        """Writes the run's report, one page of HTML, and returns its path."""
        from results.report.pages import write_report

        find_run(self.runs_dir, self.name)
        path = write_report(self.folder)
        if is_remote(self.runs_dir):
            upload(self.runs_dir, path)
        return path

    def _search(self, config: RunConfig, stop: threading.Event | None) -> Run:
        if config.dry_run:
            preview(config)
            return self
        return self._work(lambda stop: run_search(config, stop), stop)

    def _work(self, work: Callable[[Stop], Ending], event: threading.Event | None) -> Run:
        stop = Stop(event=event, owns_process=False)
        try:
            self.ending = work(stop)
        except StorageError as error:
            raise RunFailed(str(error), self) from error
        except (Exception, KeyboardInterrupt) as error:
            if not stop.lost:
                raise
            raise RunFailed(f"{stop.lost}; resume() continues the run", self) from error
        finally:
            stop.pass_on()
        if stop.lost or (self.ending.failure and not self.ending.stopped_by):
            raise RunFailed(stop.lost or str(self.ending.failure), self)
        return self

    def _keys(self) -> dict[str, object]:
        return {"run": self.name, "runs_dir": self.runs_dir}

    def _table(self, name: str) -> pd.DataFrame:
        find_run(self.runs_dir, self.name)
        return results.load(root=self.folder, table=name)

    def _best(self) -> Best | None:
        board = self.leaderboard
        complete = select_rows(board, "status", [Status.COMPLETE]).sort_values(by="rank")
        if complete.empty:
            return None
        return Best(complete.iloc[0].to_dict(), RunFolder(self.folder).best_model, self._find_code)

    def _find_code(self) -> TaskCode | None:
        known = earlier(self.runs_dir, self.name)
        return find_code(replace(known, run=self.name, runs_dir=self.runs_dir)) if known else None

    def _summary(self) -> str:
        """One line: the number of trials, the best score, and what ended the last session early."""
        try:
            parts = [count(len(self.leaderboard), "trial")]
            best = self._best()
        except ValueError as reason:
            return str(reason)
        if best:
            parts.append(f"best {number(best.score)} ({best.name})")
        if self.stopped:
            parts.append(f"stopped by {self.stopped}, resume() continues it")
        return ", ".join(parts)

    def __repr__(self) -> str:
        return f"<Run {user_facing_path(self.folder)}: {self._summary()}>"

    def _repr_html_(self) -> str:
        """Returns the best trials as HTML, for a notebook."""
        from results.report.page import paragraph

        title = paragraph(f"{self.name}: {self._summary()}")
        try:
            board = self.leaderboard
        except ValueError:
            return title
        shown = board.head(NUM_SHOWN)[[*SHOWN]].dropna(axis="columns", how="all")
        return str(title) + shown.to_html(index=False, na_rep="")


def start(task: str | Task | None = None, *, stop: threading.Event | None = None, **keys: object) -> Run:
    """Searches for the best network of a task, and returns the run; `python -m search.run --help` explains the keys.

    Values are Python's: `fix={"optimizer": "adam"}`, `confirm={"top_k": 0}`, a Path. `run="mine"` resumes the run of
    that name, if there is one. `dry_run=True` prints a preview, and returns a run that does not exist yet.
    Setting the event `stop` in another thread ends the search cleanly, as Ctrl-C does; the run's `stopped` has the
    reason. Raises ValueError for a mistake, with the command line's own message, and RunFailed.
    """
    named = give(task) if isinstance(task, Task) else task
    config = from_values(**({} if named is None else {"task": named}), **keys)
    return Run(config.run, config.runs_dir)._search(config, stop)


def open(run: str | Path, runs_dir: str | Path | None = None, *, task: Task | None = None) -> Run:
    """Opens an earlier run by its folder or URL, or by its name in `runs_dir`, by default the folder of all runs.

    A run of a task that was given in Python needs it again, as `task`, for its models and to continue.
    Raises ValueError, with the names of the existing runs, if there is no such run.
    """
    if task is not None:
        give(task)
    text = str(run).rstrip("/")
    folder, slash, name = text.rpartition("/")
    found = Run(name, runs_at(runs_dir or (folder or slash or None)))
    if runs_dir and folder:
        raise ValueError(f"run={run}: expected a name, since runs_dir= gives the folder")
    check_name("run", found.name)
    find_run(found.runs_dir, found.name)
    return found


def preview(config: RunConfig) -> None:
    """Prints the space, the share that the budget rejects, and a predicted time; trains only a few batches."""
    from search.command_line.terminal import Terminal
    from search.planning.plan import Plan
    from search.planning.preview import print_preview
    from search.session.session import quiet_optuna

    with quiet_optuna():
        print_preview(Plan.of(config), Terminal())


def run_search(config: RunConfig, stop: Stop | None = None) -> Ending:
    """Runs a search, and confirms its finalists unless it was interrupted.

    `stop` is the Stop to use, by default a command's own.
    """
    from search.command_line.terminal import Terminal
    from search.planning.plan import Plan
    from search.planning.preview import check_feasible
    from search.planning.warm_start import find_earlier, start_warm
    from search.session.session import open_session, quiet_optuna

    with quiet_optuna():
        plan = Plan.of(config)
        check_feasible(plan)
        earlier = find_earlier(plan, Terminal().say)
    with open_session(plan, stop=stop) as session:
        from search.retraining.best_model import settle_best_model
        from search.retraining.confirm_run import confirm, describe_test_reads
        from search.session.summary import print_start, print_summary
        from search.trials.job import search_job

        print_start(session, test_reads=describe_test_reads(plan.folder))
        warm = start_warm(plan, session.study, earlier, plan.identity(session.splits), session.say)
        outcome = session.train(replace(search_job(plan, session.splits), warm=warm), session.study, session.splits)
        model = settle_best_model(session, outcome)
        print_summary(
            session.terminal,
            session.plan,
            session.splits,
            session.study,
            outcome,
            best_model=model,
            test_reads=describe_test_reads(plan.folder),
        )
        if outcome.is_whole:
            confirm(session)
        is_exported = session.export_models()
        session.write_report()
    failure = f"all trials failed in the same way: {outcome.failure}" if outcome.failure else None
    return session.ending(failure or (None if is_exported else "a model could not be exported"))


def _signature(function: Callable[..., Run]) -> inspect.Signature:
    """Returns a signature that lists the keys by name, for a notebook's help and completion."""
    found = inspect.signature(function)
    own = [each for each in found.parameters.values() if each.kind is not inspect.Parameter.VAR_KEYWORD]
    names = {each.name: each for each in inspect.signature(RunKeys).parameters.values()}
    keys = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for name, each in names.items() if name != "task"]
    return found.replace(parameters=[*own, *keys])


start.__signature__ = _signature(start)  # pyright: ignore[reportFunctionMemberAccess]
