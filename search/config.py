"""RunConfig: every command-line key, its type, default and meaning."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from difflib import get_close_matches
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from data.cache import default_data_dir
from search import tasks

Config = TypeVar("Config")

USER_ERROR = 2
"""Exit code of a command that was asked for what cannot be."""


class Sampler(Enum):
    tpe = "tpe"
    random = "random"


class DataChoice(Enum):
    auto = "auto"
    original = "original"
    made = "made"


def key(default: Any, meaning: str, shown: str | None = None) -> Any:
    """A command-line key: its default, what it means, and how the default is shown where None says too little."""
    metadata = {"meaning": meaning, "shown": shown}
    if isinstance(default, dict):
        return field(default_factory=lambda: dict(default), metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass
class RunConfig:
    """What a search is asked to do. The command line sets each field by its name: `num_trials=16`."""

    task: str = key("tiny10k", "what to search for; see the list of tasks")
    num_trials: int = key(64, "candidates to draw from the space; references come in addition")
    max_params: int | None = key(None, "most parameters that a network may have", "the task's")
    max_macs: int | None = key(None, "most multiply-accumulates for one image", "the task's")
    max_epochs: int | None = key(None, "epochs of a whole trial", "the task's")
    time_budget_seconds: float | None = key(None, "stop after this time; the run can be resumed", "none")
    seed: int = key(0, "where all randomness comes from")
    concurrency: int | None = key(None, "trials side by side", "all slots")
    cpus_per_trial: float = key(1.0, "CPU cores of a slot; a trial computes in one thread")
    gpus_per_trial: float | None = key(None, "GPUs of a slot, or a fraction of one", "the task's share on GPUs")
    grace_epochs: int = key(1, "epochs before ASHA may stop a trial")
    reduction_factor: int = key(3, "at each rung, ASHA lets one in so many go on")
    reports_per_epoch: int = key(1, "validations in an epoch; each can be a rung")
    sampler: Sampler = key(Sampler.tpe, "tpe (multivariate, grouped, constant liar) or random")
    references: bool = key(True, "train the task's published networks too, in full")
    fix: dict[str, Any] = key({}, "pins a parameter of the space: fix.optimizer=adam fix.stages=3")
    run: str | None = key(None, "name of the run; the name of an earlier run resumes or extends it", "task and time")
    runs_dir: str = key("results/runs", "folder of all runs")
    data: DataChoice = key(DataChoice.auto, "original: the task's real files; made: a stand-in; auto: what can be had")
    data_dir: str | None = key(None, "folder of data files", "$FRUGAL_DATA_DIR, else a cache in your home")
    train_examples: int | None = key(None, "train on so many images only", "all")
    max_failures: int = key(2, "restarts of a trial that fails, before it is given up")
    address: str | None = key(None, "Ray cluster to use, or 'local'", "a running cluster if there is one, else local")
    dry_run: bool = key(False, "train nothing: print the space, the rejections and a predicted time")


def parse(arguments: Sequence[str]) -> RunConfig:
    """The configuration of a search's command line. Raises ValueError that names the key and what it takes."""
    return _completed(parse_into(RunConfig, arguments, "python -m search.run --help"))


def parse_into(schema: type[Config], arguments: Sequence[str], help_command: str) -> Config:
    """The fields of a dataclass from a command line `key=value ...`. Raises ValueError as `parse` does."""
    entries = {entry.name: entry for entry in dataclasses.fields(schema)}  # type: ignore[arg-type]
    for argument in arguments:
        name, equals, _ = argument.partition("=")
        if not equals:
            raise ValueError(f"{argument!r} is not key=value; {help_command} lists the keys")
        if name.split(".")[0] not in entries:
            raise ValueError(f"{name}: there is no such key{_nearest(name, entries)}; {help_command} lists them all")
    try:
        merged = OmegaConf.merge(OmegaConf.structured(schema), OmegaConf.from_cli(list(arguments)))
        return OmegaConf.to_object(merged)  # type: ignore[return-value]
    except OmegaConfBaseException as error:
        raise ValueError(_explain(error, entries)) from None


