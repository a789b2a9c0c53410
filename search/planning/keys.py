"""Defines the keys of a search's command line: name, type, default and meaning."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from data.files import default_data_dir
from results.keys import CONFIG_HELP, key, keys_help
from results.locations import expand_home
from results.runs_at import RULE
from results.wording import count
from search import tasks
from search.study.pruning.registry import PRUNERS
from search.study.sampling.registry import SAMPLERS
from spaces.network import short_number

DATA_CHOICES = ("auto", "original", "made")
"""The values of `data` that are not a path of the user's own data."""
HELP_COMMAND = "python -m search.run --help"
MAX_SEED = 2**32 - 1
"""NumPy's largest seed, since the sampler is seeded with it."""
MAX_SEEDS = 10_000
"""Trainings of one network, since the driver keeps each in memory."""
MAX_STEPS = 1_000_000
"""Trials, epochs or reports, since a search may have to list each."""
MAX_SECONDS = 1e9
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


@dataclass(frozen=True)
class ConfirmKeys:
    """The keys of a search's confirmation."""

    top_k: int = key(3, "number of best candidates to retrain and score on the test set; 0 skips confirmation", least=0)
    seeds: int = key(3, "trainings of each of them, and of the best reference", above=0, most=MAX_SEEDS)


@dataclass(frozen=True)
class RunKeys:
    """The keys of a search, each of which a user can set by its name: `num_trials=16`. None is left to the task."""

    task: str = key("tiny10k", "what to search for; see the list of tasks")
    scale: ScaleName = key(ScaleName.laptop, "the task's defaults: laptop, about 15 minutes on 2 cores; full, on GPUs")
    num_trials: int | None = key(
        None, "number of candidates to draw from the space; references are added", "the task's", above=0, most=MAX_STEPS
    )
    max_params: int | None = key(None, "maximum number of parameters", "the task's", above=0)
    max_macs: int | None = key(None, "maximum number of multiply-accumulates for one example", "the task's", above=0)
    max_code: int | None = key(
        None, "maximum number of values in the narrowest layer of an autoencoder", "the task's", above=0
    )
    max_epochs: int | None = key(None, "epochs of a full trial", "the task's", above=0, most=MAX_STEPS)
    time_budget_seconds: float | None = key(
        None, "stop after this time; the run can be resumed", "none", above=0, most=MAX_SECONDS
    )
    seed: int = key(0, "random seed", least=0, most=MAX_SEED)
    concurrency: int | None = key(None, "number of concurrent trials", "all slots", above=0)
    cpus_per_trial: float = key(1.0, "CPU cores of a slot, one thread each", above=0)
    gpus_per_trial: float | None = key(
        None, "GPUs of a slot, or a fraction of one", "the task's share on GPUs", least=0
    )
    record_steps: bool = key(True, "on a GPU, record a training step once as a CUDA graph and replay it")
    grace_epochs: float | None = key(
        None, "epochs before ASHA may stop a trial; 0.25 needs reports_per_epoch=4", "the task's", above=0
    )
    reduction_factor: int = key(3, "keep the top 1/N of trials at each ASHA rung", least=2)
    reports_per_epoch: int = key(
        1,
        "validations per epoch; with a fractional grace_epochs ASHA can stop a trial mid-epoch",
        above=0,
        most=MAX_STEPS,
    )
    sampler: str = key("tpe", "how candidates are proposed", choices=SAMPLERS)
    pruner: str = key("asha", "which trials are stopped early", choices=PRUNERS)
    confirm: ConfirmKeys = field(default_factory=ConfirmKeys)
    export: Export = key(Export.none, "onnx: write an ONNX file with each model, checked against PyTorch's output")
    report: bool = key(True, "write report.html at the end of each session")
    references: bool = key(True, "train the task's references too, in full: published networks, or your own baselines")
    fix: dict[str, Any] = key(
        {}, "pins a parameter of the space: fix.optimizer=adam; null searches a pinned one", "the task's"
    )
    warm_start: str | None = key(
        None, "a run, a folder of runs or a leaderboard whose best candidates are tried first", "none"
    )
    run: str | None = key(
        None, "run name; if it exists, the run is resumed with its original settings", "task and time"
    )
    runs_dir: str = key("", "folder of all runs; with s3://BUCKET/FOLDER or gs://... any machine can resume them", RULE)
    data: str = key(
        "auto", "original: real files; made: synthetic; auto: original if available, else made; or a path to your data"
    )
    data_dir: str | None = key(None, "folder of data files", "$FRUGAL_DATA_DIR, else a cache in your home")
    train_examples: int | None = key(None, "number of training examples", "at most the task's", above=0)
    val_examples: int | None = key(None, "number of validation examples", "at most the task's", above=0)
    sigma: float | None = key(None, "standard deviation of the noise that a denoiser removes", "the task's", above=0)
    weights: Weights = key(Weights.imagenet, "weights of references with a backbone: imagenet, downloaded; or random")
    max_failures: int = key(2, "number of times that a failing trial is restarted", least=0)
    address: str | None = key(
        None, "Ray cluster to use, or 'local'", "your running cluster if there is one, else local"
    )
    dry_run: bool = key(False, "train nothing: print the space, the rejections and a predicted time")


