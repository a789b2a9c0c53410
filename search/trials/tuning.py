"""Trains a study's trials in Ray Tune, with our searcher, scheduler and workers, until they end or are stopped."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from itertools import islice

from ray import cloudpickle, tune
from ray.actor import ActorProxy
from ray.tune import TuneError
from ray.tune.experiment import Trial

from data.splits import Splits
from results.files import StorageError
from search.cluster.connection import Slots
from search.cluster.ray_watch import watched
from search.cluster.slots import Slot
from search.cluster.waiting import Waiting, nothing_free
from search.command_line.signals import Stop
from search.command_line.terminal import Terminal
from search.engines.ray import forget_statistics, is_local
from search.study.study import Study
from search.study.trial import TrialRecord
from search.trials.checkpoints import CheckpointStore, start_store
from search.trials.failures import FIRST_TRIALS, FirstFailures, failed_as_before, in_full, in_one_line
from search.trials.job import Job, trial_spec
from search.trials.outcome import Outcome, SlotTime
from search.trials.progress import Progress
from search.trials.result_keeper import ResultKeeper
from search.trials.scheduler import StudyScheduler
from search.trials.searcher import StudySearcher, StudySearchGenerator
from trainables.task_code import TaskCode
from trainables.trainable import TrialTrainable

TABLES_SECONDS, TABLES_SHARE = 8.0, 0.02
"""Tables are written at this interval; in long searches, whose tables are large, in at most this share of the time."""
_tables_lock = threading.Lock()
"""Held while tables are written, since `_exit` writes them in another thread when Ray is lost."""
MAX_NAMED = 6
"""The maximum number of trials that one line names."""


def run_trials(job: Job, splits: Splits, study: Study, slots: Slots, terminal: Terminal, stop: Stop) -> Outcome:
    """Trains the study's trials to their ends, and keeps its tables and models up to date. Raises StorageError."""
    outcome = Outcome(stop, first_report=sum(len(trial.reports) for trial in study.trials))
    try:
        if not stop.name:
            with watched(stop, lambda: _exit(job, study, terminal, stop)):
                TrialRun(job, study, slots, terminal, outcome).train(splits)
    except BaseException:
        if not stop.lost:
            with suppress(StorageError):  # the first error is the one to report
                job.write_tables(study, False)
            raise
    job.write_tables(study, False)
    return outcome


def _exit(job: Job, study: Study, terminal: Terminal, stop: Stop) -> None:
    """Ends the process in order while its main thread hangs in a call to a Ray that is lost."""
    message = f"Stopped by {stop.name}. The journal is kept. Resume with: {stop.resume_with}"
    try:
        with suppress(StorageError), _tables_lock:
            job.write_tables(study, False)
        terminal.show_cursor()
        terminal.say(message)
        sys.stdout.flush()
    finally:
        stop.leave()


