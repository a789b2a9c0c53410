"""Plan: what a configuration comes to: the task with its limits, the space, ASHA, the folder, what identifies a run."""

from __future__ import annotations

import fcntl
import platform
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from data.splits import DataUnavailable, Splits
from search import tasks
from search.asha import Asha
from search.config import RunConfig, to_dict
from search.export import Origin
from search.study import Budget, Study
from search.tasks import Task
from spaces.recipe import Candidate
from spaces.space import Space, describe

ENGINES = ("torch", "ray", "optuna")


@dataclass(frozen=True)
class Plan:
    config: RunConfig
    task: Task
    space: Space
    budget: Budget
    max_epochs: int
    folder: Path

    @classmethod
    def of(cls, config: RunConfig) -> Plan:
        assert config.max_epochs is not None
        assert config.run is not None
        task = tasks.find(config.task)
        return cls(
            config=config,
            task=task,
            space=task.space.pinned(config.fix),
            budget=Budget(max_params=config.max_params, max_macs=config.max_macs),
            max_epochs=config.max_epochs,
            folder=Path(config.runs_dir, config.run),
        )

    def asha(self) -> Asha:
        """ASHA before its first report, with rungs counted in reports."""
        per_epoch = self.config.reports_per_epoch
        return Asha(self.config.grace_epochs * per_epoch, self.config.reduction_factor, self.max_epochs * per_epoch)

    def references(self) -> dict[str, Candidate]:
        """The task's published networks that keep the budget, if they are asked for."""
        if not self.config.references:
            return {}
        return {name: c for name, c in self.task.references.items() if not self.budget.rejection(c)}

    def load_data(self, say: Callable[[str], None]) -> Splits:
        """The task's dataset. Raises ValueError if it cannot be had, or a file is damaged."""
        assert self.config.data_dir is not None
        try:
            splits = self.task.dataset.load(self.config.data.value, Path(self.config.data_dir), say)
        except DataUnavailable as unavailable:
            raise ValueError(str(unavailable)) from None
        return splits.limited(self.config.train_examples)

    def origin(self, splits: Splits) -> Origin:
        return Origin(
            run=self.folder.name,
            task=self.task.name,
            dataset=splits.name,
            dataset_fingerprint=splits.fingerprint,
        )

    @contextmanager
    def locked_folder(self) -> Iterator[None]:
        """Makes the run's folder and keeps other processes out of it; the lock goes with the process that holds it."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = (self.folder / ".lock").open("w")
        except OSError as error:
            raise ValueError(f"runs_dir={self.config.runs_dir}: cannot make the run's folder: {error}") from None
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise ValueError(
                    f"run={self.folder.name}: another process is running it; wait, or give another name"
                ) from None
            shutil.rmtree(self.scratch, ignore_errors=True)
            try:
                yield
            finally:
                shutil.rmtree(self.scratch, ignore_errors=True)

    @property
    def scratch(self) -> Path:
        """Ray Tune's own files, of which nothing is needed afterwards."""
        return self.folder / ".tune"

    def open_study(self, splits: Splits) -> Study:
        """The run's study, from its journal if there is one. Raises ValueError if it was begun in another way."""
        study = Study.open(
            self.folder / "journal.log",
            self._identity(splits),
            name=self.folder.name,
            space=self.space,
            budget=self.budget,
            objective=self.task.objective,
            asha=self.asha(),
            sampler=self.config.sampler.value,
            seed=self.config.seed,
            reports_per_epoch=self.config.reports_per_epoch,
        )
        self._write_config(splits)
        return study

    def _identity(self, splits: Splits) -> dict[str, Any]:
        """All that makes rows comparable: a run goes on only with the same."""
        same = (
            *("task", "max_params", "max_macs", "max_epochs", "fix", "train_examples", "seed", "sampler"),
            *("grace_epochs", "reduction_factor", "reports_per_epoch"),
        )
        config = to_dict(self.config)
        return {
            **{name: config[name] for name in same},
            "objective": f"{self.task.objective.direction} {self.task.objective.name}",
            "dataset": splits.name,
            "dataset_fingerprint": splits.fingerprint,
            "space": {p.name: describe(p.distribution) for p in self.space.parameters},
        }

    def _write_config(self, splits: Splits) -> None:
        versions = {"python": platform.python_version(), **{name: version(name) for name in ENGINES}}
        dataset = {"name": splits.name, "origin": splits.origin, "fingerprint": splits.fingerprint}
        facts = {**to_dict(self.config), "dataset": dataset, "versions": versions, "git_commit": _git_commit()}
        OmegaConf.save(OmegaConf.create(facts), self.folder / "config.yaml")


def _git_commit() -> str | None:
    """The commit of the code that runs, with a + if files differ from it; None outside a repository."""
    here = Path(__file__).parent
    try:
        found = subprocess.run(
            ["git", "describe", "--always", "--abbrev=40", "--dirty=+"],
            cwd=here,
            capture_output=True,
            text=True,
            timeout=5,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return found.stdout.strip() or None
