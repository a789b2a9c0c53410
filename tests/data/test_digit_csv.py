"""Kaggle's digits read from CSV files, refused with line and column, and replaced by MNIST where they are absent."""

import csv
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.digit_csv import PIXELS, read_labelled, read_unlabelled
from data.digit_recognizer import DIGITS, load_original
from data.splits import DataError, Dataset, DataUnavailable, Split, Splits

HEADER = ["label", *PIXELS]


def rows(num: int) -> list[list[str]]:
    """num rows of different values, their labels 0 to 9 in turn."""
    return [[str(i % 10), *(str((i + 7 * j) % 256) for j in range(784))] for i in range(num)]


def text(table: list[list[str]], header: list[str] = HEADER, end: str = "\n") -> str:
    return "".join(",".join(row) + end for row in [header, *table])


def store(folder: Path, content: str | bytes, name: str = "train.csv") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder / name


def check(path: Path, table: list[list[str]]) -> None:
    x, y = read_labelled(path)
    assert (x.dtype, y.dtype) == (np.uint8, np.int64)
    assert y.tolist() == [int(row[0]) for row in table]
    assert np.array_equal(x.reshape(-1, 784), np.array(table, int)[:, 1:])
    assert x.shape == (len(table), 28, 28)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("bom", ["", "\ufeff"])
def test_what_is_written_is_read(tmp_path: Path, end: str, bom: str):
    check(store(tmp_path, bom + text(rows(12), end=end)), rows(12))


def test_many_rows_keep_their_order(tmp_path: Path):
    check(store(tmp_path, text(rows(3000))), rows(3000))  # several blocks of pyarrow's, read by several threads


def test_quotes_blanks_zeros_and_empty_lines_do_no_harm(tmp_path: Path):
    table = [[f' "{value}"' if value.endswith("1") else f" 00{value}\t" for value in row] for row in rows(2)]
    table = [[value.strip() if '"' in value else value for value in row] for row in table]
    check(store(tmp_path, text(table).replace("\n", "\n\n", 1).removesuffix("\n")), rows(2))


def test_whole_numbers_may_be_written_as_decimals(tmp_path: Path):
    written = rows(5)
    plain = read_labelled(store(tmp_path, text(written)))
    for form in ("{:.1f}", "{:.18e}", " {:.0f}. "):
        decimals = [[form.format(float(value)) for value in row] for row in written]
        for found, expected in zip(read_labelled(store(tmp_path, text(decimals))), plain, strict=True):
            np.testing.assert_array_equal(found, expected)


def test_pixels_from_0_to_1_are_told_how_they_become_whole_numbers(tmp_path: Path):
    table = rows(8)
    table[5][3] = "0.5"
    with pytest.raises(DataError, match=r"line 7, column pixel2: .* found '0.5'; convert pixels from 0 to 1 by round"):
        read_labelled(store(tmp_path, text(table)))


def test_columns_are_found_by_name(tmp_path: Path):
    path = store(tmp_path, text([row[::-1] for row in rows(3)], HEADER[::-1]))
    check(path, rows(3))


def test_unlabelled_files_give_the_images_alone(tmp_path: Path):
    path = store(tmp_path, text([row[1:] for row in rows(5)], PIXELS), "test.csv")
    x = read_unlabelled(path)
    assert (x.shape, x.dtype) == ((5, 28, 28), np.uint8)
    assert np.array_equal(x.reshape(5, 784), np.array(rows(5), int)[:, 1:])


@pytest.mark.parametrize(
    "bad", ["256", "-1", "1.5", "-1.0", "256.0", "1e3", "x", "", " ", "+1", "0x1F", "NA", "nan", "9" * 5000]
)
def test_a_bad_pixel_is_named_with_line_and_column(tmp_path: Path, bad: str):
    table = rows(8)
    table[5][3] = bad
    shown = {"": "an empty cell", "9" * 5000: repr("9" * 40 + "...")}.get(bad, repr(bad))
    with pytest.raises(DataError) as failure:
        read_labelled(path := store(tmp_path, text(table)))
    assert str(failure.value) == (
        f"{path}: line 7, column pixel2: expected a whole number from 0 to 255, found {shown}"
    )


def test_the_first_bad_value_in_reading_order_is_named(tmp_path: Path):
    table = rows(8)
    table[5][3] = table[5][700] = table[6][1] = "?"
    with pytest.raises(DataError, match="line 7, column pixel2"):
        read_labelled(store(tmp_path, text(table)))
    table[5][0] = "11"
    with pytest.raises(DataError, match="line 7, column label"):
        read_labelled(store(tmp_path, text(table)))


@pytest.mark.parametrize("bad", ["10", "255", "256", "-1", "2.5", "two", ""])
def test_a_bad_label_is_named_with_its_line(tmp_path: Path, bad: str):
    table = rows(4)
    table[1][0] = bad
    with pytest.raises(DataError, match="line 3, column label: expected a whole number from 0 to 9, found"):
        read_labelled(store(tmp_path, text(table)))


