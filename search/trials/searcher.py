"""Ray's Searcher: issues orphans, retries, given candidates and suggestions, as many at a time as there are slots."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Protocol

from ray.tune.search import Searcher
from ray.tune.search.search_generator import SearchGenerator

from search.study.study import SearchEnded, Study
from search.study.trial import TrialRecord
from search.trials.job import Given
from spaces.recipe import Candidate
from spaces.space import Params


class SearchEvents(Protocol):
    """The questions and news that a StudySearcher passes on."""

    def max_running(self) -> int:
        """Returns the maximum number of trials that run at once."""
        ...

    def config_of(self, trial: TrialRecord) -> dict[str, object]:
        """Returns what Ray passes to the trial's worker."""
        ...

    def on_search_end(self, reason: str) -> None:
        """Receives why the search ended before it had all its trials."""
        ...


class StudySearcher(Searcher):
    """Gives Ray a trial whenever a slot may be free.

    It gives none while the maximum number of trials run, so that each suggestion knows every ending before it.
    """

    def __init__(
        self,
        study: Study,
        events: SearchEvents,
        *,
        num_trials: int,
        given: Mapping[str, Given],
        warm: Sequence[tuple[Candidate, Params]] = (),
    ) -> None:
        super().__init__()
        self.study, self.events, self.num_trials = study, events, num_trials
        self.orphans = deque(study.running())
        self.to_repeat = deque(study.to_repeat(given.keys()))
        """Trials that failed in an earlier session, perhaps through a fault of the machine, and are retried in this."""
        self.issued: set[int] = set()
        known = {trial.reference for trial in study.trials}
        self.given = deque((name, one) for name, one in given.items() if name not in known)
        self.warm = deque(each for each in warm if not study.knows(each[0]))
        self.has_ended = False

    def suggest(self, trial_id: str) -> dict[str, object] | None:
        """Returns the next trial's configuration, or None for now."""
        if len(self._issued_and_running()) >= self.events.max_running():
            return None
        trial = self._next()
        if trial is None:
            return None
        self.issued.add(trial.number)
        return self.events.config_of(trial)

    @property
    def is_exhausted(self) -> bool:
        """Whether no trial is left to issue, unless one is taken back."""
        return not (self.orphans or self.to_repeat or self.given or self._may_draw)

    def take_back(self, number: int) -> None:
        """Issues a trial again later, since its node was lost."""
        self.issued.discard(number)
        self.orphans.append(self.study.trials[number])

    def on_trial_complete(self, trial_id: str, result: dict[str, object] | None = None, error: bool = False) -> None:
        """Does nothing: the scheduler, which knows why a trial ends, informs the study."""

    def save(self, checkpoint_path: str) -> None:
        """Does nothing: the journal is the record."""

    def restore(self, checkpoint_path: str) -> None:
        """Does nothing: the journal is the record."""

    def _issued_and_running(self) -> list[TrialRecord]:
        return [trial for trial in self.study.running() if trial.number in self.issued]

    @property
    def _may_draw(self) -> bool:
        return not self.has_ended and self.study.num_drawn < self.num_trials

    def _next(self) -> TrialRecord | None:
        if self.orphans:
            return self.orphans.popleft()
        if self.to_repeat:
            return self.study.repeat(self.to_repeat.popleft())
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
            self.events.on_search_end(str(ended))
            return None


class StudySearchGenerator(SearchGenerator):
    """Reports that the search is finished while no trial is left to issue; a lost node can make it unfinished again.

    Ray's own generator finishes once and for all, so it could not report this before the last trial has ended. Until
    then Ray would keep a worker for the next trial, and with it a node that has no more work.
    """

    searcher: StudySearcher

    def is_finished(self) -> bool:
        """Returns True also after `set_finished`, with which Ray stops a search."""
        return super().is_finished() or self.searcher.is_exhausted
