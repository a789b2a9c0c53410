"""Optuna's TPE for many draws from one history: what it makes of the history is made once, not for each draw."""

from __future__ import annotations

import math
import warnings
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import TPESampler
from optuna.samplers._tpe.parzen_estimator import _ParzenEstimator
from optuna.samplers._tpe.sampler import _split_trials
from optuna.study import Study
from optuna.trial import FrozenTrial

STARTUP, SHARE_GOOD, MOST_GOOD = 10, 0.1, 25
"""Optuna's own defaults: trials drawn at random before the first; the share of all trials that counts as good, and the
most that do. Compared with others, as CHOICES is, by benchmarks/search_quality/played.py, part=tpe."""
CHOICES = 8
"""Samples of which the best is a draw: a third of Optuna's, which costs less and was found no worse."""
AHEAD = 4
"""Draws that are prepared at once, from the second one on: most of what a draw costs is the same for several."""


class OneHistoryTPE(TPESampler):
    """Multivariate TPE with groups and constant liar (Watanabe 2023, arXiv 2304.11127), distributed as Optuna's own.

    For one suggestion, most draws of which may be over the budget. Meanwhile the study's other trials must not change.
    Of the trials that have ended, of which a study may show a part only, there are `num_ended`.
    """

    def __init__(self, seed: int, num_ended: int) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)  # group=True
            super().__init__(
                seed=seed,
                multivariate=True,
                group=True,
                constant_liar=True,
                n_startup_trials=STARTUP,
                n_ei_candidates=CHOICES,
            )
        self._num_good = min(math.ceil(SHARE_GOOD * num_ended), MOST_GOOD)
        self._relative: dict[str, BaseDistribution] | None = None
        self._good_and_rest: tuple[list[FrozenTrial], list[FrozenTrial]] | None = None
        self._ready: dict[tuple[str, ...], list[dict[str, int | float]]] = {}
        self._estimators: dict[tuple[str, ...], tuple[_ParzenEstimator, _ParzenEstimator]] = {}

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        if self._relative is None:
            self._relative = super().infer_relative_search_space(study, trial)
        return self._relative

    def _sample(self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]) -> dict[str, Any]:
        names = tuple(search_space)
        if not (ready := self._ready.get(names)):
            is_first = ready is None
            ready = self._ready[names] = self._choices(study, search_space, 1 if is_first else AHEAD)
        chosen = ready.pop(0)
        return {name: distribution.to_external_repr(chosen[name]) for name, distribution in search_space.items()}

    def _choices(
        self, study: Study, search_space: dict[str, BaseDistribution], num_draws: int
    ) -> list[dict[str, int | float]]:
        """For each draw the best of as many samples as Optuna takes, all of them sampled and weighed at once."""
        good, rest = self._estimators_of(study, search_space)
        samples = good.sample(self._rng.rng, num_draws * self._n_ei_candidates)
        values = self._compute_acquisition_func(samples, good, rest).reshape(num_draws, -1)
        parts = {name: sample.reshape(num_draws, -1) for name, sample in samples.items()}
        return [self._compare({name: part[n] for name, part in parts.items()}, values[n]) for n in range(num_draws)]

    def _estimators_of(
        self, study: Study, search_space: dict[str, BaseDistribution]
    ) -> tuple[_ParzenEstimator, _ParzenEstimator]:
        if self._good_and_rest is None:
            self._good_and_rest = _split_trials(study, study.get_trials(deepcopy=False), self._num_good)
        names, (good, rest) = tuple(search_space), self._good_and_rest
        if names not in self._estimators:
            self._estimators[names] = (
                self._build_parzen_estimator(study, search_space, good, handle_below=True),
                self._build_parzen_estimator(study, search_space, rest, handle_below=False),
            )
        return self._estimators[names]