def test_lines_are_counted_as_in_the_file(tmp_path: Path):
    table = rows(3)
    table[2][0] = "ten"
    with pytest.raises(DataError, match="line 6, column label"):
        read_labelled(store(tmp_path, text(table).replace("\n", "\n\n", 2)))


@pytest.mark.parametrize(("change", "found"), [(lambda row: row[:-1], 784), (lambda row: [*row, "0"], 786)])
def test_a_ragged_row_is_named(tmp_path: Path, change, found: int):
    table = rows(4)
    table[2] = change(table[2])
    table[3][5] = "bad, but later"
    with pytest.raises(DataError, match=f"line 4: expected 785 values, found {found}"):
        read_labelled(store(tmp_path, text(table)))


@pytest.mark.parametrize(
    ("header", "found"),
    [
        (HEADER[1:], "1 missing: 'label'"),
        ([*HEADER[:5], *HEADER[6:]], "1 missing: 'pixel4'"),
        (["Label", *PIXELS], "1 missing: 'label'"),
        (rows(1)[0], "785 missing: 'label', 'pixel0', 'pixel1', and 782 more"),
        ([*HEADER, "pixel784"], "1 additional: 'pixel784'"),
        ([*HEADER, "pixel7"], "1 repeated: 'pixel7'"),
    ],
)
def test_other_columns_are_named(tmp_path: Path, header: list[str], found: str):
    with pytest.raises(DataError, match=re.escape(found)) as failure:
        read_labelled(path := store(tmp_path, text([["0"] * len(header)], header)))
    assert f"{path}: expected a CSV file with the columns label, pixel0 to pixel783" in str(failure.value)


def test_a_labelled_file_is_refused_where_an_unlabelled_one_is_expected(tmp_path: Path):
    with pytest.raises(
        DataError, match="columns pixel0, pixel1 to pixel783 and no others, found 1 additional: 'label'"
    ):
        read_unlabelled(store(tmp_path, text(rows(1))))


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "an empty file"),
        (b"\n\n", "an empty file"),
        (b"\n" + text(rows(1)).encode(), "an empty first line"),
        (b"PK\x03\x04\x9c\xff", r"no text: b'PK\\x03\\x04"),
        (b"\xff\xfe" + text(rows(1)).encode("utf-16-le"), "no text"),
        (b"a" * 200_000, "no text"),
        (text(rows(1)).replace(",", ";").encode(), "785 missing"),
        (text([]).encode(), "at least one row under the header, found none"),
        (text([]).strip().encode(), "at least one row under the header, found none"),
        (text([]).encode() + b"\xff\xfe\xfd" * 10, r"line 2: expected 785 values, found 1"),
        (text(rows(1)).encode() + b'"' + b"0," * 200_000, "not CSV"),
        (text(rows(2)).encode().replace(b"\n1,", b"\n\xff,"), r"line 3, column label: .* found '\\\\xff'"),
    ],
)
def test_what_is_no_such_file_is_told_apart(tmp_path: Path, content: bytes, found: str):
    path = store(tmp_path, content)
    with pytest.raises(DataError, match=f"^{re.escape(str(path))}: .*{found}"):
        read_labelled(path)


@pytest.mark.parametrize("name", ["absent.csv", "folder"])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, name: str):
    (tmp_path / "folder").mkdir()
    with pytest.raises(DataError, match=f"{name}: expected a CSV file, found one that cannot be read"):
        read_unlabelled(tmp_path / name)


@given(st.binary(max_size=60), st.integers(0, 784), st.integers(0, 3))
def test_any_bytes_in_a_cell_give_a_number_or_a_data_error(
    tmp_path_factory: pytest.TempPathFactory, value: bytes, column: int, row: int
):
    table = [[value.encode() for value in row] for row in rows(4)]
    table[row][column] = value
    lines = [",".join(HEADER).encode(), *(b",".join(row) for row in table)]
    path = store(tmp_path_factory.getbasetemp(), b"\n".join(lines), "fuzzed.csv")
    try:
        x, y = read_labelled(path)
    except DataError as error:
        assert re.match(rf"{re.escape(str(path))}: (line \d|expected)", str(error))  # noqa: PT017 - either is right
    else:
        with path.open(encoding="utf-8-sig", newline="") as file:
            found = [[int(float(value)) for value in row] for row in list(csv.reader(file))[1:] if row]
        assert np.array_equal(np.c_[y, x.reshape(len(x), -1)], found)


@given(st.binary(max_size=200))
def test_any_bytes_in_place_of_a_file_are_a_data_error(tmp_path_factory: pytest.TempPathFactory, content: bytes):
    path = store(tmp_path_factory.getbasetemp(), content, "fuzzed.csv")
    with pytest.raises(DataError, match=f"^{re.escape(str(path))}: expected a CSV file with the columns"):
        read_unlabelled(path)


@given(st.text("0123456789+-.xXeE \t", max_size=6))
def test_a_cell_is_taken_exactly_if_it_is_a_whole_number_in_range(tmp_path_factory: pytest.TempPathFactory, value: str):
    table = rows(2)
    table[1][9] = value
    path = store(tmp_path_factory.getbasetemp(), text(table), "fuzzed.csv")
    is_number = re.fullmatch(r"[ \t]*[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]+)?[ \t]*", value)
    if is_number and float(value).is_integer() and float(value) <= 255:
        assert read_labelled(path)[0].reshape(2, -1)[1, 8] == float(value)
    else:
        with pytest.raises(DataError, match="line 3, column pixel8: expected a whole number from 0 to 255"):
            read_labelled(path)


