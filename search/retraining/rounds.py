"""Rounds of a confirmation: the finalists of each, and how often test examples had been read before it.

A confirmation's journal has a note of each round, and its reports, one for each training, in the order in which they
arrived. So the order of events does not depend on a clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from search.retraining.retrain import subject_name
from search.runs.folder import RunFolder
from search.study.journal import Journal
from search.study.study import Study
from search.study.trial import TrialRecord

NOTE = "round:"
"""The start of these notes' names; the round's number follows, from 1."""


@dataclass(frozen=True, kw_only=True)
class Round:
    """A confirmation that added trainings to those of earlier rounds. Its note in the journal has these fields."""

    finalists: Sequence[str]
    seeds: int
    num_read: int
    """How often test examples had been read when it started."""
    num_begun: int
    """The number of trainings that had been started when it started."""

    def has(self, name: str, seed: int) -> bool:
        return name in self.finalists and seed < self.seeds


@dataclass(frozen=True)
class Rounds:
    """All rounds of a confirmation, in order."""

    rounds: Sequence[Round]
    first_read_at: datetime | None
    starts_unrecorded: bool
    """Whether an earlier version, which recorded no rounds, ran the first one, so that its start is unknown."""

    @classmethod
    def of(cls, study: Study) -> Rounds:
        notes = {int(n.removeprefix(NOTE)): note for n, note in study.notes().items() if n.startswith(NOTE)}
        recorded = [Round(**notes[place]) for place in sorted(notes)]
        unrecorded = study.trials[: recorded[0].num_begun if recorded else None]
        read_at = [trial.ended_at for trial in study.trials if trial.reports and trial.ended_at]
        return cls([*_unrecorded_round(unrecorded), *recorded], min(read_at, default=None), bool(unrecorded))

    def place(self, training: TrialRecord) -> int:
        """Returns the number of the round, from 1, that added a training."""
        name, seed = _subject(training)
        return [each.has(name, seed) for each in self.rounds].index(True) + 1

    def is_after_test(self, finalist: TrialRecord) -> bool:
        """Returns whether test examples had been read for this run when a trial first became a finalist."""
        place, chosen = next((n, each) for n, each in enumerate(self.rounds) if finalist.name in each.finalists)
        if self.starts_unrecorded and place == 0:  # it became one after its training ended
            return bool(self.first_read_at and finalist.ended_at and self.first_read_at < finalist.ended_at)
        return chosen.num_read > 0


def begin_round(study: Study, finalists: Sequence[str], seeds: int) -> None:
    """Records a round, unless earlier rounds have all of its trainings: then one of them continues."""
    known = Rounds.of(study).rounds
    num_read = sum(len(trial.reports) for trial in study.trials)
    new = Round(finalists=list(finalists), seeds=seeds, num_read=num_read, num_begun=len(study.trials))
    if not all(any(each.has(name, seeds - 1) for each in known) for name in finalists):
        study.note(f"{NOTE}{len(known) + 1}", vars(new))


def num_test_reads(folder: RunFolder) -> int:
    """Returns how often a run's confirmation has read test examples. Raises ValueError if its journal is damaged."""
    path = confirmation_folder(folder).journal
    if not path.exists():
        return 0
    journal = Journal.read(path)
    is_test = journal.identity.get("scored_on") == "test"
    return sum(len(entry.reports) for entry in journal.entries()) if is_test else 0


def confirmation_folder(folder: RunFolder) -> RunFolder:
    """Returns the folder of a run's confirmation."""
    return RunFolder(folder.path / "confirmation")


def check_rounds(study: Study) -> None:
    """Raises an error, of any type, if a note describes no round, or a training belongs to none."""
    rounds = Rounds.of(study)
    for training in study.trials:
        rounds.place(training)


def _unrecorded_round(trainings: Sequence[TrialRecord]) -> list[Round]:
    """Returns the trainings that were started before the first note, as one round; nothing if there are none."""
    if not trainings:
        return []
    names, seeds = zip(*map(_subject, trainings), strict=True)
    return [Round(finalists=list(dict.fromkeys(names)), seeds=1 + max(seeds), num_read=0, num_begun=0)]


def _subject(training: TrialRecord) -> tuple[str, int]:
    """Returns the name of a training's finalist, and the number of its seed."""
    name = training.reference or ""
    return subject_name(name), int(name.rpartition(" ")[2])
