"""Claim: at equal epochs and examples, a candidate beats every published network that ran, with no more MACs.

    python -m benchmarks.tasks data_dir=FOLDER tasks=[digits,documents]

For each task it runs once the command that a user types, at laptop scale, and times the whole of it. Each published
network is compared with the best candidate that was trained to the end with no more MACs, and with no more parameters.
The score of a constant answer is printed as a baseline.
"""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch

import results
from benchmarks.command_line import read_settings
from benchmarks.runs import RunSettings
from data.splits import Split, Splits
from results.keys import key
from results.wording import number
from search import tasks
from search.planning.keys import find_data_dir
from search.planning.plan import Plan
from spaces.goal import Classify, Denoise, Goal, Reconstruct
from spaces.network import short_number
from trainables.goals import DeviceSplit, work_for

CLAIM = "Claim: at equal epochs and examples, a candidate beats every published network that ran, with no more MACs."


@dataclass
class Settings(RunSettings):
    tasks: list[str] = key([], "tasks to run", "all but tiny10k")


def main() -> None:
    settings = read_settings(Settings, "tasks", CLAIM)
    names = settings.tasks or [name for name in tasks.names() if name != "tiny10k"]
    print_header()
    for name in names:
        seconds = search(settings, name)
        print_rows(settings, name, seconds)


def search(settings: Settings, name: str) -> float:
    """Runs the task's search, appends its output to a log file beside the run, and returns the seconds it took."""
    start = time.monotonic()
    folder = settings.folder(name)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with Path(f"{folder}.log").open("a") as output:
        words = [f"task={name}", f"run={folder.name}", f"runs_dir={settings.runs_dir}"]
        words += [f"data_dir={find_data_dir(settings.data_dir)}", "confirm.top_k=0", "report=false"]
        subprocess.run(
            [sys.executable, "-m", "search.run", *words, *settings.extra], stdout=output, stderr=output, check=True
        )
    return time.monotonic() - start


def print_header() -> None:
    print("| task and data | network | score | parameters | MACs | best with no more MACs | with no more parameters |")
    print("|---|---|---|---|---|---|---|", flush=True)


def print_rows(settings: Settings, name: str, seconds: float) -> None:
    plan = settings.plan(name)
    board = results.load(name, settings.folder(name))
    complete = board[board["status"] == "COMPLETE"].sort_values("rank")
    candidates = complete[complete["reference"].isna()]
    splits = plan.load_data(lambda line: None)
    about = f"**{name}**: {plan.task.objective.name} ({plan.task.objective.direction}d), {splits.name}"
    size = f"{len(splits.train):,} images, {plan.max_epochs} epochs, {len(board)} trials, {seconds / 60:.1f} min"
    print(f"| {about}, {size} | constant answer | {number(baseline(plan.goal, splits))} | | | | |")
    for _, row in pd.concat([candidates.head(1), board[board["reference"].notna()]]).iterrows():
        label = f"winner (trial {row['trial']})" if pd.isna(row["reference"]) else row["reference"]
        cells = [label, score_and_metrics(row), f"{row['num_params']:,}", short_number(row["num_macs"])]
        if not pd.isna(row["reference"]) and not pd.isna(row["score"]):
            for cost in ("num_macs", "num_params"):
                cells.append(compare(row, candidates[candidates[cost] <= row[cost]], plan))
        print("| | " + " | ".join([*cells, "", ""][:6]) + " |", flush=True)
    for reference, reason in plan.skipped().items():
        print(f"| | {reference} | skipped, {reason.partition(':')[0]} | | | | |", flush=True)


def score_and_metrics(row: pd.Series) -> str:
    if pd.isna(row["score"]):
        return f"{row['status']}"
    further = [f"{name.removeprefix('metric_')} {number(row[name])}" for name in row.index if name[:7] == "metric_"]
    code = [f"code {row['code_size']}"] if not pd.isna(row["code_size"]) and row["code_size"] < 784 else []
    return " ".join([number(row["score"]), *([f"({', '.join([*further, *code])})"] if further or code else [])])


def compare(reference: pd.Series, candidates: pd.DataFrame, plan: Plan) -> str:
    """Formats the best candidate's score, and by how much it is better or worse than the reference."""
    if candidates.empty:
        return "none trained to the end"
    best = candidates.iloc[0]
    gain = plan.task.objective.signed(best["score"]) - plan.task.objective.signed(reference["score"])
    return f"{number(best['score'])} (trial {best['trial']}): {'better' if gain > 0 else 'WORSE'} by {abs(gain):.3g}"


def baseline(goal: Goal, splits: Splits) -> float:
    """Returns the validation score of always answering the commonest label, the mean image, or the input itself."""
    val = DeviceSplit.of(splits.val.x, splits.val.y, torch.device("cpu"))
    if isinstance(goal, Classify):
        return share_of_commonest_label(splits.val)
    if isinstance(goal, Reconstruct):
        mean = torch.tensor(np.asarray(splits.train.x).mean(axis=0) / 255, dtype=torch.float32)
        return work_for(goal, val).scores(lambda x: mean.expand(len(x), 1, *mean.shape)).score
    return work_for(goal, val).scores(lambda x: x if isinstance(goal, Denoise) else x.float() / 255).score


def share_of_commonest_label(split: Split) -> float:
    assert split.labels is not None
    return np.bincount(split.labels).max() / len(split)


if __name__ == "__main__":
    main()
