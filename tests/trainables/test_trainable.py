"""The Ray Trainable: a worker that is reused leaks nothing from trial to trial."""

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import ray

from data.made.digits import load_made
from spaces.goal import Classify
from spaces.layers import Activation, Conv, Dense, Dropout, Flatten, Norm, Pool
from spaces.network import Network
from spaces.own import Own
from spaces.recipe import Augmentation, Candidate, Recipe
from trainables.task_code import TaskCode, TaskFileError
from trainables.trainable import TrialTrainable
from trainables.trial_spec import TrialSpec

pytestmark = pytest.mark.ray


NETWORK = Network(
    (1, 28, 28),
    (Conv(4, 3, stride=2), Norm(), Activation(), Pool("max"), Flatten(), Dropout(0.2), Dense(10)),
)

PLAIN = Candidate(NETWORK, Recipe())


class Store:
    """Where checkpoints would go; it has none to hand out."""

    def __init__(self):
        self.saved, self.results = {}, {}

    def save(self, number, state, num_reports):
        self.saved[number] = state

    def load(self, number):
        return self.saved.get(number)

    def save_results(self, number, results):
        self.results[number] = results

    def results_of(self, number):
        return self.results.get(number)


@pytest.fixture(scope="module", autouse=True)
def local_ray():
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    yield
    ray.shutdown()


@pytest.fixture(scope="module")
def store(local_ray):
    return ray.remote(num_cpus=0)(Store).remote()


@pytest.fixture(scope="module")
def undisturbed(store):
    """Trains trials that nothing happens to, one after another: undisturbed(config) is the worker, at its start."""
    actor = worker(config(0, PLAIN), store)

    def begin(trial: dict):
        assert ray.get(actor.reset.remote(trial))
        return actor

    return begin


def config(number: int, candidate: Candidate, seed: int = 5, **changes: Any) -> dict:
    spec = TrialSpec(
        number=number,
        candidate=candidate,
        goal=Classify(),
        seed=seed,
        epochs=2,
        reports_per_epoch=1,
        record_steps=True,
        data_dir=Path("data"),
        length=None,
        facts={},
    )
    return {"number": number, "spec": replace(spec, **changes).to_json()}


class Bare(TrialTrainable):
    """The worker as Ray Tune makes it, given what tune.with_parameters would give."""

    def __init__(self, config, arrays, store, code=None):
        self.given = {"arrays": arrays, "store": store, "code": code}
        super().__init__(config)

    def setup(self, config):
        super().setup(config, **self.given)

    def data_dir(self):
        return self.training.data_dir


def worker(first: dict, store, code: TaskCode | None = None):
    splits = load_made().limited(300)
    arrays = {
        "train_x": splits.train.x,
        "train_y": splits.train.y,
        "val_x": splits.val.x,
        "val_y": splits.val.y,
    }
    return ray.remote(num_cpus=1)(Bare).remote(first, arrays, store, code)


def curve(actor) -> list[tuple]:
    """Two reports, as the bits of their numbers."""
    reports = [json.loads(ray.get(actor.train.remote())["report"]) for _ in range(2)]
    names = ("train_loss", "val_loss", "val_score")
    return [tuple(np.float64(report[name]).tobytes() for name in names) for report in reports]


def others() -> list[Candidate]:
    """Nineteen different trials: every optimizer, augmentation and averaging among them."""
    names = ("adam", "adamw", "nadam", "rmsprop", "sgd", "adadelta")
    recipes = [
        Recipe(
            optimizer=names[index % 6],  # type: ignore[arg-type]
            batch_size=(64, 128)[index % 2],
            augmentation=Augmentation(rotation_degrees=index % 3 * 5.0),
            ema_decay=(None, 0.9)[index % 2],
        )
        for index in range(19)
    ]
    return [Candidate(NETWORK, recipe) for recipe in recipes]


