"""Ablation: trains variants of a base, each with one choice changed, with the same seeds, to compare them in pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from optuna.distributions import BaseDistribution

from data.splits import Splits
from results import tables
from results.files import writing
from results.schema import ABLATION
from search.planning.known_candidates import Base
from search.planning.plan import Plan
from search.retraining import retrain
from search.session.study import write_config
from search.study.journal import Journal
from search.study.study import Study
from search.study.trial import TrialRecord
from search.trials.job import Job, search_job
from spaces.layers import InvalidNetwork
from spaces.recipe import Candidate
from spaces.space import Space
from spaces.variants import variant

PURPOSE = 4
"""Distinguishes the seeds of variants from other seeds."""


@dataclass(frozen=True)
class Variant:
    """A base with one choice changed, or the base itself, whose value is None."""

    parameter: str
    value: object
    candidate: Candidate
    is_base: bool

    @property
    def value_text(self) -> str | None:
        return None if self.value is None else format_value(self.value)


@dataclass(frozen=True)
class Ablation:
    """All variants of a base, trained in a run of their own."""

    plan: Plan
    base: Base
    variants: Sequence[Variant]
    seeds: int

    @classmethod
    def of(cls, plan: Plan, base: Base, values: Mapping[str, Sequence[object]], seeds: int) -> Ablation:
        """Makes the variants. Raises ValueError for a choice that cannot be varied, or an invalid value."""
        base = _as_recorded(base, plan)
        return cls(
            plan,
            base,
            [each for name in values for each in _make_variants(base, plan.space, name, values[name])],
            seeds,
        )

    def open_study(self, plan: Plan, splits: Splits) -> Study:
        """Opens its study, and creates config.yaml and journal if they are missing."""
        if not plan.folder.journal.exists():  # first, so that a run killed here keeps its settings
            write_config(plan, splits)
        identity = {
            "ablation": self.base.name,
            "base": self.base.candidate.to_json(),
            "task": plan.task.name,
            **plan.num_examples(splits),
            "weights": plan.config.weights.value,
            "seed": plan.config.seed,
            "goal": plan.goal.to_json(),
            "dataset": splits.name,
            "dataset_fingerprint": splits.fingerprint,
        }
        return retrain.open_study(plan, plan.folder.path, plan.folder.name, identity)

    def job(self, splits: Splits) -> Job:
        """Returns the job: one training for each candidate and seed, even if several parameters share a candidate."""
        return replace(
            search_job(self.plan, splits),
            num_trials=0,
            given=retrain.plan_trainings(self.plan, self._subjects(), self.seeds, PURPOSE),
            model_name=lambda study, number: None,
            write_tables=lambda study, is_live: self.write_table(study, splits),
        )

    def write_table(self, study: Study, splits: Splits) -> None:
        """Writes ablation.parquet with the trainings completed so far. Raises StorageError."""
        path = self.plan.folder.path / "ablation.parquet"
        with writing(path):
            tables.write(tables.from_rows(self.rows(study, splits), ABLATION), path)

    def rows(self, study: Study, splits: Splits) -> list[dict[str, object]]:
        """Returns a row for each completed training of a variant."""
        return [
            self._row(each, seed, training, splits)
            for each in self.variants
            for seed, training in retrain.completed_trainings(study, self._name(each)).items()
        ]

    def _subjects(self) -> list[retrain.Subject]:
        """Returns the base, then the variants that differ from it."""
        return [retrain.Subject(self.base.name, self.base.candidate)] + [
            retrain.Subject(self._name(each), each.candidate) for each in self.variants if not each.is_base
        ]

    def _name(self, each: Variant) -> str:
        return self.base.name if each.is_base else f"{each.parameter}={each.value_text}"

    def _row(self, each: Variant, seed: int, training: TrialRecord, splits: Splits) -> dict[str, object]:
        report, network = training.reports[-1], each.candidate.network
        return {
            **self.plan.origin(splits).columns(),
            "base": self.base.name,
            "parameter": each.parameter,
            "value": each.value_text,
            "is_base": each.is_base,
            "seed": seed,
            "score": report.val_score,
            "train_loss": report.train_loss,
            "val_loss": report.val_loss,
            "epochs": report.epoch,
            "num_params": network.num_params,
            "num_macs": network.num_macs,
            "train_seconds": sum(report.seconds for report in training.reports),
            "trial": training.number,
            "candidate_json": each.candidate.to_json(),
        }


def _as_recorded(base: Base, plan: Plan) -> Base:
    """Returns the base under the name that this ablation's journal has for it, since its run may have been renamed."""
    if not plan.folder.journal.exists():
        return base
    recorded = Journal.read(plan.folder.journal).identity
    is_same = recorded.get("base") == base.candidate.to_json() and "ablation" in recorded
    return replace(base, name=recorded["ablation"]) if is_same else base


def format_value(value: object) -> str:
    """Writes a value as on the command line: [4,8], true, 0.1."""
    if isinstance(value, list | tuple):
        return f"[{','.join(map(format_value, value))}]"
    return str(value).lower() if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else str(value)


def _make_variants(base: Base, space: Space, name: str, values: Sequence[object]) -> list[Variant]:
    """Returns a variant for each value, preceded by the base itself if none of them equals it."""
    found = [Variant(name, value, change(base, space, name, value), False) for value in values]
    found = [Variant(v.parameter, v.value, v.candidate, v.candidate == base.candidate) for v in found]
    if any(each.is_base for each in found):
        return found
    return [Variant(name, None, base.candidate, True), *found]


def change(base: Base, space: Space, name: str, value: object) -> Candidate:
    """Returns the base with one choice changed: in its space if it was drawn with this parameter, else in its layers.

    Raises ValueError with the reason if that is impossible.
    """
    try:
        return _redraw(base, space, name, value) if name in base.params else variant(base.candidate, name, value)
    except InvalidNetwork as error:
        raise ValueError(f"{name}={format_value(value)}: no network can be built with it: {error}") from None


def _redraw(base: Base, space: Space, name: str, value: object) -> Candidate:
    params = {**base.params, name: value}

    def find_value(name: str, distribution: BaseDistribution) -> object:
        if name not in params:
            raise ValueError(
                f"{changed}: needs {name} too, which {base.name} does not have; start from a trial that has it"
            )
        return params[name]

    changed = f"{name}={format_value(value)}"
    space.check({name: value})
    return space.build(space.draw(find_value))
