"""Opens the study of a run, and records the run's configuration in its folder."""

from __future__ import annotations

from pathlib import Path

from data.splits import Splits
from search.planning.keys import DATA_CHOICES, to_dict
from search.planning.plan import Plan
from search.planning.task_text import is_task_file
from search.study.study import Study
from search.trials.checkpoints import check_checkpoints


def open_study(plan: Plan, splits: Splits) -> Study:
    """Returns the run's study, from its journal if there is one.

    Raises ValueError if the run was started with other settings, or if its journal or checkpoints are damaged.
    """
    if not plan.folder.journal.exists():  # first, so that a run that is killed here keeps its settings
        write_config(plan, splits)
    study = Study.open(
        plan.folder.journal,
        plan.identity(splits).to_json(),
        name=plan.folder.name,
        space=plan.space,
        budget=plan.budget,
        objective=plan.task.objective,
        last_step=plan.last_step,
        pruner=plan.pruner(),
        sampler=plan.config.sampler,
        seed=plan.config.seed,
        reports_per_epoch=plan.config.reports_per_epoch,
    )
    check_checkpoints(plan.folder.path, [trial.number for trial in study.running()])
    return study


def write_config(plan: Plan, splits: Splits) -> None:
    """Writes config.yaml with this session's settings and data. Raises StorageError."""
    config = to_dict(plan.config) | {"data_dir": str(plan.data_dir)}
    if plan.config.warm_start and Path(plan.config.warm_start).exists():
        config["warm_start"] = str(Path(plan.config.warm_start).absolute())
    if plan.config.data not in DATA_CHOICES:
        config["data"] = str(Path(plan.config.data).absolute())
    dataset = {"name": splits.name, "origin": splits.origin, "fingerprint": splits.fingerprint}
    dataset |= plan.num_examples(splits)
    objective = {"name": plan.task.objective.name, "direction": plan.task.objective.direction}
    if code := plan.task.code:
        plan.folder.write_task(code.text)
        if is_task_file(plan.config.task):
            config["task"] = code.path
    plan.folder.write_config(
        {**config, **plan.more, "sentence": plan.task.sentence, "objective": objective, "dataset": dataset}
    )
