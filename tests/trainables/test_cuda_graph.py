"""A recorded step trains as one that is called: on a GPU for real, elsewhere by recording PyTorch's own operations."""

import importlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from data.embedded import load_made
from spaces.goal import Classify, Denoise, Goal, Reconstruct, Restore
from spaces.layers import Activation, Conv, Dense, Dropout, Flatten, Norm, Pool
from spaces.network import Network
from spaces.recipe import Augmentation, Candidate, Recipe
from trainables import training as training_module
from trainables.cuda_graph import CudaGraph
from trainables.goals import DeviceSplit
from trainables.optim import OPTIMIZERS
from trainables.training import Report, Training

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
WAITING = {torch.ops.aten._local_scalar_dense.default, torch.ops.aten.nonzero.default, torch.ops.aten.item.default}
"""Operations that give the CPU a value, or a shape that depends on one: a GPU would have to be waited for."""


class OperationsGraph(CudaGraph):
    """What a CUDA graph does, on a CPU: a call's operations again and again, on the very same tensors."""

    def __init__(self, generator: torch.Generator) -> None:
        self.num_calls, self.graph = 0, None

    def _aside(self, function: Callable[[], None]) -> None:
        function()

    def _record(self, function: Callable[[], None]) -> Any:
        recorder = _Recorder()
        with recorder:
            function()
        return recorder


class _Recorder(TorchDispatchMode):
    """Unlike a GPU's it also runs what it records, and so the first replay has happened already."""

    def __init__(self) -> None:
        super().__init__()
        self.operations: list[tuple[Any, Any, Any, Any]] = []
        self.has_run = True

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        assert func not in WAITING, f"{func} waits for the GPU"
        args, kwargs = tree_map(lambda leaf: leaf, (args, kwargs or {}))  # lists of its own
        result = func(*args, **kwargs)
        self.operations.append((func, args, kwargs, result))
        return result

    @torch.no_grad()
    def replay(self) -> None:
        if self.has_run:
            self.has_run = False
            return
        for operation, args, kwargs, recorded in self.operations:
            for new, old in zip(tree_leaves(operation(*args, **kwargs)), tree_leaves(recorded), strict=True):
                if isinstance(new, Tensor) and new.data_ptr() != old.data_ptr():
                    old.copy_(new)


@pytest.fixture
def float32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training_module, "fastest_precision", lambda device: torch.float32)


@pytest.fixture
def recording_on_cpu(monkeypatch: pytest.MonkeyPatch, float32: None) -> None:
    """A step is recorded here as it would be on a GPU, its optimizer with the settings for that."""
    for name in ("nadam", "rmsprop", "adadelta"):
        optimizer = importlib.import_module(f"torch.optim.{name}")
        monkeypatch.setattr(optimizer, "_get_capturable_supported_devices", lambda **options: ["cpu"])
    monkeypatch.setattr(training_module, "can_record", lambda device: True)
    monkeypatch.setattr(training_module, "CudaGraph", OperationsGraph)


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


def assert_alike(one: Report, other: Report, tolerance: float) -> None:
    assert one.learning_rate == other.learning_rate
    for name in ("train_loss", "val_loss"):
        assert getattr(one, name) == pytest.approx(getattr(other, name), rel=tolerance), name


@pytest.mark.parametrize("name", CASES)
def test_a_recorded_step_trains_as_one_that_is_called(recording_on_cpu, name: str):
    pairs = zip(reports(begin(name)), reports(begin(name, cuda_graphs=False)), strict=True)
    for recorded, called in pairs:
        assert_alike(recorded, called, 1e-5)


@pytest.mark.parametrize("name", ["adam", "nadam"])  # one that counts in its kernel, and one that counts on the CPU
def test_a_checkpoint_goes_from_a_recorded_step_to_one_that_is_called_and_back(recording_on_cpu, name: str):
    undisturbed = list(reports(begin(name, cuda_graphs=False)))
    for first, second in ((True, False), (False, True)):
        cut_off = begin(name, cuda_graphs=first)
        cut_off.advance()
        resumed = begin(name, cuda_graphs=second)
        resumed.load(cut_off.save())
        for report, expected in zip(reports(resumed), undisturbed[1:], strict=True):
            assert_alike(report, expected, 1e-4)


def test_what_waits_for_the_gpu_is_noticed():
    with pytest.raises(AssertionError, match="waits for the GPU"):
        OperationsGraph(torch.Generator())._record(lambda: print(torch.ones(()).item()))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="PyTorch sees no GPU here")
class TestOnAGpu:
    @pytest.mark.parametrize("name", CASES)
    def test_a_recorded_step_trains_as_one_that_is_called(self, float32, name: str):
        pairs = zip(reports(begin(name, "cuda")), reports(begin(name, "cuda", cuda_graphs=False)), strict=True)
        for recorded, called in pairs:
            assert_alike(recorded, called, 1e-3)  # sums there are in no certain order

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
