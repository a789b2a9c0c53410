"""Rows of digits as CSV text, and files of them."""

from pathlib import Path

from data.digit_csv import PIXELS

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
