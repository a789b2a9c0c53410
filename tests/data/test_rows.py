"""Rows of a table as examples: features, targets, and what is refused."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from data import DataError, Splits, load_rows
from tests.data.pictures import parts

NUM = 40
FRAME = pd.DataFrame(
    {
        "age": np.arange(NUM),
        "height": np.linspace(1, 2, NUM),
        "smokes": np.arange(NUM) % 3 == 0,
        "city": [("Rome", "Bern", "Oslo")[i % 3] for i in range(NUM)],
        "size": pd.Categorical([("L", "S")[i % 2] for i in range(NUM)]),
        "ill": [("yes", "no")[i % 2] for i in range(NUM)],
        "cost": np.linspace(0, 9, NUM),
        "visits": np.arange(NUM) % 4,
    }
)
FEATURES = ("age", "height", "smokes", "city=Bern", "city=Oslo", "city=Rome", "size=L", "size=S", "cost", "visits")


def refusal(table: object, target: str | list[str] = "ill", **options) -> str:
    with pytest.raises(DataError) as failure:
        load_rows(table, target, **options)
    return str(failure.value)


def rows(splits: Splits) -> np.ndarray:
    """The features of all splits in the order of age, which is the first."""
    x = np.concatenate([split.x for split in parts(splits)])
    return x[np.argsort(x[:, 0])]


def test_columns_become_features_in_their_order_and_texts_one_feature_for_each_value():
    splits = load_rows(FRAME, "ill")
    assert (splits.name, splits.features, splits.classes) == ("rows", FEATURES, ("no", "yes"))
    x = rows(splits)
    assert x.dtype == np.float32
    assert np.allclose(x[:, 1], FRAME["height"])
    assert np.array_equal(x[:, 2], FRAME["smokes"])
    assert np.array_equal(x[:, FEATURES.index("city=Rome")], FRAME["city"] == "Rome")
    assert np.array_equal(x[:, FEATURES.index("size=S")], FRAME["size"] == "S")


@pytest.mark.parametrize("suffix", ["csv", "csv.gz", "parquet"])
def test_files_hold_the_same_rows(tmp_path: Path, suffix: str):
    path = tmp_path / f"table.{suffix}"
    FRAME.to_parquet(path) if suffix == "parquet" else FRAME.to_csv(path, index=False)
    splits = load_rows(str(path), "ill")
    assert splits.name == f"rows:table.{suffix}"
    assert splits.fingerprint == load_rows(FRAME, "ill").fingerprint


def test_an_arrow_table_is_read_too():
    import pyarrow as pa

    assert load_rows(pa.Table.from_pandas(FRAME), "ill").fingerprint == load_rows(FRAME, "ill").fingerprint


@pytest.mark.parametrize(
    ("target", "dtype", "shape", "classes"),
    [
        ("ill", np.int64, (), ("no", "yes")),
        ("smokes", np.int64, (), ("False", "True")),
        ("visits", np.int64, (), None),
        ("size", np.int64, (), ("L", "S")),
        ("cost", np.float32, (), None),
        (["cost"], np.float32, (), None),
        (["cost", "visits"], np.float32, (2,), None),
        (["visits", "age"], np.float32, (2,), None),
    ],
)
def test_targets_become_classes_or_quantities(
    target: str | list[str], dtype: type, shape: tuple[int, ...], classes: tuple[str, ...] | None
):
    splits = load_rows(FRAME, target)
    assert (splits.train.y.dtype, splits.train.y.shape[1:], splits.classes) == (dtype, shape, classes)
    assert splits.features is not None
    assert not set(splits.features) & set(target if isinstance(target, list) else [target])


def test_several_targets_of_0_and_1_become_several_labels_with_the_names_of_their_columns():
    frame = FRAME.assign(old=FRAME["age"] > 20, often=(FRAME["visits"] > 1).astype(int))
    splits = load_rows(frame, ["old", "often"])
    assert (splits.train.y.dtype, splits.classes, splits.num_classes) == (np.uint8, ("old", "often"), 2)


def test_classes_order_text():
    assert load_rows(FRAME, "ill", classes=["yes", "no"]).classes == ("yes", "no")


def with_values(column: str, first: object, *others: object) -> pd.DataFrame:
    """The frame with other first values in a column."""
    values: list[object] = FRAME[column].tolist()
    values[: 1 + len(others)] = [first, *others]
    return FRAME.assign(**{column: values})


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        (with_values("height", 1.0, None, None), "rows: column height: found 2 missing values, the first in row 1"),
        (with_values("city", None), "frame.dropna(subset=['city']), or fill them in by frame['city'].fillna(VALUE)"),
        (with_values("ill", "no", None), "column ill: found 1 missing values, the first in row 1"),
        (with_values("height", np.inf), "column height: found inf in row 0; expected finite numbers"),
        (with_values("height", 1e300), "column height: found 1e+300 in row 0"),
        (with_values("city", 3), "column city: found object (int, str); expected numbers, bool or text"),
        (FRAME.assign(born=pd.Timestamp("2020-01-01")), "column born: found datetime64"),
        (FRAME.assign(took=pd.Timedelta(days=1)), "column took: found timedelta64"),
        (FRAME.assign(name=[f"n{i % 51}" for i in range(NUM)]).loc[[*range(NUM)] * 2], ""),
        (FRAME[["ill"]], "found no column beside the target"),
        (FRAME[:0], "found no rows"),
        (FRAME.rename(columns={"cost": "age"}), "found several columns called age"),
        (FRAME.rename(columns={"cost": "size=L"}), "found two features called size=L"),
        (FRAME.rename(columns={"ill": "sick"}), "target: found no column ill; there are age, height"),
        (FRAME.reset_index(names="Unnamed: 0"), "column Unnamed: 0 counts the rows"),
        (with_values("ill", "perhaps"), "expected at least 3 examples of each class"),
    ],
)
def test_a_bad_column_is_named_with_what_is_right(frame: pd.DataFrame, expected: str):
    if expected:
        assert expected in refusal(frame)
    else:
        load_rows(frame, "ill")  # 40 different texts are few enough


def test_too_many_texts_are_refused():
    frame = pd.concat([FRAME, FRAME]).assign(name=[f"n{i % 51}" for i in range(2 * NUM)])
    assert "column name: found 51 different texts; expected at most 50" in refusal(frame)


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ([], "expected the name of a column"),
        (["cost", "cost"], "expected the name of a column, or a list of different ones"),
        (["cost", "ill"], "target ill: found text; expected numbers or bool in each"),
        ("age", "a quantity is floats"),
    ],
)
def test_bad_targets_are_refused(target: str | list[str], expected: str):
    assert expected in refusal(FRAME, target)


def test_what_is_no_table_is_refused(tmp_path: Path):
    assert "found a ndarray; expected a frame, or the path of .csv" in refusal(np.zeros((3, 2)))
    assert "expected .csv, .csv.gz, .parquet or .pq" in refusal(tmp_path / "table.xlsx")
    assert "expected a file of rows, found" in refusal(tmp_path / "absent.csv")
    (tmp_path / "broken.parquet").write_bytes(b"no parquet")
    assert "expected a file of rows, found" in refusal(tmp_path / "broken.parquet")
