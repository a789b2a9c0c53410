"""Search quality at equal cost: which sampler, which rungs and how many reports an epoch find the best candidate.

    python -m benchmarks.search_quality.played                       half an hour of one core
    python -m benchmarks.search_quality.played part=tpe seeds=100    an hour of one core
    python -m benchmarks.search_quality.played part=long seeds=20    half an hour of one core

The search is the real one (player.py beside this file), on the task's own space. Only the training is a surrogate's
(surrogate.py): each candidate gets a curve, and a cost, like those of the recorded candidates near it.

Why not the recorded candidates themselves, each draw standing for the nearest one: a search of 64 trials would soon
have used all the good ones of 160, whatever its sampler, or would be rewarded for repeating them.

All strategies spend the same: training seconds of both slots, validation included. A strategy's result is the score of
its best trial that was trained to its end, as a user gets it. It is a validation score of one training, so the best of
many is flattered by its luck; that holds for every strategy, most for those that train most trials to their end. Where
no trial has ended yet, there is no result; such seeds are left out of that column's means and counted.

Differences are paired: a seed gives all strategies the same luck for the same candidate. The default is what
the configuration and the task say. Intervals are two standard errors; since among eleven strategies one is often two
above 0 by chance, one counts as clearly better only from three on.

`part=tpe` asks the same of TPE's own settings (search/engines/tpe.py), and of random draws beside them.

`part=long` asks whether a long history of which TPE sees only a part (search/study/sampling/tpe.py), draws that are
prepared ahead, and fewer samples a draw (search/engines/tpe.py) make searches of 500 trials worse: with ASHA, and
without.
"""

from __future__ import annotations

import math
import statistics
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from enum import Enum
from functools import cache, partial
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar
from unittest.mock import patch

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
"""Of what the default's trials cost in the mean."""
LONG, MARKS = 500, (100, 200, 300, 400, 500)
NUM_CHECKED = 320
"""Random candidates that the surrogate is held against the recording with."""

LITTLE = 0.2
"""Variance explained, below which a comparison of samplers says nothing."""
OUTSTANDING, FEWEST = 3, 10
"""Standard errors from which a difference counts, and searches in pairs below which none does."""

Done = TypeVar("Done")


class Part(Enum):
    strategies = "strategies"
    tpe = "tpe"
    long = "long"


@dataclass
class Settings:
    curves: str = key(str(Path(__file__).with_name("tiny10k_curves.parquet")), "file of recorded curves")
    record: str | None = key(None, "a run's folder: packs its curves into curves=, and ends", "none")
    part: Part = key(
        Part.strategies, "strategies, or tpe: its settings, at equal cost; or long: searches of 500 trials"
    )
    seeds: int = key(50, "searches by each strategy")
    processes: int = key(2, "searches side by side")
    neighbours: int = key(10, "recorded candidates, one of which lends a candidate its luck")
    val_share: float = key(0.16, "validation's share of a recorded part, a quarter of an epoch; measured on one core")


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


@dataclass(frozen=True)
class Way:
    """A strategy, and constants of search/ that have other values in it than in the product."""

    strategy: Strategy = DEFAULT
    changed: tuple[tuple[str, float], ...] = ()

    def __str__(self) -> str:
        return ", ".join([str(self.strategy), *(f"{name}={value:g}" for name, value in self.changed)])

    @contextmanager
    def applied(self) -> Iterator[None]:
        with ExitStack() as patches:
            for name, value in self.changed:
                patches.enter_context(patch(f"search.{name}", value))
            yield


def changed(name: str, value: float) -> Way:
    return Way(changed=((name, value),))


OF_TPE = (
    Way(Strategy(sampler="random")),
    changed("engines.tpe.SHARE_GOOD", 0.25),
    changed("engines.tpe.NUM_STARTUP_TRIALS", 5),
    changed("engines.tpe.NUM_STARTUP_TRIALS", 20),
    changed("engines.tpe.NUM_EI_CANDIDATES", 4),
    changed("engines.tpe.NUM_EI_CANDIDATES", 24),
    changed("engines.tpe.NUM_EI_CANDIDATES", 100),
)
LONG_WAYS = (
    Way(),
    changed("study.sampling.tpe.NUM_LATEST", LONG),
    changed("engines.tpe.DRAWS_PER_BATCH", 1),
    changed("engines.tpe.NUM_EI_CANDIDATES", 24),
)


