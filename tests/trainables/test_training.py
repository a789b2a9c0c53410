"""The training loop gives equal bits after interruptions and other trainings, and equals a plain loop."""

import io
import random
import zipfile
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from spaces.layers import Activation, Conv, Dense, Dropout, Flatten, Layer, Norm, Pool
from spaces.network import Network
from spaces.recipe import Augmentation, Candidate, Recipe
from spaces.report import Report
from trainables.goals import DeviceSplit, Scores
from trainables.inference import to_float
from trainables.optim import OPTIMIZERS
from trainables.training import Training

Digits = tuple[DeviceSplit, DeviceSplit]


def network(*middle: Layer) -> Network:
    layers = (Conv(4, 3, stride=2), *middle, Activation(), Pool("max"), Flatten(), Dense(10))
    return Network((1, 28, 28), layers)


PLAIN = network()
RICH = network(Norm(), Dropout(0.1))

RECIPES = {
    "adam, all extras": Recipe(
        learning_rate=3e-3,
        schedule="one_cycle",
        weight_decay=1e-3,
        batch_size=50,
        augmentation=Augmentation(rotation_degrees=10, shift_pixels=2, zoom=0.1),
        label_smoothing=0.1,
        ema_decay=0.9,
    ),
    "adamw": Recipe(optimizer="adamw", learning_rate=3e-3, batch_size=50, ema_decay=0.99),
    "nadam": Recipe(optimizer="nadam", learning_rate=3e-3, batch_size=64, weight_decay=1e-4),
    "rmsprop": Recipe(optimizer="rmsprop", learning_rate=1e-3, batch_size=64, schedule="cosine"),
    "sgd": Recipe(optimizer="sgd", learning_rate=0.05, batch_size=50, augmentation=Augmentation(shift_pixels=1)),
    "adadelta": Recipe(optimizer="adadelta", learning_rate=1.0, batch_size=50, label_smoothing=0.1),
}


@pytest.fixture
def begin(digits: Digits) -> Callable[..., Training]:
    """Returns a function that starts a training on the digits: begin(recipe, network, **options)."""

    def begin(recipe: Recipe, network: Network = RICH, *, seed: int = 5, epochs: int = 2, **options: int) -> Training:
        return Training(Candidate(network, recipe), *digits, seed=seed, epochs=epochs, **options)

    return begin


def finish(training: Training) -> list[Report]:
    """Returns the reports up to the end, without seconds, which differ from run to run."""
    reports = [training.advance()]
    while not reports[-1].finished:
        reports.append(training.advance())
    return [replace(report, seconds=0) for report in reports]


def equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(value, other[name]) for name, value in one.items())


def test_a_candidate_and_a_seed_give_bit_equal_curves_also_after_other_trainings(begin):
    first = {name: begin(recipe) for name, recipe in RECIPES.items()}
    curves = {name: finish(training) for name, training in first.items()}

    torch.manual_seed(1)
    for number in range(19):
        finish(begin(RECIPES["adam, all extras"], seed=100 + number, epochs=1))

    for name, recipe in RECIPES.items():
        again = begin(recipe)
        assert finish(again) == curves[name], name
        assert equal(again.weights(), first[name].weights()), name
    assert finish(begin(RECIPES["sgd"], seed=6)) != curves["sgd"]


def test_training_leaves_the_global_generators_alone(begin):
    states = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()  # noqa: NPY002
    finish(begin(RECIPES["adam, all extras"], epochs=1))
    assert torch.equal(torch.get_rng_state(), states[0])
    assert (np.random.get_state()[1].tolist(), random.getstate()) == states[1:]  # noqa: NPY002


@pytest.mark.parametrize("reports", [1, 2, 3])  # of 4: amid the first epoch, at its end, amid the second
@pytest.mark.parametrize("name", RECIPES)
def test_a_training_goes_on_from_a_checkpoint_as_if_nothing_had_happened(begin, name: str, reports: int):
    undisturbed = begin(RECIPES[name], reports_per_epoch=2)
    curve = finish(undisturbed)

    killed = begin(RECIPES[name], reports_per_epoch=2)
    for _ in range(reports):
        last = killed.advance()
    checkpoint = killed.save()
    killed.advance()  # what was trained after the checkpoint is lost

    resumed = begin(RECIPES[name], reports_per_epoch=2)
    resumed.load(checkpoint)
    assert resumed.last_report == last
    assert finish(resumed) == curve[reports:]
    assert equal(resumed.weights(), undisturbed.weights())


@pytest.mark.parametrize(
    "content",
    [b"\x80\x02)" + b"\x85" * 1000 + b".", b"\x80\x02]r\xff\xff\xff\x0a.", b"cos\nsystem\n(X\x04\x00\x00\x00truetR."],
    ids=["deep", "large", "a call"],
)
def test_a_checkpoint_that_somebody_else_wrote_is_refused_before_it_is_built(begin, content: bytes):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("archive/data.pkl", content)
    with pytest.raises(ValueError, match=r"nested more than|numbers an object|asks for os\.system"):
        begin(Recipe()).load(file.getvalue())


