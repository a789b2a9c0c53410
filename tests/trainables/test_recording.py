"""A recorded step trains as one that is called, and every step can be recorded."""

import importlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from data.made.digits import load_made
from spaces.goal import Classify, Denoise, Goal, MultiLabel, Reconstruct, Regress, Restore, Segment
from spaces.layers import Activation, Conv, Dense, Dropout, Flatten, Norm, Pool
from spaces.network import Network
from spaces.recipe import Augmentation, Candidate, Recipe
from spaces.report import Report
from trainables import training as training_module
from trainables.goals import DeviceSplit
from trainables.optim import OPTIMIZERS, make_optimizer
from trainables.training import Training

FEATURES = (Conv(6, 3, bias=False), Norm(), Activation())
CLASSIFIER = Network(
    (1, 28, 28),
    (*FEATURES, Pool("max", 2), Conv(8, 3, stride=2), Activation("gelu"), Flatten(), Dropout(0.2), Dense(10)),
)
CLEANER = Network((1, 28, 28), (*FEATURES, Dropout(0.1), Conv(1, 3), Activation("sigmoid")))
MAPPER = Network((1, 28, 28), (*FEATURES, Dropout(0.1), Conv(2, 3)))
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
    "regress": (Regress(), CLASSIFIER, RECIPE),
    "multi label": (MultiLabel(), CLASSIFIER, RECIPE),
    "segment": (Segment(), MAPPER, RECIPE),
    "segment patches": (Segment(patch=20), MAPPER, RECIPE),
}


@pytest.fixture
def float32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training_module, "fastest_precision", lambda device: torch.float32)


@pytest.fixture
def graph_settings(monkeypatch: pytest.MonkeyPatch, float32: None) -> None:
    """Gives optimizers the settings for a CUDA graph on a CPU, as far as they accept them there."""
    for name in ("nadam", "rmsprop", "adadelta"):
        optimizer = importlib.import_module(f"torch.optim.{name}")
        monkeypatch.setattr(optimizer, "_get_capturable_supported_devices", lambda **options: ["cpu"])
    make = partial(make_optimizer, in_graph=True)
    monkeypatch.setattr(training_module, "make_optimizer", lambda recipe, weights, in_graph: make(recipe, weights))


class Values(TorchDispatchMode):
    """Notes operations that return a number or a shape that depends on values; a CUDA graph cannot contain them."""

    def __init__(self) -> None:
        super().__init__()
        self.read: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        tags = {torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape} & {*func.tags}
        by_places = func is torch.ops.aten.index.Tensor and all(p is None or p.dtype != torch.bool for p in args[1])
        if tags and not by_places:
            self.read.append(str(func))
        return func(*args, **kwargs or {})


def begin(name: str, device: str = "cpu", **options: Any) -> Training:
    goal, network, recipe = CASES[name]
    splits, place = load_made(), torch.device(device)
    x, y = splits.train.x[:300], splits.train.y[:300]
    if isinstance(goal, Restore):
        x, y = [*np.pad(x[:40], ((0, 0), (0, 9), (0, 5)))], [*np.pad(255 - x[:40], ((0, 0), (0, 9), (0, 5)))]
    elif not isinstance(goal, Classify):
        y = x > 127 if isinstance(goal, Segment) else y[:, None] == np.arange(10)
    split = DeviceSplit.of(x, y, place)
    return Training(Candidate(network, recipe), split, split, goal=goal, seed=3, epochs=3, **options)


def reports(training: Training) -> Iterator[Report]:
    while not (training.last_report and training.last_report.finished):
        yield replace(training.advance(), seconds=0)


def losses(training: Training) -> list[float]:
    return [loss for report in reports(training) for loss in (report.train_loss, report.val_loss)]


@pytest.mark.parametrize("name", ["adam", "nadam"])
def test_on_a_cpu_no_step_is_recorded_and_the_key_changes_no_bit(name: str):
    one, other = begin(name, record_steps=True), begin(name, record_steps=False)
    assert one.recording is None
    assert list(reports(one)) == list(reports(other))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_optimizer_in_a_graph_trains_as_one_outside_but_for_rounding(
    graph_settings, monkeypatch: pytest.MonkeyPatch, name: str
):
    inside = losses(begin(name))
    monkeypatch.setattr(training_module, "make_optimizer", make_optimizer)
    assert inside == pytest.approx(losses(begin(name)), rel=1e-5)


@pytest.mark.parametrize("name", CASES)
def test_no_value_decides_on_what_a_step_computes(graph_settings, name: str):
    training = begin(name)
    training.module.train()
    training._step()
    with Values() as values:
        training._step()
    assert values.read == []


@pytest.mark.parametrize("read", [lambda x: x.item() > 0, lambda x: len(x.nonzero()), lambda x: len(x[x > 0])])
def test_a_value_that_decides_is_noticed(read: Callable[[Tensor], object]):
    with Values() as values:
        read(torch.ones(3)[:1])
    assert len(values.read) >= 1


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="PyTorch sees no GPU here")
class TestOnAGpu:
    @pytest.mark.parametrize("name", CASES)
    def test_a_recorded_step_trains_as_one_that_is_called(self, float32, name: str):
        recorded, called = losses(begin(name, "cuda")), losses(begin(name, "cuda", record_steps=False))
        assert recorded == pytest.approx(called, rel=1e-3)  # sums on a GPU have no fixed order

    def test_the_first_step_is_the_cpus(self, float32):
        """Uses no dropout or augmentation, since random numbers depend on the device."""
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
