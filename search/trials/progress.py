"""Shows how a study proceeds: a live view on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sized
from types import TracebackType

from results.schema import Status
from results.wording import clock, number
from search.cluster.connection import Slots
from search.command_line.terminal import Column, Table, Terminal
from search.study.study import Study
from search.study.trial import TrialRecord
from spaces.network import short_number

PLAIN_SECONDS = 15.0
LIVE_SECONDS = 0.5
COLUMNS = (
    Column("trial", folds=True),
    Column("params", goes=3),
    Column("MACs", goes=2),
    Column("epoch", goes=4),
    Column("score"),
    Column("optimizer", goes=1, is_text=True),
)


class Progress:
    """Shows how a study proceeds: in place on a terminal, else in a line every 15 seconds.

    Use it as a context manager, and call `refresh` as often as you like.
    """

    def __init__(
        self,
        terminal: Terminal,
        study: Study,
        *,
        num_expected: int,
        slots: Slots,
        max_epochs: int,
        to_repeat: Sized = (),
        shows_best: bool = True,
    ) -> None:
        """`to_repeat` holds the failed trials that wait for a retry, so that they do not count as ended.

        `shows_best` is for a search. A retraining chooses nothing, so its best score has no meaning.
        """
        self.terminal, self.study, self.shows_best = terminal, study, shows_best
        self.to_repeat = to_repeat
        self.num_expected, self.slots, self.max_epochs = num_expected, slots, max_epochs
        self.reached: dict[int, float] = {}
        """The epochs so far of trials that report only at their end, by number."""
        self.num_workers: int | None = None
        """The number of workers that the cluster has room for. None before the first one is requested."""
        self.started = self.shown = time.monotonic()
        self.view = terminal.view()

    def __enter__(self) -> Progress:
        if self.view:
            self.view.start()
        self._show()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._show()
        if self.view:
            self.view.stop()

    def refresh(self) -> None:
        if time.monotonic() - self.shown >= (LIVE_SECONDS if self.view else PLAIN_SECONDS):
            self._show()

    def set_epoch(self, number: int, epoch: float) -> None:
        """Sets how far a trial has come that has no report yet."""
        self.reached[number] = epoch

    def announce(self, text: str) -> None:
        """Prints a line that stays, above the live view."""
        self.terminal.say(text, style="yellow")

    def _show(self) -> None:
        self.shown = time.monotonic()
        if self.view:
            self.view.show(self._num_ended(), self.num_expected, self._parts(), self._running())
        else:
            self.terminal.say(self.terminal.joined(self._parts()))

    def _running(self) -> Table:
        running = Table(COLUMNS)
        for trial in self.study.running():
            running.add(*self._cells(trial))
        return running

    def _cells(self, trial: TrialRecord) -> list[str]:
        network, last = trial.candidate.network, trial.reports[-1] if trial.reports else None
        epoch = last.epoch if last else self.reached.get(trial.number, 0)
        return [
            trial.reference or str(trial.number),
            f"{network.num_params:,}",
            short_number(network.num_macs),
            f"{epoch:g}/{self.max_epochs}",
            number(last.val_score) if last else "",
            trial.candidate.recipe.optimizer,
        ]

    def _parts(self) -> list[str]:
        counts = Counter(trial.status for trial in self.study.current)
        failed = sum(count for status, count in counts.items() if status.is_failure)
        up, most = self.slots.up, self.slots.most
        waiting = max(0, counts[Status.RUNNING] - up)
        without_room = counts[Status.RUNNING] - waiting - (self.num_workers or 0)
        idle = 0 if self.num_workers is None else max(0, without_room)
        best = self.study.best
        return [
            f"{self._num_ended()}/{self.num_expected} trials",
            f"{counts[Status.RUNNING] - waiting - idle} running",
            *([f"{idle} waiting for a free slot"] if idle else []),
            *([f"{waiting} waiting for nodes ({up} of {most} slots are up)"] if waiting else []),
            f"{counts[Status.COMPLETE]} complete",
            *([f"{counts[Status.PRUNED]} pruned"] if self.shows_best else []),
            *([f"{failed} failed"] if failed else []),
            *([f"best {self._score(best)}" if best else "none complete yet"] if self.shows_best else []),
            f"{clock(time.monotonic() - self.started)} elapsed",
            *([f"about {clock(left)} left"] if (left := self._seconds_left()) else []),
        ]

    def _score(self, trial: TrialRecord) -> str:
        return f"{number(trial.reports[-1].val_score)} ({trial.reference or f'trial {trial.number}'})"

    def _num_ended(self) -> int:
        return len(self.study.current) - len(self.study.running()) - len(self.to_repeat)

    def _seconds_left(self) -> float | None:
        """Estimates from the mean training time of the ended trials and the number of slots."""
        ended = [trial for trial in self.study.trials if trial.status != Status.RUNNING]
        if not (num_slots := self.slots.up) or len(ended) < max(3, num_slots):
            return None
        mean = sum(report.seconds for trial in ended for report in trial.reports) / len(ended)
        running = self.study.running()
        under_way = sum(max(mean - sum(report.seconds for report in trial.reports), 0.0) for trial in running)
        return (mean * (self.num_expected - self._num_ended() - len(running)) + under_way) / num_slots
