"""Private names of Optuna: the ids of studies and trials in a storage, and the journal file."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any

from optuna.storages.journal import JournalFileBackend
from optuna.storages.journal._file import BaseJournalFileLock
from optuna.study._frozen import FrozenStudy
from optuna.trial import FrozenTrial

__all__ = ["FrozenStudy", "UnlockedFile", "study_id", "trial_id"]


def study_id(study: FrozenStudy) -> int:
    """Returns a study's id in its storage."""
    return study._study_id


def trial_id(trial: FrozenTrial) -> int:
    """Returns a trial's id in its storage, which counts the trials of all studies."""
    return trial._trial_id


class UnlockedFile(JournalFileBackend):
    """Optuna's journal file for a caller that holds its own lock, with bounded memory.

    Optuna's lock would stall the caller for 30 s after a process that held it was killed.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(str(path), lock_obj=_NoLock())

    def read_logs(self, log_number_from: int) -> Generator[dict[str, Any], None, None]:
        yield from super().read_logs(log_number_from)
        # Optuna keeps the offset of each record, 2 kB per trial, but reads only from the last or the first one
        last = max(self._log_number_offset)
        self._log_number_offset = {0: 0, last: self._log_number_offset[last]}


class _NoLock(BaseJournalFileLock):
    def acquire(self) -> bool:
        return True

    def release(self) -> None:
        pass
