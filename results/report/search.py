"""The report's sections on the search itself: its settings, failures, all trials, and cost."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

from results import analysis, plots
from results.analysis.columns import distinct, floats, has_any, has_value, records, select_rows
from results.conditions import readable_goal
from results.report.page import (
    Column,
    Section,
    facts,
    figure,
    heading,
    join_parts,
    json_data,
    missing,
    paragraph,
    part,
    table,
)
from results.report.run_record import METRIC, RunRecord
from results.schema import Status
from results.values import echoed
from results.wording import clock, count, number, percentage

_MAX_SENTENCE = 300
_MAX_ERRORS, _MAX_NUMBERS, _MAX_ERROR_LENGTH = 5, 12, 4_000
"""The maximum number of errors shown, trials named for each, and characters of each."""


def settings(run: RunRecord) -> Section:
    config = run.config
    limits = [
        f"at most {config['max_params']:,} parameters" if config.get("max_params") else "",
        f"{config['max_macs']:,} MACs" if config.get("max_macs") else "",
        f"{config['max_code']:,} values at the narrowest layer" if config.get("max_code") else "",
        f"{config['time_budget_seconds']:g} seconds" if config.get("time_budget_seconds") else "",
    ]
    confirm = config.get("confirm") or {}
    fixed = ", ".join(f"{name}={_plain(value)}" for name, value in (config.get("fix") or {}).items())
    sentence = config.get("sentence")
    pairs = [
        *([("Searched for", echoed(sentence, _MAX_SENTENCE))] if sentence else []),
        ("Task", f"{run.task}, scale {config.get('scale', 'unknown')}"),
        ("Goal", readable_goal(run.goal)),
        ("Number of trials", f"{config.get('num_trials', 'unknown')}, and the references that fit"),
        ("Budget", ", ".join(filter(None, limits)) or "no limit"),
        ("Complete trial", count(config["max_epochs"], "epoch") if config.get("max_epochs") else "unknown"),
        ("Sampler", f"{config.get('sampler', 'unknown')}, seed {config.get('seed', 'unknown')}"),
        ("Stopping", _stopping(run)),
        ("Objective", f"{run.score_name}, {run.direction}d"),
        ("Confirmation", f"best {confirm['top_k']}, {confirm['seeds']} seeds" if confirm.get("top_k") else "none"),
    ]
    html = facts(pairs) + (paragraph(f"Fixed: {fixed}.") if fixed else "")
    return Section("settings", "Settings", html + heading("Data and machines") + facts(_data_and_machines(run)))


def failures(run: RunRecord) -> Section | None:
    """Makes a section of the trials' errors, each once with its trials; returns None if there are none."""
    failed = run.leaderboard.dropna(subset=["error"])
    if failed.empty:
        return None
    groups = [select_rows(failed, "error", [text]) for text in dict.fromkeys(failed["error"])]
    groups.sort(key=len, reverse=True)
    parts = [
        part("error", lead=_describe_failed(group), text=echoed(group["error"].iloc[0], _MAX_ERROR_LENGTH))
        for group in groups[:_MAX_ERRORS]
    ]
    if further := len(groups) - _MAX_ERRORS:
        parts += [paragraph(f"{count(further, 'other error')}: see the choices of the trials.")] if further > 0 else []
    return Section("failures", "Errors", join_parts(parts))


def leaderboard(run: RunRecord) -> Section:
    board = run.leaderboard
    metrics = run.metrics(board)
    columns = [
        Column("rank"),
        Column("trial"),
        Column("score", meaning=f"{run.score_name} where the trial ended or is now"),
        Column("status", is_number=False),
        Column("choices", is_number=False, sorts=False),
        Column("best", meaning="the best score of its curve"),
        *(Column(name.removeprefix(METRIC)) for name in metrics),
        Column("epochs"),
        Column("params"),
        Column("MACs"),
        *([Column("code", meaning="values at the narrowest layer")] if has_any(board, "code_size") else []),
        Column("seconds", meaning="for training and validation"),
        Column("examples/s"),
        Column("published as", is_number=False),
    ]
    columns = [column for column in columns if column.name != "published as" or has_any(board, "reference")]
    cells = [_row(trial, place, columns, metrics) for place, trial in enumerate(records(board))]
    statuses = _count_statuses(board)
    caption = f"{count(len(board), 'trial')}. Press a heading to sort by it, or a row's button to see its choices."
    return Section(
        "leaderboard",
        "Leaderboard",
        paragraph(statuses)
        + table(columns, cells, caption, name="trials", is_sortable=True)
        + json_data("params", _details(board)),
    )


