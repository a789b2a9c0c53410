"""Writes the report of one run, and names the page that compares several."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from data.files import replacing
from results.report import confirmed, images, lessons, numbers
from results.report import search as searched
from results.report.ablation import ablation_page
from results.report.page import page
from results.report.run_record import RunRecord, read_run

REPORT = "report.html"
_MAX_NAME_BYTES = 200
"""The maximum length of a page's name in bytes. File systems allow 255, encrypted ones fewer."""


def write_report(folder: Path, output: Path | None = None) -> Path:
    """Writes the report of the run in a folder, of a search or an ablation, atomically, and returns its path.

    The default output is report.html in the folder. Raises ValueError if tables are missing or damaged, and OSError if
    the page cannot be written.
    """
    is_ablation = (folder / "ablation.parquet").exists()
    return write_page(ablation_page(folder) if is_ablation else run_page(read_run(folder)), output or folder / REPORT)


def run_page(run: RunRecord) -> str:
    """Makes the page of one run."""
    importances, order = lessons.importances(run)
    sections = [
        searched.settings(run),
        confirmed.finalists(run),
        searched.failures(run),
        searched.leaderboard(run),
        lessons.size(run),
        lessons.learning(run),
        lessons.rungs(run),
        importances,
        lessons.effects(run, order),
        images.mistakes(run),
        images.pictures(run),
        numbers.predicted(run),
        numbers.labels(run),
        searched.cost(run),
    ]
    return page(f"{run.name}: {run.task}", confirmed.head(run), [section for section in sections if section])


def comparison_name(runs: Sequence[str]) -> str:
    """Returns the file name of the page that compares these runs, with a hash if all their names would be too long."""
    name = f"report-{'-'.join(runs)}.html"
    if len(name.encode()) <= _MAX_NAME_BYTES:
        return name
    digest = hashlib.sha256("/".join(runs).encode()).hexdigest()[:12]
    return f"report-{len(runs)}-runs-{digest}.html"


def write_page(content: str, path: Path) -> Path:
    """Writes a page atomically, and returns its path."""
    with replacing(path) as file:
        file.write(content.encode(errors="replace"))  # YAML can contain a lone surrogate, which cannot be encoded
    return path
