"""CSV files of digits are read, or refused with the line and column of the fault."""

import csv
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.digit_csv import PIXELS, read_labelled, read_unlabelled
from data.splits import DataError
from tests.data.digit_rows import HEADER, rows, store, text


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


def test_a_pixel_between_0_and_1_is_refused_with_the_conversion(tmp_path: Path):
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
def test_other_files_are_refused_with_what_was_found(tmp_path: Path, content: bytes, found: str):
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
