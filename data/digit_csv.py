"""Reads digits of 28x28 pixels from CSV files in the form of Kaggle's 'Digit Recognizer', a row for each image."""

import csv
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv

from data.digit_csv_faults import LABEL, find_fault, shorten
from data.lists import list_names
from data.splits import DataError

SIDE = 28
PIXELS = [f"pixel{i}" for i in range(SIDE * SIDE)]
MAX_NAMED = 3


def read_labelled(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Reads images, uint8 [N, 28, 28], and labels, int64 [N], from the columns label and pixel0 to pixel783.

    Columns may come in any order, empty lines are skipped, and whole numbers may be written as 12.0 or 1.2e+01. Raises
    DataError unless all pixels are whole numbers from 0 to 255, all labels are from 0 to 9, and there is a row; it
    names the file, and the line (the header is line 1) and column of the first bad value in reading order.
    """
    table = _read(path, [LABEL, *PIXELS])
    return _images(table), table.column(LABEL).to_numpy().astype(np.int64)


def read_unlabelled(path: Path) -> np.ndarray:
    """Reads images, uint8 [N, 28, 28], from the columns pixel0 to pixel783, without labels, as in Kaggle's test.csv.

    Raises DataError as `read_labelled` does.
    """
    return _images(_read(path, PIXELS))


def has_labels(path: Path) -> bool:
    """Returns whether the first line of a file names a column `label`; False if the file cannot be read."""
    try:
        with path.open("rb") as file:
            return LABEL in re.split(r'[,"\s]', file.readline().decode("utf-8-sig", "replace"))
    except OSError:
        return False  # the readers raise the error


def _images(table: pa.Table) -> np.ndarray:
    x_PN = np.stack([table.column(name).to_numpy() for name in PIXELS])
    return np.ascontiguousarray(x_PN.T).reshape(-1, SIDE, SIDE)


def _read(path: Path, names: list[str]) -> pa.Table:
    """Returns the named columns as uint8, with all values in their ranges. Raises DataError for other files."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: expected a CSV file, found one that cannot be read: {error}") from error
    _check_header(path, content, names)
    try:
        table = _parse(content, names, pa.uint8())
    # pyarrow names neither the line nor the column of a bad value, and not always the first: the file is read again.
    except (pa.ArrowException, ValueError) as error:
        if fault := find_fault(content):
            raise DataError(f"{path}: {fault}") from error
        table = _parse_decimals(path, content, names)
    # pyarrow accepts labels up to 255, and 0x1F for 31.
    is_suspect = (LABEL in names and table[LABEL].to_numpy().max() > 9) or b"0x" in content or b"0X" in content
    if is_suspect and (fault := find_fault(content)):
        raise DataError(f"{path}: {fault}")
    return table


def _parse(content: bytes, names: list[str], type_: pa.DataType) -> pa.Table:
    convert = pyarrow.csv.ConvertOptions(
        column_types=dict.fromkeys(names, type_), include_columns=names, null_values=[]
    )
    return pyarrow.csv.read_csv(pa.BufferReader(content), convert_options=convert)


def _parse_decimals(path: Path, content: bytes, names: list[str]) -> pa.Table:
    """Parses a file without faults in which some whole numbers are written as 12.0."""
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
        raise DataError(f"{expected}, found no text: {content[:16]!r}") from None
    counts = Counter(header)
    for kind, columns in {
        "missing": [name for name in names if name not in counts],
        "additional": [name for name in counts if name not in set(names)],
        "repeated": [name for name, num in counts.items() if num > 1],
    }.items():
        if columns:
            found = list_names([shorten(name) for name in columns], MAX_NAMED)
            raise DataError(f"{expected}, found {len(columns):,} {kind}: {found}")
    if not b"".join(rest).strip():
        raise DataError(f"{path}: expected at least one row under the header, found none")
