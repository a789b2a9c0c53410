"""The laws of splitting, and which data each choice gives."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from data.splits import DataError, Dataset, DataUnavailable, Split, Splits
from data.stratified import stratified_split

ROOT = Path(__file__).parents[2]
LABELS = arrays(np.int64, st.integers(0, 200), elements=st.integers(0, 12))


def toy(name: str = "toy", num: int = 20) -> Splits:
    """num training images of 2x2 pixels, each full of its number; a fifth of them of class 1, the others of class 0."""
    x = np.arange(num, dtype=np.uint8)[:, None, None].repeat(2, 1).repeat(2, 2)
    split = Split(x, np.arange(num) // (num - num // 5))
    return Splits(name=name, origin="original", train=split, val=split, test=split)


@given(LABELS, st.floats(0, 1), st.integers(0, 2**32))
def test_a_stratified_split_is_complete_exact_and_in_proportion(y: np.ndarray, fraction: float, seed: int):
    rest, part = stratified_split(y, fraction, seed)

    assert np.array_equal(np.sort(np.concatenate([rest, part])), np.arange(len(y)))
    assert np.all(np.diff(rest) > 0)
    assert np.all(np.diff(part) > 0)
    assert len(part) == round(fraction * len(y))
    for label, count in zip(*np.unique(y, return_counts=True), strict=True):
        assert abs(np.sum(y[part] == label) - count * len(part) / len(y)) < 1


@given(LABELS, st.floats(0, 1), st.integers(0, 2**32))
def test_a_stratified_split_depends_on_its_arguments_alone(y: np.ndarray, fraction: float, seed: int):
    before = np.random.get_state()[1].tolist()  # noqa: NPY002 - the generator that must not be touched

    first, second = stratified_split(y, fraction, seed), stratified_split(y, fraction, seed)

    assert np.array_equal(first[1], second[1])
    assert np.random.get_state()[1].tolist() == before  # noqa: NPY002


def test_another_seed_draws_another_part():
    y = np.zeros(1000, np.int64)
    assert not np.array_equal(stratified_split(y, 0.5, 0)[1], stratified_split(y, 0.5, 1)[1])


def test_the_draw_is_pinned():
    assert stratified_split(np.arange(20) % 2, 0.3, 0)[1].tolist() == [2, 3, 8, 11, 13, 18]


@pytest.mark.parametrize("fraction", [-0.1, 1.1, float("nan")])
def test_a_fraction_outside_0_to_1_is_refused(fraction: float):
    with pytest.raises(ValueError, match="expected 0 to 1"):
        stratified_split(np.zeros(3), fraction, 0)


def test_labels_that_are_images_are_refused():
    with pytest.raises(ValueError, match="one label an example"):
        stratified_split(np.zeros((3, 2)), 0.5, 0)


def test_a_split_checks_what_it_holds():
    assert len(Split(np.zeros((3, 2, 2), np.uint8), np.zeros(3))) == 3
    with pytest.raises(ValueError, match="3 images, 2 labels"):
        Split(np.zeros((3, 2, 2), np.uint8), np.zeros(2))
    with pytest.raises(ValueError, match="float64"):
        Split(np.zeros((3, 2, 2)), np.zeros(3))


@given(st.integers(2, 20))
def test_limited_keeps_each_label_and_leaves_validation_and_test_alone(num: int):
    splits = toy()
    limited = splits.limited(num)

    assert len(limited.train) == num
    assert set(limited.train.y) == {0, 1}
    assert abs(np.sum(limited.train.y == 1) - num / 5) <= 1
    assert np.array_equal(limited.train.x[:, 0, 0] // 16, limited.train.y)  # images stay with their labels
    assert limited.val is splits.val
    assert limited.test is splits.test
    assert (limited.fingerprint == splits.fingerprint) == (num == 20)
    assert splits.limited(num).fingerprint == limited.fingerprint


def test_limited_without_limits_keeps_all():
    splits = toy()
    assert splits.limited(None) is splits


@pytest.mark.parametrize("num", [-1, 0, 1, 21])
def test_limited_reports_the_number_of_examples(num: int):
    with pytest.raises(ValueError, match=rf"train_examples={num}: toy has 20 training examples of 2 classes"):
        toy().limited(num)


@pytest.mark.parametrize(("limit", "kept"), [(None, 20), (1, 2), (2, 2), (7, 7), (20, 20), (60, 20)])
def test_at_most_keeps_all_if_there_are_fewer_and_at_least_one_of_each_label(limit: int | None, kept: int):
    splits = toy().at_most(limit, limit)
    assert len(splits.train) == len(splits.val) == kept
    assert set(splits.train.y) == set(splits.val.y) == {0, 1}
    assert (splits.fingerprint == toy().fingerprint) == (kept == 20)


def test_limits_that_keep_all_examples_copy_nothing():
    splits = toy()
    assert splits.limited(20, 20).train is splits.train
    assert splits.at_most(99, 20).val is splits.val


def test_at_most_of_nothing_is_nothing():
    splits = toy()
    none = replace(splits, val=splits.val.take(np.arange(0)))
    assert len(none.at_most(5, 5).val) == 0


def test_the_fingerprint_sees_every_array_its_type_and_its_shape():
    x, y = np.zeros((4, 2, 2), np.uint8), np.zeros(4, np.int64)
    others = [
        Split(x + np.uint8(1), y),
        Split(x, y + 1),
        Split(x, y.astype(np.uint8)),
        Split(x.reshape(4, 1, 4), y),
    ]
    base = {name: Split(x, y) for name in ("train", "val", "test")}

    prints = [Splits(name="a", origin="made", **base).fingerprint]
    prints += [
        Splits(name="a", origin="made", **(base | {name: other})).fingerprint for name in base for other in others
    ]

    assert len(set(prints)) == 13
    assert all(len(fingerprint) == 16 and int(fingerprint, 16) >= 0 for fingerprint in prints)
    assert Splits(name="b", origin="original", **base).fingerprint == prints[0]


def test_the_number_of_classes_counts_labels_of_all_splits():
    splits = toy()
    test = Split(splits.test.x, splits.test.y + 6)
    assert splits.num_classes == 2
    assert Splits(name="a", origin="made", train=splits.train, val=splits.val, test=test).num_classes == 8


def dataset(error: Exception | None = None) -> Dataset:
    def original(data_dir, say):
        if error:
            raise error
        return toy("original")

    return Dataset(name="toy", original=original, made=lambda data_dir, say: toy("stand-in"))


@pytest.mark.parametrize(("choice", "name"), [("auto", "original"), ("original", "original"), ("made", "stand-in")])
def test_each_choice_gives_its_data_silently(choice: str, name: str, tmp_path: Path):
    lines: list[str] = []
    assert dataset().load(choice, tmp_path, lines.append).name == name
    assert lines == []


def test_auto_falls_back_loudly_and_original_does_not(tmp_path: Path):
    nothing = dataset(DataUnavailable("no files, no network; copy them to HERE"))
    lines: list[str] = []

    assert nothing.load("auto", tmp_path, lines.append).name == "stand-in"
    (notice,) = lines
    for part in ("NOTICE", "copy them to HERE", "stand-in", "20 training images", "NOT results on toy"):
        assert part in notice
    with pytest.raises(DataUnavailable, match="no network"):
        nothing.load("original", tmp_path, lines.append)


@pytest.mark.parametrize("choice", ["auto", "original"])
def test_a_damaged_file_is_always_an_error(choice: str, tmp_path: Path):
    with pytest.raises(DataError, match="truncated"):
        dataset(DataError("truncated")).load(choice, tmp_path, print)


def test_an_unknown_choice_names_the_known_ones(tmp_path: Path):
    with pytest.raises(ValueError, match=r"data=cifar: .* auto, original or made"):
        dataset().load("cifar", tmp_path, print)


def test_without_made_data_there_is_no_fallback_and_data_made_is_refused(tmp_path: Path):
    nothing = replace(dataset(DataUnavailable("no files, no network")), made=None)
    with pytest.raises(DataUnavailable, match="no network"):
        nothing.load("auto", tmp_path, print)
    with pytest.raises(ValueError, match="data=made: toy has no made stand-in data; expected auto or original"):
        nothing.load("made", tmp_path, print)


def test_a_data_dir_may_begin_with_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    seen: list[Path] = []

    def original(data_dir, say):
        seen.append(data_dir)
        return toy()

    Dataset(name="toy", original=original, made=lambda data_dir, say: toy()).load("auto", Path("~/images"), print)
    assert seen == [tmp_path / "images"]


def test_importing_the_package_brings_in_nothing_slow():
    program = (
        "import sys, data.download, data.made.digits, data.mnist, data.splits\n"
        "print({'torch', 'torchvision', 'ray', 'sklearn', 'PIL', 'pandas'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "set()"