def test_a_checkpoint_keeps_what_patience_counts_from(begin):
    stuck = Recipe(learning_rate=0, batch_size=50, patience=2)
    training = begin(stuck, PLAIN, epochs=9)
    training.advance()
    resumed = begin(stuck, PLAIN, epochs=9)
    resumed.load(training.save())
    assert [report.epoch for report in finish(resumed)] == [2, 3]


def test_reports_say_where_training_stands(begin):
    whole = finish(begin(replace(RECIPES["rmsprop"], batch_size=64), epochs=3))  # 250 images: 3 steps an epoch
    assert [(report.step, report.epoch, report.finished) for report in whole] == [
        (1, 1.0, False),
        (2, 2.0, False),
        (3, 3.0, True),
    ]
    assert [report.num_images for report in whole] == [192, 192, 192]
    assert [report.learning_rate for report in whole] == pytest.approx([7.5e-4, 2.5e-4, 0], abs=1e-12)

    parts = finish(begin(replace(RECIPES["rmsprop"], batch_size=64), epochs=3, reports_per_epoch=2))
    assert [report.epoch for report in parts] == [0.5, 1, 1.5, 2, 2.5, 3]
    assert [report.num_images for report in parts] == [64, 128] * 3
    assert [replace(report, step=0, train_loss=0, num_images=0) for report in parts[1::2]] == [
        replace(report, step=0, train_loss=0, num_images=0) for report in whole
    ]


def test_more_reports_than_batches_are_a_users_mistake(begin):
    with pytest.raises(ValueError, match="reports_per_epoch=6: an epoch has only 5 batches"):
        begin(RECIPES["sgd"], reports_per_epoch=6)


def test_a_batch_larger_than_the_dataset_is_the_dataset(begin):
    (report,) = finish(begin(Recipe(batch_size=1024), epochs=1))
    assert report.num_images == 250


def test_every_epoch_has_an_order_of_its_own_that_the_seed_gives(begin):
    one, other = begin(RECIPES["sgd"], seed=5), begin(RECIPES["sgd"], seed=6)
    orders = [one._order(0), one._order(1), other._order(0)]
    assert all(sorted(order.tolist()) == list(range(250)) for order in orders)
    assert len({tuple(order.tolist()) for order in orders}) == 3


@pytest.mark.parametrize(("reports_per_epoch", "epochs"), [(1, [1, 2, 3]), (2, [0.5, 1, 1.5, 2, 2.5])])
def test_patience_ends_a_training_that_stands_still(begin, reports_per_epoch: int, epochs: list[float]):
    stuck = Recipe(learning_rate=0, batch_size=50, patience=2)
    reports = finish(begin(stuck, PLAIN, epochs=9, reports_per_epoch=reports_per_epoch))
    assert [report.epoch for report in reports] == epochs


def test_patience_counts_from_the_best_score(begin):
    recipe = replace(RECIPES["adamw"], patience=3)
    reports = finish(begin(recipe, epochs=30))
    scores = [report.val_score for report in reports]
    best = scores.index(max(scores))
    assert len(reports) in (best + 1 + 3, 30)
    assert all(max(scores[i + 1 : i + 4]) > max(scores[: i + 1]) for i in range(best))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_learns(begin, name: str):
    recipe = next(recipe for recipe in RECIPES.values() if recipe.optimizer == name)
    reports = finish(begin(recipe, PLAIN, epochs=12))
    assert reports[-1].train_loss < 0.95 * reports[0].train_loss
    assert reports[-1].val_score > 0.3


@pytest.mark.parametrize("schedule", ["constant", "cosine", "one_cycle"])
def test_every_schedule_learns(begin, schedule: str):
    reports = finish(begin(Recipe(learning_rate=1e-2, batch_size=50, schedule=schedule), PLAIN, epochs=12))
    assert reports[-1].train_loss < 0.7 * reports[0].train_loss
    assert reports[-1].val_score > 0.6


def test_a_loss_that_explodes_is_reported_as_it_is(begin):
    report = begin(Recipe(learning_rate=1e30, batch_size=50), PLAIN).advance()
    assert not report.is_finite
    assert begin(Recipe(batch_size=50), PLAIN).advance().is_finite


def in_float32(training: Training) -> Training:
    training.precision = torch.float32
    return training


