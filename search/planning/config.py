"""RunConfig: the complete configuration of a search, from a command line or from Python values."""

from __future__ import annotations

import dataclasses
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from results.fetch import fetch_run
from results.keys import check_name, check_ranges, parse_into, values_into
from results.locations import expand_home
from results.runs_at import runs_at
from search import tasks
from search.planning.keys import DATA_CHOICES, HELP_COMMAND, Export, RunKeys, find_data_dir
from search.planning.resume import earlier
from search.planning.task_text import find_task
from search.study.pruning.pruner import Pruner, PruningKeys
from search.study.pruning.registry import PRUNERS
from search.tasks import Scale, Task
from spaces.goal import Denoise, Goal

RAYS_SMALLEST_SHARE = 0.0001


@dataclass(frozen=True, kw_only=True)
class RunConfig(RunKeys):
    """A complete configuration: the keys with every default filled in, and what the task's name and scale stand for.

    A key that may still be None has a meaning then: no limit, no time budget, all slots.
    """

    num_trials: int = field()
    max_epochs: int = field()
    grace_epochs: float = field()
    run: str = field()
    data_dir: str = field()
    definition: Task
    """The task, with the parameters in `fix` pinned in its space. `Plan.of` fits it to a path of a user's own data."""
    limits: Scale
    """The task's scale."""
    goal: Goal


def parse(arguments: Sequence[str]) -> RunConfig:
    """Returns the configuration of a search's command line `key=value ...`.

    If the run exists, keys that are not typed keep its values. Raises ValueError that names the key and what it takes.
    """
    return _configured(lambda keys: parse_into(keys, arguments, HELP_COMMAND))


def from_values(**values: object) -> RunConfig:
    """Returns the configuration of Python values: the command line's keys by the same names, with the same errors.

    Nested keys are mappings: `from_values(task="tiny10k", fix={"optimizer": "adam"}, confirm={"top_k": 0})`. `config`
    is a YAML file of further keys. If the run exists, keys that are not given keep its values. Raises ValueError.
    """
    return _configured(lambda keys: values_into(keys, values, HELP_COMMAND))


def _configured(asked_over: Callable[[RunKeys], RunKeys]) -> RunConfig:
    """Returns the configuration of what the user asks for, over the run's earlier keys if it exists."""
    keys = asked_over(RunKeys())
    if keys.run:
        check_name("run", keys.run)
    runs_dir = runs_at(keys.runs_dir)
    known = earlier(runs_dir, keys.run) if keys.run else None
    config = complete(dataclasses.replace(asked_over(known) if known else keys, runs_dir=runs_dir))
    check_export(config.export)
    if not keys.run:
        fetch_run(runs_dir, config.run)  # fetches nothing, but reports a bucket that does not answer now
    return config


def complete(keys: RunKeys) -> RunConfig:
    """Returns the keys with the defaults of the task and the environment. Raises ValueError for impossible values.

    Numbers of examples stay open: a scale's are upper limits, which `Plan.load_data` applies to the data.
    """
    check_ranges(keys)
    task = find_task(keys)
    scale = task.scale(keys.scale.value)
    fix = {**scale.fix, **keys.fix}
    data = checked_data(task, keys.data)
    if data in DATA_CHOICES:  # the space for a user's own data is known once these have been read
        task = dataclasses.replace(task, space=task.space.pinned(fix))
    max_epochs = keys.max_epochs or scale.max_epochs
    values = {each.name: getattr(keys, each.name) for each in dataclasses.fields(RunKeys)} | {
        "num_trials": keys.num_trials or scale.num_trials,
        "max_epochs": max_epochs,
        "grace_epochs": keys.grace_epochs or min(scale.grace_epochs, max_epochs),
        "max_params": keys.max_params or task.max_params,
        "max_macs": keys.max_macs or scale.max_macs,
        "max_code": keys.max_code or task.max_code,
        "fix": fix,
        "run": keys.run or new_name(task.name),
        "data_dir": find_data_dir(keys.data_dir),
        "data": data,
        "warm_start": expand_home("warm_start", keys.warm_start) if keys.warm_start else None,
    }
    config = RunConfig(**values, definition=task, limits=scale, goal=_goal(task, keys.sigma))
    _check(config)
    return config


def checked_data(task: Task, data: str) -> str:
    """Returns `data`, a path with its home. Raises ValueError for a path if the task takes none."""
    if data in DATA_CHOICES:
        return data
    if task.tailor is None:
        takers = [name for name in tasks.names() if tasks.find(name).tailor]
        raise ValueError(
            f"data={data}: expected one of [{', '.join(DATA_CHOICES)}]; a path of your own data is taken by "
            f"task={' or task='.join(takers)}"
        )
    return expand_home("data", data)


def check_export(export: Export) -> None:
    """Raises ValueError, with the command that installs them, if packages for the export are missing."""
    if export == Export.onnx:
        from trainables.onnx_file import check_export_possible

        check_export_possible()


def new_name(kind: str) -> str:
    """Returns a unique name for a run: its kind, the time in UTC, and eight random hex digits.

    The time alone is not unique: a script starts several runs in one second, and a bucket has runs of many machines.
    """
    return f"{kind}-{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(4)}"


def _goal(task: Task, sigma: float | None) -> Goal:
    """Returns the task's goal, with the noise that the user asks for."""
    if sigma is None:
        return task.goal
    if not isinstance(task.goal, Denoise):
        raise ValueError(f"sigma={sigma}: the images of task={task.name} get no noise; leave it out")
    return dataclasses.replace(task.goal, sigma=sigma)


def _check(config: RunConfig) -> None:
    for name in ("cpus_per_trial", "gpus_per_trial"):
        value = getattr(config, name)
        if value and value < RAYS_SMALLEST_SHARE:
            raise ValueError(f"{name}={value}: must be at least {RAYS_SMALLEST_SHARE}, Ray's smallest share")
    if (gpus := config.gpus_per_trial or 0) > 1 and gpus % 1:
        raise ValueError(f"gpus_per_trial={gpus}: must be a fraction of one GPU, or a whole number")
    make_pruner(config)


def make_pruner(config: RunConfig) -> Pruner:
    """Returns the run's pruner. Raises ValueError for keys that do not go together."""
    return PRUNERS[config.pruner].make(
        PruningKeys(
            grace_epochs=config.grace_epochs,
            reduction_factor=config.reduction_factor,
            max_epochs=config.max_epochs,
            reports_per_epoch=config.reports_per_epoch,
        )
    )
