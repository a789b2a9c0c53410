"""What a network makes of each image: a classifier's probabilities, and the worst and typical images of others."""

import io

import numpy as np
import pytest
import torch
from torch import Tensor

from spaces.goal import Classify, Denoise, Restore
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
    found = answer_arrays(work.answers(predict))
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
    found = answer_arrays(work.answers(predict))
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
    found = answer_arrays(work.answers(to_float))
    assert found["error"].tolist() == [0, 0, 0]
    assert sorted(found["worst"]) == sorted(found["typical"]) == [0, 1, 2]
    assert [found[f"output_{place}"].shape for place in range(3)] == [(1, 30, 40), (1, 50, 40), (1, 20, 40)]
    assert all(np.array_equal(found[f"input_{place}"][0], pages[place]) for place in range(3))


def test_they_go_through_a_file_that_needs_no_pickle():
    arrays = {"predicted": np.arange(3), "probability": np.ones(3, np.float32)}
    with np.load(io.BytesIO(to_bytes(arrays)), allow_pickle=False) as read:
        assert {name: read[name].tolist() for name in read} == {"predicted": [0, 1, 2], "probability": [1, 1, 1]}
