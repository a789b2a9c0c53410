"""A run's whole folder, drawn at random as a search would leave it: of any size, confirmed or not."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pyarrow as pa
import yaml
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages import JournalStorage
from optuna.storages.journal import BaseJournalBackend
from optuna.trial import TrialState, create_trial

from results import tables
from results.conditions import HEADER
from results.schema import PREDICTIONS

DISTRIBUTIONS: dict[str, BaseDistribution] = {
    "stages": IntDistribution(2, 3),
    "pooling": CategoricalDistribution(["max", "average", "strided"]),
    "batch_norm": CategoricalDistribution([True, False]),
    "optimizer": CategoricalDistribution(["adam", "sgd"]),
    "learning_rate": FloatDistribution(1e-3, 2e-2, log=True),
    "width_3": IntDistribution(10, 32, log=True),  # only with three stages
    "dropout": FloatDistribution(0, 0.9),
}
PARAM_TYPES = {
    **{"stages": pa.int64(), "pooling": pa.string(), "batch_norm": pa.bool_(), "optimizer": pa.string()},
    **{"learning_rate": pa.float64(), "width_3": pa.int64(), "dropout": pa.float64()},
}
GRACE, ETA = 1, 3
FIRST_START = datetime(2025, 1, 1, tzinfo=UTC)
FACTS = {
    **{"dataset": "mnist", "dataset_origin": "original", "dataset_fingerprint": "16eaeee6fdb13679"},
    **{"goal": "classify", "max_epochs": 9, "train_examples": 51_000, "val_examples": 9_000},
}


def make_run(
    folder: Path,
    *,
    num_trials: int = 24,
    max_epochs: int = 9,
    confirmed: bool = True,
    task: str = "tiny10k",
    **facts: Any,
) -> Path:
    """Writes the folder and returns it. Max pooling is better for every seed; further facts go into all rows."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    own = {"run": folder.name, "task": task, **FACTS, "max_epochs": max_epochs, **facts}
    trials = [_trial(number, rng, max_epochs) for number in range(num_trials)]
    rows = [{**own, **{k: v for k, v in trial.items() if k != "curve"}} for trial in trials]
    rows.append({**own, **_reference(num_trials, max_epochs)})
    board = tables.leaderboard(rows, direction="maximize", param_types=PARAM_TYPES)
    tables.write(board, folder / "leaderboard.parquet")
    curves = [
        {**own, "trial": t["trial"], "step": i + 1, "epoch": i + 1.0, "val_score": y}
        for t in trials
        for i, y in enumerate(t["curve"])
    ]
    tables.write(tables.curves(curves), folder / "curves.parquet")
    _write_journal(folder / "journal.log", trials, own)
    _write_config(folder / "config.yaml", num_trials, max_epochs, task, own)
    if confirmed:
        first, second = [row for row in board.to_pylist() if row["reference"] is None][:2]
        reference = next(row for row in board.to_pylist() if row["reference"])
        chosen = [(first, 1, 0.991), (second, 2, 0.9905), (reference, None, 0.985)]
        finalists = [_finalist(own, row, place, seed, score) for row, place, score in chosen for seed in range(3)]
        tables.write(tables.finalists(finalists), folder / "finalists.parquet")
        write_predictions(folder, own, first["trial"])
    return folder


def write_predictions(folder: Path, own: dict[str, Any], trial: int, num_images: int = 200) -> None:
    """Writes predictions of the first finalist. Image 7 is a 7 that all seeds take for a 1, and has a picture."""
    rows = [_prediction(own, trial, seed, index) for seed in range(3) for index in range(num_images)]
    tables.write(pa.Table.from_pylist(rows, schema=PREDICTIONS), folder / "predictions.parquet")
    np.savez_compressed(
        folder / "samples.npz",
        kind=np.array(["worst"]),
        index=np.array([7]),
        trial=np.int64(trial),
        finalist=np.array(f"trial {trial}"),
        scored_on=np.array("test"),
        input_0=np.arange(28 * 28, dtype=np.uint8).reshape(28, 28),
    )


def write_samples(folder: Path, *, side: int = 28) -> None:
    """Writes the samples of a network that makes images: two worst and two typical."""
    rng = np.random.default_rng(1)
    images = {
        f"{what}_{k}": rng.integers(0, 256, (side, side), dtype=np.uint8)
        for what in ("input", "output", "target")
        for k in range(4)
    }
    np.savez_compressed(
        folder / "samples.npz",
        kind=np.array(["worst", "worst", "typical", "typical"]),
        index=np.array([3, 1, 4, 15]),
        trial=np.int64(1),
        finalist=np.array("trial 1"),
        scored_on=np.array("test"),
        error=np.array([0.4, 0.3, 0.2, 0.1]),
        error_name=np.array("mean squared error"),
        **images,  # pyright: ignore
    )