def plain_module(training: Training) -> nn.Module:
    """Returns PLAIN as an ordinary PyTorch module with the training's weights."""
    module = nn.Sequential(
        nn.ZeroPad2d((0, 1, 0, 1)),
        nn.Conv2d(1, 4, 3, stride=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(196, 10),
    )
    for ours, theirs in zip(module.parameters(), training.module.parameters(), strict=True):
        ours.data.copy_(theirs)
    return module


@pytest.mark.parametrize(
    ("recipe", "make"),
    [
        (Recipe(learning_rate=1e-3, weight_decay=1e-3), lambda p: torch.optim.Adam(p, lr=1e-3, weight_decay=1e-3)),
        (
            Recipe(optimizer="sgd", learning_rate=0.05),
            lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9, nesterov=True),
        ),
    ],
    ids=["adam", "sgd"],
)
def test_steps_equal_a_plain_loops(begin, digits: Digits, recipe: Recipe, make):
    recipe = replace(recipe, batch_size=50, label_smoothing=0.1)
    training = in_float32(begin(recipe, PLAIN, epochs=2, reports_per_epoch=5))  # a report after every step
    module, (train, val) = plain_module(training), digits
    optimizer = make(module.parameters())
    for batch in (*training._order(0).split(50), *training._order(1).split(50)):
        loss = functional.cross_entropy(module(train.x[batch] / 255), train.y[batch], label_smoothing=0.1)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

        report = training.advance()
        assert report.train_loss == pytest.approx(loss.item(), abs=1e-5)
        for ours, theirs in zip(training.module.parameters(), module.parameters(), strict=True):
            torch.testing.assert_close(ours.detach(), theirs.detach(), atol=1e-5, rtol=0)
        with torch.no_grad():
            outputs = module(val.x / 255)
        assert report.val_loss == pytest.approx(functional.cross_entropy(outputs, val.y).item(), abs=1e-5)
        assert report.val_score == pytest.approx((outputs.argmax(1) == val.y).float().mean().item())


def test_the_fastest_precision_ends_near_float32(begin):
    recipe = Recipe(learning_rate=3e-3, batch_size=50)
    fast, exact = finish(begin(recipe, PLAIN, epochs=3)), finish(in_float32(begin(recipe, PLAIN, epochs=3)))
    assert fast[-1].train_loss == pytest.approx(exact[-1].train_loss, rel=0.1)


def test_the_average_follows_the_weights_and_is_what_is_validated(begin, digits: Digits):
    training = begin(Recipe(learning_rate=1e-2, batch_size=250, ema_decay=0.5), epochs=9)
    expected = {name: value.clone() for name, value in training.module.state_dict().items()}
    for step, decay in enumerate([1 / 10, 2 / 11, 3 / 12, 4 / 13, 5 / 14, 6 / 15, 7 / 16, 8 / 17, 0.5]):
        report = training.advance()
        for name, value in training.module.state_dict().items():
            if value.is_floating_point():
                expected[name] = decay * expected[name] + (1 - decay) * value
                torch.testing.assert_close(training.weights()[name], expected[name], msg=f"{name}, step {step}")
    assert not equal(training.weights(), dict(training.module.state_dict()))
    assert training.scores() == Scores(report.val_loss, report.val_score)


def test_without_an_average_the_weights_are_the_last_ones(begin):
    training = begin(RECIPES["sgd"])
    training.advance()
    assert equal(training.weights(), dict(training.module.state_dict()))


@pytest.mark.parametrize("name", ["sgd", "adamw"])  # without and with an average
def test_weights_once_taken_stay_as_they_are(begin, name: str):
    training = begin(RECIPES[name])
    training.advance()
    taken, sums = training.weights(), [value.sum().item() for value in training.weights().values()]
    training.advance()
    assert [value.sum().item() for value in taken.values()] == sums
    assert not equal(training.weights(), taken)


def test_dropout_and_batch_statistics_are_for_training_alone(begin, digits: Digits):
    training = begin(Recipe(learning_rate=0, batch_size=250))
    report, state = training.advance(), training.module.state_dict()
    seen = [value.item() for name, value in state.items() if name.endswith("num_batches_tracked")]
    assert seen == [1]
    train_loss = training.scores(digits[0]).loss
    assert abs(train_loss - report.train_loss) > 1e-3  # dropout of 0.1, and the batch's own statistics
    assert training.scores() == Scores(report.val_loss, report.val_score)
    assert seen == [value.item() for name, value in state.items() if name.endswith("num_batches_tracked")]


def test_evaluation_is_over_the_whole_split_in_parts():
    generator = torch.Generator().manual_seed(0)
    x = torch.randint(256, (2500, 1, 28, 28), generator=generator, dtype=torch.uint8)  # more than two parts
    split = DeviceSplit(x, torch.randint(10, (2500,), generator=generator))
    training = Training(Candidate(RICH, Recipe()), split, split, seed=1, epochs=1)
    training.precision = torch.float32
    scores = training.scores()
    with torch.no_grad():
        outputs = training.module.eval()(to_float(x))
    assert scores.loss == pytest.approx(functional.cross_entropy(outputs, split.y).item(), rel=1e-5)
    assert scores.score == pytest.approx((outputs.argmax(1) == split.y).float().mean().item())


def test_a_device_split_takes_grey_and_coloured_arrays():
    grey, labels = np.zeros((3, 28, 28), dtype=np.uint8), np.arange(3, dtype=np.uint8)
    grey.flags.writeable = False  # as arrays in Ray's object store are
    split = DeviceSplit.of(grey, labels, torch.device("cpu"))
    assert (split.x.shape, split.x.dtype, split.y.dtype) == ((3, 1, 28, 28), torch.uint8, torch.int64)
    coloured = DeviceSplit.of(np.zeros((3, 3, 8, 8), dtype=np.uint8), labels, torch.device("cpu"))
    assert coloured.x.shape == (3, 3, 8, 8)
