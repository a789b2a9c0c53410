"""Kaggle's 'Digit Recognizer': digits of 28x28 pixels as rows of two CSV files; without them MNIST, split alike."""

import csv
import io
import os
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv

from data.made import digits as embedded
from data.mnist import MNIST
from data.splits import DataError, Dataset, DataUnavailable, Say, Split, Splits, stratified_split

# Changing one of these makes older rows of every leaderboard incomparable with new ones.
VAL_FRACTION = 0.2
SPLIT_SEED = 0

SIDE = 28
PIXELS = [f"pixel{i}" for i in range(SIDE * SIDE)]
PIXEL_VALUES = {str(value) for value in range(256)}
LABEL = "label"
LABEL_VALUES = {str(value) for value in range(10)}
MIN_PER_LABEL = 10  # fewer cannot be split 80/20 with any meaning
NUM_LISTED = 3
DECIMAL = re.compile(r"[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]+)?")


def load_original(data_dir: Path, say: Say, *, mnist: Dataset = MNIST) -> Splits:
    """data_dir/digit-recognizer/train.csv split 80/20; where that folder is not there, MNIST in the same form.

    The test split of the CSV files is empty: Kaggle publishes test.csv without labels, so it is for predictions alone
    and is not read here. MNIST's 60,000 training images are split 80/20, its 10,000 test images are the test split.
    DataUnavailable if MNIST cannot be had either; DataError for a damaged file, fewer than 10 rows of a label, or a
    folder without train.csv.
    """
    folder = data_dir / "digit-recognizer"
    path = folder / "train.csv"
    if not os.path.lexists(folder):
        return _mnist_alike(path, mnist, data_dir, say)
    if not os.path.lexists(path):
        raise DataError(
            f"{folder}: expected a folder with Kaggle's train.csv, found none; "
            "put it there, or remove the folder to have MNIST in its place"
        )
    x, y = read_labelled(path)
    counts = np.bincount(y, minlength=10)
    if counts.min() < MIN_PER_LABEL:
        raise DataError(
            f"{path}: expected at least {MIN_PER_LABEL} rows of each label from 0 to 9, "
            f"found {counts.min()} of label {counts.argmin()}"
        )
    return _split("digit-recognizer", x, y, Split(x[:0], y[:0]))


