"""A session of a run: what every command that trains has in its hands, opened in order and left as it was found."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from data.splits import Splits
from results.files import StorageError, writing
from results.locations import user_facing_path
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


@dataclass(frozen=True, kw_only=True)
class Session:
    """A run that is held by this process, with Ray connected."""

    plan: Plan
    splits: Splits
    study: Study
    ray: str
    """Which Ray it is."""
    slots: Slots
    terminal: Terminal
    stop: Stop
    mirror: Mirror | None
    """Of a run whose runs_dir is a bucket."""

    def say(self, text: str) -> None:
        self.terminal.say(text)

    def train(self, job: Job, study: Study, splits: Splits) -> Outcome:
        """Trains what the job asks for to its end, on this session's slots. Raises StorageError."""
        from search.trials.tuning import run_trials

        outcome = run_trials(job, splits, study, self.slots, self.terminal, self.stop)
        if self.mirror:
            self.mirror.check()
        return outcome

    def export_models(self) -> bool:
        """Writes the models as the run's `export` asks for; False if one could not be."""
        if self.plan.config.export != Export.onnx or self.stop.name:
            return True
        from search.runs.onnx_models import write_onnx_models

        return write_onnx_models(self.plan.folder, self.terminal)

    def write_report(self) -> None:
        """Makes the run's report.html of what is there, unless `report` is off. Raises StorageError."""
        if not self.plan.config.report:
            return
        from results.report.pages import write_report

        with writing(self.plan.folder.path / "report.html"):
            path = write_report(self.plan.folder.path)
        self.say(f"report: {user_facing_path(path)}")

    def exit_code(self, otherwise: int = 0) -> int:
        """What the reason to stop says, if there was one."""
        code = self.stop.exit_code
        return otherwise if code is None else code


@contextmanager
def open_session(
    plan: Plan, *, open_study: Callable[[Plan, Splits], Study] = open_study, go_on: str | None = None
) -> Iterator[Session]:
    """Data, lock, study and cluster of a run.

    `go_on` is the command that goes on where the session is cut short, by default the search's. Raises ValueError for
    a user's mistake; within the session a ValueError is none, and is raised as a RuntimeError.
    """
    from search.cluster.connection import Cluster
    from search.planning.preview import check_reports

    quiet_optuna()
    terminal = Terminal()
    config = plan.config

    def say(text: str) -> None:
        terminal.say(text, style="bold yellow")

    splits = plan.load_data(say)
    check_reports(plan, splits)
    with plan.folder.locked(), stop_signals() as stop:
        study = open_study(plan, splits)
        stop.go_on = go_on or resume_command(config)
        with _kept(stop.go_on), mirrored(config.runs_dir, plan.folder, stop, say) as mirror, Cluster(config) as cluster:
            stop.listen()  # again, since Ray takes SIGTERM for itself when it starts
            slots = cluster.slots(plan.task, terminal.say, stop)
            cluster.check_room(splits)
            write_config(plan, splits)
            if config.time_budget_seconds is not None:
                stop.deadline = time.monotonic() + config.time_budget_seconds
            with _no_mistake():
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


def quiet_optuna() -> None:
    """Errors only: it greets each new study, and ours are many."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)


@contextmanager
def _kept(go_on: str) -> Iterator[None]:
    """Says how to go on where a run is cut short."""
    kept = f"The journal is kept. Resume with: {go_on}"
    try:
        yield
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"stopped immediately. {kept}") from None
    except StorageError as error:
        raise StorageError(f"{error}. {kept}") from error


@contextmanager
def _no_mistake() -> Iterator[None]:
    """Once trials run, a ValueError is no user's mistake: it is shown whole."""
    try:
        yield
    except ValueError as fault:
        raise RuntimeError("internal error; the journal is kept") from fault