def help_text() -> str:
    """What `--help` prints: the tasks, then every key with type, default and meaning."""
    lines = ["usage: python -m search.run [key=value ...]", "", "Searches for the best network of a task. Tasks:"]
    lines += [f"  {name:<12} {tasks.find(name).sentence}" for name in tasks.names()]
    lines += ["", "Keys:", *keys_help(RunConfig)]
    lines += ["", "example: python -m search.run task=tiny10k num_trials=16 fix.optimizer=adam seed=1"]
    return "\n".join(lines)


def keys_help(schema: type[Any]) -> list[str]:
    """A line for each key: type, meaning and default."""
    lines = []
    for entry in dataclasses.fields(schema):
        default = entry.metadata["shown"] or _shown(getattr(schema(), entry.name))
        lines.append(f"  {entry.name:<20} {_type_name(entry):<12} {entry.metadata['meaning']} [{default}]")
    return lines


def to_dict(config: RunConfig) -> dict[str, Any]:
    """Plain values, as config.yaml and the journal hold them."""
    plain = dataclasses.asdict(config)
    return {name: value.value if isinstance(value, Enum) else value for name, value in plain.items()}


def _completed(config: RunConfig) -> RunConfig:
    """Fills in what the task and the environment say, and refuses what cannot be."""
    task = tasks.find(config.task)
    config.max_params = task.max_params if config.max_params is None else config.max_params
    config.max_macs = task.max_macs if config.max_macs is None else config.max_macs
    config.max_epochs = task.max_epochs if config.max_epochs is None else config.max_epochs
    config.run = config.run or f"{config.task}-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    config.data_dir = str(Path(config.data_dir).expanduser() if config.data_dir else default_data_dir())
    _check(config)
    task.space.pinned(config.fix)
    return config


def _check(config: RunConfig) -> None:
    positive = (
        *("num_trials", "max_params", "max_macs", "max_epochs", "time_budget_seconds", "concurrency"),
        *("cpus_per_trial", "grace_epochs", "reports_per_epoch", "train_examples"),
    )
    for name in positive:
        value = getattr(config, name)
        if value is not None and not value > 0:
            raise ValueError(f"{name}={value}: must be above 0")
    for name in ("seed", "max_failures", "gpus_per_trial"):
        value = getattr(config, name)
        if value is not None and value < 0:
            raise ValueError(f"{name}={value}: must be 0 or more")
    if config.reduction_factor < 2:
        raise ValueError(f"reduction_factor={config.reduction_factor}: must be 2 or more; 1 would stop nothing")
    assert config.max_epochs is not None
    assert config.run is not None
    if config.grace_epochs > config.max_epochs:
        raise ValueError(
            f"grace_epochs={config.grace_epochs}: longer than a whole trial of max_epochs={config.max_epochs}; "
            "no trial could be stopped"
        )
    if Path(config.run).name != config.run or config.run in (".", ".."):
        raise ValueError(f"run={config.run}: must be a plain name, without slashes; runs_dir says where it lies")


def _nearest(name: str, known: Iterable[str]) -> str:
    near = get_close_matches(name, list(known), 1)
    return f" (did you mean {near[0]}?)" if near else ""


def _explain(error: OmegaConfBaseException, entries: Mapping[str, dataclasses.Field[Any]]) -> str:
    """OmegaConf's first line names value and type; the key stands further down."""
    reason = str(error).splitlines()[0]
    name = getattr(error, "full_key", None) or ""
    entry = entries.get(name.split(".")[0])
    return f"{name}: {reason}; {entry.name} takes a {_type_name(entry)}" if entry else reason


def _type_name(entry: dataclasses.Field[Any]) -> str:
    name = str(entry.type).removesuffix(" | None")
    return {
        "Sampler": "tpe|random",
        "DataChoice": "a choice",
        "dict[str, Any]": "name=value",
        "str": "text",
        "int": "number",
        "float": "decimal",
        "bool": "true|false",
    }.get(name, name)


def _shown(value: Any) -> str:
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, bool):
        return str(value).lower()
    return "none" if value in (None, {}) else str(value)
