"""RunConfig: every command-line key, its type, default and meaning."""

from __future__ import annotations

import dataclasses
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from typing import Any

from data.files import default_data_dir
from results.fetch import fetch_run
from results.keys import check_name, check_ranges, key, keys_help, parse_into, read_fields
from results.locations import expand_home
from results.run_config import parse_config
from results.runs_at import RULE, is_default, runs_at
from results.shell import argument_of, command_line
from results.wording import count
from search import tasks
from search.study.pruning.pruner import Pruner, PruningKeys
from search.study.pruning.registry import PRUNERS
from search.study.sampling.registry import SAMPLERS
from spaces.goal import Denoise, Goal
from spaces.network import short_number

OF_ONE_SESSION = ("run", "runs_dir", "time_budget_seconds", "address", "dry_run")
"""Keys that a run does not take over from its earlier sessions."""
DATA_CHOICES = ("auto", "original", "made")
OF_SCALE = ("num_trials", "max_epochs", "grace_epochs", "max_macs")
"""Keys whose default is the number that the task's scale has."""
RAYS_SMALLEST_SHARE = 0.0001
MOST_SEED = 2**32 - 1
"""Of NumPy's, which the sampler takes."""
MOST_SEEDS = 10_000
"""Trainings of one network, each of which the driver keeps in memory."""
MOST_STEPS = 1_000_000
"""Trials, epochs or reports, each of which a search may have to list."""
MOST_SECONDS = 1e9
"""About 30 years; timers take a little more."""


class ScaleName(Enum):
    laptop = "laptop"
    full = "full"


class Weights(Enum):
    imagenet = "imagenet"
    random = "random"


class Export(Enum):
    none = "none"
    onnx = "onnx"


@dataclass
class ConfirmKeys:
    """How a search's best candidates are confirmed."""

    top_k: int = key(
        3, "number of the best candidates that are trained again at the end and scored on test; 0: none", least=0
    )
    seeds: int = key(3, "trainings of each of them, and of the best reference", above=0, most=MOST_SEEDS)


@dataclass
class RunConfig:
    """What a search is asked to do. The command line sets each field by its name: `num_trials=16`."""

    task: str = key("tiny10k", "what to search for; see the list of tasks")
    scale: ScaleName = key(ScaleName.laptop, "the task's defaults: laptop, about 15 minutes on 2 cores; full, on GPUs")
    num_trials: int | None = key(
        None, "candidates to draw from the space; references come in addition", "the task's", above=0, most=MOST_STEPS
    )
    max_params: int | None = key(None, "most parameters that a network may have", "the task's", above=0)
    max_macs: int | None = key(None, "most multiply-accumulates for one image", "the task's", above=0)
    max_code: int | None = key(None, "most values at the narrowest place of an autoencoder", "the task's", above=0)
    max_epochs: int | None = key(None, "epochs of a whole trial", "the task's", above=0, most=MOST_STEPS)
    time_budget_seconds: float | None = key(
        None, "stop after this time; the run can be resumed", "none", above=0, most=MOST_SECONDS
    )
    seed: int = key(0, "where all randomness comes from", least=0, most=MOST_SEED)
    concurrency: int | None = key(None, "trials side by side", "all slots", above=0)
    cpus_per_trial: float = key(1.0, "CPU cores of a slot, each with a thread of the trial", above=0)
    gpus_per_trial: float | None = key(
        None, "GPUs of a slot, or a fraction of one", "the task's share on GPUs", least=0
    )
    record_steps: bool = key(True, "record a training step once and replay it, on a GPU as a CUDA graph")
    grace_epochs: float | None = key(
        None, "epochs before ASHA may stop a trial; 0.25 with 4 reports", "the task's", above=0
    )
    reduction_factor: int = key(3, "ASHA lets one trial in this many go on at each rung", least=2)
    reports_per_epoch: int = key(
        1, "validations in an epoch; with a part of one as grace_epochs, ASHA stops within it", above=0, most=MOST_STEPS
    )
    sampler: str = key("tpe", "how candidates are proposed", choices=SAMPLERS)
    pruner: str = key("asha", "which trials are stopped early", choices=PRUNERS)
    confirm: ConfirmKeys = field(default_factory=ConfirmKeys)
    export: Export = key(Export.none, "onnx: an ONNX file beside each model, checked against PyTorch's output")
    report: bool = key(True, "make report.html at the end of each session")
    references: bool = key(True, "train the task's published networks too, in full")
    fix: dict[str, Any] = key({}, "pins a parameter of the space: fix.optimizer=adam; null frees one", "the task's")
    warm_start: str | None = key(None, "a run, a folder of runs or a leaderboard: its best are tried first", "none")
    run: str | None = key(None, "name of the run; an earlier one's goes on with it, as it was begun", "task and time")
    runs_dir: str = key("", "folder of all runs; s3://BUCKET/FOLDER or gs://..., to go on from any machine", RULE)
    data: str = key("auto", "original: real files; made: a stand-in; auto: what can be had; or the path of your own")
    data_dir: str | None = key(None, "folder of data files", "$FRUGAL_DATA_DIR, else a cache in your home")
    train_examples: int | None = key(None, "number of images to train on", "at most the task's", above=0)
    val_examples: int | None = key(None, "number of images to validate on", "at most the task's", above=0)
    sigma: float | None = key(None, "standard deviation of the noise that a denoiser takes off", "the task's", above=0)
    weights: Weights = key(Weights.imagenet, "of references with a backbone: imagenet, downloaded; or random")
    max_failures: int = key(2, "restarts of a trial that fails, before it is given up", least=0)
    address: str | None = key(
        None, "Ray cluster to use, or 'local'", "your running cluster if there is one, else local"
    )
    dry_run: bool = key(False, "train nothing: print the space, the rejections and a predicted time")


