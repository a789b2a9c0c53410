"""Ray's Searcher: hands out orphans, known candidates and suggestions, as many at a time as there are slots."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ray.tune.search import Searcher

from search.job import Given
from search.journal import TrialRecord
from search.study import SearchEnded, Study
from spaces.recipe import Candidate
from spaces.space import Params


class StudySearcher(Searcher):
    """Asked by Ray for a configuration whenever a slot may be free.

    It answers None while as many trials run as `concurrency` says there may, so that each suggestion knows every ending
    before it. `config_of` turns a trial into what a worker is given; `on_end` is told why the search ended before
    `num_trials`.
    """

    def __init__(
        self,
        study: Study,
        *,
        num_trials: int,
        given: Mapping[str, Given],
        warm: Sequence[tuple[Candidate, Params]] = (),
        concurrency: Callable[[], int],
        config_of: Callable[[TrialRecord], dict[str, Any]],
        on_end: Callable[[str], None],
    ) -> None:
        super().__init__()
        self.study, self.num_trials, self.concurrency = study, num_trials, concurrency
        self.config_of, self.on_end = config_of, on_end
        self.orphans = deque(study.running())
        self.issued: set[int] = set()
        known = {trial.reference for trial in study.trials}
        self.given = deque((name, one) for name, one in given.items() if name not in known)
        self.warm = deque(each for each in warm if not study.knows(each[0]))
        self.has_ended = False

    def suggest(self, trial_id: str) -> Any:
        """A configuration, None for not now, or FINISHED."""
        num_live = len(self._live())
        if num_live >= self.concurrency():
            return None
        trial = self._next()
        if trial is None:  # a trial that runs may be taken back yet, and Ray asks no more once it has heard FINISHED
            return None if num_live else Searcher.FINISHED
        self.issued.add(trial.number)
        return self.config_of(trial)

    def take_back(self, number: int) -> None:
        """A trial that was handed out is to be handed out again: its node was lost."""
        self.issued.discard(number)
        self.orphans.append(self.study.trials[number])

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Nothing: the scheduler, which knows why a trial ends, tells the study."""

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the journal is the record."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: the journal is the record."""

    def _live(self) -> list[TrialRecord]:
        return [trial for trial in self.study.running() if trial.number in self.issued]

    def _next(self) -> TrialRecord | None:
        if self.orphans:
            return self.orphans.popleft()
        if self.given:
            name, one = self.given.popleft()
            return self.study.add_reference(name, one.candidate, one.seed)
        if self.has_ended or self.study.num_drawn >= self.num_trials:
            return None
        if self.warm:
            return self.study.add_warm(*self.warm.popleft())
        try:
            return self.study.suggest()
        except SearchEnded as ended:
            self.has_ended = True
            self.on_end(str(ended))
            return None
