"""A run's folder: who holds it, how the run in it was begun, and what is said when its disk takes no more."""

from __future__ import annotations

import fcntl
import os
import platform
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import IO, Any

import yaml

from data.files import TEMPORARY, replacing
from results.files import check_no_links, open_unlinked, writing
from results.storage import bring, run_names

ENGINES = ("torch", "ray", "optuna")
BEST = "best"
"""The name of the best trial's model file, without its ending."""


@dataclass(frozen=True)
class RunFolder:
    """One folder a run; files in it are replaced whole, so what a killed process was writing lies beside them."""

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
    def models(self) -> Path:
        return self.path / "models"

    @property
    def best_model(self) -> Path:
        """The model of the leaderboard's first row; it is not there where no file holds that network."""
        return self.models / f"{BEST}.pt"

    @property
    def scratch(self) -> Path:
        """Ray Tune's own files, of which nothing is needed once it has ended."""
        return self.path / ".tune"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Makes the folder and keeps other processes out of it; the lock goes with the process that holds it.

        A folder that was made here goes again after a ValueError, a user's mistake that nothing came of. Raises
        ValueError if another process holds it, if it cannot be made or written, or if it holds a link.
        """
        is_new = not self.path.exists()
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            check_no_links(self.path, unless_in=[self.scratch.name])  # which is removed, and no link in it is followed
            lock = open_unlinked(self.path / ".lock", "w")
        except OSError as error:
            raise ValueError(
                f"{self.path}: cannot be the folder of a run: {error.strerror}; name others with runs_dir= and run="
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
            raise ValueError(f"run={self.name}: another process is running it; wait, or name another") from None
        except OSError as error:
            if is_new:
                shutil.rmtree(self.path)
            raise ValueError(
                f"{self.path}: this file system has no locks, by which a run is held by one process at a time "
                f"({error.strerror}); name a folder on another with runs_dir="
            ) from None

    def write_config(self, facts: dict[str, Any]) -> None:
        """Write config.yaml: what the run was asked for. `search.planning.config` reads it when the run is resumed."""
        versions = {"python": platform.python_version(), **{name: version(name) for name in ENGINES}}
        facts = {**facts, "versions": versions, "git_commit": _git_commit()}
        text = yaml.safe_dump(facts, sort_keys=False, allow_unicode=True)
        with writing(self.config), replacing(self.config, make_folder=True) as file:
            file.write(text.encode())

    def _sweep(self) -> None:
        """Removes what killed processes left unfinished."""
        shutil.rmtree(self.scratch, ignore_errors=True)
        for folder in (self.path, self.path / "checkpoints", self.path / "models"):
            for path in folder.glob(f".*{TEMPORARY}"):
                path.unlink(missing_ok=True)


def find_run(runs_dir: str, run: str) -> RunFolder:
    """The folder of a run that is there, or was brought here. Raises ValueError with the runs that are."""
    folder = RunFolder(bring(runs_dir, run))
    if not os.path.exists(folder.journal):  # not pathlib's, which raises for a name that is too long
        raise ValueError(
            f"run={run}: there is no such run in {runs_dir}; it has {', '.join(run_names(runs_dir)) or 'none'}. "
            "runs_dir= names another folder of runs"
        )
    return folder


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
