"""A session of a run: what every command that trains has in its hands, opened in order and left as it was found."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.console import Console

from data.splits import Splits
from results.command import SIGNALLED, StorageError
from search.config import Export, resume_command
from search.folder import writing
from search.job import Job
from search.plan import Plan
from search.signals import Stop, stop_signals
from search.slots import Slot
from search.study import Study

if TYPE_CHECKING:
    from search.tuning import Outcome


@dataclass(frozen=True, kw_only=True)
class Session:
    """A run that is held by this process, with Ray connected."""

    plan: Plan
    splits: Splits
    study: Study
    slot: Slot
    num_slots: int
    console: Console
    stop: Stop

    def say(self, text: str) -> None:
        self.console.print(text, highlight=False, soft_wrap=True)

    def train(self, job: Job, study: Study, splits: Splits) -> Outcome:
        """Trains what the job asks for to its end, on this session's slots."""
        from search.tuning import run_trials

        return run_trials(job, splits, study, self.slot, self.num_slots, self.console, self.stop)

    def export_models(self) -> bool:
        """Writes the models as the run's `export` asks for; False if one could not be."""
        if self.plan.config.export != Export.onnx or self.stop.signal:
            return True
        from search.onnx_models import write_onnx_models

        return write_onnx_models(self.plan.folder, self.console)

    def write_report(self) -> None:
        """Makes the run's report.html of what is there, unless `report` is off. Raises StorageError."""
        if not self.plan.config.report:
            return
        from results.report import write_report

        with writing(self.plan.folder.path / "report.html"):
            path = write_report(self.plan.folder.path)
        self.say(f"report: {path}")

    def exit_code(self, otherwise: int = 0) -> int:
        """128 and the signal's number if one ended the session."""
        return SIGNALLED + self.stop.signal if self.stop.signal else otherwise


@contextmanager
def open_session(
    plan: Plan, *, open_study: Callable[[Plan, Splits], Study] = Plan.open_study, go_on: str | None = None
) -> Iterator[Session]:
    """Data, lock, study and cluster of a run.

    `go_on` is the command that goes on where the session is cut short, by default the search's. Raises ValueError for
    a user's mistake; within the session a ValueError is none, and is raised as a RuntimeError.
    """
    from search.cluster import Cluster
    from search.preview import check_reports

    quiet_optuna()
    console = Console() if sys.stdout.isatty() else Console(width=120)
    config = plan.config
    splits = plan.load_data(lambda text: console.print(text, style="bold yellow", highlight=False, soft_wrap=True))
    check_reports(plan, splits)
    with plan.folder.locked(), stop_signals() as stop:
        study = open_study(plan, splits)
        with _kept(go_on or resume_command(config)), Cluster(config) as cluster:
            stop.listen()  # again, since Ray takes SIGTERM for itself when it starts
            slot = cluster.slot(plan.task)
            num_slots = cluster.concurrency(slot)
            cluster.check_room(splits)
            plan.write_config(splits)
            if config.time_budget_seconds is not None:
                stop.deadline = time.monotonic() + config.time_budget_seconds
            with _no_mistake():
                yield Session(
                    plan=plan, splits=splits, study=study, slot=slot, num_slots=num_slots, console=console, stop=stop
                )


def quiet_optuna() -> None:
    """Errors only: it greets each new study, and ours are many."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)


@contextmanager
def _kept(go_on: str) -> Iterator[None]:
    """Says how to go on where a run is cut short."""
    kept = f"What the journal holds is kept. To go on: {go_on}"
    try:
        yield
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"stopped at once. {kept}") from None
    except StorageError as error:
        raise StorageError(f"{error}. {kept}") from error


@contextmanager
def _no_mistake() -> Iterator[None]:
    """Once trials run, a ValueError is no user's mistake: it is shown whole."""
    try:
        yield
    except ValueError as fault:
        raise RuntimeError("a fault of ours; what the journal holds is kept") from fault
