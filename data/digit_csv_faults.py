"""Finds the first bad value in a CSV file of digits, with its line and column."""

import csv
import io
import re
from collections.abc import Iterator

LABEL = "label"
LABEL_VALUES = {str(value) for value in range(10)}
PIXEL_VALUES = {str(value) for value in range(256)}
DECIMAL = re.compile(r"[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]+)?")
MAX_SHOWN = 40  # characters of a value


def find_fault(content: bytes) -> str | None:
    """Describes the first bad value or row: line, column, found and allowed values. Returns None if all are good."""
    rows = _rows(content)
    _, header = next(rows)
    allowed = [LABEL_VALUES if name == LABEL else PIXEL_VALUES for name in header]
    try:
        for line, row in rows:
            if len(row) != len(header):
                return f"line {line}: expected {len(header)} values, found {len(row)}"
            for name, values, value in zip(header, allowed, row, strict=True):
                if value not in values and _normalize(value) not in values:
                    found = shorten(value) if value else "an empty cell"
                    expected = f"a whole number from 0 to {len(values) - 1}"
                    return f"line {line}, column {name}: expected {expected}, found {found}{_advice(name, value)}"
    except csv.Error as error:
        return f"expected rows of {len(header)} values, found text that is not CSV: {error}"
    return None


def shorten(text: str) -> str:
    """Returns a quoted text, cut off if it is long."""
    return repr(text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}...")


def _normalize(value: str) -> str:
    """Returns a whole number as its digits, without blanks, leading zeros, decimals of 0 or an exponent."""
    value = re.sub(r"^[ \t]+|[ \t]+$", "", value)
    if DECIMAL.fullmatch(value) and (number := float(value)).is_integer():
        return str(int(number))
    return value


def _advice(name: str, value: str) -> str:
    is_part = name != LABEL and DECIMAL.fullmatch(value) and 0 < float(value) < 1
    return "; convert pixels from 0 to 1 by round(255 * value)" if is_part else ""


def _rows(content: bytes) -> Iterator[tuple[int, list[str]]]:
    """Yields each row that is not empty, with the line it begins on, from 1. Bytes that are not text are escaped."""
    text = io.TextIOWrapper(io.BytesIO(content), encoding="utf-8-sig", errors="backslashreplace", newline="")
    reader = csv.reader(text)
    line = 1
    for row in reader:
        if row:
            yield line, row
        line = reader.line_num + 1
