"""Claim: a search trains at least 4 times the useful images per second of a tutorial's with Ray Tune or Optuna.

    python -m benchmarks.peers.whole_search data_dir=FOLDER

All searches draw from the same space: tiny10k's with bertoldi's network fixed, so that an image costs the same in every
trial; optimizer, learning rate, weight decay and dropout vary. TPE and successive halving have the same settings, a
trial has one thread, two trials run in parallel, and all train on the same 12,000 images.

Timed is the whole process of a search, from command to end; searches run in turns. Useful images are those on which a
trial with a finite score trained. A peer's trials train as in PyTorch's tutorials (tutorial.py). `..._with_our_loop`
uses the peer's scheduling with Frugal's training, so that only scheduling differs.
"""

from __future__ import annotations

import json
import math
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import results
from benchmarks.command_line import load_mnist, read_settings
from results.keys import key
from search.planning.config import parse
from search.planning.plan import Plan
from search.study.sampling.draws import suggest_value
from spaces.layers import InvalidNetwork
from spaces.recipe import Candidate

CLAIM = "Claim: a search trains at least 4 times the useful images per second of a tutorial's with Ray Tune or Optuna."
MIN_RATIO = 4.0
SLOTS, GRACE, REDUCTION = 2, 1, 3
PINS = ["stages=2", "padding=same", "pooling=max", "convs_1=2", "convs_2=1", "kernel_1=3", "kernel_2=3", "width_1_1=8"]
PINS += ["width_1_2=8", "width_2_1=16", "head=flatten", "hidden=false", "batch_norm=false", "activation=relu"]
PINS += ["batch_size=128", "schedule=constant", "augmentation=none", "ema=false", "label_smoothing=0"]
FRUGAL = "frugal"
OUR_LOOP = "_with_our_loop"
PEERS = ("ray_tune", f"ray_tune{OUR_LOOP}", "optuna", f"optuna{OUR_LOOP}")


@dataclass
class Settings:
    data_dir: str | None = key(None, "folder that holds MNIST/raw", "$FRUGAL_DATA_DIR, else a cache in your home")
    trials: int = key(12, "trials of a search")
    epochs: int = key(3, "maximum epochs of a trial")
    train: int = key(12_000, "training images")
    val: int = key(2_000, "validation images")
    repeats: int = key(3, "searches of each kind")
    peer: str = key("", "run one search by this peer and nothing else", "all, in turns")
    folder: str = key("", "folder in which that peer logs the epochs of its trials", "a temporary one")
    seed: int = key(1, "seed of the first search of each kind")


@dataclass(frozen=True)
class Epoch:
    """An epoch of a peer's trial, with its seconds of training and validation."""

    images: int
    seconds: float
    loss: float
    score: float


@dataclass(frozen=True)
class Search:
    """The result of one search."""

    seconds: float
    images: float
    training: float
    """The seconds of training and validation, summed over all slots."""
    num_trials: int
    """The number of trials with a finite score."""
    best: float

    @property
    def rate(self) -> float:
        return self.images / self.seconds


def main() -> None:
    settings = read_settings(Settings, "peers.whole_search", CLAIM)
    if settings.peer:
        run_peer(settings)
        return
    load_mnist(settings.data_dir)  # ends here if it is unavailable
    searches: dict[str, list[Search]] = {name: [] for name in (FRUGAL, *PEERS)}
    for repeat in range(settings.repeats):
        for name, done in searches.items():
            with tempfile.TemporaryDirectory() as folder:
                done.append(search(settings, name, settings.seed + repeat, Path(folder)))
            last = done[-1]
            print(
                f"{name}, seed {settings.seed + repeat}: {last.seconds:.0f} s, {last.num_trials} useful trials, "
                f"{last.rate:,.0f} images/s, best {last.best:.2%}",
                flush=True,
            )
    print_comparison(settings, searches)


def search(settings: Settings, name: str, seed: int, folder: Path) -> Search:
    words = frugal_words(settings, seed, folder) if name == FRUGAL else peer_words(settings, name, seed, folder)
    start = time.monotonic()
    done = subprocess.run([sys.executable, "-m", *words], capture_output=True, text=True)
    seconds = time.monotonic() - start
    assert done.returncode == 0, f"{name} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return of_frugal(folder, seconds) if name == FRUGAL else of_peer(folder, seconds)


