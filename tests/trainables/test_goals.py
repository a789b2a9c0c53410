"""Tests the batches of each goal, and compares its scores with a plain computation over the whole split."""

import itertools
import math
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from torch import Tensor
from torch.nn import functional

from spaces.goal import Classify, Denoise, Goal, Reconstruct, Restore
from spaces.layers import Activation, Conv, Dense, Dropout, Flatten, Join, Norm, Pool, Save, Upsample
from spaces.network import Network
from spaces.recipe import Augmentation, Candidate, Recipe
from spaces.report import Report
from trainables import goals, inference
from trainables.goals import DeviceSplit, Scores, Work, add_noise, cross_entropies, pixel_entropy, psnr, work_for
from trainables.inference import to_float
from trainables.ssim import ssim
from trainables.training import Training

CPU = torch.device("cpu")
PLAIN = Recipe()
TURNED = Recipe(augmentation=Augmentation(rotation_degrees=10, shift_pixels=2, zoom=0.1))


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pixels(*shape: int, seed: int = 0) -> Tensor:
    return torch.randint(256, shape, generator=generator(seed), dtype=torch.uint8)


def labelled(num: int = 2500) -> DeviceSplit:
    """Returns 28x28 images; 2,500 are evaluated in three batches."""
    return DeviceSplit(pixels(num, 1, 28, 28), torch.randint(10, (num,), generator=generator(1)))


PAGES = [pixels(1, 40, 50, seed=2), pixels(1, 90, 70, seed=3), pixels(1, 33, 120, seed=4)]


def pages() -> DeviceSplit:
    """Returns three pages of different sizes, with their negatives as targets."""
    return DeviceSplit(PAGES, [255 - page for page in PAGES])


WORKS: dict[str, Callable[[], Work]] = {
    "classify": lambda: work_for(Classify(), labelled(40)),
    "reconstruct": lambda: work_for(Reconstruct(), labelled(40)),
    "denoise": lambda: work_for(Denoise(), labelled(40)),
    "restore": lambda: work_for(Restore(patch=16), pages()),
}


@pytest.mark.parametrize("name", WORKS)
@pytest.mark.parametrize("recipe", [PLAIN, TURNED], ids=["plain", "turned"])
def test_examples_come_from_the_generator_alone(name: str, recipe: Recipe):
    work, places = WORKS[name](), torch.tensor([3, 0, 7, 7])
    one, other = generator(5), generator(5)
    first = work.examples(places, recipe, one)
    torch.manual_seed(1)
    assert same(work.examples(places, recipe, other), first)
    is_fixed = name in ("classify", "reconstruct") and recipe is PLAIN
    assert same(work.examples(places, recipe, one), first) == is_fixed


