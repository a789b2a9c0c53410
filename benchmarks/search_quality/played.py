"""Claim: at equal cost, no other sampler, rungs or reports per epoch find a better candidate than the default.

    python -m benchmarks.search_quality.played          half an hour of one core

The search is the real one (player.py), on the task's own space. Only the training is simulated (surrogate.py): each
candidate gets a learning curve and a cost like those of the recorded candidates near it. Replacing each draw by the
nearest recorded candidate would not do: a search of 64 trials would soon use up all the good ones of 160, whatever its
sampler, or would be rewarded for repeating them.

All strategies spend the same number of training seconds, summed over both slots, validation included. The result of a
strategy is the score of its best trial that was trained to the end. It is the validation score of one training, so the
best of many is partly luck; this favours the strategies that train the most trials to the end. A search in which no
trial has ended yet has no result; the means leave it out, and the table counts it.

Differences are paired: with the same seed, all strategies have the same luck with the same candidate. The default
strategy comes from the configuration and the task. Intervals are two standard errors. Among eleven strategies one is
often two standard errors above 0 by chance, so a strategy counts as clearly better only from three on.
"""

from __future__ import annotations

import math
import statistics
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from itertools import product
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import optuna

from benchmarks.command_line import read_settings
from benchmarks.search_quality import recorded_curves
from benchmarks.search_quality.player import Play, Strategy, open_study, play
from benchmarks.search_quality.recorded_curves import RecordedCurves
from benchmarks.search_quality.surrogate import Surrogate, rank_correlation
from results.keys import key
from search.command_line.command import USER_ERROR

CLAIM = "Claim: at equal cost, no other sampler, rungs or reports find a better candidate than the default."
SHARES = (0.25, 0.5, 1.0, 2.0)
"""The shares of the default strategy's mean cost at which strategies are compared."""
NUM_CHECKED = 320
"""The number of random candidates that compare the surrogate with the recording."""
MIN_VARIANCE_EXPLAINED = 0.2
"""Below this R² of the surrogate, a comparison of samplers means nothing."""
MIN_STANDARD_ERRORS, MIN_PAIRS = 3, 10
"""A difference counts from this number of standard errors and of paired searches on."""


@dataclass
class Settings:
    curves: str = key(str(Path(__file__).with_name("tiny10k_curves.parquet")), "file of recorded curves")
    record: str | None = key(None, "folder of a run: add its curves to the file curves=, and exit", "none")
    seeds: int = key(50, "searches by each strategy")
    processes: int = key(2, "searches in parallel")
    neighbours: int = key(10, "number of nearest recorded candidates; the luck of one of them is used")
    val_share: float = key(0.16, "share of validation in a recorded part (a quarter of an epoch); measured on one core")


DEFAULT = Strategy()
OTHERS = (
    Strategy(sampler="random", grace_epochs=None),
    Strategy(sampler="random"),
    Strategy(grace_epochs=None),
    Strategy(reduction_factor=2),
    Strategy(reduction_factor=4),
    Strategy(grace_epochs=2),
    Strategy(grace_epochs=3),
    Strategy(grace_epochs=2, reduction_factor=2),
    Strategy(grace_epochs=0.5, reports_per_epoch=2),
    Strategy(grace_epochs=0.25, reports_per_epoch=4),
    Strategy(grace_epochs=0.25, reduction_factor=4, reports_per_epoch=4),
)


def main() -> None:
    settings = read_settings(Settings, "search_quality.played", CLAIM)
    try:
        if settings.record:
            num = recorded_curves.pack(Path(settings.record), Path(settings.curves))
            print(f"{settings.curves}: {num} candidates, {Path(settings.curves).stat().st_size / 1000:.0f} kB")
            return
        surrogate = surrogate_of(settings.curves, settings.neighbours)
        check(settings, surrogate)
    except ValueError as error:
        print(error, file=sys.stderr)
        sys.exit(USER_ERROR)
    print_surrogate(surrogate)
    compare_at_cost(settings, surrogate, [strategy for strategy in OTHERS if strategy != DEFAULT])


