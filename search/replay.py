"""python -m search.replay: one trial of a run trained again from what the run recorded, and held against its curve."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data.splits import Splits
from results.keys import check_name, key, keys_help, parse_into
from results.runs_at import RULE, runs_at
from search.command_line.command import FAILED, run_command
from search.command_line.terminal import Terminal
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
PROMISE = """
Trains one trial again, alone and without Ray, from what its run recorded: candidate, seed and data. Prints each of its
reports beside the recorded one, and says whether they are the same: losses and score, bit for bit.

What is promised: on the same model of CPU and the same version of PyTorch, a trial that ran on a CPU gives the same
bits, also if it was killed and resumed, or moved to another machine of that kind. On another CPU or version, sums are
rounded otherwise (one CPU computes in bfloat16, another in float32), and curves agree within the noise of training. On
a GPU some sums depend on the order in which threads end, and no bits are promised. The largest difference is shown.

The exit code is 0 if the curves are the same, 1 if they are not, and 2 for a mistake in what was asked."""


@dataclass
class ReplayConfig:
    """Which trial is to be trained again."""

    run: str = key("", "name of the run", "needed")
    trial: int | None = key(None, "number of the trial, as the leaderboard has it", "needed")
    runs_dir: str = key("", "folder of all runs", RULE)
    data: str | None = key(None, "original, made, auto, or the path of your own data", "the run's")
    data_dir: str | None = key(None, "folder of data files, where they have moved", "the run's")


def main(arguments: Sequence[str] | None = None) -> int:
    """Replays what the command line says."""
    return run_command("search.replay", arguments, help_text=help_text, parse=parse, work=replay)


def help_text() -> str:
    return "\n".join([f"usage: {USAGE}", PROMISE, "", "Keys:", *keys_help(ReplayConfig)])


def parse(arguments: Sequence[str]) -> ReplayConfig:
    config = parse_into(ReplayConfig, arguments, "python -m search.replay --help")
    if not config.run or config.trial is None:
        raise ValueError(f"run= and trial= are needed; usage: {USAGE}")
    check_name("run", config.run)
    return replace(config, runs_dir=runs_at(config.runs_dir))


def replay(config: ReplayConfig) -> int:
    """Trains the trial again beside its recorded curve; 0 if they are the same, else 1."""
    terminal = Terminal()
    journal = Journal.read(find_run(config.runs_dir, config.run).journal)
    entry = _entry(journal, config)
    plan = _plan(journal, config)
    splits = _load_data(plan, journal, terminal)
    terminal.say(f"trial {config.trial} of {config.run}: {_fate(entry)}; training it again on {splits.name}")
    largest = 0.0
    for recorded, again in zip(entry.reports, _train(entry, journal.identity, splits, plan.data_dir), strict=True):
        difference = max(_difference(getattr(recorded, name), getattr(again, name)) for name in COMPARED)
        largest = max(largest, difference)
        terminal.say(
            f"epoch {again.epoch:g}: {'differs' if difference else 'the same'}: "
            + ", ".join(f"{name} {_shown(getattr(recorded, name), getattr(again, name))}" for name in COMPARED)
        )
    terminal.say(_verdict(entry, largest))
    return FAILED if largest else 0


def _entry(journal: Journal, config: ReplayConfig) -> Entry:
    entries = journal.entries()
    if config.trial is None or not 0 <= config.trial < len(entries):
        numbers = f"trials 0 to {len(entries) - 1}" if entries else "no trials yet"
        raise ValueError(f"trial={config.trial}: the run {config.run} has {numbers}")
    entry = entries[config.trial]
    if not entry.reports:
        raise ValueError(f"trial={config.trial}: it has no report that a replay could be held against: {_fate(entry)}")
    return entry


def _plan(journal: Journal, config: ReplayConfig) -> Plan:
    """The plan that the run started with; `data=` and `data_dir=` may name another place for its data."""
    began = {name: journal.identity[name] for name in ("task", "max_epochs")}
    known = earlier(config.runs_dir, config.run) or RunKeys()
    given = {name: value for name in ("data", "data_dir") if (value := getattr(config, name))}
    return Plan.of(complete(replace(known, run=config.run, runs_dir=config.runs_dir, **began, **given)))


def _load_data(plan: Plan, journal: Journal, terminal: Terminal) -> Splits:
    """The run's dataset. Raises ValueError if what is found is another."""
    num_examples = {name: journal.identity[name] for name in NUM_EXAMPLES}
    splits = plan.load_all_data(terminal.say).at_most(**num_examples)
    recorded = journal.identity["dataset_fingerprint"]
    if splits.fingerprint != recorded:
        raise ValueError(
            f"the run was trained on {journal.identity['dataset']} ({recorded}), and what was found is {splits.name} "
            f"({splits.fingerprint}); data_dir= or data= says where the run's data are now"
        )
    return splits


def _train(entry: Entry, identity: dict[str, Any], splits: Splits, data_dir: Path) -> Iterator[Report]:
    """The trial's reports, trained anew."""
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
        data_dir=data_dir,
    )
    for _ in entry.reports:
        yield training.advance()


def _device(entry: Entry) -> torch.device:
    """A GPU, where there is one, for a trial that ran on one."""
    import torch

    return torch.device("cuda" if torch.cuda.is_available() and entry.reports[0].device != "cpu" else "cpu")


def _difference(recorded: float, again: float) -> float:
    """0 only for the same number; what is not finite was recorded as NaN."""
    are_lost = (math.isnan(recorded), not math.isfinite(again))
    if any(are_lost):
        return 0.0 if all(are_lost) else math.inf
    return abs(recorded - again)


def _shown(recorded: float, again: float) -> str:
    return f"{again:.6g}" if not _difference(recorded, again) else f"{recorded:.9g} -> {again:.9g}"


def _fate(entry: Entry) -> str:
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


if __name__ == "__main__":
    sys.exit(main())
