"""Runs a notebook as a reader does, for tests here and for tests of a real search."""

import os
from pathlib import Path
from unittest import mock

import nbformat
from nbclient import NotebookClient

from tests.waiting import HANG_SECONDS

ROOT = Path(__file__).parents[2]
NOTEBOOK = ROOT / "results" / "analysis.ipynb"
PYTHON_API = ROOT / "examples" / "python_api.ipynb"


def execute(notebook: Path, runs_dir: Path, task: str = "tiny10k") -> nbformat.NotebookNode:
    """Returns the notebook with its outputs, run in a kernel of this interpreter on the runs in `runs_dir`.

    The file is not changed. Raises nbclient.exceptions.CellExecutionError if a cell fails.
    """
    # PYTHONPATH, so that it runs without an installation of the project; the notebook's first cell reads the others
    environment = {"FRUGAL_RUNS_DIR": str(runs_dir), "FRUGAL_TASK": task, "PYTHONPATH": str(ROOT)}
    content = nbformat.read(notebook, as_version=4)
    # "python3" is the kernel that ipykernel puts into every environment; it starts the interpreter in use.
    client = NotebookClient(
        content,
        kernel_name="python3",
        timeout=int(HANG_SECONDS),
        resources={"metadata": {"path": str(notebook.parent)}},
    )
    with mock.patch.dict(os.environ, environment):
        return client.execute()
