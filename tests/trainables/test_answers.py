"""Tests the results for each image: a classifier's probabilities, and other networks' worst and typical images."""

import io

import numpy as np
import pytest
import torch
from torch import Tensor

from spaces.goal import Classify, Denoise, Goal, Reconstruct, Restore
from trainables.answers import NUM_SAMPLES, answer_arrays, to_bytes
from trainables.goals import DeviceSplit, work_for
from trainables.inference import to_float

CPU = torch.device("cpu")
RNG = np.random.default_rng(0)


def digits(num: int, side: int = 8) -> DeviceSplit:
    return DeviceSplit.of(RNG.integers(0, 256, (num, side, side), np.uint8), RNG.integers(0, 10, num), CPU)


def test_a_classifier_s_answers_are_its_softmax_in_the_order_of_the_images():
    split, weights = digits(3000), torch.randn(64, 10)  # in several batches

    def predict(x: Tensor) -> Tensor:
        return to_float(x).flatten(1) @ weights

    work = work_for(Classify(), split)
    found = answer_arrays(work, predict)
    assert isinstance(split.x, Tensor)
    probabilities = predict(split.x).softmax(1).numpy()
    labels = torch.as_tensor(split.y).numpy()  # type: ignore[arg-type]
    assert np.array_equal(found["predicted"], probabilities.argmax(1))
    np.testing.assert_allclose(found["probability"], probabilities.max(1), rtol=1e-5)
    np.testing.assert_allclose(found["label_probability"], probabilities[np.arange(3000), labels], rtol=1e-4)
    assert (found["predicted"] == labels).mean() == pytest.approx(work.scores(predict).score)


def test_of_what_makes_images_the_worst_and_typical_ones_are_kept_with_what_went_in():
    split = digits(1500, side=16)

    def predict(x: Tensor) -> Tensor:
        return x * 0.9

    work = work_for(Denoise(sigma=0.2), split)
    found = answer_arrays(work, predict)
    assert found["error"].mean() == pytest.approx(work.scores(predict).score, rel=1e-5)
    assert found["error"][found["worst"]].tolist() == sorted(found["error"])[: -NUM_SAMPLES - 1 : -1]
    middle = np.median(found["error"])
    assert np.abs(found["error"][found["typical"]] - middle).max() < 0.01 * middle
    assert isinstance(split.x, Tensor)
    for place in [*found["worst"], *found["typical"]]:
        noisy, cleaned, clean = (found[f"{part}_{place}"] for part in ("input", "output", "target"))
        assert np.array_equal(clean, split.x[int(place)].numpy())
        assert np.abs(cleaned / 0.9 - noisy).max() < 1.2  # rounded twice
        assert np.square(cleaned / 255 - clean / 255).mean() == pytest.approx(found["error"][place], abs=2e-3)


def test_pages_of_different_sizes_are_kept_whole_and_few_ones_all():
    pages = [RNG.integers(0, 256, (height, 40), np.uint8) for height in (30, 50, 20)]
    work = work_for(Restore(patch=16), DeviceSplit.of(pages, pages, CPU))
    found = answer_arrays(work, to_float)
    assert found["error"].tolist() == [0, 0, 0]
    assert sorted(found["worst"]) == sorted(found["typical"]) == [0, 1, 2]
    assert [found[f"output_{place}"].shape for place in range(3)] == [(1, 30, 40), (1, 50, 40), (1, 20, 40)]
    assert all(np.array_equal(found[f"input_{place}"][0], pages[place]) for place in range(3))


@pytest.mark.parametrize("goal", [Classify(), Reconstruct(), Denoise(sigma=0.3), Restore(patch=16)], ids=repr)
def test_a_score_is_the_mean_of_what_its_images_contribute(goal: Goal):
    def predict(x: Tensor) -> Tensor:
        images = to_float(x)
        return images.flatten(1)[:, :10] if isinstance(goal, Classify) else 0.3 + 0.5 * images

    if isinstance(goal, Restore):
        pages = [RNG.integers(0, 256, (height, 40), np.uint8) for height in (30, 50, 20)]
        split = DeviceSplit.of(pages, [255 - page for page in pages], CPU)
    else:
        split = digits(700, side=16)
    work = work_for(goal, split)
    found = answer_arrays(work, predict)["image_score"]
    assert found.shape == (len(split),)
    assert found.dtype == np.float64
    assert found.std() > 0
    assert found.mean() == pytest.approx(work.scores(predict).score, rel=1e-5)


def test_the_contributions_of_pages_vary_as_the_root_mean_squared_error_does():
    pages = [RNG.integers(0, 256, (size, size), np.uint8) for size in RNG.integers(16, 24, 30)]
    true = [np.clip(page * rate, 0, 255).astype(np.uint8) for page, rate in zip(pages, RNG.random(30), strict=True)]

    def score(places: np.ndarray) -> tuple[float, np.ndarray]:
        split = DeviceSplit.of([pages[place] for place in places], [true[place] for place in places], CPU)
        work = work_for(Restore(patch=16), split)
        return work.scores(to_float).score, answer_arrays(work, to_float)["image_score"]

    _, contributions = score(np.arange(30))
    resampled = [score(RNG.integers(0, 30, 30))[0] for _ in range(100)]
    assert np.std(resampled) == pytest.approx(contributions.std() / 30**0.5, rel=0.25)


def test_they_go_through_a_file_that_needs_no_pickle():
    arrays = {"predicted": np.arange(3), "probability": np.ones(3, np.float32)}
    with np.load(io.BytesIO(to_bytes(arrays)), allow_pickle=False) as read:
        assert {name: read[name].tolist() for name in read} == {"predicted": [0, 1, 2], "probability": [1, 1, 1]}