def same(one: tuple[Tensor, ...], other: tuple[Tensor, ...]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("name", WORKS)
def test_inputs_are_float32_from_0_to_1_and_targets_beside_them(name: str):
    work = WORKS[name]()
    inputs, targets = work.examples(torch.arange(9), TURNED, generator())
    side = 16 if name == "restore" else 28
    assert (inputs.shape, inputs.dtype) == ((9, 1, side, side), torch.float32)
    assert inputs.min() >= 0
    assert inputs.max() <= 1
    assert targets.shape == ((9,) if name == "classify" else inputs.shape)
    assert targets.dtype == (torch.int64 if name == "classify" else torch.float32)
    assert work.loss(inputs.flatten(1)[:, :10] if name == "classify" else inputs, targets, PLAIN).shape == ()


@pytest.mark.parametrize("name", WORKS)
def test_scores_are_the_same_whenever_they_are_asked(name: str):
    work = WORKS[name]()
    predict = (lambda x: x.flatten(1)[:, :10] * 1.0) if name == "classify" else dimmed
    first = work.scores(predict)
    work.examples(torch.arange(4), TURNED, generator())
    torch.manual_seed(3)
    assert work.scores(predict) == first
    assert WORKS[name]().scores(predict) == first


def dimmed(x: Tensor) -> Tensor:
    """Stands for a network with outputs from 0 to 1."""
    return 0.9 * to_float(x) + 0.05


def stretched(x: Tensor) -> Tensor:
    """Stands for a network with some outputs outside 0 to 1."""
    return 1.4 * to_float(x) - 0.2


class TestClassify:
    def test_scores_are_those_of_the_whole_split(self):
        split = labelled()
        weights = torch.randn(784, 10, generator=generator(2))
        scores = work_for(Classify(), split).scores(lambda x: to_float(x).flatten(1) @ weights)

        logits = split.x.numpy().reshape(2500, 784).astype(np.float64) / 255 @ weights.numpy().astype(np.float64)
        log_shares = logits - np.log(np.exp(logits - logits.max(1, keepdims=True)).sum(1, keepdims=True))
        log_shares -= logits.max(1, keepdims=True)
        labels = split.y.numpy()
        assert scores.loss == pytest.approx(-log_shares[np.arange(2500), labels].mean(), rel=1e-5)
        assert scores.score == pytest.approx((logits.argmax(1) == labels).mean())
        assert scores.metrics == {}

    def test_labels_are_smoothed_in_training_alone(self):
        work, places = WORKS["classify"](), torch.arange(40)
        _, targets = work.examples(places, PLAIN, generator())
        outputs = 5 * functional.one_hot(targets, 10).float()
        smoothed = work.loss(outputs, targets, Recipe(label_smoothing=0.1))
        assert smoothed > work.loss(outputs, targets, PLAIN)
        everything = iter(outputs.split(40))
        assert work.scores(lambda x: next(everything)).loss == pytest.approx(work.loss(outputs, targets, PLAIN).item())


class TestReconstruct:
    def test_the_target_is_the_input_as_it_is_augmented(self):
        inputs, targets = WORKS["reconstruct"]().examples(torch.arange(5), TURNED, generator())
        assert torch.equal(inputs, targets)

    def test_scores_are_those_of_the_whole_split(self):
        split = labelled()
        scores = work_for(Reconstruct(), split).scores(dimmed)

        targets = split.x.numpy().astype(np.float64) / 255
        outputs = dimmed(split.x).numpy().astype(np.float64)
        loss = -(targets * np.log(outputs) + (1 - targets) * np.log1p(-outputs)).mean()
        with np.errstate(divide="ignore", invalid="ignore"):
            bits = np.nan_to_num(-targets * np.log(targets) - (1 - targets) * np.log1p(-targets))
        assert scores.loss == pytest.approx(loss, abs=1e-7)
        assert scores.score == pytest.approx(loss - bits.mean(), abs=1e-7)
        assert scores.metrics == {"mse": pytest.approx(((outputs - targets) ** 2).mean(), abs=1e-7)}

    def test_a_perfect_reconstruction_has_no_excess(self):
        scores = work_for(Reconstruct(), labelled()).scores(to_float)
        assert scores.score == pytest.approx(0, abs=1e-6)
        assert scores.metrics == {"mse": 0}

    @settings(max_examples=50)
    @given(st.data())
    def test_there_is_no_less_excess_than_none(self, data: st.DataObject):
        shape = (2, 1, 3, 4)
        targets = torch.from_numpy(data.draw(hnp.arrays(np.uint8, shape)))
        outputs = torch.from_numpy(data.draw(hnp.arrays(np.float32, shape, elements=st.floats(0, 1, width=32))))
        work = work_for(Reconstruct(), DeviceSplit(targets, torch.zeros(2)))
        assert work.scores(lambda x: outputs).score >= -1e-7

    def test_the_loss_is_torchs_within_its_own_limits(self):
        outputs, targets = torch.rand(1000, generator=generator()), torch.rand(1000, generator=generator(1))
        expected = functional.binary_cross_entropy(outputs, targets)
        torch.testing.assert_close(WORKS["reconstruct"]().loss(outputs, targets, PLAIN), expected)

    def test_pixels_learn_however_sure_and_wrong_they_are(self):
        logits = torch.linspace(-80, 15, 100, requires_grad=True)
        targets = torch.linspace(1, 0, 100)
        cross_entropies(torch.sigmoid(logits), targets).sum().backward()
        torch.testing.assert_close(logits.grad, (torch.sigmoid(logits) - targets).detach(), atol=1e-6, rtol=1e-3)

    def test_pixels_of_exactly_0_or_1_have_a_finite_loss(self):
        outputs = torch.tensor([0.0, 1.0, 0.0, 1.0], requires_grad=True)
        losses = cross_entropies(outputs, torch.tensor([0.0, 1.0, 1.0, 0.0]))
        assert losses.tolist() == pytest.approx([0, 0, 87.3, 16.6], abs=0.1)
        losses.sum().backward()
        assert outputs.grad is not None
        assert outputs.grad.isfinite().all()

    def test_what_is_not_finite_is_said_and_not_raised(self):
        """torch's binary_cross_entropy raises here, which on a GPU ends the worker."""
        assert cross_entropies(torch.tensor([math.nan]), torch.tensor([0.5])).isnan().all()
        scores = WORKS["reconstruct"]().scores(lambda x: to_float(x) * math.nan)
        assert math.isnan(scores.score)


class TestPixelEntropy:
    def test_it_is_the_mean_of_the_pixels_own(self):
        targets = pixels(7, 1, 5, 6).numpy().astype(np.float64) / 255
        inner = targets[(targets > 0) & (targets < 1)]
        bits = -inner * np.log(inner) - (1 - inner) * np.log(1 - inner)
        assert pixel_entropy(pixels(7, 1, 5, 6)) == pytest.approx(bits.sum() / targets.size, abs=1e-12)

    def test_black_and_white_have_none(self):
        assert pixel_entropy(torch.tensor([[0, 255], [255, 0]], dtype=torch.uint8)) == 0

    def test_of_mnists_test_images(self, mnist_dir: Path):
        raw = mnist_dir / "MNIST" / "raw" / "t10k-images-idx3-ubyte"
        if not raw.exists():
            pytest.skip("no test images in ../shared/data")
        assert round(pixel_entropy(torch.tensor(read_test_images(raw))), 5) == 0.05808


def read_test_images(path: Path) -> np.ndarray:
    """Reads uint8 [10000, 28, 28] after a header of 16 bytes."""
    return np.frombuffer(path.read_bytes(), np.uint8, offset=16).reshape(10_000, 28, 28).copy()


class TestDenoise:
    def test_noise_is_as_strong_as_stated_where_nothing_is_clipped(self):
        split = DeviceSplit(torch.full((50, 1, 28, 28), 128, dtype=torch.uint8), torch.zeros(50))
        noisy, clean = work_for(Denoise(sigma=0.1), split).examples(torch.arange(50), PLAIN, generator())
        noise = noisy - clean  # of 39,200 values
        assert noise.std().item() == pytest.approx(0.1, rel=0.02)
        assert noise.mean().item() == pytest.approx(0, abs=0.002)
        assert torch.equal(clean, to_float(split.x))

    def test_noisy_pixels_are_clipped(self):
        noisy = add_noise(torch.full((1000,), 0.5), 0.5, generator())
        assert (noisy.min(), noisy.max()) == (0, 1)
        assert (noisy == 0).float().mean().item() == pytest.approx(0.1587, abs=0.04)  # beyond one sigma

    def test_the_noise_of_scores_is_the_same_whatever_the_batch_size(self, monkeypatch: pytest.MonkeyPatch):
        whole, scores = seen_by_scores(50)
        monkeypatch.setattr(inference, "EVALUATION_PIXELS", 7 * 784)
        parts, scores_of_parts = seen_by_scores(50)
        assert torch.equal(whole, parts)
        for one, other in zip(numbers(scores), numbers(scores_of_parts), strict=True):
            assert one == pytest.approx(other, rel=1e-6)

    def test_scores_are_those_of_the_whole_split(self):
        split = labelled()
        scores = work_for(Denoise(sigma=0.2), split).scores(stretched)

        noise = torch.randn(2500, 1, 28, 28, generator=generator(goals.NOISE_SEED)).double().numpy()
        clean = split.x.numpy().astype(np.float64) / 255
        cleaned = np.clip(1.4 * np.clip(clean + 0.2 * noise, 0, 1) - 0.2, 0, 1)
        errors = ((cleaned - clean) ** 2).mean(axis=(1, 2, 3))
        assert scores.loss == scores.score == pytest.approx(errors.mean(), rel=1e-5)
        similarities = ssim(torch.from_numpy(cleaned), torch.from_numpy(clean))
        assert scores.metrics == {
            "psnr": pytest.approx((-10 * np.log10(errors)).mean(), rel=1e-5),
            "ssim": pytest.approx(similarities.mean().item(), abs=1e-5),
        }

    def test_psnr_of_a_perfect_image_is_finite(self):
        assert psnr(torch.tensor([1.0, 0.01, 0.0])).tolist() == pytest.approx([0, 20, 100])


def seen_by_scores(num: int) -> tuple[Tensor, Scores]:
    """Returns the noisy images that a network receives, and its scores."""
    seen: list[Tensor] = []

    def predict(x: Tensor) -> Tensor:
        seen.append(x.clone())
        return x

    scores = work_for(Denoise(), labelled(num)).scores(predict)
    return torch.cat(seen), scores


def numbers(scores: Scores) -> list[float]:
    return [scores.loss, scores.score, *scores.metrics.values()]


class TestRestore:
    def test_patches_of_input_and_target_are_of_the_same_place(self):
        inputs, targets = WORKS["restore"]().examples(torch.arange(30), PLAIN, generator())
        torch.testing.assert_close(inputs, 1 - targets)
        assert len({patch.numpy().tobytes() for patch in inputs}) == 30

    def test_patches_lie_in_their_page_and_get_everywhere(self):
        """Pixels encode their position: the row in the input, the column in the target."""
        sizes, patch = [(40, 50), (17, 90)], 16
        rows = [torch.arange(height, dtype=torch.uint8).view(1, -1, 1).repeat(1, 1, width) for height, width in sizes]
        columns = [torch.arange(width, dtype=torch.uint8).repeat(1, height, 1) for height, width in sizes]
        work = work_for(Restore(patch=patch), DeviceSplit(rows, columns))
        num_of_first = math.ceil(40 * 50 / patch**2)
        for page, (height, width) in enumerate(sizes):
            places = torch.full((1000,), page * num_of_first)
            down, right = ((values * 255).round()[:, 0] for values in work.examples(places, PLAIN, generator()))
            top, left = down[:, 0, 0], right[:, 0, 0]
            assert torch.equal(down, (top[:, None] + torch.arange(patch))[:, :, None].expand(-1, -1, patch))
            assert torch.equal(right, (left[:, None] + torch.arange(patch))[:, None, :].expand(-1, patch, -1))
            assert set(top.tolist()) == set(range(height - patch + 1))
            assert set(left.tolist()) == set(range(width - patch + 1))

    def test_every_page_is_drawn_in_proportion_to_its_pixels(self):
        sizes = [(40, 50), (90, 70), (33, 120)]
        flat = [torch.full((1, *size), number, dtype=torch.uint8) for number, size in enumerate(sizes)]
        work = work_for(Restore(patch=16), DeviceSplit(flat, flat))
        inputs, _ = work.examples(torch.arange(len(work)), PLAIN, generator())
        drawn = Counter((inputs[:, 0, 0, 0] * 255).round().int().tolist())
        assert drawn == {number: math.ceil(height * width / 16**2) for number, (height, width) in enumerate(sizes)}

    def test_the_score_is_over_all_pixels(self):
        scores = work_for(Restore(patch=16), pages()).scores(stretched)
        x = [page.numpy().astype(np.float64) / 255 for page in PAGES]
        errors = [np.clip(1.4 * page - 0.2, 0, 1) - (1 - page) for page in x]
        every = np.concatenate([error.ravel() for error in errors])
        assert scores.score == pytest.approx(math.sqrt((every**2).mean()), rel=1e-6)
        assert scores.loss == pytest.approx((every**2).mean(), rel=1e-6)
        assert scores.score != pytest.approx(np.mean([math.sqrt((error**2).mean()) for error in errors]), rel=1e-6)

    def test_pages_of_one_size_may_be_one_array(self):
        x = np.asarray(pixels(3, 20, 24))
        arrays, lists = DeviceSplit.of(x, 255 - x, CPU), DeviceSplit.of(list(x), list(255 - x), CPU)
        one, other = (work_for(Restore(patch=8), split) for split in (arrays, lists))
        assert len(one) == len(other) == 3 * 8
        assert same(*(work.examples(torch.arange(24), PLAIN, generator()) for work in (one, other)))
        assert one.scores(dimmed) == other.scores(dimmed)

    def test_a_patch_is_no_larger_than_the_smallest_page(self):
        work = work_for(Restore(patch=36), pages())
        inputs, targets = work.examples(torch.arange(len(work)), PLAIN, generator())
        assert inputs.shape == targets.shape == (len(work), 1, 33, 33)


# Whole trainings

HALF = Recipe(learning_rate=1e-2, batch_size=25, ema_decay=0.9)


def image_network(*middle) -> Network:
    return Network((1, 28, 28), (Conv(6, 3), *middle, Activation(), Conv(1, 3), Activation("sigmoid")))


CLASSIFIER = Network((1, 28, 28), (Conv(4, 3, stride=2), Activation(), Pool("max"), Flatten(), Dense(10)))
RICH = image_network(Norm(), Save("wide"), Pool("max"), Dropout(0.1), Upsample(2, like="wide"), Join("wide", "concat"))
CASES: dict[str, tuple[Goal, Network]] = {
    "classify": (Classify(), CLASSIFIER),
    "reconstruct": (Reconstruct(), RICH),
    "denoise": (Denoise(), RICH),
    "restore": (Restore(patch=28), RICH),
}


@pytest.fixture
def begin(digits: tuple[DeviceSplit, DeviceSplit]) -> Callable[..., Training]:
    """Returns a function that starts a training: begin(name, recipe, **options). Restore has stained pages."""

    def begin(name: str, recipe: Recipe = HALF, *, epochs: int = 2, **options: int) -> Training:
        goal, network = CASES[name]
        splits = [stained(split.x) for split in digits] if name == "restore" else digits
        return Training(Candidate(network, recipe), *splits, goal=goal, seed=5, epochs=epochs, **options)

    return begin


def stained(x: Tensor | list[Tensor]) -> DeviceSplit:
    """Returns pages of 1 to 4 by 5 digits, whose lower halves a stain brightens."""
    assert isinstance(x, Tensor)
    rows = [torch.cat(list(row), dim=2) for row in x.split(5)]
    ends = itertools.pairwise(itertools.accumulate(itertools.cycle([1, 2, 3, 4]), initial=0))
    clean = [torch.cat(rows[start:end], dim=1) for start, end in itertools.takewhile(lambda e: e[1] <= len(rows), ends)]
    return DeviceSplit([stain(page) for page in clean], clean)


def stain(page: Tensor) -> Tensor:
    noisy = page.clone()
    noisy[:, page.shape[1] // 2 :] = noisy[:, page.shape[1] // 2 :] // 2 + 100
    return noisy


def finish(training: Training) -> list[Report]:
    reports = [training.advance()]
    while not reports[-1].finished:
        reports.append(training.advance())
    return [replace(report, seconds=0) for report in reports]


@pytest.mark.parametrize("name", CASES)
def test_a_few_epochs_improve_the_score(begin, name: str):
    training = begin(name, epochs=4)
    before = training.scores().score
    reports = finish(training)
    signed = training.goal.metric.signed
    assert signed(reports[-1].val_score) > signed(reports[0].val_score) > signed(before)
    assert reports[-1].train_loss < reports[0].train_loss
    assert training.best_score == max(signed(report.val_score) for report in reports)
    further = {"reconstruct": {"mse"}, "denoise": {"psnr", "ssim"}}
    assert set(reports[-1].metrics) == further.get(name, set())


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("num_reports", [1, 2])  # of 4: amid the first epoch, and at its end
def test_a_training_goes_on_from_a_checkpoint_as_if_nothing_had_happened(begin, name: str, num_reports: int):
    undisturbed = begin(name, reports_per_epoch=2)
    curve = finish(undisturbed)

    killed = begin(name, reports_per_epoch=2)
    for _ in range(num_reports):
        last = killed.advance()
    checkpoint = killed.save()
    killed.advance()

    resumed = begin(name, reports_per_epoch=2)
    resumed.load(checkpoint)
    assert resumed.last_report == last
    assert finish(resumed) == curve[num_reports:]
    assert same(tuple(resumed.weights().values()), tuple(undisturbed.weights().values()))


def test_an_epoch_of_patches_covers_the_pages(begin):
    training = begin("restore", epochs=1)
    (report,) = finish(training)
    assert len(training.train) == 250
    assert report.num_images == 250


@pytest.mark.parametrize(
    ("name", "scores", "ends"),
    [
        ("denoise", [5, 4, 3, 2, 1, 0.5], 6),  # falls, and so improves
        ("denoise", [5, 4, 4, 4.5, 1, 0], 4),
        ("denoise", [1, 2, 3, 4, 5, 6], 3),
        ("classify", [0.1, 0.2, 0.3, 0.4, 0.5, 0.6], 6),
        ("classify", [0.6, 0.5, 0.4, 0.3, 0.2, 0.1], 3),
    ],
)
def test_patience_knows_in_which_direction_better_lies(
    begin, monkeypatch: pytest.MonkeyPatch, name: str, scores: Iterable[float], ends: int
):
    training = begin(name, replace(HALF, patience=2, batch_size=250), epochs=6)
    given = iter(scores)
    monkeypatch.setattr(training, "scores", lambda: Scores(0.5, next(given)))
    assert len(finish(training)) == ends


@pytest.mark.parametrize("name", CASES)
def test_a_training_that_explodes_is_reported_as_it_is(begin, name: str):
    training = begin(name)
    next(training.module.parameters()).data.fill_(math.nan)
    report = training.advance()
    assert not report.is_finite
    assert math.isnan(report.val_loss)
