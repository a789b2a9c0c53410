"""The keys of an ablation, and the run's configuration that they result in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from results.keys import entries_of, key, parse_into, read_fields, values_into
from results.keys_file import read_keys_file
from results.locations import working_folder
from results.run_config import parse_config
from search.planning.config import RunConfig, new_name
from search.planning.config import parse as parse_run
from search.planning.keys import MAX_SEEDS, RunKeys
from search.planning.resume import earlier

USAGE = "python -m search.ablate task=TASK base=BASE vary=NAME values=[a,b,...]"
HELP_COMMAND = "python -m search.ablate --help"
SHARED = (
    *("task", "max_epochs", "train_examples", "val_examples", "sigma", "seed", "run", "runs_dir", "data", "data_dir"),
    *("concurrency", "cpus_per_trial", "gpus_per_trial", "max_failures", "record_steps", "weights"),
    *("time_budget_seconds", "address", "report"),
)
"""The keys of a search that an ablation takes too."""
KEYS_OF_BASE = ("task", "data", "data_dir", "sigma")
"""The keys whose values are those of the base's run, unless they are given."""


@dataclass
class AblateKeys:
    """What is varied, and around which base."""

    base: str = key("", "a published network, RUN/TRIAL, or RUN for its best trial", "required")
    vary: str | list[str] = key("", "the parameter to vary, or [several, in turn]", "required")
    values: Any = key(
        None, "[a,b,...]; of several parameters values.NAME=[a,b,...]", "every choice of a categorical parameter"
    )
    seeds: int = key(3, "trainings of each variant", above=0, most=MAX_SEEDS)


@dataclass(frozen=True)
class AblateConfig:
    """An ablation: its own keys, and those of the run that it is."""

    keys: AblateKeys
    run: RunConfig


def parse(arguments: Sequence[str]) -> AblateConfig:
    """Returns the ablation that the arguments ask for. An earlier run keeps its settings, except those that are given.

    Raises ValueError that names the key and what it takes.
    """
    file, typed = _read_files(arguments)
    mine = [each for each in typed if _is_own(each)]
    others = [f"{name}={'' if value is None else value}" for name, value in file.items() if not _is_own(name)]
    others += [each for each in typed if each not in mine]
    for each in others:
        if (name := each.partition("=")[0]) not in SHARED:
            raise ValueError(f"{name}: there is no such key here; {HELP_COMMAND} lists them all")
    own = {name: value for name, value in file.items() if _is_own(name)}
    asked = _with_own(AblateKeys(), own, mine)
    others = [*_of_base(asked.base, others), *others]
    task = PurePath(_given(others, "task") or RunKeys.task).stem
    config = parse_run([*others, f"run={_given(others, 'run') or new_name(f'{task}-ablation')}"])
    keys = _with_own(known, own, mine) if (known := _earlier(config)) else asked
    if not keys.base or not keys.vary:
        raise ValueError(f"base= and vary= are needed; usage: {USAGE}")
    return AblateConfig(keys, config)


def _read_files(arguments: Sequence[str]) -> tuple[dict[str, object], list[str]]:
    """Returns the keys of the files that `config=` names, and the other arguments. Raises ValueError."""
    paths = [each.removeprefix("config=") for each in arguments if each.startswith("config=")]
    file = {name: value for path in paths for name, value in read_keys_file(path).items()}
    return file, [each for each in arguments if not each.startswith("config=")]


def _is_own(argument: str) -> bool:
    """Returns whether an argument, or the name of a key, is an ablation's own."""
    return argument.partition("=")[0].partition(".")[0] in entries_of(AblateKeys)


def _with_own(keys: AblateKeys, file: Mapping[str, object], typed: Sequence[str]) -> AblateKeys:
    """Returns the ablation's keys with the file's values, and over them the typed ones."""
    return parse_into(values_into(keys, file, HELP_COMMAND), typed, HELP_COMMAND)


def _of_base(base: str, typed: Sequence[str]) -> list[str]:
    """Returns task, data and noise of the run that the base of a new ablation comes from, unless they are given.

    Raises ValueError that names the run's configuration if it is damaged.
    """
    folder = working_folder(parse_run([each for each in typed if each.startswith("runs_dir=")]).runs_dir)
    run = _given(typed, "run")
    if not base or (run and (folder / run).exists()):
        return []
    started = earlier(str(folder), base.partition("/")[0])
    values = {name: getattr(started, name, None) for name in KEYS_OF_BASE}
    return [f"{name}={value}" for name, value in values.items() if value is not None and not _given(typed, name)]


def _earlier(config: RunConfig) -> AblateKeys | None:
    """Returns the keys that an earlier run has, if there is one. Raises ValueError if that is a search."""
    path = working_folder(config.runs_dir) / config.run / "config.yaml"
    if not path.is_file():
        return None
    try:
        found = parse_config(path.read_bytes())
    except (OSError, ValueError):
        found = None  # reading the run's own keys reports what is wrong
    if not isinstance(found, dict) or not isinstance(found.get("ablation"), dict):
        raise ValueError(f"run={config.run}: the run of that name is not an ablation; choose another name")
    return read_fields(AblateKeys, found["ablation"])


def _given(arguments: Sequence[str], name: str) -> str:
    """Returns the last value that is given for a key; empty if there is none."""
    return next((each.partition("=")[2] for each in reversed(arguments) if each.startswith(f"{name}=")), "")