def check(settings: Settings, surrogate: Surrogate) -> None:
    """Raises ValueError for an invalid `val_share`, and if a strategy reports more often than the recording."""
    if not 0 <= settings.val_share < 1:
        raise ValueError(f"val_share={settings.val_share}: must be at least 0 and below 1")
    recorded = surrogate.recorded.reports_per_epoch
    if any(recorded % strategy.reports_per_epoch for strategy in (DEFAULT, *OTHERS)):
        raise ValueError(f"curves={settings.curves}: has {recorded} reports per epoch; record with reports_per_epoch=4")


@cache
def surrogate_of(curves: str, neighbours: int) -> Surrogate:
    """Fits the surrogate; each process does it once, and keeps it."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return Surrogate(recorded_curves.read(Path(curves)), neighbours)


def compare_at_cost(settings: Settings, surrogate: Surrogate, others: Sequence[Strategy]) -> None:
    strategies, seeds = (DEFAULT, *others), range(settings.seeds)
    num_trials = surrogate.recorded.task.laptop.num_trials
    whole = play_all(settings, product([DEFAULT], seeds), num_trials=num_trials)
    cost = statistics.mean(played.spent[-1] for played in whole)
    plays = play_all(settings, product(strategies, seeds), seconds=SHARES[-1] * cost)
    of = {each: plays[n * len(seeds) : (n + 1) * len(seeds)] for n, each in enumerate(strategies)}
    best = {each: np.array([[p.best_at(share * cost) for share in SHARES] for p in of[each]]) for each in strategies}
    print(f"\nThe default's {num_trials} trials cost {cost:.0f} training seconds, the mean of {len(seeds)} searches.\n")
    print_scores(best)
    print("\nTrials started at 100%, and how far the best score is then below the best recorded one, in points:\n")
    print("| strategy | trials | regret |\n|---|---|---|")
    for each in strategies:
        num = statistics.mean(played.trials_at(cost) for played in of[each])
        print(f"| {each} | {num:.0f} | {points(surrogate.recorded.best - best[each][:, SHARES.index(1.0)])} |")
    print_verdict(best)


def play_all(settings: Settings, searches: Iterable[tuple[Strategy, int]], **limits: float) -> list[Play]:
    """Plays a search for each strategy and seed, in parallel, and prints the progress to stderr."""
    searches, plays = list(searches), []
    with ProcessPoolExecutor(settings.processes, mp_context=get_context("spawn")) as pool:
        for played in pool.map(partial(play_one, settings, **limits), *zip(*searches, strict=True)):
            plays.append(played)
            if len(plays) % 10 == 0 or len(plays) == len(searches):
                print(f"{len(plays)}/{len(searches)} searches", file=sys.stderr, flush=True)
    return plays


def play_one(settings: Settings, strategy: Strategy, seed: int, **limits: float) -> Play:
    surrogate = surrogate_of(settings.curves, settings.neighbours)
    return play(strategy, surrogate, seed, settings.val_share, **limits)


def print_surrogate(surrogate: Surrogate) -> None:
    recorded, known = surrogate.recorded, surrogate.left_out
    facts, num = recorded.facts, len(recorded.params)
    dataset = facts["dataset"]
    where = {f"{', '.join(run['devices'])} ({run['cpu']}, torch {run['versions']['torch']})" for run in facts["runs"]}
    print(
        f"{num} recorded candidates of task={facts['task']} ({dataset['name']}, {dataset['origin']}, "
        f"{dataset['fingerprint']}), {recorded.max_epochs} epochs, {recorded.reports_per_epoch} reports in each, on "
        f"{', '.join(sorted(where))}. The last score of each, predicted from the "
        f"others: rank correlation {known.rank_correlation:.2f} (by the nearest one alone "
        f"{known.nearest_rank_correlation:.2f}), R² {known.variance_explained:.2f}: a sampler can find this share, "
        f"the rest is luck. R² of the cost: {known.seconds_variance_explained:.2f}.\n"
    )
    if known.variance_explained < MIN_VARIANCE_EXPLAINED:
        print("**The surrogate predicts too little for any sampler to win: compare rungs here, not samplers.**\n")
    print(f"| random candidates | worst tenth | median | best tenth | best of {num} | first epoch and last |")
    print("|---|---|---|---|---|---|")
    print_spread("recorded", recorded.scores_NS, recorded, num)
    print_spread("of the surrogate", random_scores(surrogate), recorded, num)


def random_scores(surrogate: Surrogate) -> np.ndarray:
    study = open_study(Strategy(sampler="random"), surrogate, seed=0)
    trials = [study.suggest() for _ in range(NUM_CHECKED)]
    return np.array([surrogate.curve(trial.params, trial.candidate, 0).scores_S for trial in trials])


def print_spread(name: str, scores_NS: np.ndarray, recorded: RecordedCurves, num: int) -> None:
    """Prints quantiles of the last scores in percent, and their rank correlation with those of the first epoch."""
    last, first = scores_NS[:, -1], scores_NS[:, recorded.reports_per_epoch - 1]
    best = np.mean([last[start : start + num].max() for start in range(0, len(last) - num + 1, num)])
    spread = " | ".join(f"{100 * score:.2f}" for score in (*np.quantile(last, (0.1, 0.5, 0.9)), best))
    print(f"| {name} | {spread} | {rank_correlation(first, last):.2f} |")


def print_scores(best: dict[Strategy, np.ndarray]) -> None:
    """Prints means in percent with two standard errors, then the paired differences to the default, in points."""
    columns, rule = " | ".join(f"{share:.0%}" for share in SHARES), "|---|" + "---|" * len(SHARES)
    print(f"| best score, % | {columns} |\n{rule}")
    for strategy, scores in best.items():
        print(f"| {strategy} | {' | '.join(points(column) for column in scores.T)} |")
    print(f"\n| difference to {DEFAULT} | {columns} |\n{rule}")
    for strategy in [each for each in best if each != DEFAULT]:
        differences = (best[strategy] - best[DEFAULT]).T
        print(f"| {strategy} | {' | '.join(points(column, '+') for column in differences)} |")


def points(values: np.ndarray, sign: str = "") -> str:
    """Formats the mean and two standard errors in percent, and the number of missing values (NaN)."""
    there = values[~np.isnan(values)]
    if len(there) < 2:
        return "none"
    missing = f" ({len(values) - len(there)} without)" if len(there) < len(values) else ""
    return f"{100 * there.mean():{sign}.3f} ± {200 * standard_error(there):.3f}{missing}"


def standard_error(values: np.ndarray) -> float:
    return float(values.std(ddof=1)) / math.sqrt(len(values))


def print_verdict(best: dict[Strategy, np.ndarray]) -> None:
    """Prints which strategies are clearly better or worse than the default at each cost."""
    print(f"\n| share of the cost | clearly better than {DEFAULT} | clearly worse |\n|---|---|---|")
    for column, share in enumerate(SHARES):
        errors = {each: standard_errors_above(best[each][:, column], best[DEFAULT][:, column]) for each in best}
        better = "; ".join(str(each) for each, error in errors.items() if error > MIN_STANDARD_ERRORS)
        worse = "; ".join(str(each) for each, error in errors.items() if error < -MIN_STANDARD_ERRORS)
        print(f"| {share:.0%} | {better or 'none'} | {worse or 'none'} |")


def standard_errors_above(scores: np.ndarray, default: np.ndarray) -> float:
    """Returns the mean paired difference in standard errors; 0 if nothing differs or there are too few pairs."""
    differences = scores - default
    differences = differences[~np.isnan(differences)]
    if len(differences) < MIN_PAIRS or not differences.any():
        return 0.0
    return float(differences.mean()) / max(standard_error(differences), 1e-12)


if __name__ == "__main__":
    main()
