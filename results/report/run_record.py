"""Reads everything in a run's folder that its report needs."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePath
from typing import Any

import pandas as pd

from results import tables
from results.analysis.columns import first_value, floats, has_any, records, searched_trials, select_rows, trial_name
from results.analysis.confirmed import Confirmed
from results.analysis.statistics import Mean
from results.analysis.trials import Direction, at_equal_epochs, find_direction
from results.conditions import CONDITIONS, Conditions
from results.fetch import run_names
from results.locations import user_facing_path
from results.report.run_samples import Samples, read_samples
from results.report.table_checks import check_table
from results.run_config import GIVEN_IN_PYTHON, read_config
from results.rungs import rungs_below
from results.runs_at import is_default
from results.schema import Status
from results.shell import argument_of

TASK = "task.py"
"""The text of a user's own task, in the run's folder."""
OWN_MODULE = '"layer":"Own"'
"""Is in the JSON of a candidate with a module of the user's."""
METRIC = "metric_"
"""Begins the names of columns of further metrics."""


@dataclass(frozen=True)
class RunRecord:
    """A run's tables, configuration and pictures; those that may be missing are None or empty."""

    folder: Path
    leaderboard: pd.DataFrame
    curves: pd.DataFrame
    finalists: pd.DataFrame | None = None
    predictions: pd.DataFrame | None = None
    samples: Samples | None = None
    config: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def task(self) -> str:
        """The task's name; a user's own task is configured by its file."""
        return str(self.first("task") or PurePath(str(self.config.get("task") or "unknown task")).stem)

    @property
    def task_key(self) -> str:
        """The task as the key `task=` takes it: its name, or the path of a user's own."""
        configured = str(self.config.get("task") or "")
        return user_facing_path(Path(configured)) if configured.endswith(".py") else self.task

    @cached_property
    def conditions(self) -> Conditions:
        """Returns the conditions of its scores, which compare only with scores under the same ones."""
        return Conditions.of_row({name: self.first(name) for name in (*CONDITIONS, "dataset")})

    @property
    def goal(self) -> str:
        """Returns the goal that networks are trained for, with its settings."""
        return self.conditions.goal or "unknown"

    @property
    def goal_kind(self) -> str:
        """Returns the kind of the goal: classify, regress, multi-label, segment, custom ... or unknown."""
        return self.goal.split(" ")[0]

    @property
    def score_name(self) -> str:
        return str((self.config.get("objective") or {}).get("name") or "validation score")

    @property
    def test_score_name(self) -> str:
        return self.score_name.replace("validation", self.scored_on, 1)

    @cached_property
    def direction(self) -> Direction:
        return (self.config.get("objective") or {}).get("direction") or find_direction(self.leaderboard)

    @property
    def scored_on(self) -> str:
        return "test" if self.finalists is None else str(self.finalists["scored_on"].iloc[0])

    @cached_property
    def best(self) -> dict[str, Any] | None:
        """Returns the best completed trial of the search, without references, or None if no trial is complete."""
        complete = select_rows(searched_trials(self.leaderboard), "status", [Status.COMPLETE]).dropna(subset=["rank"])
        complete = complete.sort_values(by="rank")
        return complete.iloc[0].to_dict() if len(complete) else None

    @cached_property
    def confirmed(self) -> Confirmed:
        """Returns the finalists' scores and means, which are empty if nothing is confirmed."""
        return Confirmed.of(self.finalists, self.predictions, self.direction)

    def confirmed_row(self, name: str) -> dict[str, Any]:
        """Returns a row of the finalists' table for this finalist, of any seed."""
        return self._confirmed_rows(name).iloc[0].to_dict()

    def confirmed_metric(self, name: str, metric: str) -> float | None:
        """Returns a finalist's mean of a further metric over seeds, None if it has none."""
        values = floats(self._confirmed_rows(name).dropna(subset=[metric]), metric)
        return float(values.mean()) if len(values) else None

    def _confirmed_rows(self, name: str) -> pd.DataFrame:
        assert self.finalists is not None
        names = [trial_name(row) for row in records(self.finalists, "trial", "reference")]
        return self.finalists.loc[[each == name for each in names]]

    @staticmethod
    def metrics(table: pd.DataFrame) -> list[str]:
        """Returns the columns of further metrics that have a value."""
        return [name for name in table.columns if name.startswith(METRIC) and has_any(table, name)]

    def winner(self) -> tuple[str, Mean] | None:
        """Returns the best finalist by validation score, and its mean over seeds; None if nothing is confirmed."""
        return next(iter(self.confirmed.means.items()), None)

    @property
    def pruner(self) -> str:
        """Its name. Runs from before there was a choice had ASHA."""
        return self.config.get("pruner") or "asha"

    @cached_property
    def rungs(self) -> list[float]:
        """The epochs at which trials could be stopped: ASHA's by arithmetic, another pruner's where it stopped some."""
        if self.pruner != "asha":
            return sorted(self.leaderboard["stop_rung"].dropna().unique().tolist())
        grace, factor = float(self.config.get("grace_epochs") or 1), self.config.get("reduction_factor") or 3
        return rungs_below(self.max_epochs, grace, factor)

    @cached_property
    def max_epochs(self) -> float:
        """The epochs of a whole trial, or of the longest one if config.yaml does not say."""
        if self.config.get("max_epochs"):
            return float(self.config["max_epochs"])
        return max((epochs for epochs in floats(self.leaderboard, "epochs").tolist() if epochs > 0), default=1.0)

    @cached_property
    def fair_epochs(self) -> float:
        """The epochs after which trials are compared: the first rung, or a whole trial's if there is no rung."""
        return self.rungs[0] if self.rungs else self.max_epochs

    @cached_property
    def fair(self) -> pd.DataFrame:
        """The searched trials that were trained for `fair_epochs`, each with its score at that time."""
        return at_equal_epochs(self.leaderboard, self.curves, self.fair_epochs)

    def first(self, column: str) -> Any:
        """Returns the first value of a column of the leaderboard that is not missing, or None."""
        return first_value(self.leaderboard, column)

    def command(self, module: str, *further: str) -> str:
        """Returns a command line that runs a module on this run."""
        runs_dir = user_facing_path(self.folder.parent)
        words = [argument_of("run", self.name)]
        words += [] if is_default(runs_dir) else [argument_of("runs_dir", runs_dir)]
        return shlex.join(["python", "-m", module, *words, *further])

    def predict_command(self, model: str) -> str:
        """Returns a command line that applies one of the run's models."""
        words = ["python", "-m", "search.predict", f"model={user_facing_path(self.folder / model)}"]
        task = self.folder / TASK
        if not task.is_file():
            return shlex.join([*words, "input=IMAGES"])
        needs_task = self.has_own_module and not str(self.config.get("task")).startswith(GIVEN_IN_PYTHON)
        return shlex.join([*words, "input=EXAMPLES", *([f"task={user_facing_path(task)}"] if needs_task else [])])

    @cached_property
    def has_own_module(self) -> bool:
        """Returns whether a candidate has a module of the user's task, which a model file does not hold."""
        return any(OWN_MODULE in text for text in self.leaderboard["candidate_json"].dropna())


