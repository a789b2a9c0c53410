"""The tables of a study. They are derived from the study alone, so the journal suffices to write them again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution

from results import tables
from results.files import writing
from results.schema import Status
from search.study.study import Study
from search.study.trial import TrialRecord
from spaces.network import Network
from spaces.space import Space


@dataclass(frozen=True, kw_only=True)
class Origin:
    """The run, task and dataset that every row of a run's tables names."""

    run: str
    task: str
    dataset: str
    dataset_origin: str
    dataset_fingerprint: str
    goal: str
    """The text of `results.conditions.goal_text`."""
    max_epochs: int
    train_examples: int
    val_examples: int
    classes: tuple[str, ...] | None = None
    features: tuple[str, ...] | None = None
    """The names of the columns of rows; None for other examples."""

    def columns(self) -> dict[str, object]:
        """Returns the columns of each row of a table."""
        return {name: value for name, value in vars(self).items() if name not in ("classes", "features")}

    def facts(self) -> dict[str, object]:
        """Returns the JSON values that a model file records."""
        return {
            "run": self.run,
            "task": self.task,
            "dataset": self.dataset,
            "dataset_fingerprint": self.dataset_fingerprint,
            "classes": list(self.classes) if self.classes else None,
            **({"features": list(self.features)} if self.features else {}),
        }


def write_tables(study: Study, origin: Origin, folder: Path, *, is_live: bool) -> None:
    """Writes leaderboard and curves. Unless `is_live`, unfinished trials become STOPPED. Raises StorageError."""
    direction = study.objective.direction
    rows = [_trial_row(trial, study, origin, is_live) for trial in study.trials]
    names = sorted({name for trial in study.trials for report in trial.reports for name in report.metrics})
    leaderboard = tables.leaderboard(
        rows, direction=direction, param_types=param_types(study.space), metric_names=names
    )
    curves = tables.curves(_curve_rows(study, origin), metric_names=names)
    with writing(folder):
        tables.write(leaderboard, folder / "leaderboard.parquet")
        tables.write(curves, folder / "curves.parquet")


def param_types(space: Space) -> dict[str, pa.DataType]:
    """Returns the column type of each of a space's parameters."""
    return {parameter.name: _arrow_type(parameter.distribution) for parameter in space.parameters}


def _arrow_type(distribution: BaseDistribution) -> pa.DataType:
    if isinstance(distribution, CategoricalDistribution):
        kinds = {bool: pa.bool_(), int: pa.int64(), float: pa.float64(), str: pa.string()}
        return kinds[type(distribution.choices[0])]
    return pa.int64() if isinstance(distribution, IntDistribution) else pa.float64()


def _trial_row(trial: TrialRecord, study: Study, origin: Origin, is_live: bool) -> dict[str, object]:
    network, reports = trial.candidate.network, trial.reports
    is_stopped = trial.status == Status.RUNNING and not is_live
    seconds, images = sum(r.seconds for r in reports), sum(r.num_images for r in reports)
    last = reports[-1] if reports else None
    best = study.best_report(trial)
    return {
        **origin.columns(),
        "trial": trial.number,
        "status": Status.STOPPED if is_stopped else trial.status,
        "score": last.val_score if last else None,
        "val_loss": last.val_loss if last else None,
        "best_score": best.val_score if best else None,
        "best_epoch": best.epoch if best else None,
        "epochs": last.epoch if last else 0.0,
        "stop_rung": trial.stop_rung,
        "num_params": network.num_params,
        "num_trainable": network.num_trainable,
        "num_macs": network.num_macs,
        "code_size": network.code_size if _gives_an_image(network) else None,
        "train_seconds": seconds,
        "images_per_second": images / seconds if seconds else None,
        "seed": trial.seed,
        "origin": trial.origin,
        "reference": trial.reference,
        "repeats": trial.repeats,
        "repeated_by": study.repeated.get(trial.number),
        "device": last.device if last else None,
        "node": last.node if last else None,
        "error": _error(trial, study),
        "started_at": trial.started_at,
        "ended_at": trial.ended_at,
        "metrics": last.metrics if last else {},
        "params": trial.params,
        "candidate_json": trial.candidate.to_json(),
    }


def _error(trial: TrialRecord, study: Study) -> str | None:
    """Returns the trial's error, with the number of the retry if there was one."""
    if trial.number not in study.repeated:
        return trial.error
    return f"{trial.error or trial.status}; retried as trial {study.repeated[trial.number]}"


def _curve_rows(study: Study, origin: Origin) -> Iterator[dict[str, object]]:
    columns = ("step", "epoch", "train_loss", "val_loss", "val_score", "learning_rate", "seconds")
    same = origin.columns()
    for trial in study.trials:
        for report in trial.reports:
            row = {name: getattr(report, name) for name in columns}
            yield {**same, "trial": trial.number, **row, **report.metrics}


def _gives_an_image(network: Network) -> bool:
    """Returns whether a network's outputs are images like its inputs; maps of classes have no code."""
    return len(network.output_shape) == 3 and network.output_shape == network.input_shape
