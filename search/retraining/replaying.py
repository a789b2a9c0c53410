"""Replays a trial: retrains it alone, without Ray, from what its run recorded, and compares the two curves."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from data.splits import Splits
from results.keys import check_name, key, parse_into
from results.runs_at import RULE, runs_at
from search.planning.config import complete
from search.planning.keys import RunKeys
from search.planning.plan import NUM_EXAMPLES, Plan
from search.planning.resume import earlier
from search.runs.folder import find_run
from search.study.journal import Entry, Journal
from spaces.goal import Goal
from spaces.report import Report

if TYPE_CHECKING:
    import torch

COMPARED = ("train_loss", "val_loss", "val_score")
USAGE = "python -m search.replay run=NAME trial=N"


@dataclass
class ReplayConfig:
    """Which trial is retrained."""

    run: str = key("", "name of the run", "required")
    trial: int | None = key(None, "number of the trial, as in the leaderboard", "required")
    runs_dir: str = key("", "folder of all runs", RULE)
    task: str = key("", "the task's file, if it has moved", "the run's")
    data: str | None = key(None, "original, made, auto, or the path of your own data", "the run's")
    data_dir: str | None = key(None, "folder of data files, if they have moved", "the run's")


def parse(arguments: Sequence[str]) -> ReplayConfig:
    """Reads the keys. Raises ValueError that names the key and what it takes."""
    config = parse_into(ReplayConfig, arguments, "python -m search.replay --help")
    if not config.run or config.trial is None:
        raise ValueError(f"run= and trial= are needed; usage: {USAGE}")
    check_name("run", config.run)
    return replace(config, runs_dir=runs_at(config.runs_dir))


@dataclass(frozen=True)
class Replay:
    """How a retrained trial compares with its recorded curve."""

    difference: float
    """The largest difference of all losses and scores; 0 if all are equal, bit for bit."""
    verdict: str
    """The result in a sentence, with the likely reason for a difference."""


def replay_trial(config: ReplayConfig, say: Callable[[str], None]) -> Replay:
    """Retrains the trial, and passes `say` a line for each report as it is compared with the recorded one."""
    journal = Journal.read(find_run(config.runs_dir, config.run).journal)
    entry = _entry(journal, config)
    plan = _plan(journal, config)
    splits = _load_data(plan, journal, say)
    say(f"trial {config.trial} of {config.run}: {_outcome_of(entry)}; retraining it on {splits.name}")
    largest = 0.0
    for recorded, repeated in zip(entry.reports, _train(entry, journal.identity, splits, plan), strict=True):
        difference = max(_difference(getattr(recorded, name), getattr(repeated, name)) for name in COMPARED)
        largest = max(largest, difference)
        say(
            f"epoch {repeated.epoch:g}: {'differs' if difference else 'the same'}: "
            + ", ".join(f"{name} {_text(getattr(recorded, name), getattr(repeated, name))}" for name in COMPARED)
        )
    return Replay(largest, _verdict(entry, largest))


def _entry(journal: Journal, config: ReplayConfig) -> Entry:
    entries = journal.entries()
    if config.trial is None or not 0 <= config.trial < len(entries):
        numbers = f"trials 0 to {len(entries) - 1}" if entries else "no trials yet"
        raise ValueError(f"trial={config.trial}: the run {config.run} has {numbers}")
    entry = entries[config.trial]
    if not entry.reports:
        raise ValueError(f"trial={config.trial}: it has no report to compare a replay with: {_outcome_of(entry)}")
    return entry


def _plan(journal: Journal, config: ReplayConfig) -> Plan:
    """Returns the run's original plan; `task=`, `data=` and `data_dir=` may say where its files are now."""
    original = {"max_epochs": journal.identity["max_epochs"]}
    known = earlier(config.runs_dir, config.run) or RunKeys(task=journal.identity["task"])
    given = {name: value for name in ("task", "data", "data_dir") if (value := getattr(config, name))}
    return Plan.of(complete(replace(known, run=config.run, runs_dir=config.runs_dir, **original, **given)))


def _load_data(plan: Plan, journal: Journal, say: Callable[[str], None]) -> Splits:
    """Returns the run's dataset. Raises ValueError if another one is found."""
    num_examples = {name: journal.identity[name] for name in NUM_EXAMPLES}
    splits = plan.load_all_data(say).at_most(**num_examples)
    recorded = journal.identity["dataset_fingerprint"]
    if splits.fingerprint != recorded:
        raise ValueError(
            f"the run was trained on {journal.identity['dataset']} ({recorded}), but {splits.name} "
            f"({splits.fingerprint}) was found; data_dir= or data= says where the run's data are now"
        )
    return splits


def _train(entry: Entry, identity: dict[str, Any], splits: Splits, plan: Plan) -> Iterator[Report]:
    """Retrains the trial and yields its reports."""
    from trainables.goals import DeviceSplit
    from trainables.machine import prepare_process
    from trainables.training import Training

    prepare_process(int(entry.reports[0].threads or 1))
    device = _device(entry)
    train, val = (DeviceSplit.of(split.x, split.y, device) for split in (splits.train, splits.val))
    training = Training(
        entry.trial.candidate,
        train,
        val,
        goal=Goal.from_json(identity["goal"]),
        seed=entry.trial.seed,
        epochs=identity["max_epochs"],
        reports_per_epoch=identity["reports_per_epoch"],
        data_dir=plan.data_dir,
        code=plan.task.code,
    )
    for _ in entry.reports:
        yield training.advance()


def _device(entry: Entry) -> torch.device:
    """Returns a GPU, if there is one, for a trial that ran on a GPU."""
    import torch

    return torch.device("cuda" if torch.cuda.is_available() and entry.reports[0].device != "cpu" else "cpu")


def _difference(recorded: float, repeated: float) -> float:
    """Returns 0 only for the same number. A number that is not finite was recorded as NaN."""
    are_lost = (math.isnan(recorded), not math.isfinite(repeated))
    if any(are_lost):
        return 0.0 if all(are_lost) else math.inf
    return abs(recorded - repeated)


def _text(recorded: float, repeated: float) -> str:
    return f"{repeated:.6g}" if not _difference(recorded, repeated) else f"{recorded:.9g} -> {repeated:.9g}"


def _outcome_of(entry: Entry) -> str:
    if entry.ending is None:
        return f"{len(entry.reports)} reports so far"
    error = f" ({entry.ending.error})" if entry.ending.error else ""
    return f"{entry.ending.status} after {len(entry.reports)} reports{error}"


def _verdict(entry: Entry, largest: float) -> str:
    if not largest:
        return f"The same: all {len(entry.reports)} reports, bit for bit."
    from trainables.machine import describe

    here = describe(_device(entry))
    names = ("device", "cpu", "torch", "threads")
    there = {name: " and ".join(sorted({str(getattr(report, name)) for report in entry.reports})) for name in names}
    changed = [f"{name} was {there[name]}, is {here[name]}" for name in there if there[name] != here[name]]
    reason = (
        f"expected, since {'; '.join(changed)}"
        if changed
        else "not expected: device, CPU, torch and threads are the same"
    )
    return f"Not the same: the largest difference is {largest:.3g}. That is {reason}."
