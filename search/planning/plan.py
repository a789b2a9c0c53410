"""Plan: what a configuration comes to: the task with its limits, the space, ASHA, the folder, what identifies a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from data.splits import DataError, Dataset, DataUnavailable, Splits
from results.conditions import goal_text
from results.locations import working_folder
from search.planning.config import DATA_CHOICES, RunConfig, make_pruner
from search.planning.keys import to_dict
from search.planning.resume import earlier
from search.runs.folder import BEST, RunFolder
from search.runs.study_tables import Origin, write_tables
from search.study.budget import Budget
from search.study.pruning.pruner import Pruner
from search.study.study import Study
from search.tasks import Scale, Task
from search.trials.checkpoints import check_checkpoints
from search.trials.job import Given, Job
from spaces.goal import Goal
from spaces.network import short_number
from spaces.recipe import Candidate, with_weights
from spaces.space import Space, describe

NUM_EXAMPLES = ("train_examples", "val_examples")
"""Keys that a task's scale has upper limits for."""


@dataclass(frozen=True)
class Plan:
    config: RunConfig
    task: Task
    goal: Goal
    dataset: Dataset
    scale: Scale
    space: Space
    budget: Budget
    num_trials: int
    max_epochs: int
    folder: RunFolder
    more: Mapping[str, Any] = field(default_factory=dict)
    """What config.yaml says besides, of a run that is no search."""

    @classmethod
    def of(cls, config: RunConfig) -> Plan:
        """Raises ValueError where a user's own data cannot be read, or the space has no such point."""
        task, scale = config.definition, config.limits
        if config.data not in DATA_CHOICES:
            task = _tailored(task, config)
        return cls(
            config=config,
            task=task,
            goal=config.goal,
            dataset=scale.dataset or task.dataset,
            scale=scale,
            space=task.space.pinned(config.fix),
            budget=Budget(max_params=config.max_params, max_macs=config.max_macs, max_code=config.max_code),
            num_trials=config.num_trials,
            max_epochs=config.max_epochs,
            folder=RunFolder(working_folder(config.runs_dir) / config.run),
        )

    @property
    def last_step(self) -> int:
        """The number of reports of a whole trial."""
        return self.max_epochs * self.config.reports_per_epoch

    def pruner(self) -> Pruner:
        """Returns the run's pruner before its first report."""
        return make_pruner(self.config)

    def references(self) -> dict[str, Candidate]:
        """The task's published networks that keep the budget, if they are asked for."""
        return {name: c for name, c in self._all_references().items() if not self.budget.rejection(c)}

    def skipped(self) -> dict[str, str]:
        """Why each of the other ones is left out, and what it would cost."""
        reasons = {name: (self.budget.rejection(c), c.network) for name, c in self._all_references().items()}
        return {
            name: f"{reason}: it has {network.num_params:,} parameters, {short_number(network.num_macs)} MACs"
            for name, (reason, network) in reasons.items()
            if reason
        }

    def _all_references(self) -> dict[str, Candidate]:
        if not self.config.references:
            return {}
        weights = self.config.weights.value
        return {name: with_weights(each.candidate, weights) for name, each in self.task.references.items()}

    def load_data(self, say: Callable[[str], None]) -> Splits:
        """The task's dataset, in the number that is asked for, or at most the scale's.

        Raises ValueError if it is not available, if a file is damaged, or if there are fewer examples than asked for.
        """
        asked = {name: getattr(self.config, name) for name in NUM_EXAMPLES}
        limits = {name: getattr(self.scale, name) if asked[name] is None else None for name in NUM_EXAMPLES}
        return self.load_all_data(say).limited(**asked).at_most(**limits)

    @property
    def data_dir(self) -> Path:
        """The folder of data files."""
        return Path(self.config.data_dir).absolute()

    def load_all_data(self, say: Callable[[str], None]) -> Splits:
        """The task's whole dataset. Raises ValueError if it is not available, or if a file is damaged."""
        try:
            return self.dataset.load(self.config.data, self.data_dir, say)
        except DataUnavailable as unavailable:
            raise ValueError(str(unavailable)) from None

    def num_examples(self, splits: Splits) -> dict[str, int | None]:
        """How many examples are used, `splits` being this plan's; None where neither user nor scale limits them."""
        used = {"train_examples": len(splits.train), "val_examples": len(splits.val)}
        of_scale = {name: used[name] if getattr(self.scale, name) else None for name in NUM_EXAMPLES}
        return {name: getattr(self.config, name) or of_scale[name] for name in NUM_EXAMPLES}

    @property
    def goal_text(self) -> str:
        """The goal with its settings, as tables and people have it."""
        text = goal_text(self.goal.to_json())
        assert text is not None
        return text

    @property
    def objective_text(self) -> str:
        """What the search goes by, with the settings of its goal, if it has any."""
        name = self.task.objective.name
        return f"{name} ({self.goal_text})" if " " in self.goal_text else name

    def origin(self, splits: Splits) -> Origin:
        return Origin(
            run=self.folder.name,
            task=self.task.name,
            dataset=splits.name,
            dataset_origin=splits.origin,
            dataset_fingerprint=splits.fingerprint,
            goal=self.goal_text,
            max_epochs=self.max_epochs,
            train_examples=len(splits.train),
            val_examples=len(splits.val),
            classes=splits.classes,
        )

    def open_study(self, splits: Splits) -> Study:
        """The run's study, from its journal if there is one.

        Raises ValueError if the run was begun in another way, or if journal or checkpoints are damaged.
        """
        if not self.folder.journal.exists():  # first, so that a run killed here goes on as it was asked for too
            self.write_config(splits)
        study = Study.open(
            self.folder.journal,
            self.identity(splits),
            name=self.folder.name,
            space=self.space,
            budget=self.budget,
            objective=self.task.objective,
            last_step=self.last_step,
            pruner=self.pruner(),
            sampler=self.config.sampler,
            seed=self.config.seed,
            reports_per_epoch=self.config.reports_per_epoch,
        )
        check_checkpoints(self.folder.path, [trial.number for trial in study.running()])
        return study

    def job(self, splits: Splits) -> Job:
        """The search: the task's candidates beside its references; the best one's model is kept."""
        origin = self.origin(splits)
        return Job(
            folder=self.folder,
            goal=self.goal,
            max_epochs=self.max_epochs,
            num_trials=self.num_trials,
            given={name: Given(candidate) for name, candidate in self.references().items()},
            reports_per_epoch=self.config.reports_per_epoch,
            max_failures=self.config.max_failures,
            record_steps=self.config.record_steps,
            data_dir=self.data_dir,
            facts=origin.facts(),
            models=self.folder.models,
            model_name=_best_model,
            write_tables=lambda study, is_live: write_tables(study, origin, self.folder.path, is_live=is_live),
        )

    def identity(self, splits: Splits) -> dict[str, Any]:
        """All that makes rows comparable: a run goes on only with the same."""
        same = (
            *("task", "scale", "max_params", "max_macs", "max_code", "max_epochs", "fix"),
            *("weights", "seed", "sampler", "pruner", "grace_epochs", "reduction_factor", "reports_per_epoch"),
        )
        config = to_dict(self.config)
        return {
            **{name: config[name] for name in same},
            **self.num_examples(splits),
            "objective": f"{self.task.objective.direction} {self.task.objective.name}",
            "goal": self.goal.to_json(),
            "dataset": splits.name,
            "dataset_fingerprint": splits.fingerprint,
            "space": {p.name: describe(p.distribution) for p in self.space.parameters},
        }

    def write_config(self, splits: Splits) -> None:
        """Records what this session was asked for, once nothing more can be refused."""
        config = to_dict(self.config) | {"data_dir": str(self.data_dir)}
        if self.config.warm_start and Path(self.config.warm_start).exists():
            config["warm_start"] = str(Path(self.config.warm_start).absolute())
        if self.config.data not in DATA_CHOICES:
            config["data"] = str(Path(self.config.data).absolute())
        dataset = {"name": splits.name, "origin": splits.origin, "fingerprint": splits.fingerprint}
        dataset |= self.num_examples(splits)
        objective = {"name": self.task.objective.name, "direction": self.task.objective.direction}
        self.folder.write_config({**config, **self.more, "objective": objective, "dataset": dataset})


def _tailored(task: Task, config: RunConfig) -> Task:
    """The task for a user's own data."""
    assert task.tailor is not None
    try:
        return task.tailor(Path(config.data))
    except DataError as error:
        if Path(config.data).exists() or not earlier(config.runs_dir, config.run):
            raise
        raise ValueError(f"{error}. If the data of this run have moved, data= says where they are now") from None


def _best_model(study: Study, number: int) -> str | None:
    best = study.best
    return BEST if best and best.number == number else None
