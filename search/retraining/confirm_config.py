"""The keys of a confirmation, and the run's configuration that they result in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from results.keys import check_name, key, parse_into, values_into
from results.runs_at import RULE, runs_at
from search.planning.config import RunConfig
from search.planning.config import from_values as config_of_run
from search.planning.keys import MAX_SEEDS, ConfirmKeys, Export
from search.runs.folder import find_run

USAGE = "python -m search.confirm run=NAME"
HELP_COMMAND = "python -m search.confirm --help"


@dataclass
class ConfirmConfig:
    """Which run's finalists are confirmed, and how."""

    run: str = key("", "name of the run", "required")
    top_k: int | None = key(
        None, "number of best candidates to confirm", "the run's confirm.top_k, by default 3", above=0
    )
    seeds: int | None = key(
        None, "trainings of each finalist", "the run's original setting, by default 3", above=0, most=MAX_SEEDS
    )
    runs_dir: str = key("", "folder of all runs", RULE)
    task: str = key("", "the task's file, if it has moved", "the run's")
    data: str | None = key(None, "original, made, auto, or the path of your own data", "the run's")
    data_dir: str | None = key(None, "folder of data files, if they have moved", "the run's")
    concurrency: int | None = key(None, "number of trainings in parallel", "all slots", above=0)
    export: Export | None = key(None, "onnx: an ONNX file beside each model", "the run's")
    address: str | None = key(
        None, "Ray cluster to use, or 'local'", "your running cluster if there is one, else local"
    )


def parse(arguments: Sequence[str]) -> RunConfig:
    """Returns the run's configuration with its original settings, changed by what the arguments say.

    Raises ValueError that names the key and what it takes.
    """
    return _configured(parse_into(ConfirmConfig, arguments, HELP_COMMAND))


def from_values(**values: object) -> RunConfig:
    """Returns the run's configuration, changed by Python values with the names of the command line's keys.

    `config` is a YAML file of further keys. Raises ValueError that names the key and what it takes.
    """
    return _configured(values_into(ConfirmConfig, values, HELP_COMMAND))


def _configured(asked: ConfirmConfig) -> RunConfig:
    """Returns the configuration of the run that is asked for. Raises ValueError if there is no such run."""
    if not asked.run:
        raise ValueError(f"run= is needed; usage: {USAGE}")
    check_name("run", asked.run)
    runs_dir = runs_at(asked.runs_dir)
    find_run(runs_dir, asked.run)
    shared = {
        name: getattr(asked, name) for name in ("run", "task", "address", "data", "data_dir", "export", "concurrency")
    }
    keys = {**shared, "runs_dir": runs_dir, "confirm.top_k": asked.top_k, "confirm.seeds": asked.seeds}
    config = config_of_run(**{name: value for name, value in keys.items() if value not in (None, "")})
    top_k = config.confirm.top_k or ConfirmKeys.top_k  # it is 0 in a run that was started without confirmation
    return replace(config, confirm=replace(config.confirm, top_k=top_k))
