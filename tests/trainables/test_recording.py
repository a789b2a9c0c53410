"""A recorded step trains as one that is called: on a CPU to the last bit."""

import gc
import importlib
import weakref
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from data.made.digits import load_made
from spaces.goal import Classify, Denoise, Goal, Reconstruct, Restore
from spaces.layers import Activation, Conv, Dense, Dropout, Flatten, Norm, Pool
from spaces.network import Network
from spaces.recipe import Augmentation, Candidate, Recipe
from spaces.report import Report
from trainables import training as training_module
from trainables.goals import DeviceSplit
from trainables.optim import OPTIMIZERS
from trainables.recording import WARM_UP, recording
from trainables.training import Training

FEATURES = (Conv(6, 3, bias=False), Norm(), Activation())
CLASSIFIER = Network(
    (1, 28, 28),
    (*FEATURES, Pool("max", 2), Conv(8, 3, stride=2), Activation("gelu"), Flatten(), Dropout(0.2), Dense(10)),
)
CLEANER = Network((1, 28, 28), (*FEATURES, Dropout(0.1), Conv(1, 3), Activation("sigmoid")))
SHAKEN = Augmentation(rotation_degrees=10, shift_pixels=2, zoom=0.1)
RECIPE = Recipe(learning_rate=3e-3, schedule="one_cycle", batch_size=50, ema_decay=0.9, augmentation=SHAKEN)
RATES = {"sgd": 0.05, "adadelta": 1.0}

CASES: dict[str, tuple[Goal, Network, Recipe]] = {
    **{
        name: (
            Classify(),
            CLASSIFIER,
            replace(RECIPE, optimizer=name, learning_rate=RATES.get(name, 3e-3), weight_decay=1e-3),
        )
        for name in OPTIMIZERS
    },
    "label smoothing": (Classify(), CLASSIFIER, replace(RECIPE, label_smoothing=0.1)),
    "reconstruct": (Reconstruct(), CLEANER, RECIPE),
    "denoise": (Denoise(), CLEANER, RECIPE),
    "restore": (Restore(patch=28), CLEANER, replace(RECIPE, augmentation=Augmentation())),
}


@pytest.fixture
def float32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training_module, "fastest_precision", lambda device: torch.float32)


@pytest.fixture
def whole_steps(monkeypatch: pytest.MonkeyPatch, float32: None) -> None:
    """A step is recorded as for a GPU: whole, whatever the optimizer, with the settings for that."""
    for name in ("nadam", "rmsprop", "adadelta"):
        optimizer = importlib.import_module(f"torch.optim.{name}")
        monkeypatch.setattr(optimizer, "_get_capturable_supported_devices", lambda **options: ["cpu"])
        kind, options = OPTIMIZERS[name]
        monkeypatch.setitem(OPTIMIZERS, name, (kind, {**options, "capturable": True}))
    monkeypatch.setattr(training_module, "is_recordable", lambda recipe, device: True)


def begin(name: str, device: str = "cpu", **options: Any) -> Training:
    goal, network, recipe = CASES[name]
    splits, place = load_made(), torch.device(device)
    x, y = splits.train.x[:300], splits.train.y[:300]
    if isinstance(goal, Restore):
        x, y = [*np.pad(x[:40], ((0, 0), (0, 9), (0, 5)))], [*np.pad(255 - x[:40], ((0, 0), (0, 9), (0, 5)))]
    split = DeviceSplit.of(x, y, place)
    return Training(Candidate(network, recipe), split, split, goal=goal, seed=3, epochs=3, **options)


def reports(training: Training) -> Iterator[Report]:
    while not (training.last_report and training.last_report.finished):
        yield replace(training.advance(), seconds=0)


def losses(training: Training) -> list[float]:
    return [loss for report in reports(training) for loss in (report.train_loss, report.val_loss)]


