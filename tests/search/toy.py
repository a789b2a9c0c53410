"""A toy space and reports by hand, for tests that need a study but no training."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial

from results.schema import Status
from search.study.budget import Budget
from search.study.pruning.asha import Asha
from search.study.study import Study
from search.tasks import Metric
from spaces.layers import Conv, Dense, Flatten
from spaces.network import Network
from spaces.recipe import Candidate, Recipe
from spaces.report import Report
from spaces.space import Parameter, Params, Space


def toy_candidate(params: Params) -> Candidate:
    """10 + 6 * filters parameters... exactly (9 + 1) * filters + 2 * (4 * filters) + 2 on a 4x4 image."""
    network = Network((1, 4, 4), (Conv(int(params["filters"]), 3, padding="valid"), Flatten(), Dense(2)))
    return Candidate(network, Recipe(learning_rate=float(params.get("rate", 0.1)), optimizer=params["optimizer"]))  # type: ignore[arg-type]


TOY = Space(
    (
        Parameter("filters", IntDistribution(1, 20)),
        Parameter("optimizer", CategoricalDistribution(["adam", "sgd"])),
        Parameter("rate", FloatDistribution(1e-3, 1.0, log=True), lambda params: params["optimizer"] == "sgd"),
    ),
    toy_candidate,
)


def open_study(path: Path, **changes: Any) -> Study:
    options: dict[str, Any] = {
        "identity": {"task": "toy"},
        "name": "toy",
        "space": TOY,
        "budget": Budget(max_params=200),
        "objective": Metric("accuracy", "maximize"),
        "last_step": 9,
        "pruner": Asha(1, 3, 9),
        "sampler": "tpe",
        "seed": 0,
        "reports_per_epoch": 1,
    }
    return Study.open(path, **{**options, **changes})


def stored(path: Path) -> list[FrozenTrial]:
    """Returns the trials of a toy study's journal, as Optuna alone reads them."""
    storage = JournalStorage(JournalFileBackend(str(path)))
    return optuna.load_study(study_name="toy", storage=storage).get_trials()


def report(step: int, score: float, *, finished: bool = False, **changes: Any) -> Report:
    fields = {
        "step": step,
        "epoch": float(step),
        "train_loss": 0.5,
        "val_loss": 0.5,
        "val_score": score,
        "learning_rate": 0.1,
        "seconds": 1.0,
        "num_images": 100,
        "finished": finished,
        "metrics": {},
        "device": "cpu",
        "node": "here",
        "cpu": "toy",
        "torch": "0",
        "threads": "1",
        **changes,
    }
    return Report(**fields)


def run(study: Study, num_trials: int, last: int = 9) -> None:
    """Trains interrupted trials and then `num_trials` new ones to their ends, one after the other."""
    for orphan in study.running():
        train(study, orphan.number, last)
    for _ in range(num_trials):
        train(study, study.suggest().number, last)


def train(study: Study, number: int, last: int) -> None:
    """Makes all reports of a trial, including known ones. Larger networks and longer training score higher."""
    size = study.trials[number].candidate.network.num_params / 1000
    for step in range(1, last + 1):
        if study.report(number, report(step, size + step / 100, finished=step == last)) != Status.RUNNING:
            break


def picture(study: Study) -> list[tuple]:
    """Returns all of a study but its times."""
    reports = [[replace(r, seconds=0) for r in trial.reports] for trial in study.trials]
    return [
        (t.number, t.status, t.seed, t.candidate, t.params, t.rejected, t.stop_rung, t.error, reports[t.number])
        for t in study.trials
    ]
