"""Tests Regress, MultiLabel, Segment and Custom against plain computations, and their contributions by simulation."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, f1_score, jaccard_score, r2_score
from torch import Tensor

from spaces.goal import Classify, Custom, Goal, MultiLabel, Reconstruct, Regress, Segment
from spaces.recipe import Augmentation, Recipe
from trainables.custom_goal import MAX_GROUPS
from trainables.device_split import DeviceSplit
from trainables.goals import Scores, Work, work_for
from trainables.inference import to_float
from trainables.task_code import TaskCode, TaskFileError

CPU = torch.device("cpu")
PLAIN = Recipe()
TURNED = Recipe(augmentation=Augmentation(rotation_degrees=30, shift_pixels=2))


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def floats(*shape: int, seed: int = 0) -> np.ndarray:
    return rng(seed).standard_normal(shape, dtype=np.float32)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def identity(x: Tensor) -> Tensor:
    return x.clone()


def correlation(outputs: Tensor, targets: Tensor) -> dict[str, float]:
    """A score that is no mean, with a further metric."""
    value = torch.corrcoef(torch.stack([outputs.flatten(), targets.flatten()]).double())[0, 1].item()
    return {"correlation": value, "bias": (outputs - targets).mean().item()}


CUSTOM = Custom(loss=lambda outputs, targets: (outputs - targets).square().mean(), score=correlation)


class Problem:
    """A goal, and a function that draws `num` examples, whose inputs a network returns as its outputs."""

    def __init__(self, goal: Goal, draw: Callable[[int, int], tuple[np.ndarray, np.ndarray]]) -> None:
        self.goal, self.draw = goal, draw

    def work(self, num: int, seed: int = 0) -> Work:
        return work_for(self.goal, DeviceSplit.of(*self.draw(num, seed), CPU))


def numbers(num: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    y = floats(num, 3, seed=seed)
    return y + 0.5 * rng(seed + 10**6).standard_exponential((num, 3), dtype=np.float32), y


def single(num: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    x, y = numbers(num, seed)
    return x[:, :1], y[:, 0]


def answers(num: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    y = rng(seed).random((num, 4)) < [0.2, 0.4, 0.5, 0.1]
    return 1.5 * y - 0.6 + floats(num, 4, seed=seed + 10**6), y


def maps(num: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Images [3, 6, 5], one logit a class, whose share of each class varies from image to image."""
    draw = rng(seed)
    first = draw.random((num, 1, 1))
    y = ((draw.random((num, 6, 5)) > first) + (draw.random((num, 6, 5)) > 0.7)).astype(np.int64)
    return 2 * np.eye(3, dtype=np.float32)[y].transpose(0, 3, 1, 2) + floats(num, 3, 6, 5, seed=seed + 10**6), y


PROBLEMS = {
    "regress": Problem(Regress(), numbers),
    "regress absolute": Problem(Regress("absolute"), single),
    "multi label": Problem(MultiLabel(), answers),
    "segment": Problem(Segment(), maps),
    "custom": Problem(CUSTOM, single),
}


@pytest.mark.parametrize("name", PROBLEMS)
def test_examples_and_scores_come_from_their_arguments_alone(name: str):
    work, places = PROBLEMS[name].work(40), torch.tensor([3, 0, 7, 7])
    inputs, targets = work.examples(places, PLAIN, generator())
    torch.manual_seed(1)
    again = work.examples(places, PLAIN, generator())
    assert torch.equal(inputs, again[0])
    assert torch.equal(targets, again[1])
    assert inputs.dtype == torch.float32
    assert work.loss(inputs, targets, PLAIN).shape == ()
    assert work.scores(identity) == PROBLEMS[name].work(40).scores(identity)


@pytest.mark.parametrize("name", PROBLEMS)
def test_the_mean_of_the_contributions_is_the_score(name: str):
    work = PROBLEMS[name].work(130)
    contributions = work.image_scores(list(work.answers(identity)))
    assert contributions.shape == (130,)
    assert contributions.dtype == torch.float64
    assert contributions.mean().item() == pytest.approx(work.scores(identity).score, rel=1e-6)


