"""A module of the user's task trains as bit-equally as our layers do, whatever ran in the process before or between."""

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from spaces.goal import Classify, Custom, Goal, MultiLabel, Regress, Segment
from spaces.layers import Activation, Conv, Dense, Standardize
from spaces.network import Network
from spaces.own import Own
from spaces.recipe import Candidate, Recipe
from spaces.report import Report
from trainables.answers import to_bytes
from trainables.build import build
from trainables.device_split import DeviceSplit
from trainables.model import load_model, model_bytes
from trainables.onnx_file import ExportFailed, write_onnx
from trainables.task_code import TaskCode, TaskFileError
from trainables.training import Training

CPU = torch.device("cpu")
TEXT = """
import torch
from torch import nn
from spaces.goal import Custom


class Noisy(nn.Module):
    '''Draws from the global generator when it is made, when it trains and when it is evaluated.'''

    def __init__(self, width):
        super().__init__()
        self.first = nn.Linear(6, width)
        self.norm = nn.LayerNorm(width)
        self.drop = nn.Dropout(0.5)
        self.last = nn.Linear(width, 3)
        self.scale = torch.rand(1).item()

    def forward(self, x):
        x = self.drop(torch.relu(self.norm(self.first(x))))
        return self.last(x + 0.1 * torch.randn_like(x)) * self.scale


class ViewsOnly(nn.Module):
    '''Fails for images that are not contiguous.'''

    def __init__(self):
        super().__init__()
        self.last = nn.Linear(8, 3)

    def forward(self, x):
        return self.last(x.view(len(x), 2, 8).sum(1))


class Broken(nn.Module):
    def forward(self, x):
        return x @ torch.zeros(5, 5)  # the culprit


def space(choose):
    return Noisy(choose.int("width", 2, 64))


references = {
    "views": ViewsOnly,
    "broken": Broken,
    "data-dependent": lambda: DataDependent(),
    "signal": lambda: nn.Conv1d(2, 3, 3),
}


class DataDependent(nn.Module):
    def __init__(self):
        super().__init__()
        self.last = nn.Linear(6, 3)

    def forward(self, x):
        return self.last(x) * (2 if x.sum() > 0 else 1)


goal = Custom(
    loss=lambda outputs, targets: nn.functional.cross_entropy(outputs, targets),
    score=lambda outputs, targets: (outputs.argmax(1) == targets).double().mean() + 0 * torch.rand(1).sum(),
)
"""
CODE = TaskCode(TEXT, "task.py")


def own(name: str = "", output_shape: tuple[int, ...] = (3,), **choices: int) -> Own:
    return Own(tuple(choices.items()), output_shape, num_params=0, num_macs=0, name=name)


NOISY = Network((6,), (Standardize(0.5, 0.3), own(width=16)))
RECIPE = Recipe(batch_size=16, learning_rate=3e-3, ema_decay=0.9)


@pytest.fixture(scope="module")
def splits() -> tuple[DeviceSplit, DeviceSplit]:
    rng = np.random.default_rng(0)
    x = rng.random((150, 6), dtype=np.float32)
    y = x[:, :3].argmax(1)
    return DeviceSplit.of(x[:100], y[:100], CPU), DeviceSplit.of(x[100:], y[100:], CPU)


@pytest.fixture
def begin(splits) -> Callable[..., Training]:
    def begin(network: Network = NOISY, *, goal: Goal | None = None, seed: int = 5, data=splits) -> Training:
        options = {"goal": goal, "seed": seed, "epochs": 3, "reports_per_epoch": 2, "code": CODE}
        return Training(Candidate(network, RECIPE), *data, **options)

    return begin


def finish(training: Training) -> list[Report]:
    reports = [training.advance()]
    while not reports[-1].finished:
        torch.rand(7)  # others draw from the global generator too
        reports.append(training.advance())
    return [replace(report, seconds=0) for report in reports]


def equal(one: Training, other: Training) -> bool:
    weights = other.weights()
    return all(torch.equal(value, weights[name]) for name, value in one.weights().items())


def test_a_users_module_is_initialized_by_itself_under_the_seed_alone():
    one = build(NOISY, seed=3, code=CODE)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    same, other = build(NOISY, seed=3, code=CODE), build(NOISY, seed=4, code=CODE)
    assert torch.equal(torch.get_rng_state(), before)
    for name, weights in one.state_dict().items():
        assert torch.equal(weights, same.state_dict()[name])
        assert torch.equal(weights, other.state_dict()[name]) == (".norm." in name)  # these are 1 and 0
    assert one.layers[1].module.scale == same.layers[1].module.scale
    assert one.layers[1].module.scale != other.layers[1].module.scale
    assert one.layers[1].module.first.weight.abs().max() <= 6**-0.5  # torch's own


