"""Optuna's TPE for many draws from one history: its densities are fitted once, not for each draw."""

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

NUM_STARTUP_TRIALS = 10
"""The number of trials that are drawn at random before the first that is not. Optuna's default."""
SHARE_GOOD, MAX_GOOD = 0.1, 25
"""The share of all trials that counts as good, and the maximum number of them. Optuna's defaults."""
NUM_EI_CANDIDATES = 8
"""The number of samples of which the best becomes a draw: a third of Optuna's default, which costs less and was found
no worse in played searches (docs/benchmarks/search-quality.md)."""
DRAWS_PER_BATCH = 4
"""The number of draws that are prepared at once, after the first one: several share most of the cost of one."""


class OneHistoryTPE(TPESampler):
    """Multivariate TPE with groups and constant liar (Watanabe 2023, arXiv 2304.11127), distributed as Optuna's own.

    It makes the draws for one trial, most of which may be over the budget; in that time the study's history must not
    change. `num_ended` is the number of trials that have ended, of which the study may show only a part.
    """

    def __init__(self, seed: int, num_ended: int) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)  # group=True
            super().__init__(
                seed=seed,
                multivariate=True,
                group=True,
                constant_liar=True,
                n_startup_trials=NUM_STARTUP_TRIALS,
                n_ei_candidates=NUM_EI_CANDIDATES,
            )
        self._num_good = min(math.ceil(SHARE_GOOD * num_ended), MAX_GOOD)
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
            ready = self._ready[names] = self._best_samples(study, search_space, 1 if is_first else DRAWS_PER_BATCH)
        chosen = ready.pop(0)
        return {name: distribution.to_external_repr(chosen[name]) for name, distribution in search_space.items()}

    def _best_samples(
        self, study: Study, search_space: dict[str, BaseDistribution], num_draws: int
    ) -> list[dict[str, int | float]]:
        """Returns `num_draws` draws, each the best of its own samples; all are sampled and scored at once."""
        good, rest = self._fitted_estimators(study, search_space)
        samples = good.sample(self._rng.rng, num_draws * self._n_ei_candidates)
        values = self._compute_acquisition_func(samples, good, rest).reshape(num_draws, -1)
        parts = {name: sample.reshape(num_draws, -1) for name, sample in samples.items()}
        return [self._compare({name: part[n] for name, part in parts.items()}, values[n]) for n in range(num_draws)]

    def _fitted_estimators(
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
