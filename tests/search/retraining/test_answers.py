"""The finalists' answers for each image, as a table."""

import numpy as np
import pytest

from data.splits import Split
from results import tables
from results.analysis.confirmed import Confirmed
from results.report.run_samples import read_samples
from search.retraining.answers import Answers, predictions, write_answers

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


def test_numbers_that_were_predicted_are_kept_beside_the_right_ones():
    split = Split(np.zeros((3, 8, 8), np.uint8), np.array([0.5, 1.0, -2.0], np.float32))
    one = answered(0, value=np.array([[0.5], [3.0], [-2.5]], np.float32), image_score=np.ones(3))
    found = tables.frame(predictions([one], split, None))
    assert found["value"].tolist() == [0.5, 3.0, -2.5]
    assert found["target"].tolist() == [0.5, 1.0, -2.0]
    assert found[["label", "predicted"]].isna().to_numpy().all()


def test_of_several_numbers_an_example_only_the_score_is_kept():
    split = Split(np.zeros((3, 8, 8), np.uint8), np.zeros((3, 2), np.float32))
    one = answered(0, value=np.zeros((3, 2), np.float32), image_score=np.ones(3))
    found = tables.frame(predictions([one], split, None))
    assert found["image_score"].tolist() == [1, 1, 1]
    assert found[["value", "target"]].isna().to_numpy().all()


def samples_of(folder, split: Split, classes=None, goal: str = "regress", **arrays: np.ndarray) -> dict:
    one = answered(0, image_score=np.ones(len(split)), **arrays)
    write_answers([Answers({**one.row, "goal": goal}, one.name, one.arrays)], split, classes, folder)
    found = read_samples(folder / "samples.npz")
    assert found is not None
    return found


def test_the_worst_numbers_of_images_have_their_pictures(tmp_path):
    x = np.arange(3, dtype=np.uint8)[:, None, None] * np.ones((3, 8, 8), np.uint8)
    split = Split(x, np.array([0.5, 1.0, -2.0], np.float32))
    found = samples_of(tmp_path, split, value=np.array([[0.5], [3.0], [-2.5]], np.float32))
    assert found["index"].tolist() == [1, 2, 0]
    assert found["input_0"].tolist() == x[1].tolist()


def test_rows_of_a_table_and_signals_have_no_pictures(tmp_path):
    for x in (np.zeros((3, 5), np.float32), np.zeros((3, 2, 5), np.float32)):
        found = samples_of(tmp_path, Split(x, np.ones(3, np.float32)), value=np.zeros((3, 1), np.float32))
        assert len(found["index"]) == len(found["kind"]) == 0


def test_several_labels_have_an_f1_each(tmp_path):
    true = np.array([[1, 0, 0], [1, 1, 0], [0, 0, 0]], np.uint8)
    logits = np.where([[1, 0, 0], [0, 1, 0], [0, 1, 0]], 1.0, -1.0).astype(np.float32)
    found = samples_of(
        tmp_path, Split(np.zeros((3, 5), np.float32), true), ("a", "b", "c"), "multi-label", value=logits
    )
    assert found["label_name"].tolist() == ["a", "b", "c"]
    assert found["label_count"].tolist() == [2, 1, 0]
    assert found["label_f1"][:2].tolist() == pytest.approx([2 / 3, 2 / 3])
    assert np.isnan(found["label_f1"][2])


def test_class_maps_are_kept_with_the_names_of_their_classes(tmp_path):
    maps = RNG.integers(0, 3, (2, 8, 8))
    maps[0, 0, 0] = 2
    images = {f"{part}_{index}": maps[index].astype(np.uint8) for part in ("output", "target") for index in range(2)}
    images |= {f"input_{index}": np.zeros((1, 8, 8), np.uint8) for index in range(2)}
    kinds = {"worst": np.array([1, 0]), "typical": np.array([0])}
    split = Split(np.zeros((2, 8, 8), np.uint8), maps)
    found = samples_of(tmp_path, split, goal="segment", error=np.array([0.1, 0.2]), **kinds, **images)
    assert found["classes"].tolist() == ["0", "1", "2"]
    assert found["error"].tolist() == [0.2, 0.1, 0.1]
    assert found["output_0"].tolist() == maps[1].tolist()


def test_outputs_of_a_goal_of_one_s_own_that_are_one_a_class_predict_labels(tmp_path):
    split = Split(np.zeros((3, 8, 8), np.uint8), np.array([0, 1, 2]))
    value = np.array([[2, 1, 0], [0, 5, 1], [3, 1, 1]], np.float32)
    samples = samples_of(tmp_path, split, ("a", "b", "c"), "custom", value=value)
    found = tables.frame(tables.read(tmp_path / "predictions.parquet", "predictions"))
    assert found["predicted_name"].tolist() == ["a", "b", "a"]
    assert found[["value", "probability"]].isna().to_numpy().all()
    assert samples["index"].tolist() == [2]