def _trial(number: int, rng: np.random.Generator, max_epochs: int) -> dict[str, Any]:
    params: dict[str, Any] = {
        "stages": int(rng.integers(2, 4)),
        "pooling": str(rng.choice(["max", "average", "strided"])),
        "batch_norm": bool(rng.integers(2)),
        "optimizer": str(rng.choice(["adam", "sgd"])),
        "learning_rate": float(np.exp(rng.uniform(np.log(1e-3), np.log(2e-2)))),
        "dropout": float(rng.uniform(0, 0.9)),
    }
    if params["stages"] == 3:
        params["width_3"] = int(rng.integers(10, 33))
    top = 0.98 + 0.01 * (params["pooling"] == "max") - 0.005 * params["dropout"] + 0.001 * rng.normal()
    rungs = [epochs for epochs in (GRACE * ETA**k for k in range(9)) if epochs < max_epochs]
    stop = next((rung for rung in rungs if rng.random() < 0.6), None)
    status = "FAILED_NAN" if number % 23 == 22 else "PRUNED" if stop else "COMPLETE"
    epochs = stop or max_epochs
    curve = (top - 0.1 * np.exp(-np.arange(1, epochs + 1) / 2)).tolist()
    seconds = 4.0 * epochs
    started = FIRST_START + timedelta(seconds=20 * (number // 2))
    return {
        **{"trial": number, "status": status, "score": curve[-1], "best_score": curve[-1], "epochs": float(epochs)},
        **{"best_epoch": float(epochs), "stop_rung": float(stop) if status == "PRUNED" and stop else None},
        **{"num_params": int(rng.integers(2_000, 9_999)), "num_macs": int(rng.integers(10**5, 10**6))},
        **{"train_seconds": seconds, "images_per_second": 8000.0, "seed": number, "origin": "tpe", "device": "cpu"},
        **{"node": "head", "started_at": started, "ended_at": started + timedelta(seconds=seconds + 0.5)},
        **{"params": params, "curve": curve, "error": "loss is nan" if status == "FAILED_NAN" else None},
    }


def _reference(number: int, max_epochs: int) -> dict[str, Any]:
    return {
        **{"trial": number, "status": "COMPLETE", "score": 0.982, "best_score": 0.982, "epochs": float(max_epochs)},
        **{"num_params": 9_682, "num_macs": 741_664, "reference": "bertoldi", "origin": "reference"},
    }


def _finalist(own: dict, row: dict, place: int | None, seed: int, score: float) -> dict[str, Any]:
    return {
        **own,
        **{name: row[name] for name in ("trial", "reference", "num_params", "num_macs", "epochs")},
        **{"place": place, "seed": seed, "val_score": row["score"], "test_score": score + 0.0005 * (seed - 1) ** 2},
        **{"scored_on": "test", "train_seconds": 30.0, "model_path": f"models/{row['trial']}-seed-{seed}.pt"},
    }


def _prediction(own: dict, trial: int, seed: int, index: int) -> dict[str, Any]:
    label = index % 10
    predicted = 1 if index == 7 or (index + seed) % 97 == 0 else label
    is_right = predicted == label
    return {
        **{name: own[name] for name in ("run", "task", *FACTS)},
        **{"trial": trial, "place": 1, "seed": seed, "index": index, "label": label, "predicted": predicted},
        **{"probability": 0.9, "label_probability": 0.9 if is_right else 0.05, "scored_on": "test"},
    }


class _Lines(BaseJournalBackend):
    """A journal in memory: on disk, each of its records would wait for the disk."""

    def __init__(self) -> None:
        self.logs: list[dict[str, Any]] = []

    def read_logs(self, log_number_from: int) -> list[dict[str, Any]]:
        return self.logs[log_number_from:]

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        self.logs += json.loads(json.dumps(logs))


def _write_journal(path: Path, trials: list[dict[str, Any]], own: dict[str, Any]) -> None:
    backend = _Lines()
    storage = JournalStorage(backend)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study_id = storage.create_new_study([optuna.study.StudyDirection.MAXIMIZE], path.parent.name)
    kind, *settings = str(own["goal"]).split(" ")
    goal = {"goal": kind.capitalize(), **{name: json.loads(value) for name, value in (s.split("=") for s in settings)}}
    header = {"format": 2, "identity": {**{name: own[name] for name in ("task", *FACTS)}, "goal": goal}}
    storage.set_study_user_attr(study_id, HEADER, header)
    for trial in trials:
        params = trial["params"]
        state = {"COMPLETE": TrialState.COMPLETE, "PRUNED": TrialState.PRUNED}.get(trial["status"], TrialState.FAIL)
        template = create_trial(
            state=state,
            value=trial["score"] if state == TrialState.COMPLETE else None,
            params=params,
            distributions={name: DISTRIBUTIONS[name] for name in params},
            intermediate_values={i + 1: y for i, y in enumerate(trial["curve"])},
        )
        storage.create_new_trial(study_id, template_trial=template)
    path.write_text("".join(json.dumps(log) + "\n" for log in backend.logs))


def _write_config(path: Path, num_trials: int, max_epochs: int, task: str, own: dict[str, Any]) -> None:
    config = {
        **{
            "task": task,
            "sentence": f"the best {task}",
            "scale": "laptop",
            "num_trials": num_trials,
            "max_params": 9999,
            "max_macs": 3_000_000,
        },
        **{"max_epochs": max_epochs, "seed": 0, "grace_epochs": GRACE, "reduction_factor": ETA, "sampler": "tpe"},
        **{"confirm": {"top_k": 2, "seeds": 3}, "fix": {"padding": "same"}, "git_commit": "0123456789abcdef+"},
        **{"objective": {"name": "validation accuracy", "direction": "maximize"}, "versions": {"python": "3.11"}},
    }
    path.write_text(yaml.safe_dump({**config, "dataset": {"name": own["dataset"]}}))