@pytest.mark.parametrize("num", [90, 430])  # with one example a group of the jackknife, and with several
@pytest.mark.parametrize("name", PROBLEMS)
def test_the_contributions_vary_as_the_score_does_over_samples(name: str, num: int):
    works = [PROBLEMS[name].work(num, seed) for seed in range(300)]
    scores = torch.tensor([work.scores(identity).score for work in works], dtype=torch.float64)
    few = works[:30]
    claimed = torch.stack([work.image_scores(list(work.answers(identity))).var() / num for work in few]).mean()
    assert claimed.item() == pytest.approx(scores.var().item(), rel=0.3)


@pytest.mark.parametrize("name", PROBLEMS)
def test_outputs_that_are_nan_give_scores_that_are_nan(name: str):
    def broken(x: Tensor) -> Tensor:
        outputs = x.clone()
        outputs[0] = math.nan
        return outputs

    scores = PROBLEMS[name].work(20).scores(broken)
    assert math.isnan(scores.loss)
    assert math.isnan(scores.score)
    assert all(math.isnan(value) for value in scores.metrics.values())


@pytest.mark.parametrize("name", PROBLEMS)
def test_a_split_of_one_example_has_a_score(name: str):
    if name == "custom":
        pytest.skip("a correlation needs two")
    work = PROBLEMS[name].work(1)
    assert work.image_scores(list(work.answers(identity))).item() == pytest.approx(work.scores(identity).score)


class TestRegress:
    def test_scores_are_those_of_the_whole_split_in_the_targets_unit(self):
        x, y = numbers(40_000, 0)  # in several batches
        errors = x.astype(np.float64) - y
        mse, mae = np.square(errors).mean(), np.abs(errors).mean()
        variance = y.astype(np.float64).var(axis=0).mean()
        found = {error: work_for(Regress(error), DeviceSplit.of(x, y, CPU)).scores(identity) for error in ERRORS}
        r2 = r2_score(y, x, multioutput="variance_weighted")
        assert found["squared"].loss == pytest.approx(mse / variance, rel=1e-5)
        assert found["squared"].score == pytest.approx(math.sqrt(mse), rel=1e-5)
        assert found["squared"].metrics == pytest.approx({"mae": mae, "r2": r2}, rel=1e-5)
        assert found["absolute"].loss == pytest.approx(mae / math.sqrt(variance), rel=1e-5)
        assert found["absolute"].score == pytest.approx(mae, rel=1e-5)
        assert found["absolute"].metrics == pytest.approx({"rmse": math.sqrt(mse), "r2": r2}, rel=1e-5)

    @pytest.mark.parametrize("error", ["squared", "absolute"])
    def test_the_loss_is_the_same_in_every_unit(self, error):
        x, y = numbers(50, 0)
        losses = []
        for unit in (1, 1000):
            work = work_for(Regress(error), DeviceSplit.of(x * unit, y * unit, CPU))
            losses.append(work.loss(*work.examples(torch.arange(20), PLAIN, generator()), PLAIN).item())
        assert losses[1] == pytest.approx(losses[0], rel=1e-5)

    def test_whole_numbers_and_numbers_that_are_all_equal_can_be_targets(self):
        work = work_for(Regress(), DeviceSplit.of(np.ones((5, 1), np.float32), np.array([3, 3, 3, 3, 3]), CPU))
        scores = work.scores(identity)
        assert (scores.loss, scores.score) == (4, 2)
        assert math.isnan(scores.metrics["r2"])

    def test_examples_can_be_their_own_targets(self):
        x = floats(40, 6)
        split = DeviceSplit.of(x, x, CPU)
        assert work_for(Regress(), split).scores(identity).metrics["r2"] == 1
        with pytest.raises(ValueError, match="Reconstruct needs pixels, uint8; for numbers take Regress"):
            work_for(Reconstruct(), split)

    def test_outputs_of_another_shape_are_refused_rather_than_repeated(self):
        work = PROBLEMS["regress absolute"].work(20)
        with pytest.raises(ValueError, match=r"Regress needs an output \[1\] .*; found \[\]"):
            work.scores(lambda x: x[:, 0])


ERRORS = ("squared", "absolute")