def cost(run: RunRecord) -> Section:
    times = analysis.slot_time(run.leaderboard)
    if times.empty:
        return Section("cost", "Cost", missing("No trial has ended yet."))
    timed = analysis.ended_trials(run.leaderboard)
    wall = (timed["ended_at"].max() - timed["started_at"].min()).total_seconds()
    slots = analysis.max_concurrent(run.leaderboard)
    training = 3600 * float(floats(times, "training").sum())
    held = training + 3600 * float(floats(times, "rest").sum())
    speeds = floats(run.leaderboard, "images_per_second")
    speeds = speeds[np.isfinite(speeds)]
    pairs = [
        ("From first start to last end", f"{clock(wall)}, including pauses between sessions"),
        ("Maximum in parallel", count(slots, "trial")),
        ("Slot time with trials", f"{clock(held)}, {percentage(held, wall * slots)} of all slot time"),
        ("Training and validation", f"{clock(training)}, {percentage(training, held)} of that"),
        ("Confirmation", _confirmation_time(run)),
        ("Examples per second, median", f"{np.median(speeds):,.0f}" if len(speeds) else "unknown"),
    ]
    spent = ", ".join(
        f"{row['status'].lower()} {clock(3600 * (row['training'] + row['rest']))}" for row in records(times)
    )
    seen = f"Slot time by how trials ended: {spent}. {percentage(training, held)} of it was training and validation."
    return Section("cost", "Cost", facts(pairs) + figure(plots.slot_time(times), "slot-time", seen))


def _describe_failed(group: pd.DataFrame) -> str:
    numbers = [str(number) for number in group["trial"]]
    shown = ", ".join(numbers[:_MAX_NUMBERS]) + (", ..." if len(numbers) > _MAX_NUMBERS else "")
    return f"{count(len(group), 'trial')} ({shown}), {', '.join(distinct(group, 'status')).lower()}:"


def _stopping(run: RunRecord) -> str:
    if run.pruner != "asha":
        return "none, every trial is trained to its end" if run.pruner == "none" else run.pruner
    grace, factor = count(run.config.get("grace_epochs") or 1, "epoch"), run.config.get("reduction_factor") or 3
    return f"ASHA: first rung at {grace}; keeps the top 1/{factor} at each rung"


def _data_and_machines(run: RunRecord) -> list[tuple[str, str]]:
    versions = ", ".join(f"{name} {version}" for name, version in (run.config.get("versions") or {}).items())
    numbers = ((run.conditions.train_examples, "for training"), (run.conditions.val_examples, "for validation"))
    examples = [f"{number:,} {what}" for number, what in numbers if number]
    return [
        ("Dataset", f"{run.first('dataset') or 'unknown'} ({run.first('dataset_origin') or 'unknown'})"),
        ("Dataset fingerprint", str(run.first("dataset_fingerprint") or "unknown")),
        *([("Examples used", " and ".join(examples))] if examples else []),
        ("Devices", _names(distinct(run.leaderboard, "device"))),
        ("Nodes", _names(distinct(run.leaderboard, "node"))),
        ("Versions", versions or "unknown"),
        ("Commit", _commit(str(run.config.get("git_commit") or "unknown"))),
    ]


def _commit(name: str) -> str:
    return name[:12] + (", with uncommitted changes" if name.endswith("+") else "")


def _names(names: list[str]) -> str:
    further = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + further if names else "none yet"


def _row(trial: dict[str, Any], place: int, columns: list[Column], metrics: list[str]) -> list[Any]:
    values: dict[str, Any] = {
        "rank": _number(trial["rank"], "d"),
        "trial": _number(trial["trial"], "d"),
        "status": str(trial["status"]),
        "score": _score(trial["score"]),
        "best": _score(trial["best_score"]),
        "epochs": _number(trial["epochs"], ".4g"),
        "params": _number(trial["num_params"], ",d"),
        "MACs": _number(trial["num_macs"], ",d"),
        "code": _number(trial["code_size"], ",d"),
        "seconds": _number(trial["train_seconds"], ",.1f"),
        "examples/s": _number(trial["images_per_second"], ",.0f"),
        "published as": trial["reference"] if has_value(trial["reference"]) else None,
        **{name.removeprefix(METRIC): _score(trial[name]) for name in metrics},
    }
    values["choices"] = part("more_button", trial=trial["trial"], place=place)
    return [values[column.name] for column in columns]


def _score(value: Any) -> tuple[str, float] | None:
    return (number(float(value)), float(f"{float(value):.8g}")) if has_value(value) else None


def _number(value: Any, form: str) -> str | None:
    return format(value, form) if has_value(value) else None


def _details(board: pd.DataFrame) -> dict[str, list]:
    """Returns what a row's button shows, by column: parameters, and the trial's error, origin, machine and seed."""
    names = [name for name in board.columns if name.startswith("param_") and has_any(board, name)]
    further = [name for name in ("error", "origin", "device", "node", "seed") if has_any(board, name)]
    return {name.removeprefix("param_"): [_json_value(value) for value in board[name]] for name in [*names, *further]}


def _json_value(value: Any) -> Any:
    if not has_value(value):
        return None
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        return float(f"{value:.4g}") if math.isfinite(value) else None
    return str(value)


def _count_statuses(board: pd.DataFrame) -> str:
    counts = {status: len(select_rows(board, "status", [status])) for status in Status}
    return f"{count(len(board), 'trial')}: " + ", ".join(f"{n} {s.lower()}" for s, n in counts.items() if n) + "."


def _confirmation_time(run: RunRecord) -> str:
    if run.finalists is None:
        return "none"
    seconds = np.nansum(floats(run.finalists, "train_seconds"))
    return f"{clock(float(seconds))} in {count(len(run.finalists), 'training')}"


def _plain(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
