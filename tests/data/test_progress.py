"""Lines of progress, and sizes for people."""

import pytest

from data import progress
from data.progress import Progress, size_text


@pytest.mark.parametrize(
    ("num_bytes", "text"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (999.6, "1 kB"),
        (5_000_000, "5 MB"),
        (48_123_000, "48.1 MB"),
        (999_600_000, "1 GB"),
        (2_812_000_000, "2.81 GB"),
        (1_200_000_000_000, "1.2 TB"),
    ],
)
def test_a_size_has_three_significant_digits(num_bytes: float, text: str):
    assert size_text(num_bytes) == text


def test_lines_come_at_most_every_few_seconds(monkeypatch: pytest.MonkeyPatch):
    lines: list[str] = []
    seldom = Progress(lines.append, 2_000, "images read")
    seldom.add(1_000)
    assert lines == []
    monkeypatch.setattr(progress, "SECONDS", 0)
    often = Progress(lines.append, 2_000, "images read")
    often.add(500)
    often.add(1_000)
    assert lines == ["500 of 2,000 images read", "1,500 of 2,000 images read"]