def parse(arguments: Sequence[str]) -> RunConfig:
    """The configuration of a search's command line; what it leaves open is as it was where the run is there already.

    Raises ValueError that names the key and what it takes.
    """
    help_command = "python -m search.run --help"
    config = parse_into(RunConfig, arguments, help_command)
    if config.run:
        check_name("run", config.run)
    config.runs_dir = runs_at(config.runs_dir)
    is_named = config.run is not None
    known = earlier(config.runs_dir, config.run) if config.run else None
    if known:
        config = dataclasses.replace(parse_into(known, arguments, help_command), runs_dir=config.runs_dir)
    config = _completed(config)
    if not is_named and config.run:
        fetch_run(config.runs_dir, config.run)  # nothing, but a bucket that does not answer is told at once
    return config


def help_text() -> str:
    """What `--help` prints: the tasks with their scales, then every key with type, default and meaning."""
    lines = ["usage: python -m search.run [key=value ...]", "", "Searches for the best network of a task. Tasks:"]
    for name in tasks.names():
        task = tasks.find(name)
        lines += [f"  {name:<12} {task.sentence}", *_scales_help(task)]
    lines += [
        "",
        "scale=laptop, the default, ends within about 15 minutes on 2 CPU cores (tiny10k: 20 to 40), before finalists",
    ]
    lines += ["are confirmed; scale=full is for GPUs. Each of their numbers can be set by its key."]
    lines += ["", "Keys:", *keys_help(RunConfig)]
    lines += ["", "example: python -m search.run task=tiny10k num_trials=16 fix.optimizer=adam seed=1"]
    return "\n".join(lines)


def _scales_help(task: tasks.Task) -> list[str]:
    scales = {"laptop": task.laptop, "full": task.full} if task.laptop != task.full else {"laptop and full": task.full}
    return [f"  {'':<12}   {name}: {_in_words(scale)}" for name, scale in scales.items()]


def _in_words(scale: tasks.Scale) -> str:
    images = f"{scale.train_examples:,} training images" if scale.train_examples else "all training images"
    macs = f", up to {short_number(scale.max_macs)} MACs" if scale.max_macs else ""
    grace = f", {scale.grace_epochs} of grace" if scale.grace_epochs > 1 else ""
    pinned = "".join(f", fix.{name}={str(value).lower()}" for name, value in scale.fix.items())
    trials = f"{count(scale.num_trials, 'trial')} of up to {count(scale.max_epochs, 'epoch')}"
    return f"{trials}{grace} on {images}{macs}{pinned}"


def to_dict(config: RunConfig) -> dict[str, Any]:
    """Plain values, as config.yaml and the journal hold them."""
    plain = dataclasses.asdict(config)
    return {name: value.value if isinstance(value, Enum) else value for name, value in plain.items()}


def check_export(export: Export) -> None:
    """Raises ValueError, with the command that brings them, if packages that it needs are missing."""
    if export == Export.onnx:
        from trainables.onnx_file import check_export_possible

        check_export_possible()


def goal_of(task: tasks.Task, config: RunConfig) -> Goal:
    """The task's goal with what the command line says of it."""
    if config.sigma is None:
        return task.goal
    if not isinstance(task.goal, Denoise):
        raise ValueError(f"sigma={config.sigma}: the images of task={task.name} get no noise; leave it out")
    return dataclasses.replace(task.goal, sigma=config.sigma)


