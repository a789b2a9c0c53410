"""Checks of this machine: whether the task's data are available, and whether the folder of runs has room."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from data.progress import size_text
from results.locations import is_remote
from search.checkup.findings import Finding, Severity

if TYPE_CHECKING:
    from search.planning.plan import Plan

RUN_BYTES = 200_000_000
"""Disk space for a run's journal, tables, report and their pictures."""
BYTES_PER_PARAMETER = 12
"""Size of a checkpoint per parameter: the weight, and Adam's two moments."""
UNLIMITED_PARAMS = 10_000_000
"""Parameters assumed for the largest network of a task that has no limit."""


def check_data(plan: Plan, say: Callable[[str], None]) -> tuple[int, Finding]:
    """Loads the task's data as a search does; returns their size in bytes, 0 if they are unavailable, and a finding."""
    try:
        splits = plan.load_data(say)
    except ValueError as mistake:
        cure = "name other files with data_dir= or data=; the documentation says where to get them"
        return 0, Finding(Severity.broken, "here", f"task={plan.task.name}: {in_one_line(mistake)}", cure)
    num_bytes = splits.train.nbytes + splits.val.nbytes
    cause = f"{splits.name}: {size_text(num_bytes)} of training and validation data"
    return num_bytes, Finding(Severity.ok, "here", cause)


def check_runs_dir(plan: Plan, num_slots: int) -> Finding:
    """Checks that the folder of runs can be written and has room for one run."""
    runs_dir = plan.config.runs_dir
    if is_remote(runs_dir):
        return Finding(Severity.ok, "here", f"runs_dir={runs_dir}: a search tests it by writing a file")
    path = Path(runs_dir).absolute()
    existing = next(folder for folder in (path, *path.parents) if folder.exists())
    if not (existing.is_dir() and os.access(existing, os.W_OK)):
        cure = "change its owner or permissions, or name another folder with runs_dir=FOLDER"
        return Finding(Severity.broken, "here", f"runs_dir={runs_dir}: {existing} cannot be written to", cure)
    free = shutil.disk_usage(existing).free
    needed = RUN_BYTES + num_slots * BYTES_PER_PARAMETER * _max_params(plan)
    cause = f"runs_dir={runs_dir}: {size_text(free)} are free"
    if free < needed:
        cause += f", but a run may need {size_text(needed)}"
        return Finding(Severity.broken, "here", cause, "make room, or name another folder with runs_dir=FOLDER")
    return Finding(Severity.ok, "here", cause)


def in_one_line(error: Exception) -> str:
    """Returns an error's message without line breaks, or its type if it has none."""
    return " ".join(str(error).split()) or type(error).__name__


def _max_params(plan: Plan) -> int:
    """Returns the parameters of the largest network that may be trained, or an assumed number without a limit."""
    limit = plan.config.max_params or UNLIMITED_PARAMS
    return max([limit, *(candidate.network.num_params for candidate in plan.references().values())])
