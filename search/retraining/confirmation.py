"""Confirmation: a run's finalists trained again on all images but the test ones, and scored on those once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from data.splits import Split, Splits
from results import tables
from results.analysis.confirmed import Confirmed
from results.files import writing
from results.schema import Status
from search.planning.plan import Plan
from search.retraining import retrain
from search.retraining.answers import Answered, predictions, read_answers, write_answers
from search.retraining.rounds import Rounds, check_rounds, confirmation_folder
from search.runs.folder import RunFolder
from search.study.journal_file import reading
from search.study.study import Study
from search.study.trial import TrialRecord
from search.trials.job import Given, Job, search_job

PURPOSE = 3
"""Of seeds: finalists'."""


@dataclass(frozen=True)
class Finalist:
    """A completed trial of a search, to be trained again."""

    trial: TrialRecord
    place: int | None
    """From 1, among the search's candidates; None for a reference."""
    length: int
    """Parts of an epoch to train it for."""

    @property
    def name(self) -> str:
        return self.trial.name

    @property
    def val_score(self) -> float:
        """What the search chose it by."""
        return self.trial.reports[-1].val_score


@dataclass(frozen=True)
class Confirmation:
    """Finalists of a run, each to be trained with each of so many seeds: a study of its own in the run's folder."""

    plan: Plan
    splits: Splits
    """The run's; what is trained on and scored is `held_out` of them."""
    known: Sequence[Finalist]
    """All that could be asked for, the best first."""
    top_k: int
    """So many candidates are, and the best reference."""
    seeds: int

    @property
    def finalists(self) -> list[Finalist]:
        """What is asked for: candidates in the order of validation, then the reference."""
        published = [finalist for finalist in self.known if finalist.place is None]
        return [f for f in self.known if f.place is not None and f.place <= self.top_k] + published[:1]

    @property
    def folder(self) -> RunFolder:
        return confirmation_folder(self.plan.folder)

    @property
    def scored_on(self) -> str:
        """The split that is scored: test, unless the dataset has no test images with answers."""
        return "test" if len(self.splits.test) else "validation"

    @property
    def scored(self) -> Split:
        """The images that are scored."""
        return self.splits.test if self.scored_on == "test" else self.splits.val

    def held_out(self) -> Splits:
        """Splits with what is scored as their validation part; all others but that are trained on.

        Where validation images are scored, which the search has seen, training images alone are trained on.
        """
        splits = self.splits
        if self.scored_on == "validation":
            return splits
        none = splits.test.take(np.arange(0))
        return replace(splits, train=splits.train.joined(splits.val), val=self.scored, test=none)

    def open_study(self) -> Study:
        """The study of it, from its journal if there is one, under the folder's lock.

        Raises ValueError as a run's does, and if it is another run's.
        """
        identity = {"dataset_fingerprint": self.splits.fingerprint, "scored_on": self.scored_on}
        study = retrain.open_study(self.plan, self.folder.path, "confirmation", identity)
        self._check_own(study)
        with reading(self.folder.journal):
            check_rounds(study)
        return study

    def _check_own(self, study: Study) -> None:
        """Raises ValueError if it is of another run: trials are known by their numbers, and folders can be copied."""
        candidates = {finalist.name: finalist.trial.candidate for finalist in self.known}
        for trial in study.trials:
            name = retrain.subject_name(trial.reference or "")
            if candidates.get(name) != trial.candidate:
                raise ValueError(
                    f"{self.folder.path}: holds the confirmation of another run: its {name} is not this run's. Move "
                    "that folder away, and this run is confirmed anew"
                )

    def job(self, study: Study) -> Job:
        search = search_job(self.plan, self.splits)
        return replace(
            search,
            folder=self.folder,
            num_trials=0,
            given=self.given(study),
            facts={**search.facts, "scored_on": self.scored_on},
            model_name=lambda study, number: _model_name(study.trials[number]),
            write_tables=self.write_tables,
        )

    def given(self, study: Study) -> dict[str, Given]:
        """What is asked for by name, and what is under way, asked for now or before: it must know when it is scored."""
        under_way = {trial.reference for trial in study.running()}
        asked = retrain.given(self.plan, self._subjects(self.finalists), self.seeds, PURPOSE)
        known = retrain.given(self.plan, self._subjects(self.known), len(study.trials), PURPOSE)
        return asked | {name: one for name, one in known.items() if name in under_way}

    def _subjects(self, finalists: Sequence[Finalist]) -> list[retrain.Subject]:
        return [retrain.Subject(each.name, each.trial.candidate, each.length, each.trial.number) for each in finalists]

    def write_tables(self, study: Study, is_live: bool) -> None:
        """Writes finalists.parquet, of what has been trained so far; at the end, what they made of each image too.

        Raises StorageError.
        """
        path = self.plan.folder.path / "finalists.parquet"
        with writing(path):
            tables.write(self._table(study), path)
        if not is_live:
            write_answers(self._answered(study), self.scored, self.splits.classes, self.plan.folder.path)

    def confirmed(self, study: Study) -> Confirmed:
        """The means of what has been trained so far, as a reader of the tables finds them."""
        predicted = tables.frame(predictions(self._answered(study), self.scored, self.splits.classes))
        return Confirmed.of(tables.frame(self._table(study)), predicted, self.plan.task.objective.direction)

    def rows(self, study: Study) -> list[dict[str, Any]]:
        """A row for each training that has ended, asked for now or before; the best finalist first."""
        rounds = Rounds.of(study)
        return [self._row(*each) | self._told_of(each[-1], each[0], rounds) for each in self._trained(study)]

    def _told_of(self, training: TrialRecord, finalist: Finalist, rounds: Rounds) -> dict[str, Any]:
        """What the journal says of when test images were read; nothing of it where there are none."""
        told = {"round": rounds.place(training)}
        if self.scored_on != "test":
            return told
        return told | {
            "test_read": training.reports[-1].order + 1,  # it has one report, and the study no other ones
            "chosen_after_test": rounds.is_after_test(finalist.trial),
        }

    def _table(self, study: Study) -> pa.Table:
        rows = self.rows(study)
        return tables.finalists(rows, metric_names=sorted({name for row in rows for name in row["metrics"]}))

    def _answered(self, study: Study) -> list[Answered]:
        found = [(each, read_answers(self._answers_path(each[-1]))) for each in self._trained(study)]
        return [Answered(self._row(*each), each[0].name, arrays) for each, arrays in found if arrays is not None]

    def _answers_path(self, trained: TrialRecord) -> Path:
        return self.folder.path / "answers" / f"{_model_name(trained)}.npz"

    def _model_path(self, trained: TrialRecord) -> str | None:
        """From the run's folder; None while there is no such file."""
        path = self.plan.folder.models / f"{_model_name(trained)}.pt"
        return path.relative_to(self.plan.folder.path).as_posix() if path.is_file() else None

    def _trained(self, study: Study) -> list[tuple[Finalist, int, TrialRecord]]:
        """Finalist, seed, and its training."""
        return [
            (finalist, seed, training)
            for finalist in self.known
            for seed, training in retrain.trained(study, finalist.name).items()
        ]

    def _row(self, finalist: Finalist, seed: int, trained: TrialRecord) -> dict[str, Any]:
        report = trained.reports[-1]
        network = finalist.trial.candidate.network
        return {
            **self.plan.origin(self.splits).columns(),
            "trial": finalist.trial.number,
            "reference": finalist.trial.reference,
            "place": finalist.place,
            "seed": seed,
            "num_params": network.num_params,
            "num_macs": network.num_macs,
            "epochs": report.epoch,
            "val_score": finalist.val_score,
            "test_score": report.val_score,
            "test_loss": report.val_loss,
            "scored_on": self.scored_on,
            "train_seconds": report.seconds,
            "model_path": self._model_path(trained),
            "metrics": report.metrics,
            "candidate_json": finalist.trial.candidate.to_json(),
        }


def finalists_of(study: Study) -> list[Finalist]:
    """All completed trials of a search, best first, candidates before references."""
    completed = [trial for trial in study.trials if trial.status == Status.COMPLETE]
    completed.sort(key=lambda trial: -study.signed(trial.reports[-1].val_score))
    drawn = [trial for trial in completed if trial.reference is None]
    ranked = [Finalist(trial, place, _length(trial, study)) for place, trial in enumerate(drawn, 1)]
    return ranked + [Finalist(trial, None, _length(trial, study)) for trial in completed if trial.reference]


def _length(trial: TrialRecord, study: Study) -> int:
    """As validation chose: up to the best report where the recipe's patience looked for it, else to the end."""
    if trial.candidate.recipe.patience is None:
        return len(trial.reports)
    best = study.best_report(trial)
    assert best is not None, "a completed trial's last score is finite"
    return best.step


def _model_name(trained: TrialRecord) -> str:
    assert trained.reference is not None
    return trained.reference.replace(", ", "-").replace(" ", "-")
