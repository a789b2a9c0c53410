"""export=onnx: an ONNX file beside each model that a run keeps."""

from __future__ import annotations

from pathlib import Path

from results.files import writing
from search.command_line.terminal import Terminal
from search.runs.folder import RunFolder


def write_onnx_models(folder: RunFolder, terminal: Terminal) -> bool:
    """Writes what is missing or older than its model, and says what was written, and what could not be.

    False if one could not be. Raises StorageError.
    """
    models = [path for path in sorted(folder.models.glob("*.pt")) if not _is_written(path)]
    if not models:
        return True
    terminal.say(f"ONNX: {len(models)} to be written beside the models in {folder.models} ...")
    failed = [path for path in models if not _write(path, terminal)]
    terminal.say(f"ONNX: {len(models) - len(failed)} written, each checked against PyTorch's output")
    return not failed


def _is_written(path: Path) -> bool:
    target = path.with_suffix(".onnx")
    return target.exists() and target.stat().st_mtime >= path.stat().st_mtime


def _write(path: Path, terminal: Terminal) -> bool:
    from trainables.model import load_model  # torch, once training is over
    from trainables.onnx_file import ExportFailed, write_onnx

    target = path.with_suffix(".onnx")
    try:
        with writing(target):
            write_onnx(load_model(path), target)
    except ExportFailed as error:
        terminal.say(f"{target.name}: not written: {error}", style="bold yellow")
        return False
    return True