class TestMultiLabel:
    def test_scores_are_those_of_the_whole_split(self):
        x, y = answers(30_000, 0)
        scores = work_for(MultiLabel(), DeviceSplit.of(x, y, CPU)).scores(identity)
        logits = x.astype(np.float64)
        loss = (np.log1p(np.exp(-np.abs(logits))) + np.maximum(logits, 0) - logits * y).mean()
        assert scores.loss == pytest.approx(loss, rel=1e-5)
        assert scores.score == pytest.approx(f1_score(y, x >= 0, average="macro"))
        expected = {"hamming_accuracy": ((x >= 0) == y).mean(), "exact_match": accuracy_score(y, x >= 0)}
        assert scores.metrics == pytest.approx(expected)

    def test_a_label_that_occurs_nowhere_does_not_count(self):
        y = np.array([[1, 0], [0, 0]], np.uint8)
        x = np.array([[1, -1], [-1, -1]], np.float32)
        assert work_for(MultiLabel(), DeviceSplit.of(x, y, CPU)).scores(identity).score == 1
        x[0, 1] = 1
        assert work_for(MultiLabel(), DeviceSplit.of(x, y, CPU)).scores(identity).score == 0.5


class TestSegment:
    def test_scores_are_those_of_all_pixels_however_they_are_given(self):
        x, y = maps(70, 0)
        predicted = x.argmax(1)
        logits = torch.tensor(x).double()
        loss = -logits.log_softmax(1).gather(1, torch.tensor(y)[:, None]).mean().item()
        iou = jaccard_score(y.ravel(), predicted.ravel(), average="macro")
        for pair in ((x, y), (x, y.astype(np.uint8)), (list(x), list(y)), (list(x), list(y.astype(np.uint8)))):
            scores = work_for(Segment(), DeviceSplit.of(*pair, CPU)).scores(identity)
            assert scores.loss == pytest.approx(loss, rel=1e-5)
            assert scores.score == pytest.approx(iou)
            assert scores.metrics == pytest.approx({"pixel_accuracy": (predicted == y).mean()})

    def test_a_class_that_occurs_nowhere_does_not_count(self):
        y = np.zeros((1, 2, 2), np.int64)
        x = np.zeros((1, 3, 2, 2), np.float32)
        x[0, 0] = 1
        assert work_for(Segment(), DeviceSplit.of(x, y, CPU)).scores(identity).score == 1
        x[0, 2, 0, 0] = 2
        assert work_for(Segment(), DeviceSplit.of(x, y, CPU)).scores(identity).score == 3 / 8

    def test_patches_are_cut_from_an_image_and_its_map_at_one_position(self):
        y = [rng(seed).integers(0, 200, (30 + seed, 41), np.uint8) for seed in range(3)]
        x = [np.stack([each, 255 - each]) for each in y]
        work = work_for(Segment(patch=8), DeviceSplit.of(x, y, CPU))
        assert len(work) == sum(math.ceil(each.size / 64) for each in y)
        inputs, targets = work.examples(torch.arange(len(work)), PLAIN, generator())
        assert inputs.shape == (len(work), 2, 8, 8)
        assert torch.equal((inputs * 255).round().long()[:, 0], targets)
        assert torch.equal((inputs * 255).round().long()[:, 1], 255 - targets)

    def test_a_few_images_of_a_list_that_happen_to_have_one_size_are_trained_whole(self):
        x, y = maps(6, 0)
        work = work_for(Segment(), DeviceSplit.of(list(x), list(y), CPU))
        inputs, targets = work.examples(torch.tensor([4, 1]), PLAIN, generator())
        assert torch.equal(inputs, torch.tensor(x[[4, 1]]))
        assert torch.equal(targets, torch.tensor(y[[4, 1]]))

    def test_signals_can_be_segmented(self):
        x, y = floats(9, 3, 20), rng().integers(0, 3, (9, 20))
        work = work_for(Segment(), DeviceSplit.of(x, y, CPU))
        assert work.scores(identity).metrics["pixel_accuracy"] == (x.argmax(1) == y).mean()
        assert work.loss(*work.examples(torch.arange(4), PLAIN, generator()), PLAIN).isfinite()


