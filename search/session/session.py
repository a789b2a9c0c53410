"""A session of a run: opens the resources that every training command needs, and releases them at its end."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from data.splits import Splits
from results.files import StorageError, writing
from results.locations import user_facing_path
from search.command_line.command import FAILED
from search.command_line.signals import Stop, stop_signals
from search.command_line.terminal import Terminal
from search.planning.keys import Export
from search.planning.plan import Plan
from search.planning.resume import resume_command
from search.runs.mirror import Mirror, mirrored
from search.session.study import open_study, write_config
from search.study.study import Study
from search.trials.job import Job

if TYPE_CHECKING:
    from search.cluster.connection import Slots
    from search.trials.outcome import Outcome

_in_session = threading.Lock()


@dataclass(frozen=True)
class Ending:
    """How a session ended."""

    stopped_by: str | None = None
    """The reason why it ended early, such as Ctrl-C or time_budget_seconds."""
    failure: str | None = None
    """The failure, in words."""
    exit_code: int = 0
    """The exit code of a command that ends in this way."""


@dataclass(frozen=True, kw_only=True)
class Session:
    """A run that this process holds, with Ray connected."""

    plan: Plan
    splits: Splits
    study: Study
    ray: str
    """The description of the Ray in use."""
    slots: Slots
    terminal: Terminal
    stop: Stop
    mirror: Mirror | None
    """Keeps the bucket up to date, if runs_dir is one."""
    outcomes: list[Outcome] = field(default_factory=list)
    """The outcome of each training of this session."""

    def say(self, text: str) -> None:
        self.terminal.say(text)

    def train(self, job: Job, study: Study, splits: Splits) -> Outcome:
        """Trains the job's trials on this session's slots. Raises StorageError."""
        from search.trials.tuning import run_trials

        outcome = run_trials(job, splits, study, self.slots, self.terminal, self.stop)
        self.outcomes.append(outcome)
        if self.mirror:
            self.mirror.check()
        return outcome

    def export_models(self) -> bool:
        """Exports the run's models if `export` is set. Returns False if one could not be exported."""
        if self.plan.config.export != Export.onnx or self.stop.name:
            return True
        from search.runs.onnx_models import write_onnx_models

        return write_onnx_models(self.plan.folder, self.terminal, self.plan.task.code)

    def write_report(self) -> None:
        """Writes the run's report.html, unless `report` is off. Raises StorageError."""
        if not self.plan.config.report:
            return
        from results.report.pages import write_report

        with writing(self.plan.folder.path / "report.html"):
            path = write_report(self.plan.folder.path)
        self.say(f"report: {user_facing_path(path)}")

    def ending(self, failure: str | None) -> Ending:
        """Returns the session's ending. A reason to stop decides the exit code; a failure gives 1 otherwise."""
        out_of_time = any(outcome.out_of_time for outcome in self.outcomes)
        stopped_by = self.stop.name or ("time_budget_seconds" if out_of_time else None)
        code = self.stop.exit_code
        return Ending(stopped_by, failure, (FAILED if failure else 0) if code is None else code)


@contextmanager
def open_session(
    plan: Plan,
    *,
    open_study: Callable[[Plan, Splits], Study] = open_study,
    resume_with: str | None = None,
    stop: Stop | None = None,
) -> Iterator[Session]:
    """Opens data, lock, study and cluster of a run.

    `resume_with` is the command that resumes an interrupted session, by default the search's. `stop` is the Stop to
    use, by default a command's own. Raises ValueError for a user's mistake. A ValueError within the session is an
    internal error, which is raised as a RuntimeError.
    """
    from search.cluster.connection import Cluster
    from search.planning.preview import check_reports

    terminal = Terminal()
    config = plan.config

    def warn(text: str) -> None:
        terminal.say(text, style="bold yellow")

    with _alone_in_process(), quiet_optuna(), _restored_environment():
        splits = plan.load_data(warn)
        check_reports(plan, splits)
        with plan.folder.locked(), stop_signals(stop) as stop:
            study = open_study(plan, splits)
            stop.resume_with = resume_with or resume_command(config)
            with (
                _resume_hint(stop.resume_with),
                mirrored(config.runs_dir, plan.folder, stop, warn) as mirror,
                Cluster(config) as cluster,
            ):
                stop.listen()  # again, since Ray takes SIGTERM for itself when it starts
                slots = cluster.slots(plan.task, terminal.say, stop)
                cluster.check_room(splits)
                write_config(plan, splits)
                if config.time_budget_seconds is not None:
                    stop.deadline = time.monotonic() + config.time_budget_seconds
                with _internal_errors():
                    yield Session(
                        plan=plan,
                        splits=splits,
                        study=study,
                        ray=str(cluster),
                        slots=slots,
                        terminal=terminal,
                        stop=stop,
                        mirror=mirror,
                    )


@contextmanager
def quiet_optuna() -> Iterator[None]:
    """Limits Optuna's log to errors, since it announces each new study and a search creates many."""
    import optuna

    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)


@contextmanager
def _alone_in_process() -> Iterator[None]:
    """Refuses a second session at the same time: a process has one connection to Ray."""
    if not _in_session.acquire(blocking=False):
        raise RuntimeError("another session is running in this process; wait for its end, or start another process")
    try:
        yield
    finally:
        _in_session.release()


@contextmanager
def _restored_environment() -> Iterator[None]:
    """Restores the environment variables that a session changes for Ray."""
    before = dict(os.environ)
    try:
        yield
    finally:
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        os.environ.update({name: value for name, value in before.items() if os.environ.get(name) != value})


@contextmanager
def _resume_hint(command: str) -> Iterator[None]:
    """Adds the command that resumes the run to the errors that interrupt it."""
    kept = f"The journal is kept. Resume with: {command}"
    try:
        yield
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"stopped immediately. {kept}") from None
    except StorageError as error:
        raise StorageError(f"{error}. {kept}") from error


@contextmanager
def _internal_errors() -> Iterator[None]:
    """Raises a ValueError as a RuntimeError, since it cannot be a user's mistake once trials run."""
    try:
        yield
    except ValueError as fault:
        raise RuntimeError("internal error; the journal is kept") from fault
