"""A run's folder: its files, its lock, and config.yaml."""

from __future__ import annotations

import fcntl
import os
import platform
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import IO

import yaml

from data.files import TEMPORARY, replacing
from results.fetch import fetch_run, run_names
from results.files import check_no_links, open_unlinked, writing

ENGINES = ("torch", "ray", "optuna")
BEST = "best"
"""The name of the best trial's model file, without its suffix."""


@dataclass(frozen=True)
class RunFolder:
    """The folder of one run. Files in it are replaced whole; a killed process leaves only temporary files."""

    path: Path

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def journal(self) -> Path:
        return self.path / "journal.log"

    @property
    def config(self) -> Path:
        return self.path / "config.yaml"

    @property
    def task(self) -> Path:
        """The text of the user's task file that the run was started with, if its task is one."""
        return self.path / "task.py"

    @property
    def models(self) -> Path:
        return self.path / "models"

    @property
    def best_model(self) -> Path:
        """The model of the leaderboard's first row; it does not exist if no file holds that network."""
        return self.models / f"{BEST}.pt"

    @property
    def scratch(self) -> Path:
        """Ray Tune's own files, which are not needed after it has ended."""
        return self.path / ".tune"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Creates the folder and locks it against other processes. The lock ends with the process that holds it.

        A folder created here is removed if the block raises ValueError (user error). Raises ValueError if another
        process holds the lock, if the folder cannot be created or written, or if it contains a link.
        """
        is_new = not self.path.exists()
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            check_no_links(self.path, unless_in=[self.scratch.name])  # it is removed without following links
            lock = open_unlinked(self.path / ".lock", "w")
        except OSError as error:
            raise ValueError(
                f"{self.path}: cannot be the folder of a run: {error.strerror}; name another one with runs_dir= and "
                "run="
            ) from None
        with lock:
            self._hold(lock, is_new)
            self._sweep()
            try:
                yield
            except ValueError:
                if is_new:
                    shutil.rmtree(self.path)
                raise
            finally:
                shutil.rmtree(self.scratch, ignore_errors=True)

    def _hold(self, lock: IO[str], is_new: bool) -> None:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ValueError(f"run={self.name}: another process is running it; wait, or name another run") from None
        except OSError as error:
            if is_new:
                shutil.rmtree(self.path)
            raise ValueError(
                f"{self.path}: this file system has no locks, which keep two processes from writing one run "
                f"({error.strerror}); name a folder on another one with runs_dir="
            ) from None

    def write_config(self, facts: Mapping[str, object]) -> None:
        """Writes config.yaml, which `search.planning` reads when the run is resumed. Raises StorageError."""
        versions = {"python": platform.python_version(), **{name: version(name) for name in ENGINES}}
        facts = {**facts, "versions": versions, "git_commit": _git_commit()}
        text = yaml.safe_dump(facts, sort_keys=False, allow_unicode=True)
        with writing(self.config), replacing(self.config, make_folder=True) as file:
            file.write(text.encode())

    def write_task(self, text: str) -> None:
        """Writes the text of the run's task file, unless it is there. Raises StorageError."""
        if not self.task.exists():
            with writing(self.task), replacing(self.task, make_folder=True) as file:
                file.write(text.encode())

    def _sweep(self) -> None:
        """Removes temporary files that killed processes left."""
        shutil.rmtree(self.scratch, ignore_errors=True)
        for folder in (self.path, self.path / "checkpoints", self.path / "models"):
            for path in folder.glob(f".*{TEMPORARY}"):
                path.unlink(missing_ok=True)


def find_run(runs_dir: str, run: str) -> RunFolder:
    """Returns the folder of an existing run, fetched if it is in a bucket. Raises ValueError that lists the runs."""
    folder = RunFolder(fetch_run(runs_dir, run))
    if not os.path.exists(folder.journal):  # pathlib's raises an error for a name that is too long
        raise ValueError(
            f"run={run}: there is no such run in {runs_dir}; it has {', '.join(run_names(runs_dir)) or 'none'}. "
            "runs_dir= names another folder of runs"
        )
    return folder


def _git_commit() -> str | None:
    """Returns the commit of the running code, with a + if files differ from it; None outside a repository."""
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
