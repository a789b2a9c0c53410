"""Extreme runs: long names, many classes, many trials, one trial, and no finished trial."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from results import tables
from results.schema import PREDICTIONS
from tests.results.synthetic import FACTS, PARAM_TYPES, make_run, write_predictions

LONG = "a class whose name goes on " + "and_on_without_a_blank_" * 12
"""About 300 characters."""
ERROR = (
    'Traceback (most recent call last):\n  File "task.py", line 7\nRuntimeError: mat1 and mat2 shapes do not fit: '
    + ("1x2304_and_1152x10_" * 12)
)


def make_extremes(runs: Path) -> dict[str, Path]:
    """Writes each run into its own folder. Returns the folders by a name for what is extreme."""
    return {
        "long": _with_classes(runs / ("long-" + "x" * 200), [f"{k} {LONG}" for k in range(10)]),
        "classes": _with_classes(runs / "classes", [f"class number {k}" for k in range(50)]),
        "large": make_run(runs / "large", num_trials=300, max_epochs=27),
        "one": make_run(runs / "one", num_trials=1, confirmed=False),
        "failed": _failed(runs / "failed"),
        "running": _running(runs / "running"),
    }


def _with_classes(folder: Path, names: list[str]) -> Path:
    make_run(folder, dataset=names[0] if len(names[0]) > 200 else "mnist")
    own = {"run": folder.name, "task": "tiny10k", **FACTS}
    write_predictions(folder, own, 0)
    rng = np.random.default_rng(0)
    rows = []
    for row in tables.read(folder / "predictions.parquet", "predictions").to_pylist():
        label = row["index"] % len(names)
        predicted = int(rng.integers(len(names))) if row["index"] == 7 or rng.random() < 0.2 else label
        own = {"label": label, "predicted": predicted, "label_name": names[label], "predicted_name": names[predicted]}
        rows.append(row | own)
    tables.write(pa.Table.from_pylist(rows, schema=PREDICTIONS), folder / "predictions.parquet")
    return folder


def _failed(folder: Path) -> Path:
    """Writes a run whose trials all failed with the same error."""
    return _of_rows(folder, [{"status": "FAILED", "score": None, "error": ERROR} for _ in range(3)])


def _running(folder: Path) -> Path:
    """Writes a run whose first trials are running, without a report."""
    return _of_rows(folder, [{"status": "RUNNING", "score": None} for _ in range(2)])


def _of_rows(folder: Path, rows: list[dict[str, Any]]) -> Path:
    make_run(folder, num_trials=2, confirmed=False)
    same = {"run": folder.name, "task": "tiny10k", "num_params": 9_000, "params": {"pooling": "max"}, **FACTS}
    trials = [{**same, "trial": number, **row} for number, row in enumerate(rows)]
    board = tables.leaderboard(trials, direction="maximize", param_types=PARAM_TYPES)
    tables.write(board, folder / "leaderboard.parquet")
    tables.write(tables.curves([]), folder / "curves.parquet")
    return folder
