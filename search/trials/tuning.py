"""The trials of a study: Ray Tune with our searcher, scheduler and workers, until it is complete or stopped."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import ray
from ray import tune
from ray.tune import TuneError

from data.splits import Splits
from results.files import StorageError
from results.schema import Status
from search.cluster.connection import Slots
from search.cluster.ray_watch import watched
from search.cluster.slots import Slot
from search.cluster.waiting import Waiting, nothing_free
from search.command_line.command import FAILED
from search.command_line.signals import Stop
from search.command_line.terminal import Terminal
from search.engines.ray import forget_statistics, is_local
from search.study.study import Study
from search.study.trial import TrialRecord
from search.trials.checkpoints import left_over, start_store
from search.trials.failures import FIRST_TRIALS, FirstFailures, failed_as_before, in_full, in_one_line
from search.trials.job import Job
from search.trials.progress import Progress
from search.trials.scheduler import StudyScheduler, Told
from search.trials.searcher import StudySearch, StudySearcher
from trainables.trainable import TrialTrainable

TABLES_SECONDS, TABLES_SHARE = 8.0, 0.02
"""Tables are written so often, but in long searches, where they have many rows, in no larger a share of the time."""
MOST_NAMED = 6
"""Trials that are named in one line."""


@dataclass
class Outcome:
    """How a study's session went."""

    stop: Stop
    out_of_time: bool = False
    ended_early: str | None = None
    """Why no further candidate could be had."""
    failure: str | None = None
    """The error, where the first trials all failed in the same way and the session was stopped for it."""
    slot_seconds: float = 0.0
    """Slots times the time from the first start to the last end."""
    kept: dict[str, int] = field(default_factory=dict)
    """The trial whose model this session has kept under each name."""
    first_report: int = 0
    """The first report of this session, by its place among all of the study."""

    @property
    def is_whole(self) -> bool:
        """Whether nothing cut the session short."""
        return not (self.stop.name or self.out_of_time or self.failure)


@dataclass
class _SlotTime:
    """Counts slot seconds while slots come and go with their nodes; what comes after the last end does not count."""

    slots: Slots
    outcome: Outcome
    so_far: float = 0.0
    seen: float = field(default_factory=time.monotonic)

    def go_by(self) -> None:
        now = time.monotonic()
        self.so_far += self.slots.up * (now - self.seen)
        self.seen = now

    def end(self) -> None:
        """A trial has ended."""
        self.go_by()
        self.outcome.slot_seconds = self.so_far


def run_trials(job: Job, splits: Splits, study: Study, slots: Slots, terminal: Terminal, stop: Stop) -> Outcome:
    """Runs the study's trials to their ends, and keeps its tables and models up to date meanwhile."""
    outcome = Outcome(stop, first_report=sum(len(trial.reports) for trial in study.trials))
    try:
        if not stop.name:
            with watched(stop, lambda: _give_up(job, study, terminal, stop)):
                _train(job, splits, study, slots, outcome, terminal)
    except BaseException:
        if not stop.lost:
            with suppress(StorageError):  # the first error is the one to tell
                job.write_tables(study, False)
            raise
    job.write_tables(study, False)
    return outcome


def _give_up(job: Job, study: Study, terminal: Terminal, stop: Stop) -> None:
    """Ends the process in order, while its main thread is stuck in a call to a Ray that has gone."""
    said = f"Stopped by {stop.name}. The journal is kept. Resume with: {stop.go_on}"
    try:
        with suppress(StorageError):
            job.write_tables(study, False)
        terminal.show_cursor()
        terminal.say(said)
        sys.stdout.flush()
    finally:
        os._exit(FAILED if stop.exit_code is None else stop.exit_code)