def frugal_words(settings: Settings, seed: int, folder: Path) -> list[str]:
    return [
        *("search.run", "task=tiny10k", "data=original", f"num_trials={settings.trials}"),
        *(f"max_epochs={settings.epochs}", f"grace_epochs={GRACE}", f"reduction_factor={REDUCTION}", f"seed={seed}"),
        *(f"train_examples={settings.train}", f"val_examples={settings.val}", f"concurrency={SLOTS}", "address=local"),
        *("references=false", "confirm.top_k=0", "report=false", f"runs_dir={folder}", "run=a"),
        *(f"fix.{pin}" for pin in PINS),
        *([f"data_dir={settings.data_dir}"] if settings.data_dir else []),
    ]


def peer_words(settings: Settings, name: str, seed: int, folder: Path) -> list[str]:
    same = [f"{word}={getattr(settings, word)}" for word in ("trials", "epochs", "train", "val")]
    same += [f"data_dir={settings.data_dir}"] if settings.data_dir else []
    return ["benchmarks.peers.whole_search", f"peer={name}", f"folder={folder}", f"seed={seed}", *same]


def of_frugal(folder: Path, seconds: float) -> Search:
    board = results.load("tiny10k", folder)
    board = board[board["score"].notna()]
    images = (board["images_per_second"] * board["train_seconds"]).sum()
    return Search(seconds, float(images), float(board["train_seconds"].sum()), len(board), float(board["score"].max()))


def of_peer(folder: Path, seconds: float) -> Search:
    """Reads the result from the lines that a peer's trials wrote, one per epoch."""
    lines = [json.loads(line) for path in folder.glob("*.jsonl") for line in path.read_text().splitlines()]
    useful = [line for line in lines if math.isfinite(line["loss"])]
    return Search(
        seconds,
        sum(line["images"] for line in useful),
        sum(line["seconds"] for line in useful),
        len({line["trial"] for line in useful}),
        max(line["score"] for line in useful),
    )


def print_comparison(settings: Settings, searches: dict[str, list[Search]]) -> None:
    print("\n| search | useful images/s: median (min to max) | seconds | slots train | useful trials | best |")
    print("|---|---|---|---|---|---|")
    for name, done in searches.items():
        rates = [each.rate for each in done]
        share = statistics.median(each.training / (SLOTS * each.seconds) for each in done)
        seconds, trials, best = (
            statistics.median(getattr(each, what) for each in done) for what in ("seconds", "num_trials", "best")
        )
        spread = f"{statistics.median(rates):,.0f} ({min(rates):,.0f} to {max(rates):,.0f})"
        print(f"| {name} | {spread} | {seconds:.0f} | {share:.0%} | {trials:g} of {settings.trials} | {best:.2%} |")
    print()
    for name in PEERS:
        ratios = [a.rate / b.rate for a, b in zip(searches[FRUGAL], searches[name], strict=True)]
        median = statistics.median(ratios)
        claim = "" if OUR_LOOP in name else f": {MIN_RATIO:g} times: {'met' if median >= MIN_RATIO else 'NOT MET'}"
        print(f"frugal to {name}: median {median:.2f} ({min(ratios):.2f} to {max(ratios):.2f}){claim}")


def run_peer(settings: Settings) -> None:
    epochs = our_epochs if settings.peer.endswith(OUR_LOOP) else tutorial_epochs
    run = {"ray_tune": run_ray_tune, "optuna": run_optuna}[settings.peer.removesuffix(OUR_LOOP)]
    run(settings, partial(train_trial, settings, epochs))


def train_trial(
    settings: Settings, epochs: Callable[[Settings, Candidate, int], Iterator[Epoch]], trial: Any
) -> Iterator[float]:
    """Trains a trial and yields its accuracy after each epoch; only 0 if it is invalid or over the budget."""
    plan = plan_of(settings)
    number, params = trial
    try:
        candidate = plan.space.build(params)
        rejection = plan.budget.rejection(candidate)
    except InvalidNetwork as error:
        rejection = str(error)
    if rejection:
        yield 0.0
        return
    with Path(settings.folder, f"{number}.jsonl").open("a") as log:
        for epoch in epochs(settings, candidate, number):
            print(json.dumps({"trial": number, **asdict(epoch)}), file=log, flush=True)
            yield epoch.score


def plan_of(settings: Settings) -> Plan:
    return Plan.of(parse([*frugal_words(settings, settings.seed, Path(settings.folder))[1:]]))


