"""The finalists' answers for each image, as a table."""

import numpy as np
import pytest

from data.splits import Split
from results import tables
from results.analysis.confirmed import Confirmed
from search.retraining.answers import Answers, predictions

RNG = np.random.default_rng(0)
FACTS = {"run": "r", "task": "t", "reference": None, "dataset": "d", "dataset_origin": "made", "scored_on": "test"}


def row(seed: int, score: float) -> dict:
    return {**FACTS, "trial": 4, "place": 1, "seed": seed, "dataset_fingerprint": "f", "test_score": score}


def answered(seed: int, **arrays: np.ndarray) -> Answers:
    score = arrays["image_score"].mean() if "image_score" in arrays else 0.5
    return Answers(row(seed, float(score)), "trial 4", arrays)


def test_of_networks_that_make_images_each_image_s_part_of_the_score_is_kept():
    pages = [RNG.integers(0, 256, (height, 40), np.uint8) for height in (30, 50, 20)]
    ones = [answered(seed, error=np.ones(3), image_score=RNG.random(3) + 0.1) for seed in range(2)]
    found = tables.frame(predictions(ones, Split(pages, pages), None))
    assert found["index"].tolist() == [0, 1, 2] * 2
    assert found["image_score"].tolist() == np.concatenate([one.arrays["image_score"] for one in ones]).tolist()
    assert found[["label", "predicted", "label_name", "probability"]].isna().to_numpy().all()
    rows = tables.frame(tables.finalists([{name: one.row[name] for name in one.row} for one in ones]))
    assert Confirmed.of(rows, found, "minimize").means["trial 4"].num_images == 3


@pytest.mark.parametrize("classes", [None, ("zero", "one")])
def test_of_classifiers_labels_and_what_was_predicted_are_kept_too(classes):
    split = Split(np.zeros((3, 8, 8), np.uint8), np.array([0, 1, 1]))
    one = answered(0, predicted=np.array([0, 0, 1]), image_score=np.array([1.0, 0.0, 1.0]))
    found = tables.frame(predictions([one], split, classes))
    assert found["label"].tolist() == [0, 1, 1]
    assert found["predicted"].tolist() == [0, 0, 1]
    assert found["predicted_name"].dropna().tolist() == (["zero", "zero", "one"] if classes else [])


def test_answers_of_earlier_versions_that_say_nothing_of_single_images_have_no_rows():
    pages = [np.zeros((8, 8), np.uint8)] * 2
    assert len(predictions([answered(0, error=np.ones(2))], Split(pages, pages), None)) == 0