def _train(job: Job, splits: Splits, study: Study, slots: Slots, outcome: Outcome, terminal: Terminal) -> None:
    store = start_store(job.folder.path, job.models)
    keeper = _Keeper(study, store, job.folder.path, job.model_name, outcome.kept)
    keeper.catch_up()
    named = job.given.keys() | {trial.reference for trial in study.trials if trial.reference}
    num_expected = max(job.num_trials, study.num_drawn) + len(named)
    searcher = StudySearcher(
        study,
        num_trials=job.num_trials,
        given=job.given,
        warm=job.warm,
        concurrency=lambda: slots.most,
        config_of=lambda trial: _trial_config(trial, job),
        on_end=lambda reason: setattr(outcome, "ended_early", reason),
    )
    if searcher.again:
        terminal.say(f"again    {_told(searcher.again)}")
    progress = Progress(
        terminal,
        study,
        again=searcher.again,
        num_expected=num_expected,
        slots=slots,
        max_epochs=job.max_epochs,
        shows_best=job.num_trials > 0,
    )
    failures = FirstFailures(min(FIRST_TRIALS, num_expected))
    scheduler = StudyScheduler(
        study,
        on_end=_on_end(study, keeper, outcome, failures),
        on_restart=_on_restart(progress),
        on_lost=_on_lost(progress, searcher),
        on_silent_epoch=progress.reach,
    )
    slot_time = _SlotTime(slots, outcome)
    with progress:
        try:
            # Not tune.Tuner: it pickles searcher and scheduler for a restore of its own; we resume from the journal
            tune.run(
                _worker(splits, store, slots.slot),
                name="trials",
                storage_path=str(job.folder.scratch.absolute()),
                resources_per_trial={"cpu": slots.slot.cpus, "gpu": slots.slot.gpus},
                num_samples=-1,
                search_alg=StudySearch(searcher),
                scheduler=scheduler,
                reuse_actors=True,
                max_failures=job.max_failures,
                raise_on_failed_trial=False,
                trial_dirname_creator=lambda trial: str(trial.config["number"]),
                callbacks=[_Housekeeping(job, study, slot_time, outcome, progress, lambda: scheduler.num_workers)],
                stop=_StopWhen(outcome, slot_time),
                verbose=0,
            )
        except TuneError as wrapped:  # around what searcher, scheduler and callbacks raise
            raise wrapped.__context__ or wrapped from None
        finally:
            # Tune holds parameters until others take their place: the next job's dataset would lie beside this one
            tune.with_parameters(TrialTrainable, arrays=None)
    keeper.finish()


def _told(again: Sequence[TrialRecord]) -> str:
    """Which trials are begun again, and why."""
    named = [f"{trial.name} ({trial.status})" for trial in islice(again, MOST_NAMED)]
    named += [f"{len(again) - MOST_NAMED} more"] if len(again) > MOST_NAMED else []
    it_or_them = "it" if len(again) == 1 else "them"
    return f"{', '.join(named)}: trained again, since what ended {it_or_them} may have been mended"


def _worker(splits: Splits, store: Any, slot: Slot) -> Any:
    """The trainable with its dataset, which goes into Ray's object store once. No worker sees its test images."""
    arrays = {
        "train_x": splits.train.x,
        "train_y": splits.train.y,
        "val_x": splits.val.x,
        "val_y": splits.val.y,
    }
    return tune.with_parameters(TrialTrainable, arrays=arrays, store=store, threads=slot.threads)


def _trial_config(trial: TrialRecord, job: Job) -> dict[str, Any]:
    given = job.given.get(trial.reference or "")
    number = trial.number if given is None or given.trial is None else given.trial
    return {
        "number": trial.number,
        "candidate": trial.candidate.to_json(),
        "goal": job.goal.to_json(),
        "seed": trial.seed,
        "epochs": job.max_epochs,
        "reports_per_epoch": job.reports_per_epoch,
        "record_steps": job.record_steps,
        "data_dir": str(job.data_dir),
        "length": given.length if given else None,
        "facts": {**job.facts, "goal": job.goal.to_json(), "trial": number},
    }