def main() -> None:
    settings = read_settings(Settings, "search_quality", CLAIM)
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
    match settings.part:
        case Part.strategies:
            compare_at_cost(settings, surrogate, [Way(strategy) for strategy in others()])
        case Part.tpe:
            compare_at_cost(settings, surrogate, OF_TPE)
        case Part.long:
            compare_long(settings)


def check(settings: Settings, surrogate: Surrogate) -> None:
    """Raises ValueError for settings that cannot be, and where the strategies report more often than the recording."""
    if not 0 <= settings.val_share < 1:
        raise ValueError(f"val_share={settings.val_share}: must be 0 or more, and below 1")
    recorded = surrogate.recorded.reports_per_epoch
    if any(recorded % strategy.reports_per_epoch for strategy in (DEFAULT, *OTHERS)):
        raise ValueError(f"curves={settings.curves}: has {recorded} reports an epoch; record with reports_per_epoch=4")


@cache
def surrogate_of(curves: str, neighbours: int) -> Surrogate:
    """Once in each process, whose first step this is."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return Surrogate(recorded_curves.read(Path(curves)), neighbours)


def compare_at_cost(settings: Settings, surrogate: Surrogate, rivals: Sequence[Way]) -> None:
    ways, seeds = (Way(), *rivals), range(settings.seeds)
    num_trials = surrogate.recorded.task.laptop.num_trials
    whole = side_by_side(settings, partial(play_way, settings, num_trials=num_trials), product(ways[:1], seeds))
    cost = statistics.mean(played.spent[-1] for played in whole)
    plays = side_by_side(settings, partial(play_way, settings, seconds=SHARES[-1] * cost), product(ways, seeds))
    of = {way: plays[n * len(seeds) : (n + 1) * len(seeds)] for n, way in enumerate(ways)}
    best = {way: np.array([[p.best_at(share * cost) for share in SHARES] for p in of[way]]) for way in ways}
    print(f"\nThe default's {num_trials} trials cost {cost:.0f} training seconds, the mean of {len(seeds)} searches.\n")
    print_scores({f"{way}": best[way] for way in ways}, [f"{share:.0%}" for share in SHARES])
    print("\nTrials begun at 100%, and how far the best score is then from the best recorded one, in points:\n")
    print("| strategy | trials | regret |\n|---|---|---|")
    for way in ways:
        num = statistics.mean(played.trials_at(cost) for played in of[way])
        print(f"| {way} | {num:.0f} | {points(surrogate.recorded.best - best[way][:, SHARES.index(1.0)])} |")
    print_verdict(best)


def compare_long(settings: Settings) -> None:
    for strategy in (DEFAULT, replace(DEFAULT, grace_epochs=None)):
        ways = [replace(way, strategy=strategy) for way in LONG_WAYS]
        asked = product(ways, range(settings.seeds))
        plays = side_by_side(settings, partial(play_way, settings, num_trials=LONG), asked)
        best = np.array([[played.best_after(mark) for mark in MARKS] for played in plays])
        parts = best.reshape(len(ways), settings.seeds, len(MARKS))
        print(f"\n{strategy}, after so many trials:\n")
        print_scores({f"{way}": part for way, part in zip(ways, parts, strict=True)}, [f"{mark}" for mark in MARKS])
        sys.stdout.flush()  # the next one takes long


def play_way(settings: Settings, way: Way, seed: int, **limits: float) -> Play:
    with way.applied():
        surrogate = surrogate_of(settings.curves, settings.neighbours)
        return play(way.strategy, surrogate, seed, settings.val_share, **limits)


def side_by_side(settings: Settings, work: Callable[..., Done], asked: Iterable[tuple[Any, ...]]) -> list[Done]:
    """The work for each of what is asked, in order; how far it is goes to stderr."""
    asked, done = list(asked), []
    with ProcessPoolExecutor(settings.processes, mp_context=get_context("spawn")) as pool:
        for result in pool.map(work, *zip(*asked, strict=True)):
            done.append(result)
            if len(done) % 10 == 0 or len(done) == len(asked):
                print(f"{len(done)}/{len(asked)} searches", file=sys.stderr, flush=True)
    return done


def others() -> list[Strategy]:
    """Those that are not the default by now."""
    return [strategy for strategy in OTHERS if strategy != DEFAULT]


def print_surrogate(surrogate: Surrogate) -> None:
    recorded, known = surrogate.recorded, surrogate.left_out
    facts, num = recorded.facts, len(recorded.params)
    dataset = facts["dataset"]
    where = {f"{', '.join(run['devices'])} ({run['cpu']}, torch {run['versions']['torch']})" for run in facts["runs"]}
    print(
        f"{num} recorded candidates of task={facts['task']} ({dataset['name']}, {dataset['origin']}, "
        f"{dataset['fingerprint']}), {recorded.max_epochs} epochs, {recorded.reports_per_epoch} reports in each, on "
        f"{', '.join(sorted(where))}. The last score of each, foretold from the "
        f"others: rank correlation {known.rank_correlation:.2f} (by the nearest one alone "
        f"{known.nearest_rank_correlation:.2f}), R² {known.variance_explained:.2f}: so much is there for a sampler to "
        f"find, the rest is luck here. Of the cost, R² {known.seconds_variance_explained:.2f}.\n"
    )
    if known.variance_explained < LITTLE:
        print("**The surrogate knows too little for any sampler to win: compare rungs here, not samplers.**\n")
    print("| random candidates | worst tenth | median | best tenth | best of " + f"{num} | first epoch and last |")
    print("|---|---|---|---|---|---|")
    print_spread("recorded", recorded.scores_NS, recorded, num)
    print_spread("of the surrogate", random_scores(surrogate), recorded, num)


def random_scores(surrogate: Surrogate) -> np.ndarray:
    study = open_study(Strategy(sampler="random"), surrogate, seed=0)
    trials = [study.suggest() for _ in range(NUM_CHECKED)]
    return np.array([surrogate.curve(trial.params, trial.candidate, 0).scores_S for trial in trials])


def print_spread(name: str, scores_NS: np.ndarray, recorded: RecordedCurves, num: int) -> None:
    """Last scores in percent, and their rank correlation with those of the first epoch."""
    last, first = scores_NS[:, -1], scores_NS[:, recorded.reports_per_epoch - 1]
    best = np.mean([last[start : start + num].max() for start in range(0, len(last) - num + 1, num)])
    spread = " | ".join(f"{100 * score:.2f}" for score in (*np.quantile(last, (0.1, 0.5, 0.9)), best))
    print(f"| {name} | {spread} | {rank_correlation(first, last):.2f} |")


def print_scores(best: dict[str, np.ndarray], columns: Sequence[str]) -> None:
    """Means in percent with two standard errors, then the paired differences to the first row, in points."""
    default, *others = best
    print(f"| best score, % | {' | '.join(columns)} |\n|---|{'---|' * len(columns)}")
    for name, scores in best.items():
        print(f"| {name} | {' | '.join(points(column) for column in scores.T)} |")
    print(f"\n| difference to {default} | {' | '.join(columns)} |\n|---|{'---|' * len(columns)}")
    for name in others:
        print(f"| {name} | {' | '.join(points(column, '+') for column in (best[name] - best[default]).T)} |")


def points(values: np.ndarray, sign: str = "") -> str:
    """Mean and two standard errors, in percent; how many values are missing."""
    there = values[~np.isnan(values)]
    if len(there) < 2:
        return "none"
    missing = f" ({len(values) - len(there)} without)" if len(there) < len(values) else ""
    return f"{100 * there.mean():{sign}.3f} ± {200 * standard_error(there):.3f}{missing}"


def standard_error(values: np.ndarray) -> float:
    return float(values.std(ddof=1)) / math.sqrt(len(values))


def print_verdict(best: dict[Way, np.ndarray]) -> None:
    """Whether the default is the best of all, as far as so many searches can tell."""
    print(f"\n| of the cost | clearly better than {DEFAULT} | clearly worse |\n|---|---|---|")
    for column, share in enumerate(SHARES):
        errors = {way: standard_errors_above(best[way][:, column], best[Way()][:, column]) for way in best}
        better = "; ".join(str(way) for way, error in errors.items() if error > OUTSTANDING)
        worse = "; ".join(str(way) for way, error in errors.items() if error < -OUTSTANDING)
        print(f"| {share:.0%} | {better or 'none'} | {worse or 'none'} |")


def standard_errors_above(scores: np.ndarray, default: np.ndarray) -> float:
    """The mean paired difference in its standard errors; 0 where nothing differs or there is too little to tell."""
    differences = scores - default
    differences = differences[~np.isnan(differences)]
    if len(differences) < FEWEST or not differences.any():
        return 0.0
    return float(differences.mean()) / max(standard_error(differences), 1e-12)


if __name__ == "__main__":
    main()