def test_two_modules_of_the_user_have_weights_of_their_own_and_ours_are_initialized_as_ever():
    network = Network((6,), (Dense(6), own(width=6), Activation(), Dense(6), own(width=6)))
    module = build(network, seed=3, code=CODE)
    assert not torch.equal(module.layers[1].module.first.weight, module.layers[4].module.first.weight)
    ours = build(Network((6,), (Dense(6), Activation(), Dense(6))), seed=3)
    assert torch.equal(module.layers[0].weight, ours.layers[0].weight)


def test_without_the_code_a_users_module_cannot_be_built():
    with pytest.raises(ValueError, match="a module of the task's own file, which makes it: pass task=FILE"):
        build(NOISY)


@pytest.mark.parametrize("goal", [Classify(), Custom()], ids=["ours", "theirs"])
def test_a_users_module_that_draws_global_random_numbers_gives_bit_equal_curves(begin, goal: Goal):
    first = begin(goal=goal)
    curve = finish(first)
    assert curve[-1].train_loss < curve[0].train_loss
    torch.manual_seed(99)
    before = torch.get_rng_state()
    other = begin(goal=goal, seed=6)
    other.advance()
    assert torch.equal(torch.get_rng_state(), before)
    again = begin(goal=goal)
    assert finish(again) == curve
    assert equal(again, first)
    assert finish(other) != curve[1:]


@pytest.mark.parametrize("num_reports", [1, 2, 3])
def test_it_resumes_from_a_checkpoint_as_if_nothing_had_happened(begin, num_reports: int):
    undisturbed = begin()
    curve = finish(undisturbed)
    killed = begin()
    for _ in range(num_reports):
        killed.advance()
    checkpoint = killed.save()
    killed.advance()
    torch.manual_seed(num_reports)
    resumed = begin()
    resumed.load(checkpoint)
    assert finish(resumed) == curve[num_reports:]
    assert equal(resumed, undisturbed)


def test_a_checkpoint_of_another_device_brings_the_states_that_there_are(begin):
    randomness = begin().randomness
    assert randomness is not None
    state = torch.Generator().manual_seed(8).get_state()
    randomness.load([state, torch.zeros(16, dtype=torch.uint8)])  # as from a GPU
    assert len(randomness.states) == 1
    assert torch.equal(randomness.states[0], state)
    randomness.load([])
    assert len(randomness.states) == 1
    assert not torch.equal(randomness.states[0], state)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="PyTorch sees no GPU here")
def test_on_a_gpu_a_users_dropout_resumes_and_leaves_the_global_state_alone(splits):
    data = tuple(DeviceSplit(split.x.cuda(), split.y.cuda()) for split in splits)

    def begin_there() -> Training:
        return Training(Candidate(NOISY, RECIPE), *data, seed=5, epochs=2, code=CODE)

    cut_off = begin_there()
    assert cut_off.recording is None
    before = torch.cuda.get_rng_state()
    cut_off.advance()
    assert torch.equal(torch.cuda.get_rng_state(), before)
    checkpoint, expected = cut_off.save(), cut_off.advance()
    torch.cuda.manual_seed(3)
    resumed = begin_there()
    resumed.load(checkpoint)
    assert resumed.advance().train_loss == pytest.approx(expected.train_loss, rel=1e-4)


def test_scores_follow_from_the_weights_alone_and_do_not_disturb_training(begin):
    training, other = begin(), begin()
    training.advance()
    scores = [training.scores() for _ in range(3)]
    assert scores[0] == scores[1] == scores[2]
    answers = training.answers()
    assert answers["predicted"].shape == (50,)
    assert answers["image_score"].mean() == pytest.approx(scores[0].score)
    other.train_part()
    assert replace(training.advance(), seconds=0) == replace(other.advance(), seconds=0, num_images=48)


def test_images_reach_a_users_module_contiguous(begin):
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (60, 2, 2, 4), np.uint8), rng.integers(0, 3, 60)
    split = DeviceSplit.of(x, y, CPU)
    network = Network((2, 2, 4), (Conv(2, 3), own("views")))
    training = begin(network, data=(split, split))
    assert training.advance().is_finite
    assert training.answers()["predicted"].shape == (60,)
    assert training.module.memory_format == torch.contiguous_format


def test_an_error_in_a_users_module_has_its_line(begin):
    line = next(number for number, text in enumerate(TEXT.splitlines(), 1) if "culprit" in text)
    training = begin(Network((6,), (Dense(6), own("broken"))))
    with pytest.raises(TaskFileError, match=rf"^task\.py, line {line}: RuntimeError: .*\n    return x @ torch.zeros"):
        training.advance()