def load(data_dir: Path, mnist: Dataset | None = None, say=lambda line: None) -> Splits:
    return load_original(data_dir, say, mnist=mnist or no_mnist())


def no_mnist() -> Dataset:
    def original(data_dir, say):
        raise DataUnavailable(f"no MNIST in {data_dir}")

    return Dataset(name="mnist", original=original, made=DIGITS.made)


def small_mnist() -> Dataset:
    """100 training images in two splits of 85 and 15, and 10 test images; each is full of its number."""
    x = np.arange(110, dtype=np.uint8)[:, None, None].repeat(28, 1).repeat(28, 2)
    parts = [Split(x[part], np.arange(110)[part] % 10) for part in np.split(np.arange(110), [85, 100])]
    splits = Splits(name="mnist", origin="original", train=parts[0], val=parts[1], test=parts[2])
    return Dataset(name="mnist", original=lambda data_dir, say: splits, made=DIGITS.made)


def test_the_labelled_rows_are_split_80_to_20_and_there_is_no_test_split(tmp_path: Path):
    store(tmp_path / "digit-recognizer", text(rows(200)))
    store(tmp_path / "digit-recognizer", b"not read at all", "test.csv")
    said: list[str] = []
    splits = load(tmp_path, say=said.append)

    assert said == []
    assert (splits.name, splits.origin, splits.num_classes) == ("digit-recognizer", "original", 10)
    assert [len(split) for split in (splits.train, splits.val, splits.test)] == [160, 40, 0]
    assert splits.test.x.shape == (0, 28, 28)
    assert np.bincount(splits.val.y).tolist() == [4] * 10
    both = np.concatenate([splits.train.x, splits.val.x])
    assert np.unique(both[:, 0, 0]).tolist() == list(range(200))  # the first pixel is the row's number
    assert np.array_equal(splits.val.x[:, 0, 0] % 10, splits.val.y)
    assert load(tmp_path).fingerprint == splits.fingerprint


def test_too_few_rows_of_a_label_are_named(tmp_path: Path):
    path = store(tmp_path / "digit-recognizer", text([row for row in rows(200) if row[0] != "4"]))
    with pytest.raises(DataError, match=r"at least 10 rows of each label from 0 to 9, found 0 of label 4") as failure:
        load(tmp_path)
    assert str(path) in str(failure.value)


def test_a_folder_without_the_file_is_an_error_that_no_fallback_hides(tmp_path: Path):
    store(tmp_path / "digit-recognizer", b"", "test.csv")
    for choice in ("auto", "original"):
        with pytest.raises(
            DataError, match=r"digit-recognizer: expected a folder with Kaggle's train\.csv, found none"
        ):
            DIGITS.load(choice, tmp_path, print)


def test_a_file_in_place_of_the_folder_is_an_error(tmp_path: Path):
    (tmp_path / "digit-recognizer").write_text("")
    with pytest.raises(DataError, match="digit-recognizer: expected a folder"):
        load(tmp_path, small_mnist())


def test_without_the_files_mnist_is_split_in_the_same_way_and_that_is_said(tmp_path: Path):
    said: list[str] = []
    splits = load(tmp_path, small_mnist(), said.append)

    assert (splits.name, splits.origin) == ("mnist", "original")
    assert [len(split) for split in (splits.train, splits.val, splits.test)] == [80, 20, 10]
    both = np.concatenate([splits.train.x, splits.val.x])
    assert np.unique(both[:, 0, 0]).tolist() == list(range(100))
    assert splits.test.x[:, 0, 0].tolist() == list(range(100, 110))
    (line,) = said
    assert line == f"{tmp_path / 'digit-recognizer' / 'train.csv'} does not exist: using mnist instead"
    assert splits.fingerprint != small_mnist().original(tmp_path, print).fingerprint


def test_without_both_the_message_says_where_each_was_looked_for(tmp_path: Path):
    with pytest.raises(DataUnavailable) as failure:
        load(tmp_path)
    for part in (tmp_path / "digit-recognizer" / "train.csv", f"no MNIST in {tmp_path}"):
        assert str(part) in str(failure.value)


def test_the_published_mnist_takes_the_place_of_the_files(mnist_dir: Path):
    splits = DIGITS.load("original", mnist_dir, lambda line: None)
    assert (splits.name, splits.num_classes) == ("mnist", 10)
    assert [len(split) for split in (splits.train, splits.val, splits.test)] == [48_000, 12_000, 10_000]
    shares = [np.bincount(split.y) / len(split) for split in (splits.train, splits.val)]
    assert np.allclose(*shares, atol=1e-3)


def test_the_made_choice_needs_no_files(tmp_path: Path):
    assert DIGITS.load("made", tmp_path / "absent", print).name == "sklearn-digits"