def read_labelled(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """The images, uint8 [N, 28, 28], and labels, int64 [N], of a file with columns label and pixel0 to pixel783.

    DataError, naming file, line (the header is line 1) and column of the first bad value in reading order, unless all
    pixels are whole numbers from 0 to 255, all labels from 0 to 9, and there is at least one row. Whole numbers may be
    written as 12.0 or 1.2e+01. Columns may come in any order; empty lines are passed over.
    """
    table = _read(path, [LABEL, *PIXELS])
    return _images(table), table.column(LABEL).to_numpy().astype(np.int64)


def read_unlabelled(path: Path) -> np.ndarray:
    """The images, uint8 [N, 28, 28], of a file with columns pixel0 to pixel783 and no label, as Kaggle's test.csv.

    DataError as for `read_labelled`.
    """
    return _images(_read(path, PIXELS))


def has_labels(path: Path) -> bool:
    """Whether a file that can be read names a column `label` in its first line."""
    try:
        with path.open("rb") as file:
            return LABEL in re.split(r'[,"\s]', file.readline().decode("utf-8-sig", "replace"))
    except OSError:
        return False  # which is said when it is read


DIGITS = Dataset(name="digit-recognizer", original=load_original, made=lambda data_dir, say: embedded.load_made())


def _mnist_alike(path: Path, mnist: Dataset, data_dir: Path, say: Say) -> Splits:
    try:
        splits = mnist.original(data_dir, say)
    except DataUnavailable as unavailable:
        raise DataUnavailable(
            f"Looked for {path} of Kaggle's Digit Recognizer, then for MNIST in its place.\n{unavailable}"
        ) from unavailable
    say(f"{path} is not there: using {splits.name} in its place")
    x, y = (np.concatenate(pair) for pair in ((splits.train.x, splits.val.x), (splits.train.y, splits.val.y)))
    return _split(splits.name, x, y, splits.test)


def _split(name: str, x: np.ndarray, y: np.ndarray, test: Split) -> Splits:
    train, val = stratified_split(y, VAL_FRACTION, SPLIT_SEED)
    return Splits(name=name, origin="original", train=Split(x[train], y[train]), val=Split(x[val], y[val]), test=test)


def _images(table: pa.Table) -> np.ndarray:
    x_PN = np.stack([table.column(name).to_numpy() for name in PIXELS])
    return np.ascontiguousarray(x_PN.T).reshape(-1, SIDE, SIDE)


def _read(path: Path, names: list[str]) -> pa.Table:
    """The named columns as uint8, all values allowed; DataError for anything else."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: expected a CSV file, found one that cannot be read: {error}") from error
    _check_header(path, content, names)
    try:
        table = _parse(content, names, pa.uint8())
    # pyarrow names neither line nor column, and not the first bad value in reading order: so the file is read again.
    except (pa.ArrowException, ValueError) as error:
        if fault := _first_fault(content):
            raise DataError(f"{path}: {fault}") from error
        table = _parse_decimals(path, content, names)
    # What pyarrow lets through: labels up to 255, and 0x1F for 31.
    is_suspect = (LABEL in names and table[LABEL].to_numpy().max() > 9) or b"0x" in content or b"0X" in content
    if is_suspect and (fault := _first_fault(content)):
        raise DataError(f"{path}: {fault}")
    return table


def _parse(content: bytes, names: list[str], type_: pa.DataType) -> pa.Table:
    convert = pyarrow.csv.ConvertOptions(
        column_types=dict.fromkeys(names, type_), include_columns=names, null_values=[]
    )
    return pyarrow.csv.read_csv(pa.BufferReader(content), convert_options=convert)


def _parse_decimals(path: Path, content: bytes, names: list[str]) -> pa.Table:
    """The columns of a file without a fault, in which some whole numbers are written as 12.0."""
    try:
        table = _parse(content, names, pa.float64())
        return table.cast(pa.schema([(name, pa.uint8()) for name in names]))
    except (pa.ArrowException, ValueError) as error:
        raise DataError(f"{path}: {error}") from error


def _check_header(path: Path, content: bytes, names: list[str]) -> None:
    first_line, *rest = re.split(rb"[\r\n]", content, maxsplit=1)
    expected = f"{path}: expected a CSV file with the columns {names[0]}, {names[1]} to {names[-1]} and no others"
    if not first_line.strip():
        raise DataError(f"{expected}, found an empty {'first line' if content.strip() else 'file'}")
    try:
        (header,) = csv.reader([first_line.decode("utf-8-sig")])
    except (csv.Error, UnicodeDecodeError):
        raise DataError(f"{expected}, found what is no text: {content[:16]!r}") from None
    counts = Counter(header)
    for kind, columns in {
        "missing": [name for name in names if name not in counts],
        "additional": [name for name in counts if name not in set(names)],
        "repeated": [name for name, num in counts.items() if num > 1],
    }.items():
        if columns:
            raise DataError(f"{expected}, found {len(columns)} {kind}: {_listed(columns)}")
    if not b"".join(rest).strip():
        raise DataError(f"{path}: expected at least one row under the header, found none")


def _listed(columns: list[str]) -> str:
    shown = [_shown(name) for name in columns[:NUM_LISTED]]
    return ", ".join(shown) + ("" if len(columns) <= NUM_LISTED else ", ...")


def _shown(text: str) -> str:
    return repr(text if len(text) <= 40 else f"{text[:40]}...")


def _first_fault(content: bytes) -> str | None:
    """Where the first bad value or row is, what it is, and what is allowed; None if all are good."""
    rows = _rows(content)
    _, header = next(rows)
    allowed = [LABEL_VALUES if name == LABEL else PIXEL_VALUES for name in header]
    try:
        for line, row in rows:
            if len(row) != len(header):
                return f"line {line}: expected {len(header)} values, found {len(row)}"
            for name, values, value in zip(header, allowed, row, strict=True):
                if value not in values and _plain(value) not in values:
                    found = _shown(value) if value else "an empty cell"
                    expected = f"a whole number from 0 to {len(values) - 1}"
                    return f"line {line}, column {name}: expected {expected}, found {found}{_advice(name, value)}"
    except csv.Error as error:
        return f"expected rows of {len(header)} values, found text that is no CSV: {error}"
    return None


def _plain(value: str) -> str:
    """A whole number as its digits alone: without blanks around it, zeros before it, decimals of 0 or an exponent."""
    value = re.sub(r"^[ \t]+|[ \t]+$", "", value)
    if DECIMAL.fullmatch(value) and (number := float(value)).is_integer():
        return str(int(number))
    return value


def _advice(name: str, value: str) -> str:
    is_part = name != LABEL and DECIMAL.fullmatch(value) and 0 < float(value) < 1
    return "; of pixels from 0 to 1 write round(255 * value)" if is_part else ""


def _rows(content: bytes) -> Iterator[tuple[int, list[str]]]:
    """Each row that is not empty, and the line it begins on, counted from 1; bytes that are no text are escaped."""
    text = io.TextIOWrapper(io.BytesIO(content), encoding="utf-8-sig", errors="backslashreplace", newline="")
    reader = csv.reader(text)
    line = 1
    for row in reader:
        if row:
            yield line, row
        line = reader.line_num + 1
