"""Keeps an ended trial's model and answers under their final names, or removes them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import ray

from results.schema import Status
from search.study.study import Study
from search.trials.checkpoints import left_over
from search.trials.job import Job


@dataclass
class ResultKeeper:
    """Tells the store under which name to keep an ended trial's files, without waiting for it."""

    job: Job
    study: Study
    store: Any
    """The actor of a CheckpointStore. Ray's types know none of its methods."""
    kept: dict[str, int]
    """The number of the trial whose results were kept last under each name."""
    pending: list[ray.ObjectRef] = field(default_factory=list)

    def end(self, number: int) -> None:
        """Keeps or removes the files of a trial that has ended."""
        name = self.job.model_name(self.study, number) if number < len(self.study.trials) else None
        if name is not None:
            self.kept[name] = number
        self.pending.append(self.store.end.remote(number, name))

    def catch_up(self) -> None:
        """Does what a killed driver or store left undone; if nothing was, it does not wait for the store."""
        for number in left_over(self.job.folder.path):
            if number >= len(self.study.trials) or self.study.trials[number].status != Status.RUNNING:
                self.end(number)
        ray.get(self.pending)

    def finish(self) -> None:
        """Waits until all files are in order. Raises StorageError if they cannot be."""
        ray.get(self.pending)
        self.catch_up()