def test_the_twentieth_trial_of_a_worker_is_bit_equal_to_the_first_of_another(store):
    recipe = Recipe(augmentation=Augmentation(shift_pixels=1.0), ema_decay=0.95, label_smoothing=0.1)
    probe = Candidate(NETWORK, recipe)
    alone = curve(worker(config(99, probe), store))
    used = worker(config(1, others()[0]), store)
    curve(used)
    for number, other in enumerate(others()[1:], 2):
        assert ray.get(used.reset.remote(config(number, other)))
        curve(used)
    assert ray.get(used.reset.remote(config(100, probe)))
    assert curve(used) == alone


def test_a_trial_that_has_a_checkpoint_first_says_its_last_report_again_and_goes_on(store, undisturbed):
    expected = curve(undisturbed(config(30, PLAIN)))
    assert list(ray.get(store.results_of.remote(30))) == ["model"]
    cut = worker(config(31, PLAIN), store)
    ray.get(cut.train.remote())
    ray.get(cut.stop.remote())
    ray.kill(cut)
    assert curve(worker(config(31, PLAIN), store)) == expected


def lasting(number: int, length: int) -> dict:
    return config(number, PLAIN, epochs=3, length=length)


def test_a_trial_of_a_given_length_is_scored_once_as_the_last_report_of_one_that_always_is(store, undisturbed):
    seen = undisturbed(config(40, PLAIN, epochs=3))
    second = [json.loads(ray.get(seen.train.remote())["report"]) for _ in range(2)][1]
    unseen = undisturbed(lasting(41, 2))
    assert ray.get(unseen.train.remote())["silent_epoch"] == 1.0
    only = json.loads(ray.get(unseen.train.remote())["report"])
    same = ("epoch", "train_loss", "val_loss", "val_score")
    assert [only[name] for name in same] == [second[name] for name in same]
    assert (only["step"], only["finished"], only["num_images"]) == (1, True, 2 * second["num_images"])
    left = ray.get(store.results_of.remote(41))
    with np.load(io.BytesIO(left["answers"])) as answers:  # what it made of each image, beside the score
        is_right = answers["predicted"] == load_made().val.y
        assert is_right.mean() == pytest.approx(only["val_score"])
        assert np.array_equal(answers["probability"] == answers["label_probability"], is_right)


def test_a_trial_of_a_given_length_goes_on_from_its_silent_parts_and_from_its_report(store, undisturbed):
    expected = ("epoch", "train_loss", "val_score", "step", "finished")
    whole = undisturbed(lasting(50, 3))
    only = json.loads([ray.get(whole.train.remote()) for _ in range(3)][-1]["report"])
    cut = worker(lasting(51, 3), store)
    ray.get([cut.train.remote(), cut.train.remote()])
    ray.get(cut.stop.remote())
    ray.kill(cut)
    for _ in range(2):  # after its silent parts, and after the report that may not have arrived
        actor = worker(lasting(51, 3), store)
        again = json.loads(ray.get(actor.train.remote())["report"])
        assert [again[name] for name in expected] == [only[name] for name in expected]
        assert again["num_images"] == only["num_images"]
        ray.get(actor.stop.remote())
        ray.kill(actor)


def test_the_runs_folder_of_data_files_reaches_the_training(undisturbed):
    actor = undisturbed(config(9, PLAIN, data_dir=Path("/given")))
    ray.get(actor.train.remote())
    assert ray.get(actor.data_dir.remote()) == Path("/given")


CODE = TaskCode(
    """
from torch import nn

def space(choose):
    return nn.Sequential(nn.Flatten(), nn.Linear(784, choose.int("width", 2, 9)), nn.Dropout(0.5), nn.Linear(4, 10))
""",
    "task.py",
)


def test_the_code_of_a_users_task_reaches_the_training_and_its_errors_have_a_line(store):
    actor = worker(config(500, PLAIN), store, CODE)
    for width, number in ((4, 501), (5, 502)):
        network = Network((1, 28, 28), (Own((("width", width),), (10,), num_params=0, num_macs=0),))
        assert ray.get(actor.reset.remote(config(number, Candidate(network, Recipe()))))
        if width == 4:
            assert curve(actor)
        else:
            with pytest.raises(TaskFileError, match=r"task\.py: RuntimeError: .*shapes cannot be multiplied"):
                curve(actor)
    ray.kill(actor)
