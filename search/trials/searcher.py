"""Ray's Searcher: hands out orphans, failures, known candidates and suggestions, as many at a time as slots."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ray.tune.search import Searcher
from ray.tune.search.search_generator import SearchGenerator

from search.study.study import SearchEnded, Study
from search.study.trial import TrialRecord
from search.trials.job import Given
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
        self.again = deque(study.to_repeat(given.keys()))
        """Trials that have failed by a fault of the machine in an earlier session, to be begun again in this one."""
        self.issued: set[int] = set()
        known = {trial.reference for trial in study.trials}
        self.given = deque((name, one) for name, one in given.items() if name not in known)
        self.warm = deque(each for each in warm if not study.knows(each[0]))
        self.has_ended = False

    def suggest(self, trial_id: str) -> Any:
        """A configuration, or None for not now."""
        if len(self._live()) >= self.concurrency():
            return None
        trial = self._next()
        if trial is None:
            return None
        self.issued.add(trial.number)
        return self.config_of(trial)

    @property
    def is_exhausted(self) -> bool:
        """Whether there is nothing to hand out, unless a trial is taken back."""
        return not (self.orphans or self.again or self.given or self._may_draw)

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

    @property
    def _may_draw(self) -> bool:
        return not self.has_ended and self.study.num_drawn < self.num_trials

    def _next(self) -> TrialRecord | None:
        if self.orphans:
            return self.orphans.popleft()
        if self.again:
            return self.study.repeat(self.again.popleft())
        if self.given:
            name, one = self.given.popleft()
            return self.study.add_reference(name, one.candidate, one.seed)
        if not self._may_draw:
            return None
        if self.warm:
            return self.study.add_warm(*self.warm.popleft())
        try:
            return self.study.suggest()
        except SearchEnded as ended:
            self.has_ended = True
            self.on_end(str(ended))
            return None


class StudySearch(SearchGenerator):
    """Finished for as long as there is nothing to hand out, which a lost node may change.

    Ray's own is finished once and for all, so that the searcher could not say so before the last trial has ended; until
    then Ray would keep a worker for the next one, and with it a node that has no more work.
    """

    searcher: StudySearcher

    def is_finished(self) -> bool:
        """Also after `set_finished`, by which Ray stops a search."""
        return super().is_finished() or self.searcher.is_exhausted
