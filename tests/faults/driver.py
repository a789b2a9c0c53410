"""Runs search.run under observation: `python -m tests.faults.driver key=value ...`.

Workers log the start and end of each epoch to the file in the environment variable FAULTS_LOG. With FAULTS_DIE=N,SHARE
the process kills itself within its N-th append to the journal, and leaves that share of the appended bytes.
"""

import itertools
import os
import signal
import sys

from search.cluster.connection import QUIET

os.environ.update(QUIET)  # must be set before Ray is imported

from search import run
from search.study.journal_file import JournalFile
from search.trials import tuning
from trainables.trainable import TrialTrainable

LOG = os.environ["FAULTS_LOG"]


class Observed(TrialTrainable):
    """A worker that logs `begin TRIAL EPOCH PID` and `end TRIAL EPOCH PID`; in __main__, so that Ray pickles it."""

    def step(self):
        training = self.training or self._begin()
        if self.unsent is not None:
            return super().step()
        words = f"{self.spec.number} {training.num_reports + 1} {os.getpid()}"
        self.note(f"begin {words}")
        result = super().step()
        self.note(f"end {words}")
        return result

    def note(self, line):
        with open(LOG, "a") as log:
            log.write(line + "\n")


def die_inside_append(number: int, share: float) -> None:
    append, counter = JournalFile.append_logs, itertools.count(1)

    def dying(self, logs):
        before = self.path.stat().st_size
        append(self, logs)
        if next(counter) == number:
            os.truncate(self.path, before + int(share * (self.path.stat().st_size - before)))
            os.kill(os.getpid(), signal.SIGKILL)

    JournalFile.append_logs = dying  # type: ignore[method-assign]


if __name__ == "__main__":
    tuning.TrialTrainable = Observed  # type: ignore[misc]
    tuning.TABLES_SECONDS, tuning.TABLES_SHARE = 0.0, 1.0  # tables are written many times in a short run
    if "FAULTS_DIE" in os.environ:
        number, share = os.environ["FAULTS_DIE"].split(",")
        die_inside_append(int(number), float(share))
    sys.exit(run.main())
