"""One search by a peer of whole_search.py, which starts this as a process: stock Ray Tune, or plain Optuna.

    python -m benchmarks.peers.peer_search peer=ray_tune folder=FOLDER

Each epoch of a trial adds a line of JSON to FOLDER/TRIAL.jsonl.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.command_line import load_mnist, read_settings
from benchmarks.peers.whole_search import GRACE, OUR_LOOP, REDUCTION, SLOTS, SearchSettings, frugal_words
from results.keys import key
from search.planning.config import parse
from search.planning.plan import Plan
from search.study.sampling.draws import suggest_value
from spaces.layers import InvalidNetwork
from spaces.recipe import Candidate


@dataclass
class Settings(SearchSettings):
    peer: str = key("ray_tune", "ray_tune or optuna, or one of these with _with_our_loop")
    folder: str = key(".", "folder for the log of trials")


@dataclass(frozen=True)
class Epoch:
    """An epoch of a peer's trial, with its seconds of training and validation."""

    images: int
    seconds: float
    loss: float
    score: float


def main() -> None:
    settings = read_settings(Settings, "peers.peer_search", "One search by a peer; whole_search compares them.")
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
