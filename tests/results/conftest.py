"""Trials and reports as a search passes them to the tables, and a folder of runs made of them."""

from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from results import tables

PARAM_TYPES = {"optimizer": pa.string(), "pooling": pa.string(), "filters": pa.int64(), "batch_norm": pa.bool_()}


SAME = {"dataset_fingerprint": "f0", "goal": "classify", "max_epochs": 3, "train_examples": 100, "val_examples": 20}


def make_row(trial: int, status: str = "COMPLETE", score: float | None = 0.9, **columns) -> dict:
    row = {
        "run": "tiny10k-1",
        "task": "tiny10k",
        **SAME,
        "trial": trial,
        "status": status,
        "score": score,
        "best_score": score,
        "epochs": 3.0,
        "num_params": 1000 * (trial + 1),
        "started_at": datetime(2025, 1, 1, tzinfo=UTC) + timedelta(minutes=trial),
        "params": {
            "optimizer": ["adam", "sgd"][trial % 2],
            "pooling": ["max", "average"][trial // 2 % 2],
            "filters": 8 * (trial + 1),
            "batch_norm": trial % 3 == 0,
        },
    }
    return row | columns


@pytest.fixture
def trial_row():
    """Returns the function that makes one trial's row: trial_row(number, status, score, **columns)."""
    return make_row


@pytest.fixture
def trials() -> list[dict]:
    return [
        make_row(0, score=0.970),
        make_row(1, "PRUNED", 0.999, epochs=1.0, stop_rung=1.0),
        make_row(2, score=0.985),
        make_row(3, "FAILED_NAN", float("nan"), error="loss is nan"),
        make_row(4, score=0.980),
        make_row(5, "RUNNING", 0.5),
        make_row(6, score=0.986, reference="bertoldi", num_params=9682, params={}),
        make_row(7, "UNAVAILABLE", None, reference="vgg", params={}, error="its weights are not here"),
    ]


@pytest.fixture
def reports() -> list[dict]:
    return [
        {
            "run": "tiny10k-1",
            "task": "tiny10k",
            **SAME,
            "trial": trial,
            "step": step,
            "epoch": step / 2,
            "val_score": 0.1 * step,
        }
        for trial in (0, 1, 2, 5)
        for step in range(1, 4)
    ]


@pytest.fixture
def runs(tmp_path, trials, reports):
    """Writes a folder of runs: one finished, and one that has just started and has no table yet."""
    folder = tmp_path / "runs"
    run = folder / "tiny10k-1"
    run.mkdir(parents=True)
    (folder / "tiny10k-2").mkdir()
    board = tables.leaderboard(trials, direction="maximize", param_types=PARAM_TYPES)
    tables.write(board, run / "leaderboard.parquet")
    tables.write(tables.curves(reports), run / "curves.parquet")
    return folder