def _on_end(study: Study, keeper: _Keeper, outcome: Outcome, failures: FirstFailures) -> Told:
    """What is to be done when a trial has ended."""

    def on_end(number: int, error: BaseException | None) -> None:
        keeper.ended(number)
        if not failed_as_before(study.trials[number], study.trials):
            failures.ended(study.trials[number])
        if failures.are_all_the_same and not outcome.failure:
            outcome.failure = in_full(error)

    return on_end


def _on_restart(progress: Progress) -> Told:
    def on_restart(number: int, error: BaseException | None) -> None:
        progress.tell(f"trial {number} starts again from its last checkpoint: {in_one_line(error)}")

    return on_restart


def _on_lost(progress: Progress, searcher: StudySearcher) -> Told:
    def on_lost(number: int, error: BaseException | None) -> None:
        progress.tell(f"trial {number} lost its node, and goes on elsewhere from its last checkpoint")
        searcher.take_back(number)

    return on_lost


@dataclass
class _Keeper:
    """Tells the store what becomes of an ended trial's files."""

    study: Study
    store: Any
    folder: Path
    model_name: Callable[[Study, int], str | None]
    kept: dict[str, int]
    """By name, the trial whose results were kept last."""
    pending: list[Any] = field(default_factory=list)

    def ended(self, number: int) -> None:
        name = self.model_name(self.study, number) if number < len(self.study.trials) else None
        if name is not None:
            self.kept[name] = number
        self.pending.append(self.store.end.remote(number, name))

    def catch_up(self) -> None:
        """Does what a killed driver or store left undone; where there is nothing, without waiting for the store."""
        for number in left_over(self.folder):
            if number >= len(self.study.trials) or self.study.trials[number].status != Status.RUNNING:
                self.ended(number)
        ray.get(self.pending)

    def finish(self) -> None:
        """Until the files are as they should be. Raises StorageError if they cannot be."""
        ray.get(self.pending)
        self.catch_up()


class _Housekeeping(tune.Callback):
    """Between Ray Tune's steps: the tables, the terminal, the clock."""

    def __init__(
        self,
        job: Job,
        study: Study,
        slot_time: _SlotTime,
        outcome: Outcome,
        progress: Progress,
        num_workers: Callable[[], int],
    ) -> None:
        self.job, self.study, self.slot_time, self.num_workers = job, study, slot_time, num_workers
        self.outcome, self.progress = outcome, progress
        self.due = time.monotonic() + TABLES_SECONDS
        self.has_told = False
        self.waiting = Waiting()

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        self.progress.num_workers = self.num_workers()
        # In a local Ray only our own workers can be what takes the CPUs: they are about to start
        is_waiting = bool(self.study.running()) and not self.progress.num_workers and not is_local()
        if self.waiting.is_due(is_waiting):
            self.progress.tell(nothing_free(self.slot_time.slots.slot))
        if self.outcome.stop.name and not self.has_told:
            self.progress.tell(
                "stopping within seconds; trials keep their last checkpoint. Press Ctrl-C again to stop immediately"
            )
            self.has_told = True
        self.slot_time.go_by()
        self.progress.refresh()
        if (start := time.monotonic()) >= self.due:
            self.job.write_tables(self.study, True)
            written = time.monotonic()
            self.due = written + max(TABLES_SECONDS, (written - start) / TABLES_SHARE)

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self.slot_time.end()
        forget_statistics(trial)

    on_trial_error = on_trial_complete


class _StopWhen(tune.Stopper):
    """Stops all trials when there is a reason to; they can be resumed. Tune pickles it, so it cannot tell anybody."""

    def __init__(self, outcome: Outcome, slot_time: _SlotTime) -> None:
        self.outcome, self.slot_time = outcome, slot_time

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return False

    def stop_all(self) -> bool:
        self.outcome.out_of_time = self.outcome.stop.is_due
        if self.outcome.out_of_time or self.outcome.stop.name or self.outcome.failure:
            self.slot_time.end()
            return True
        return False