TEXT = """
from spaces.goal import Custom

def loss(outputs, targets):
    return (outputs - targets).square().mean()

def score(outputs, targets):
    return {"closeness": -(outputs - targets).abs().max(), "largest": outputs.max()}

def augment(inputs, targets, generator):
    import torch
    shift = torch.rand(len(inputs), 1, generator=generator)
    return inputs + shift, targets + shift

goal = Custom(loss=loss, score=score, direction="maximize")
"""


class TestCustom:
    def test_the_functions_come_from_the_code_and_metrics_from_the_score(self):
        code, split = TaskCode(TEXT, "task.py"), DeviceSplit.of(*single(2000, 0), CPU)
        assert code.goal is not None
        goal = Goal.from_json(code.goal.to_json())
        errors = split.x - split.y
        scores = work_for(goal, split, code).scores(identity)
        expected = Scores(errors.square().mean().item(), -errors.abs().max().item(), {"largest": split.x.max().item()})
        assert scores == expected
        with pytest.raises(ValueError, match="in its task's file: pass task=FILE"):
            work_for(goal, split)

    def test_the_users_augmentation_changes_inputs_and_targets_by_the_generator(self):
        code, split = TaskCode(TEXT, "task.py"), DeviceSplit.of(*single(50, 0), CPU)
        for goal in (Regress(), CUSTOM):
            work, plain = work_for(goal, split, code), work_for(goal, split)
            places = torch.arange(8)
            inputs, targets = work.examples(places, PLAIN, generator(3))
            before = plain.examples(places, PLAIN, generator(3))
            shift = torch.rand(8, 1, generator=generator(3))
            assert torch.equal(inputs, before[0] + shift)
            assert torch.equal(targets, before[1] + shift)
            assert work.scores(identity) == plain.scores(identity) or goal is CUSTOM

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (("return (outputs", "return 1 / 0 or (outputs"), r"^task.py, line 5: ZeroDivisionError: division by zero"),
            (
                (".square().mean()", ".square()"),
                r"^task.py: loss\(\) gave a tensor \[20, 1\]; expected a tensor of one",
            ),
            (('{"closeness": ', '{"closeness": None, "x": '), r"^task.py: score\(\) gave \{'closeness': None"),
            (("return {", "return outputs.numpys() or {"), r"^task.py, line 8: AttributeError: .*numpys"),
            (("score=score, ", ""), r"^task.py: goal = Custom\(...\) lacks score"),
        ],
    )
    def test_an_error_of_the_user_has_its_line(self, change: tuple[str, str], message: str):
        code, split = TaskCode(TEXT.replace(*change), "task.py"), DeviceSplit.of(*single(20, 0), CPU)
        with pytest.raises(TaskFileError, match=message):
            work_for(Custom(), split, code).scores(identity)

    def test_a_loss_that_cannot_be_differentiated_is_named(self):
        work = work_for(
            Custom(loss=lambda o, t: o.argmax(1).double().mean(), score=correlation), DeviceSplit.of(*single(4, 0), CPU)
        )
        with pytest.raises(TaskFileError, match=r"^loss\(\) has no gradient"):
            work.loss(torch.zeros(4, 1, requires_grad=True), torch.zeros(4, 1), PLAIN)

    def test_an_augmentation_that_fails_or_gives_something_else_is_named(self):
        split = DeviceSplit.of(*single(20, 0), CPU)
        for text, message in (
            (TEXT.replace("inputs + shift", "inputs @ shift"), r"^task.py, line 13: RuntimeError"),
            (TEXT.replace(", targets + shift", ""), r"^task.py: augment\(\) gave no pair of tensors"),
        ):
            with pytest.raises(TaskFileError, match=message):
                work_for(Regress(), split, TaskCode(text, "task.py")).examples(torch.arange(3), PLAIN, generator())

    def test_images_come_as_floats_and_labels_and_answers_as_they_are(self):
        kept: list[Tensor] = []
        goal = Custom(loss=lambda outputs, targets: kept.append(targets) or outputs.mean(), score=lambda o, t: 0)
        images = rng().integers(0, 256, (6, 4, 4), np.uint8)
        for y in (images, images[:, 0, 0] % 3, images[:, 0] % 2):
            work = work_for(goal, DeviceSplit.of(images, y, CPU))
            work.loss(*work.examples(torch.arange(6), PLAIN, generator()), PLAIN)
        assert torch.equal(kept[0], torch.tensor(images)[:, None] / 255)
        assert torch.equal(kept[1], torch.tensor(images[:, 0, 0] % 3).long())
        assert torch.equal(kept[2], torch.tensor(images[:, 0] % 2).float())

    def test_the_jackknife_leaves_out_at_most_100_groups(self):
        calls = []
        goal = Custom(loss=lambda o, t: o.mean(), score=lambda o, t: calls.append(len(o)) or o.mean())
        work = work_for(goal, DeviceSplit.of(*single(250, 0), CPU))
        work.image_scores(list(work.answers(identity)))
        assert calls == [250] + [247] * 50 + [248] * (MAX_GROUPS - 50)


