"""The folder of an interrupted run, made without Ray."""

from __future__ import annotations

from pathlib import Path

from data.made.digits import load_made
from data.splits import Splits
from search.planning.config import parse
from search.planning.plan import Plan
from search.runs.folder import RunFolder
from search.session.study import open_study
from search.trials.checkpoints import CheckpointStore
from tests.search.toy import report


def cut_short(runs_dir: Path, *arguments: str, splits: Splits | None = None) -> Path:
    """Writes a run `a` of three started trials; the last has a checkpoint. Returns its folder."""
    plan = Plan.of(parse(line(runs_dir, "max_epochs=3", *arguments)))
    with plan.folder.locked():
        study = open_study(plan, splits or load_made())
        for score in (0.5, 0.6, 0.7):
            number = study.suggest().number
            study.report(number, report(1, score))
    CheckpointStore(str(plan.folder.path)).save(2, b"all of a training" * 100)
    return plan.folder.path


def line(runs_dir: Path, *arguments: str) -> list[str]:
    """Returns the command line that resumes it."""
    return [f"runs_dir={runs_dir}", "run=a", "data=made", *arguments]


def contents(folder: Path) -> dict[str, bytes]:
    """Returns the contents of all files of a folder but the lock."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != ".lock"]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def write(folder: Path, files: dict[str, bytes]) -> None:
    """Writes files into a folder: the opposite of `contents`."""
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def place(plan: Plan) -> tuple[str, RunFolder]:
    """Returns the location of a plan's run, as `mirrored` takes it."""
    return plan.config.runs_dir, plan.folder
