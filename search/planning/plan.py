"""Plan: what a run does, resolved from its configuration: task, space, budget, references, ASHA, data and folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from data.splits import DataError, Dataset, DataUnavailable, Splits
from results.conditions import goal_text
from results.locations import working_folder
from search.planning.config import RunConfig, make_pruner
from search.planning.identity import Identity
from search.planning.keys import DATA_CHOICES
from search.planning.resume import earlier
from search.runs.folder import RunFolder
from search.runs.study_tables import Origin
from search.study.budget import Budget
from search.study.pruning.pruner import Pruner
from search.tasks import Scale, Task
from spaces.goal import Custom, Goal
from spaces.network import short_number
from spaces.recipe import Candidate, with_weights
from spaces.space import Space, describe

NUM_EXAMPLES = ("train_examples", "val_examples")
"""Keys for which a task's scale has upper limits."""


@dataclass(frozen=True)
class Plan:
    """What a run does. A value: nothing is opened or written."""

    config: RunConfig
    task: Task
    goal: Goal
    dataset: Dataset
    scale: Scale
    budget: Budget
    num_trials: int
    max_epochs: int
    folder: RunFolder
    more: Mapping[str, object] = field(default_factory=dict)
    """Further facts for config.yaml, of a run that is not a search."""

    @classmethod
    def of(cls, config: RunConfig) -> Plan:
        """Returns the plan of a configuration. Raises ValueError if the data at a user's path, or `fix`, are wrong."""
        task, scale = config.definition, config.limits
        if config.data not in DATA_CHOICES:
            task = _tailored(task, config)
        return cls(
            config=config,
            task=task,
            goal=config.goal,
            dataset=scale.dataset or task.dataset,
            scale=scale,
            budget=Budget(max_params=config.max_params, max_macs=config.max_macs, max_code=config.max_code),
            num_trials=config.num_trials,
            max_epochs=config.max_epochs,
            folder=RunFolder(working_folder(config.runs_dir) / config.run),
        )

    @property
    def space(self) -> Space:
        """The task's search space, with the parameters in `fix` pinned."""
        return self.task.space

    @property
    def last_step(self) -> int:
        """The number of reports of a whole trial."""
        return self.max_epochs * self.config.reports_per_epoch

    def pruner(self) -> Pruner:
        """Returns the run's pruner before its first report."""
        return make_pruner(self.config)

    def references(self) -> dict[str, Candidate]:
        """Returns the task's published networks within the budget, if references are asked for."""
        return {name: c for name, c in self._all_references().items() if not self.budget.rejection(c)}

    def skipped(self) -> dict[str, str]:
        """Returns, for each published network over the budget, the reason and its cost."""
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
        """Returns the task's dataset with the number of examples asked for, or at most the scale's.

        Raises ValueError if it is unavailable, if a file is damaged, or if it has fewer examples than asked for.
        """
        asked = {name: getattr(self.config, name) for name in NUM_EXAMPLES}
        limits = {name: getattr(self.scale, name) if asked[name] is None else None for name in NUM_EXAMPLES}
        return self.load_all_data(say).limited(**asked).at_most(**limits)

    @property
    def data_dir(self) -> Path:
        """The folder of data files, absolute."""
        return Path(self.config.data_dir).absolute()

    def load_all_data(self, say: Callable[[str], None]) -> Splits:
        """Returns the task's whole dataset. Raises ValueError if it is unavailable, or if a file is damaged."""
        try:
            return self.dataset.load(self.config.data, self.data_dir, say)
        except DataUnavailable as unavailable:
            raise ValueError(str(unavailable)) from None

    def num_examples(self, splits: Splits) -> dict[str, int | None]:
        """Returns the numbers of examples in `splits`, this plan's; None if neither user nor scale limits them."""
        used = {"train_examples": len(splits.train), "val_examples": len(splits.val)}
        of_scale = {name: used[name] if getattr(self.scale, name) else None for name in NUM_EXAMPLES}
        return {name: getattr(self.config, name) or of_scale[name] for name in NUM_EXAMPLES}

    @property
    def goal_text(self) -> str:
        """The goal with its settings, as tables and messages have it."""
        text = goal_text(self.goal.to_json())
        assert text is not None
        return text

    @property
    def objective_text(self) -> str:
        """The name of the search's objective, with the settings of its goal if it has any, or a user's direction."""
        name = self.task.objective.name
        if isinstance(self.goal, Custom):
            return f"{name} ({self.task.objective.direction}d)"
        return f"{name} ({self.goal_text})" if " " in self.goal_text else name

    def origin(self, splits: Splits) -> Origin:
        """Returns the columns that all rows of this run share."""
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
            features=splits.features,
        )

    def identity(self, splits: Splits) -> Identity:
        """The settings that make rows comparable, `splits` being this plan's."""
        config = self.config
        num_examples = self.num_examples(splits)
        return Identity(
            task=self.task.name,
            scale=config.scale.value,
            max_params=config.max_params,
            max_macs=config.max_macs,
            max_code=config.max_code,
            max_epochs=config.max_epochs,
            fix=config.fix,
            weights=config.weights.value,
            seed=config.seed,
            sampler=config.sampler,
            pruner=config.pruner,
            grace_epochs=config.grace_epochs,
            reduction_factor=config.reduction_factor,
            reports_per_epoch=config.reports_per_epoch,
            train_examples=num_examples["train_examples"],
            val_examples=num_examples["val_examples"],
            objective=f"{self.task.objective.direction} {self.task.objective.name}",
            goal=self.goal.to_json(),
            dataset=splits.name,
            dataset_fingerprint=splits.fingerprint,
            space={p.name: describe(p.distribution) for p in self.space.parameters},
        )


def _tailored(task: Task, config: RunConfig) -> Task:
    """Returns the task fitted to a user's own data. Raises ValueError if they cannot be read."""
    assert task.tailor is not None
    try:
        tailored = task.tailor(Path(config.data))
    except DataError as error:
        if Path(config.data).exists() or not earlier(config.runs_dir, config.run):
            raise
        raise ValueError(f"{error}. If the data of this run have moved, set data= to their new path") from None
    return replace(tailored, space=tailored.space.pinned(config.fix))
