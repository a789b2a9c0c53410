"""Rounds of a confirmation: what each asked for, and how often test images had been read before it.

A confirmation's journal has a note of each round, and its reports, one a training, in the order in which they came: so
no clock is asked what was before what.
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
"""How the names of these notes begin; a number from 1 follows."""


@dataclass(frozen=True, kw_only=True)
class Round:
    """A confirmation that asked for trainings that had not been asked for before."""

    finalists: Sequence[str]
    seeds: int
    num_read: int
    """How often test images had been read when it began."""
    num_begun: int
    """How many trainings had."""

    def asks_for(self, name: str, seed: int) -> bool:
        return name in self.finalists and seed < self.seeds


@dataclass(frozen=True)
class Rounds:
    """All rounds of a confirmation, in their order."""

    rounds: Sequence[Round]
    first_read_at: datetime | None
    has_unnoted: bool
    """Whether the first round is of a version that recorded none, so that the time of its choice is unknown."""

    @classmethod
    def of(cls, study: Study) -> Rounds:
        notes = {int(n.removeprefix(NOTE)): note for n, note in study.notes().items() if n.startswith(NOTE)}
        noted = [Round(**notes[place]) for place in sorted(notes)]
        unnoted = study.trials[: noted[0].num_begun if noted else None]
        read_at = [trial.ended_at for trial in study.trials if trial.reports and trial.ended_at]
        return cls([*_unnoted(unnoted), *noted], min(read_at, default=None), bool(unnoted))

    def place(self, training: TrialRecord) -> int:
        """The round, from 1, in which a training was asked for."""
        name, seed = _subject(training)
        return [each.asks_for(name, seed) for each in self.rounds].index(True) + 1

    def is_after_test(self, finalist: TrialRecord) -> bool:
        """Whether test images had been read for this run when a trial was first chosen to be a finalist."""
        place, chosen = next((n, each) for n, each in enumerate(self.rounds) if finalist.name in each.finalists)
        if self.has_unnoted and place == 0:  # not before it was trained
            return bool(self.first_read_at and finalist.ended_at and self.first_read_at < finalist.ended_at)
        return chosen.num_read > 0


def begin_round(study: Study, finalists: Sequence[str], seeds: int) -> None:
    """Notes what is asked for, unless all of it was asked for before: then an earlier round goes on."""
    known = Rounds.of(study).rounds
    num_read = sum(len(trial.reports) for trial in study.trials)
    new = Round(finalists=list(finalists), seeds=seeds, num_read=num_read, num_begun=len(study.trials))
    if not all(any(each.asks_for(name, seeds - 1) for each in known) for name in finalists):
        study.note(f"{NOTE}{len(known) + 1}", vars(new))


def num_test_reads(folder: RunFolder) -> int:
    """How often a run's confirmation has read the test images. Raises ValueError if its journal is damaged."""
    path = confirmation_folder(folder).journal
    if not path.exists():
        return 0
    journal = Journal.read(path)
    is_test = journal.identity.get("scored_on") == "test"
    return sum(len(entry.reports) for entry in journal.entries()) if is_test else 0


def confirmation_folder(folder: RunFolder) -> RunFolder:
    """Where a run's confirmation lies."""
    return RunFolder(folder.path / "confirmation")


def check_rounds(study: Study) -> None:
    """Raises an error if a note is none of a round, or a training was asked for in none."""
    rounds = Rounds.of(study)
    for training in study.trials:
        rounds.place(training)


def _unnoted(trainings: Sequence[TrialRecord]) -> list[Round]:
    """What had been begun before the first note, as one round."""
    if not trainings:
        return []
    names, seeds = zip(*map(_subject, trainings), strict=True)
    return [Round(finalists=list(dict.fromkeys(names)), seeds=1 + max(seeds), num_read=0, num_begun=0)]


def _subject(training: TrialRecord) -> tuple[str, int]:
    """The finalist that is trained, and the number of its seed."""
    name = training.reference or ""
    return subject_name(name), int(name.rpartition(" ")[2])