class TrialRun:
    """One session of a study's trials. Its searcher, its scheduler and Ray Tune call its methods while trials run."""

    def __init__(self, job: Job, study: Study, slots: Slots, terminal: Terminal, outcome: Outcome) -> None:
        self.job, self.study, self.slots, self.outcome = job, study, slots, outcome
        self.store = start_store(job.folder.path, job.models)
        self.keeper = ResultKeeper(job, study, self.store, outcome.kept)
        self.keeper.catch_up()
        self.searcher = StudySearcher(study, self, num_trials=job.num_trials, given=job.given, warm=job.warm)
        self.scheduler = StudyScheduler(study, self)
        named = job.given.keys() | {trial.reference for trial in study.trials if trial.reference}
        num_expected = max(job.num_trials, study.num_drawn) + len(named)
        self.failures = FirstFailures(min(FIRST_TRIALS, num_expected))
        if self.searcher.to_repeat:
            terminal.say(f"retrying {_list_failed(self.searcher.to_repeat)}: the cause may have been fixed")
        self.progress = Progress(
            terminal,
            study,
            to_repeat=self.searcher.to_repeat,
            num_expected=num_expected,
            slots=slots,
            max_epochs=job.max_epochs,
            shows_best=job.num_trials > 0,
        )
        self.slot_time = SlotTime(slots, outcome)
        self.waiting = Waiting()
        self.tables_due = time.monotonic() + TABLES_SECONDS
        self.has_announced_stop = False

    def train(self, splits: Splits) -> None:
        with self.progress:
            try:
                # Not tune.Tuner: it pickles searcher and scheduler for a restore of its own; we resume from the journal
                tune.run(
                    _worker(splits, self.store, self.slots.slot, self.job.code),
                    name="trials",
                    storage_path=str(self.job.folder.scratch.absolute()),
                    resources_per_trial={"cpu": self.slots.slot.cpus, "gpu": self.slots.slot.gpus},
                    num_samples=-1,
                    search_alg=StudySearchGenerator(self.searcher),
                    scheduler=self.scheduler,
                    reuse_actors=True,
                    max_failures=self.job.max_failures,
                    raise_on_failed_trial=False,
                    trial_dirname_creator=lambda trial: str(trial.config["number"]),
                    callbacks=[_BetweenSteps(self)],
                    stop=_WhenToStop(self),
                    progress_reporter=tune.CLIReporter(),  # Tune's own for notebooks clears the cell's output
                    verbose=0,
                )
            except TuneError as wrapper:  # around what searcher, scheduler and callbacks raise
                raise wrapper.__context__ or wrapper from None
            finally:
                # Tune holds parameters until others replace them: this dataset would stay beside the next job's
                if not self.outcome.stop.lost:  # otherwise the call would end this process
                    tune.with_parameters(TrialTrainable, arrays=None)
        self.keeper.finish()

    # Called by the searcher

    def max_running(self) -> int:
        return self.slots.most

    def config_of(self, trial: TrialRecord) -> dict[str, object]:
        return {"number": trial.number, "spec": trial_spec(trial, self.job).to_json()}

    def on_search_end(self, reason: str) -> None:
        self.outcome.ended_early = reason

    # Called by the scheduler

    def on_end(self, number: int, error: BaseException | None) -> None:
        self.keeper.end(number)
        trial = self.study.trials[number]
        if not failed_as_before(trial, self.study.trials):
            self.failures.count(trial)
        if self.failures.are_all_the_same and not self.outcome.failure:
            self.outcome.failure = in_full(error)

    def on_restart(self, number: int, error: BaseException | None) -> None:
        where = " from its last checkpoint" if self.study.trials[number].reports else ""
        self.progress.announce(f"trial {number} restarts{where}: {in_one_line(error)}")

    def on_lost_node(self, number: int) -> None:
        self.progress.announce(f"trial {number} lost its node and continues elsewhere from its last checkpoint")
        self.searcher.take_back(number)

    def on_silent_epoch(self, number: int, epoch: float) -> None:
        self.progress.set_epoch(number, epoch)

    # Called by Ray Tune

    def between_steps(self) -> None:
        """Updates the terminal, the clock and, when they are due, the tables."""
        self.progress.num_workers = self.scheduler.num_workers
        # In a local Ray only our own workers can occupy the CPUs, and they are about to start
        is_waiting = bool(self.study.running()) and not self.progress.num_workers and not is_local()
        if self.waiting.is_due(is_waiting):
            self.progress.announce(nothing_free(self.slots.slot))
        if self.outcome.stop.name and not self.has_announced_stop:
            self.progress.announce(
                "stopping within seconds; trials keep their last checkpoint. Press Ctrl-C again to stop immediately"
            )
            self.has_announced_stop = True
        self.slot_time.count()
        self.progress.refresh()
        if (start := time.monotonic()) >= self.tables_due:
            with _tables_lock:
                if not self.outcome.stop.lost:  # otherwise the last tables may be there already, written by `_exit`
                    self.job.write_tables(self.study, True)
            written = time.monotonic()
            self.tables_due = written + max(TABLES_SECONDS, (written - start) / TABLES_SHARE)

    def must_stop(self) -> bool:
        """Returns whether all trials have to stop now; they can be resumed."""
        self.outcome.out_of_time = self.outcome.stop.is_due
        if self.outcome.is_whole:
            return False
        self.slot_time.count_to_end()
        return True


class _BetweenSteps(tune.Callback):
    def __init__(self, run: TrialRun) -> None:
        self.run = run

    def on_step_end(self, iteration: int, trials: list[Trial], **info: object) -> None:
        self.run.between_steps()

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: object) -> None:
        self.run.slot_time.count_to_end()
        forget_statistics(trial)

    on_trial_error = on_trial_complete


class _WhenToStop(tune.Stopper):
    def __init__(self, run: TrialRun) -> None:
        self.run = run

    def __call__(self, trial_id: str, result: dict[str, object]) -> bool:
        return False

    def stop_all(self) -> bool:
        return self.run.must_stop()

    def __getstate__(self) -> dict[str, object]:
        """Returns nothing: Tune pickles its stopper for a restore that never happens."""
        return {}


def _list_failed(trials: Sequence[TrialRecord]) -> str:
    named = [f"{trial.name} ({trial.status})" for trial in islice(trials, MAX_NAMED)]
    named += [f"{len(trials) - MAX_NAMED} more"] if len(trials) > MAX_NAMED else []
    return ", ".join(named)


def _worker(
    splits: Splits, store: ActorProxy[CheckpointStore], slot: Slot, code: TaskCode | None
) -> type[tune.Trainable]:
    """Returns the trainable with its dataset, which Ray stores once. No worker receives the test examples."""
    for module in code.given_modules() if code else ():
        cloudpickle.register_pickle_by_value(module)  # workers may lack it: it is beside the user's script, say
    arrays = {
        "train_x": splits.train.x,
        "train_y": splits.train.y,
        "val_x": splits.val.x,
        "val_y": splits.val.y,
    }
    return tune.with_parameters(TrialTrainable, arrays=arrays, store=store, threads=slot.threads, code=code)