def tutorial_epochs(settings: Settings, candidate: Candidate, seed: int) -> Iterator[Epoch]:
    """Trains as in a tutorial. PyTorch is imported here, because only trials need it."""
    import torch

    from benchmarks.peers import tutorial

    folder, splits = load_mnist(settings.data_dir)
    splits = splits.limited(settings.train, settings.val)
    torch.manual_seed(seed)
    loader = tutorial.loader_of(tutorial.images_of(folder, splits.train), candidate.recipe.batch_size)
    val_images = tutorial.images_of(folder, splits.val)
    model = tutorial.plain_module(candidate.network)
    optimizer = tutorial.optimizer_of(candidate.recipe, model.parameters())
    for _ in range(settings.epochs):
        start = time.perf_counter()
        loss, score = tutorial.train_epoch(model, loader, optimizer), tutorial.accuracy(model, val_images)
        yield Epoch(settings.train, time.perf_counter() - start, loss, score)


def our_epochs(settings: Settings, candidate: Candidate, seed: int) -> Iterator[Epoch]:
    """Trains with Frugal's loop."""
    import torch

    from trainables.goals import DeviceSplit
    from trainables.machine import prepare_process
    from trainables.training import Training

    prepare_process()
    _, splits = load_mnist(settings.data_dir)
    splits = splits.limited(settings.train, settings.val)
    train, val = (DeviceSplit.of(each.x, each.y, torch.device("cpu")) for each in (splits.train, splits.val))
    training = Training(candidate, train, val, seed=seed, epochs=settings.epochs)
    for _ in range(settings.epochs):
        report = training.advance()
        yield Epoch(report.num_images, report.seconds, report.train_loss, report.val_score)


def run_ray_tune(settings: Settings, train_trial: Callable[[Any], Iterator[float]]) -> None:
    """Runs a function trainable with OptunaSearch and ASHAScheduler, as in Ray's guides."""
    import ray
    from ray import tune
    from ray.tune.schedulers import ASHAScheduler
    from ray.tune.search.optuna import OptunaSearch

    def train(config: dict[str, Any]) -> None:
        number = int(tune.get_context().get_trial_id(), 16)
        for score in train_trial((number, config)):
            tune.report({"accuracy": score})

    ray.init(address="local", num_cpus=SLOTS, include_dashboard=False, log_to_driver=False)
    outcome = tune.Tuner(
        tune.with_resources(train, {"cpu": 1}),
        tune_config=tune.TuneConfig(
            metric="accuracy",
            mode="max",
            num_samples=settings.trials,
            search_alg=OptunaSearch(partial(define, settings), metric="accuracy", mode="max", seed=settings.seed),
            scheduler=ASHAScheduler(max_t=settings.epochs, grace_period=GRACE, reduction_factor=REDUCTION),
            max_concurrent_trials=SLOTS,
        ),
        run_config=tune.RunConfig(storage_path=str(Path(settings.folder, "ray").absolute()), verbose=0),
    ).fit()
    if outcome.errors:
        raise outcome.errors[0]


def define(settings: Settings, trial: Any) -> None:
    """Draws from the space. Tune pickles its searcher, and a space's conditions cannot be pickled."""
    plan_of(settings).space.draw(partial(suggest_value, trial))


def run_optuna(settings: Settings, train_trial: Callable[[Any], Iterator[float]]) -> None:
    """Runs two processes on one journal, with SuccessiveHalvingPruner."""
    from multiprocessing import get_context

    import torch  # imported once, before the processes are forked

    torch.set_num_threads(1)
    workers = [
        get_context("fork").Process(target=optimize, args=(settings, train_trial, slot)) for slot in range(SLOTS)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0


def optimize(settings: Settings, train_trial: Callable[[Any], Iterator[float]], slot: int) -> None:
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    space = plan_of(settings).space

    def objective(trial: optuna.Trial) -> float:
        score = 0.0
        params = space.draw(partial(suggest_value, trial))
        for step, score in enumerate(train_trial((trial.number, params)), start=1):
            trial.report(score, step)
            if trial.should_prune():
                raise optuna.TrialPruned
        return score

    optuna.create_study(
        storage=JournalStorage(JournalFileBackend(str(Path(settings.folder, "journal.log")))),
        study_name="peer",
        load_if_exists=True,
        direction="maximize",
        sampler=optuna.samplers.TPESampler(seed=settings.seed + 100 * slot),
        pruner=optuna.pruners.SuccessiveHalvingPruner(min_resource=GRACE, reduction_factor=REDUCTION),
    ).optimize(objective, n_trials=settings.trials // SLOTS)


if __name__ == "__main__":
    main()
