"""The ONNX files of export=onnx, one next to each model of a run."""

from __future__ import annotations

from pathlib import Path

from results.files import writing
from results.wording import count
from search.command_line.terminal import Terminal
from search.runs.folder import RunFolder
from trainables.task_code import TaskCode


def write_onnx_models(folder: RunFolder, terminal: Terminal, code: TaskCode | None = None) -> bool:
    """Writes each ONNX file that is missing or older than its model, and prints the outcome.

    `code` is that of the run's task, if it is a user's own. Returns False if one could not be written. Raises
    StorageError.
    """
    models = [path for path in sorted(folder.models.glob("*.pt")) if not _is_written(path)]
    if not models:
        return True
    terminal.say(f"ONNX: writing {count(len(models), 'file')} next to the models in {folder.models} ...")
    failed = [path for path in models if not _write(path, terminal, code)]
    terminal.say(f"ONNX: {count(len(models) - len(failed), 'file')} written, each checked against PyTorch's output")
    return not failed


def _is_written(path: Path) -> bool:
    target = path.with_suffix(".onnx")
    return target.exists() and target.stat().st_mtime >= path.stat().st_mtime


def _write(path: Path, terminal: Terminal, code: TaskCode | None = None) -> bool:
    from trainables.model import load_model  # imports torch, after training has ended
    from trainables.onnx_file import ExportFailed, write_onnx

    target = path.with_suffix(".onnx")
    try:
        with writing(target):
            write_onnx(load_model(path, code), target)
    except ExportFailed as error:
        terminal.say(f"{target.name}: not written: {error}", style="bold yellow")
        return False
    return True
