"""A run that was cut short, as its folder shows it; made without Ray."""

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
    """The folder of a run `a` of three trials that have begun; the last one, which goes on, has a checkpoint."""
    plan = Plan.of(parse(line(runs_dir, "max_epochs=3", *arguments)))
    with plan.folder.locked():
        study = open_study(plan, splits or load_made())
        for score in (0.5, 0.6, 0.7):
            number = study.suggest().number
            study.report(number, report(1, score))
    CheckpointStore(str(plan.folder.path)).save(2, b"all of a training" * 100)
    return plan.folder.path


def line(runs_dir: Path, *arguments: str) -> list[str]:
    """The command line that goes on with it."""
    return [f"runs_dir={runs_dir}", "run=a", "data=made", *arguments]


def contents(folder: Path) -> dict[str, bytes]:
    """All files of a folder but the lock."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != ".lock"]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def write(folder: Path, files: dict[str, bytes]) -> None:
    """The opposite of `contents`."""
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def place(plan: Plan) -> tuple[str, RunFolder]:
    """Where a plan's run lies, as `mirrored` takes it."""
    return plan.config.runs_dir, plan.folder