def read_run(folder: Path) -> RunRecord:
    """Reads a run. Raises ValueError if the folder has no run of a search, or if one of the run's files is damaged."""
    if (folder / "ablation.parquet").is_file():
        raise ValueError(f"{folder} has an ablation, which cannot be compared; choose runs of a search")
    if not (folder / "leaderboard.parquet").is_file():
        raise ValueError(
            f"{folder} has no leaderboard.parquet, so there is nothing to report: "
            + (
                "no trial has started yet; wait, or resume the run"
                if folder.is_dir()
                else f"there is no such run; runs here: {_runs(folder.parent)}"
            )
        )
    board = _frame(folder, "leaderboard")
    assert board is not None
    curves = _frame(folder, "curves")
    return RunRecord(
        folder=folder,
        leaderboard=board,
        curves=tables.frame(tables.curves([])) if curves is None else curves,
        finalists=_frame(folder, "finalists", is_empty_none=True),
        predictions=_frame(folder, "predictions", is_empty_none=True),
        samples=read_samples(folder / "samples.npz"),
        config=read_config(folder / "config.yaml"),
    )


def _runs(runs_dir: Path) -> str:
    found = run_names(user_facing_path(runs_dir), "leaderboard.parquet")
    return ", ".join(found[:20]) or f"none in {user_facing_path(runs_dir)}; runs_dir= names another folder"


def read_table(folder: Path, table: str) -> pd.DataFrame:
    """Reads and checks a run's table, which may come from anyone. Raises ValueError as `check_table` does."""
    return tables.frame(check_table(tables.read_run(folder, table), table, folder / f"{table}.parquet"))


def _frame(folder: Path, table: str, *, is_empty_none: bool = False) -> pd.DataFrame | None:
    if not (folder / f"{table}.parquet").exists():
        return None
    frame = read_table(folder, table)
    return None if is_empty_none and frame.empty else frame