def to_dict(keys: RunKeys) -> dict[str, object]:
    """Returns the keys as plain values, as config.yaml and the journal have them."""
    found = {each.name: getattr(keys, each.name) for each in dataclasses.fields(RunKeys)}
    plain: dict[str, object] = {
        name: value.value if isinstance(value, Enum) else value for name, value in found.items()
    }
    return plain | {"confirm": dataclasses.asdict(keys.confirm)}


def help_text() -> str:
    """Returns the text of `--help`: the tasks with their scales, then every key."""
    lines = ["usage: python -m search.run [key=value ...]", "", "Searches for the best network of a task. Tasks:"]
    for name in tasks.names():
        task = tasks.find(name)
        lines += [f"  {name:<12} {task.sentence}", *_scales_help(task)]
    lines += [
        "",
        "scale=laptop, the default, takes about 15 minutes on 2 CPU cores (tiny10k: 20 to 40), without confirmation;",
        "scale=full is for GPUs. Every value can be overridden by its key.",
        "",
        "Keys:",
        *keys_help(RunKeys),
        CONFIG_HELP,
        "",
        "example: python -m search.run task=tiny10k num_trials=16 fix.optimizer=adam seed=1",
    ]
    return "\n".join(lines)


def _scales_help(task: tasks.Task) -> list[str]:
    scales = {"laptop": task.laptop, "full": task.full} if task.laptop != task.full else {"laptop and full": task.full}
    return [f"  {'':<12}   {name}: {_in_words(scale)}" for name, scale in scales.items()]


def _in_words(scale: tasks.Scale) -> str:
    examples = f"{scale.train_examples:,} training examples" if scale.train_examples else "all training examples"
    macs = f", up to {short_number(scale.max_macs)} MACs" if scale.max_macs else ""
    grace = f" (grace_epochs={scale.grace_epochs})" if scale.grace_epochs > 1 else ""
    pinned = "".join(f", fix.{name}={str(value).lower()}" for name, value in scale.fix.items())
    trials = f"{count(scale.num_trials, 'trial')} of up to {count(scale.max_epochs, 'epoch')}"
    return f"{trials}{grace} on {examples}{macs}{pinned}"


def find_data_dir(given: str | None) -> str:
    """Returns the folder of data files: the given one, the environment's, or a cache at home. Raises ValueError."""
    try:
        return expand_home("data_dir", given) if given else str(default_data_dir())
    except RuntimeError:
        raise ValueError("data_dir: your home is unknown; name a folder with data_dir=FOLDER") from None