def test_only_images_are_augmented_by_a_recipe():
    x, labels = floats(9, 2, 30), np.arange(9)
    work = work_for(Classify(), DeviceSplit.of(x, labels, CPU))
    assert np.array_equal(work.examples(torch.arange(9), TURNED, generator())[0].numpy(), x)
    images = work_for(Classify(), DeviceSplit.of(x[:, :, None], labels, CPU))
    assert not np.array_equal(images.examples(torch.arange(9), TURNED, generator())[0].numpy(), x[:, :, None])


def test_examples_of_different_sizes_are_refused_by_goals_that_need_one():
    split = DeviceSplit.of([floats(3, 4), floats(3, 5)], np.arange(2), CPU)
    with pytest.raises(ValueError, match=r"Classify needs examples of one size, an array \[N, ...\]; found a list"):
        work_for(Classify(), split)


class TestDeviceSplit:
    @pytest.mark.parametrize(
        ("x", "y", "x_kind", "y_kind"),
        [
            (floats(5, 30).astype(np.float64), np.arange(5, dtype=np.uint8), "float32 [5, 30]", "int64 [5]"),
            (np.arange(5), np.arange(5) / 2, "float32 [5, 1]", "float32 [5, 1]"),
            (floats(5, 2, 9), np.zeros((5, 3), np.uint8), "float32 [5, 2, 9]", "uint8 [5, 3]"),
            (floats(5, 2, 9), np.zeros((5, 9), np.int32), "float32 [5, 2, 9]", "int64 [5, 9]"),
            (np.zeros((5, 8, 9), np.uint8), np.zeros((5, 8, 9), bool), "uint8 [5, 1, 8, 9]", "int64 [5, 8, 9]"),
            (np.zeros((5, 8, 9), np.uint8), np.zeros((5, 8, 9), np.uint8), "uint8 [5, 1, 8, 9]", "uint8 [5, 1, 8, 9]"),
            (np.zeros((5, 3, 8, 9), np.uint8), floats(5, 8, 9), "uint8 [5, 3, 8, 9]", "float32 [5, 1, 8, 9]"),
            (floats(5, 3, 8, 9), floats(5, 4, 6), "float32 [5, 3, 8, 9]", "float32 [5, 4, 6]"),
        ],
    )
    def test_arrays_get_the_types_and_channels_that_networks_take(self, x, y, x_kind: str, y_kind: str):
        split = DeviceSplit.of(x, y, CPU)
        assert isinstance(split.x, Tensor)
        assert isinstance(split.y, Tensor)
        kinds = [f"{str(each.dtype).removeprefix('torch.')} {list(each.shape)}" for each in (split.x, split.y)]
        assert kinds == [x_kind, y_kind]
        assert split.input_dtype == x_kind.split()[0]
        assert np.array_equal(split.x.numpy().ravel(), x.astype(split.x.numpy().dtype).ravel())

    def test_inputs_that_are_their_own_targets_are_copied_once(self):
        x = np.zeros((3, 8, 8), np.uint8)
        split = DeviceSplit.of(x, x, CPU)
        assert split.y is split.x
        assert torch.equal(to_float(split.x[0]), torch.zeros(1, 8, 8))