@pytest.mark.parametrize("name", CASES)
def test_a_recorded_step_trains_as_one_that_is_called_to_the_last_bit(name: str):
    recorded, called = begin(name), begin(name, record_steps=False)
    assert list(reports(recorded)) == list(reports(called))
    weights = called.weights()
    assert all(torch.equal(value, weights[name]) for name, value in recorded.weights().items())


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_so_does_one_that_is_recorded_as_for_a_gpu_but_for_rounding(whole_steps, name: str):
    recorded, called = losses(begin(name)), losses(begin(name, record_steps=False))
    assert recorded == pytest.approx(called, rel=1e-5)


def test_python_is_asked_no_more_once_a_step_is_recorded(monkeypatch: pytest.MonkeyPatch):
    training, forwards = begin("adam"), []
    forward = training.module.forward
    monkeypatch.setattr(training.module, "forward", lambda *args: forwards.append(0) or forward(*args))
    training.train_part()
    training.train_part()
    assert (training.num_steps, len(forwards)) == (12, WARM_UP + 1)


def test_what_differs_comes_in_tensors_and_a_number_stays_what_it_was():
    x, total, number = torch.ones(2), torch.zeros(2), 1

    def add() -> None:
        total.add_(x * number)

    record = recording(torch.Generator())
    for _ in range(WARM_UP + 1):
        record(add)
    number = 100
    x.fill_(5)
    record(add)
    assert total.tolist() == [WARM_UP + 1 + 5] * 2


@pytest.mark.parametrize("waits", [lambda x: x.item() > 0, lambda x: len(x.nonzero()), lambda x: len(x[x > 0])])
def test_where_values_decide_a_function_is_called_each_time(waits: Callable[[Tensor], object]):
    x, calls = torch.ones(()), []
    record = recording(torch.Generator())
    for _ in range(9):
        record(lambda: calls.append(waits(x)))
    assert len(calls) == 9


@pytest.mark.parametrize("work", [lambda x: x.add_(1), lambda x: x.add_(x.item())])
def test_a_recording_keeps_no_function_alive(work: Callable[[Tensor], object]):
    def function(x: Tensor = torch.ones(())) -> None:  # noqa: B008
        work(x)

    record, left = recording(torch.Generator()), weakref.ref(function)
    for _ in range(WARM_UP + 2):
        record(function)
    del function
    assert left() is None


def test_memory_is_free_again_when_it_would_be_without_a_recording():
    """A recording that kept what it has seen would hold all of a step at once."""
    x, seen = torch.ones(77), []

    def chain() -> None:
        value = x
        for _ in range(50):
            value = value + 1
        seen.append(len([one for one in gc.get_objects() if type(one) is Tensor and one.shape == (77,)]))

    record = recording(torch.Generator())
    for _ in range(WARM_UP + 1):
        record(chain)
    assert seen == [seen[0]] * (WARM_UP + 1)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="PyTorch sees no GPU here")
class TestOnAGpu:
    @pytest.mark.parametrize("name", CASES)
    def test_a_recorded_step_trains_as_one_that_is_called(self, float32, name: str):
        recorded, called = losses(begin(name, "cuda")), losses(begin(name, "cuda", record_steps=False))
        assert recorded == pytest.approx(called, rel=1e-3)  # sums there are in no certain order

    def test_the_first_step_is_the_cpus(self, float32):
        """Without dropout and augmentation, whose random numbers are another device's."""
        network = Network((1, 28, 28), (Conv(6, 3), Activation(), Flatten(), Dense(10)))
        candidate = Candidate(network, Recipe(batch_size=300))
        x, y = (part[:300] for part in (load_made().train.x, load_made().train.y))
        losses = []
        for device in ("cpu", "cuda"):
            split = DeviceSplit.of(x, y, torch.device(device))
            losses.append(Training(candidate, split, split, seed=3, epochs=1).advance().train_loss)
        assert losses[0] == pytest.approx(losses[1], rel=1e-5)

    def test_a_checkpoint_goes_from_the_gpu_to_the_cpu_and_back(self, float32):
        for first, second in (("cuda", "cpu"), ("cpu", "cuda")):
            cut_off = begin("nadam", first)
            report = cut_off.advance()
            resumed = begin("nadam", second)
            resumed.load(cut_off.save())
            assert resumed.last_report == report
            assert resumed.advance().train_loss < report.train_loss