def new_name(kind: str) -> str:
    """A unique name for a new run: its kind, the time in UTC, and eight random hex digits.

    The time alone is not enough: a script begins several in one second, and a bucket takes runs of many machines.
    """
    return f"{kind}-{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(4)}"


def resume_command(config: RunConfig) -> str:
    """What goes on with this run."""
    return _command_for(config, "search.run", task=config.task)


def confirm_command(config: RunConfig) -> str:
    """What confirms this run's finalists, or goes on with it."""
    return _command_for(config, "search.confirm")


def ablate_command(config: RunConfig) -> str:
    """What goes on with this run, an ablation."""
    return _command_for(config, "search.ablate")


def _command_for(config: RunConfig, module: str, **words: str) -> str:
    assert config.run is not None
    words["run"] = config.run
    if not is_default(config.runs_dir):
        words["runs_dir"] = config.runs_dir
    return command_line(module, *(argument_of(name, text) for name, text in words.items()))


def find_data_dir(given: str | None) -> str:
    """The folder of data files: the given one, or the environment's, or a cache at home."""
    try:
        return expand_home("data_dir", given) if given else str(default_data_dir())
    except RuntimeError:
        raise ValueError("data_dir: your home is not known; name a folder with data_dir=FOLDER") from None


def earlier(runs_dir: str, run: str) -> RunConfig | None:
    """What the earlier sessions of a run were asked for, or None. Raises ValueError if their record is damaged."""
    path = fetch_run(runs_dir, run) / "config.yaml"
    try:
        content = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise ValueError(f"{path}: cannot be read: {error.strerror}; name others with runs_dir= and run=") from None
    try:
        found = parse_config(content)
        if not isinstance(found, dict) or "task" not in found:
            raise ValueError("it names no task")
        return read_fields(RunConfig, {name: value for name, value in found.items() if name not in OF_ONE_SESSION})
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f"{path}: not the configuration of a run, or damaged: {str(error).rstrip('.')}. "
            "Remove it, and give what the run was begun with on the command line"
        ) from None


def _completed(config: RunConfig) -> RunConfig:
    """Fills in what the task and the environment say, and refuses what cannot be.

    Numbers of examples stay open: a scale's are upper limits, which `Plan.load_data` holds against the data.
    """
    task = tasks.find(config.task)
    scale = task.scale(config.scale.value)
    defaults = {"max_params": task.max_params, "max_code": task.max_code}
    defaults |= {name: getattr(scale, name) for name in OF_SCALE}
    defaults["grace_epochs"] = min(scale.grace_epochs, config.max_epochs or scale.max_epochs)
    for name, value in defaults.items():
        if getattr(config, name) is None:
            setattr(config, name, value)
    config.fix = {**scale.fix, **config.fix}
    config.run = config.run or new_name(config.task)
    config.data_dir = find_data_dir(config.data_dir)
    config.data = checked_data(task, config.data)
    config.warm_start = expand_home("warm_start", config.warm_start) if config.warm_start else None
    _check(config)
    check_export(config.export)
    goal_of(task, config)
    if config.data in DATA_CHOICES:  # the space for a user's own data is known once these have been read
        task.space.pinned(config.fix)
    return config


def checked_data(task: tasks.Task, data: str) -> str:
    """What `data` says; a path without ~ in front. Raises ValueError for a path where the task takes none."""
    if data in DATA_CHOICES:
        return data
    if task.tailor is None:
        takers = [name for name in tasks.names() if tasks.find(name).tailor]
        raise ValueError(
            f"data={data}: expected one of [{', '.join(DATA_CHOICES)}]; a path of your own data is taken by "
            f"task={' or task='.join(takers)}"
        )
    return expand_home("data", data)


def _check(config: RunConfig) -> None:
    check_ranges(config)
    for name in ("cpus_per_trial", "gpus_per_trial"):
        value = getattr(config, name)
        if value and value < RAYS_SMALLEST_SHARE:
            raise ValueError(f"{name}={value}: must be at least {RAYS_SMALLEST_SHARE}, Ray's smallest share")
    if (gpus := config.gpus_per_trial or 0) > 1 and gpus % 1:
        raise ValueError(f"gpus_per_trial={gpus}: must be a fraction of one GPU, or a whole number")
    make_pruner(config)


def make_pruner(config: RunConfig) -> Pruner:
    """Returns the run's pruner. Raises ValueError for keys that do not go together."""
    assert config.max_epochs is not None
    assert config.grace_epochs is not None
    return PRUNERS[config.pruner].make(
        PruningKeys(
            grace_epochs=config.grace_epochs,
            reduction_factor=config.reduction_factor,
            max_epochs=config.max_epochs,
            reports_per_epoch=config.reports_per_epoch,
        )
    )
