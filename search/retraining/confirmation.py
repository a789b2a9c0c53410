"""Confirmation: retrains a run's finalists on all examples except the test examples, and scores them on those once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from data.splits import Split, Splits
from results import tables
from results.analysis.confirmed import Confirmed
from results.files import writing
from results.schema import Status
from search.planning.plan import Plan
from search.retraining import retrain
from search.retraining.answers import Answers, predictions, read_answers, write_answers
from search.retraining.rounds import Rounds, check_rounds, confirmation_folder
from search.runs.folder import RunFolder
from search.study.journal_file import reading
from search.study.study import Study
from search.study.trial import TrialRecord
from search.trials.job import Given, Job, search_job

PURPOSE = 3
"""Distinguishes the seeds of finalists from other seeds."""


@dataclass(frozen=True)
class Finalist:
    """A completed trial of a search, to be retrained."""

    trial: TrialRecord
    place: int | None
    """Its position among the search's candidates, from 1. None for a reference."""
    length: int
    """The number of parts of an epoch to train it for."""

    @property
    def name(self) -> str:
        return self.trial.name

    @property
    def val_score(self) -> float:
        """The validation score by which the search chose it."""
        return self.trial.reports[-1].val_score


@dataclass(frozen=True)
class Confirmation:
    """The retraining of a run's finalists with several seeds, as a study of its own in the run's folder."""

    plan: Plan
    splits: Splits
    """The run's splits. `held_out` makes those that finalists are trained and scored on."""
    known: Sequence[Finalist]
    """All trials that can be finalists, the best first."""
    top_k: int
    """The number of candidates to retrain, beside the best reference."""
    seeds: int

    @property
    def finalists(self) -> list[Finalist]:
        """The finalists to retrain: candidates in the order of their validation scores, then the reference."""
        published = [finalist for finalist in self.known if finalist.place is None]
        return [f for f in self.known if f.place is not None and f.place <= self.top_k] + published[:1]

    @property
    def folder(self) -> RunFolder:
        return confirmation_folder(self.plan.folder)

    @property
    def scored_on(self) -> str:
        """The name of the scored split: test, or validation if the dataset has no test examples with answers."""
        return "test" if len(self.splits.test) else "validation"

    @property
    def scored(self) -> Split:
        """The examples that are scored."""
        return self.splits.test if self.scored_on == "test" else self.splits.val

    def held_out(self) -> Splits:
        """Returns splits with the scored examples as their validation part, and all others as their training part.

        If the validation examples are scored, only the training examples are trained on.
        """
        splits = self.splits
        if self.scored_on == "validation":
            return splits
        empty = splits.test.take(np.arange(0))
        return replace(splits, train=splits.train.joined(splits.val), val=self.scored, test=empty)

    def open_study(self) -> Study:
        """Opens its study, and creates its journal if it is missing. The caller holds the folder's lock.

        Raises ValueError as `retrain.open_study` does, and if the study belongs to another run.
        """
        identity = {"dataset_fingerprint": self.splits.fingerprint, "scored_on": self.scored_on}
        study = retrain.open_study(self.plan, self.folder.path, "confirmation", identity)
        self._check_own(study)
        with reading(self.folder.journal):
            check_rounds(study)
        return study

    def _check_own(self, study: Study) -> None:
        """Raises ValueError if the study belongs to another run, such as one whose folder was copied here."""
        candidates = {finalist.name: finalist.trial.candidate for finalist in self.known}
        for trial in study.trials:
            name = retrain.subject_name(trial.reference or "")
            if candidates.get(name) != trial.candidate:
                raise ValueError(
                    f"{self.folder.path}: holds the confirmation of another run: its {name} is not this run's. Move "
                    "that folder away to confirm this run from the start"
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
        """Returns the trainings by name, and all that are running: those need to know when they are scored."""
        running = {trial.reference for trial in study.running()}
        asked = retrain.plan_trainings(self.plan, self._subjects(self.finalists), self.seeds, PURPOSE)
        known = retrain.plan_trainings(self.plan, self._subjects(self.known), len(study.trials), PURPOSE)
        return asked | {name: one for name, one in known.items() if name in running}

    def _subjects(self, finalists: Sequence[Finalist]) -> list[retrain.Subject]:
        return [retrain.Subject(each.name, each.trial.candidate, each.length, each.trial.number) for each in finalists]

    def write_tables(self, study: Study, is_live: bool) -> None:
        """Writes finalists.parquet with the trainings completed so far; at the end, also their answers to each example.

        Raises StorageError.
        """
        path = self.plan.folder.path / "finalists.parquet"
        with writing(path):
            tables.write(self._table(study), path)
        if not is_live:
            write_answers(self._read_answers(study), self.scored, self.splits.classes, self.plan.folder.path)

    def confirmed(self, study: Study) -> Confirmed:
        """Returns the means of the trainings completed so far, as a reader of the tables computes them."""
        predicted = tables.frame(predictions(self._read_answers(study), self.scored, self.splits.classes))
        return Confirmed.of(tables.frame(self._table(study)), predicted, self.plan.task.objective.direction)

    def rows(self, study: Study) -> list[dict[str, object]]:
        """Returns a row for each completed training of this and earlier rounds, the best finalist first."""
        rounds = Rounds.of(study)
        return [self._row(*each) | self._round_columns(each[-1], each[0], rounds) for each in self._completed(study)]

    def _round_columns(self, training: TrialRecord, finalist: Finalist, rounds: Rounds) -> dict[str, object]:
        """Returns the round of a training, and when test examples were read if they are scored."""
        columns: dict[str, object] = {"round": rounds.place(training)}
        if self.scored_on != "test":
            return columns
        return columns | {
            "test_read": training.reports[-1].order + 1,  # each training reports once
            "chosen_after_test": rounds.is_after_test(finalist.trial),
        }

    def _table(self, study: Study) -> pa.Table:
        metrics = {name for *_, training in self._completed(study) for name in training.reports[-1].metrics}
        return tables.finalists(self.rows(study), metric_names=sorted(metrics))

    def _read_answers(self, study: Study) -> list[Answers]:
        found = [(each, read_answers(self._answers_path(each[-1]))) for each in self._completed(study)]
        return [Answers(self._row(*each), each[0].name, arrays) for each, arrays in found if arrays is not None]

    def _answers_path(self, training: TrialRecord) -> Path:
        return self.folder.path / "answers" / f"{_model_name(training)}.npz"

    def _model_path(self, training: TrialRecord) -> str | None:
        """Returns the model's path, relative to the run's folder; None if there is no such file."""
        path = self.plan.folder.models / f"{_model_name(training)}.pt"
        return path.relative_to(self.plan.folder.path).as_posix() if path.is_file() else None

    def _completed(self, study: Study) -> list[tuple[Finalist, int, TrialRecord]]:
        """Returns each completed training, with its finalist and seed."""
        return [
            (finalist, seed, training)
            for finalist in self.known
            for seed, training in retrain.completed_trainings(study, finalist.name).items()
        ]

    def _row(self, finalist: Finalist, seed: int, training: TrialRecord) -> dict[str, object]:
        report = training.reports[-1]
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
            "model_path": self._model_path(training),
            "metrics": report.metrics,
            "candidate_json": finalist.trial.candidate.to_json(),
        }


def finalists_of(study: Study) -> list[Finalist]:
    """Returns all completed trials of a search as finalists, best first, candidates before references."""
    completed = [trial for trial in study.trials if trial.status == Status.COMPLETE]
    completed.sort(key=study.rank, reverse=True)
    drawn = [trial for trial in completed if trial.reference is None]
    ranked = [Finalist(trial, place, _length(trial, study)) for place, trial in enumerate(drawn, 1)]
    return ranked + [Finalist(trial, None, _length(trial, study)) for trial in completed if trial.reference]


def _length(trial: TrialRecord, study: Study) -> int:
    """Returns the number of reports up to the best one if the recipe has patience, otherwise the number of all."""
    if trial.candidate.recipe.patience is None:
        return len(trial.reports)
    best = study.best_report(trial)
    assert best is not None, "a completed trial's last score is finite"
    return best.step


def _model_name(training: TrialRecord) -> str:
    assert training.reference is not None
    return training.reference.replace(", ", "-").replace(" ", "-")
