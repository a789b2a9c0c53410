"""The page of one run, and the name of a page that compares several."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from data.files import replacing
from results.report import confirmed, lessons
from results.report import search as searched
from results.report.ablation import ablation_page
from results.report.page import page
from results.report.run_record import RunRecord, read_run

REPORT = "report.html"
_LONGEST_NAME = 200
"""Bytes of a page's name. File systems take 255, encrypted ones fewer."""


def write_report(folder: Path, output: Path | None = None) -> Path:
    """Makes the report of the run in a folder, by default its report.html, whole or not at all; gives its path.

    An ablation's is another page than a search's.

    Raises ValueError if the folder has no tables or damaged ones, OSError if the disk does not take the page.
    """
    is_ablation = (folder / "ablation.parquet").exists()
    return write_page(ablation_page(folder) if is_ablation else run_page(read_run(folder)), output or folder / REPORT)


def run_page(run: RunRecord) -> str:
    """The page of one run."""
    importances, order = lessons.importances(run)
    sections = [
        searched.asked(run),
        confirmed.finalists(run),
        searched.failures(run),
        searched.leaderboard(run),
        lessons.size(run),
        lessons.learning(run),
        lessons.rungs(run),
        importances,
        lessons.effects(run, order),
        confirmed.mistakes(run),
        confirmed.pictures(run),
        searched.cost(run),
    ]
    return page(f"{run.name}: {run.task}", confirmed.head(run), [section for section in sections if section])


def comparison_name(runs: Sequence[str]) -> str:
    """What the page that compares these runs is called; where all their names are too long for a file's, by a hash."""
    name = f"report-{'-'.join(runs)}.html"
    if len(name.encode()) <= _LONGEST_NAME:
        return name
    digest = hashlib.sha256("/".join(runs).encode()).hexdigest()[:12]
    return f"report-{len(runs)}-runs-{digest}.html"


def write_page(content: str, path: Path) -> Path:
    with replacing(path) as file:
        file.write(content.encode(errors="replace"))  # half of a pair, as YAML can write it, is no character
    return path