GOALS: dict[str, tuple[Goal, Network, tuple[int, ...], Callable[[np.random.Generator], np.ndarray]]] = {
    "regress": (Regress(), Network((6,), (Dense(4), Activation(), Dense(1))), (6,), lambda rng: rng.random(40)),
    "labels": (MultiLabel(), Network((6,), (Dense(2),)), (6,), lambda rng: rng.integers(0, 2, (40, 2))),
    "segment": (Segment(), Network((2, 9, 8), (Conv(3, 3),)), (2, 9, 8), lambda rng: rng.integers(0, 3, (40, 9, 8))),
    "signal": (
        Segment(),
        Network((2, 12), (own("signal", (3, 10)),)),
        (2, 12),
        lambda rng: rng.integers(0, 3, (40, 10)),
    ),
    "custom": (Custom(), NOISY, (6,), lambda rng: rng.integers(0, 3, 40)),
}


@pytest.mark.parametrize("name", GOALS)
def test_a_network_of_each_goal_trains_answers_and_is_read_from_its_file(begin, tmp_path: Path, name: str):
    goal, network, shape, targets = GOALS[name]
    rng = np.random.default_rng(0)
    x = rng.random((40, *shape), dtype=np.float32)
    split = DeviceSplit.of(x, targets(rng), CPU)
    training = begin(network, goal=goal, data=(split, split))
    report = finish(training)[-1]
    assert report.is_finite
    answers = np.load(io.BytesIO(to_bytes(training.answers())))
    assert answers["image_score"].mean() == pytest.approx(report.val_score, rel=1e-5)

    path, task = tmp_path / "best.pt", tmp_path / "task.py"
    task.write_text(TEXT)
    facts = {"goal": goal.to_json(), "input_dtype": split.input_dtype}
    path.write_bytes(model_bytes(training.candidate, training.weights(), facts))
    if network.has_own_module:
        with pytest.raises(ValueError, match=r"best.pt: its network has a module of the task's own file.*task=FILE"):
            load_model(path)
    model = load_model(path, task)
    assert (model.input_dtype, model.gives_images) == ("float32", False)
    for key, weights in training.weights().items():
        assert torch.equal(model.module.state_dict()[key], weights)
    if name != "custom":
        assert torch.equal(model(x.astype(np.float64)), model.module(torch.tensor(x)))
    if goal == Segment():
        place = int(answers["worst"][0])
        output, target = answers[f"output_{place}"], answers[f"target_{place}"]
        assert (output != target).mean() == pytest.approx(answers["error"][place])
        assert output.dtype == np.uint8
        assert np.array_equal(target[0], split.y[place].numpy())
    elif goal == Regress():
        assert answers["value"].dtype == np.float32
        assert np.sqrt(np.square(answers["value"] - split.y.numpy()).mean()) == pytest.approx(
            report.val_score, rel=1e-5
        )
    with pytest.raises(ValueError, match=r"the model takes float32 \[N, "):
        model(np.zeros((3, 1), np.float32))


@pytest.fixture
def trained(begin, splits, tmp_path: Path) -> Callable[[Network], Path]:
    task = tmp_path / "task.py"
    task.write_text(TEXT)

    def trained(network: Network) -> Path:
        module = build(network, code=CODE)
        content = model_bytes(Candidate(network, RECIPE), module.state_dict(), {"input_dtype": "float32"})
        (tmp_path / "model.pt").write_bytes(content)
        return tmp_path / "model.pt"

    return trained


@pytest.mark.parametrize(
    "network",
    [
        Network((2, 12), (own("signal", (3, 10)),)),
        Network((6,), (Dense(5), Activation(), Dense(2))),
    ],
    ids=["signal", "features"],
)
def test_networks_of_other_shapes_are_exported_as_they_compute(trained, tmp_path: Path, network: Network):
    path = trained(network)
    write_onnx(load_model(path, tmp_path / "task.py"), tmp_path / "model.onnx")
    assert (tmp_path / "model.onnx").exists()


def test_a_users_module_that_cannot_be_exported_is_named_with_the_reason(trained, tmp_path: Path):
    path = trained(Network((6,), (own("data-dependent"),)))
    with pytest.raises(ExportFailed, match=r"PyTorch cannot export the network: .*data-dependent"):
        write_onnx(load_model(path, tmp_path / "task.py"), tmp_path / "model.onnx")
    assert not (tmp_path / "model.onnx").exists()


def test_weights_in_a_model_file_replace_what_the_module_drew(trained, tmp_path: Path):
    path = trained(NOISY)
    state = torch.get_rng_state()
    module = load_model(path, tmp_path / "task.py").module
    assert torch.equal(torch.get_rng_state(), state)
    assert isinstance(module, nn.Module)
    assert not any(weights.is_meta for weights in module.state_dict().values())
    assert isinstance(module(torch.rand(2, 6)), Tensor)
