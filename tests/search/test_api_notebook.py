"""The notebook of the Python interface: committed without outputs, and run from its first cell to its last."""

import nbformat
import pytest

from tests.results.notebook import PYTHON_API, execute


def test_it_is_committed_without_outputs():
    notebook = nbformat.read(PYTHON_API, as_version=4)
    nbformat.validate(notebook)
    for cell in notebook.cells:
        assert cell.cell_type == "markdown" or (not cell.outputs and cell.execution_count is None)


@pytest.mark.ray
@pytest.mark.tasks
def test_it_runs_and_shows_progress_in_place(tmp_path):
    cells = {cell.id: cell for cell in execute(PYTHON_API, tmp_path).cells if cell.cell_type == "code"}
    started = cells["start"].outputs
    text = "".join(output.text for output in started if output.output_type == "stream")
    assert "10 best by validation accuracy" in text
    assert "elapsed" not in text
    [progress] = [output for output in started if output.output_type == "display_data"]
    assert "4/4 trials" in progress.data["text/plain"]
    assert progress.data["text/html"].startswith("<pre>")
    assert "4 trials, best" in started[-1].data["text/html"]
    assert "test_score" in cells["confirm"].outputs[-1].data["text/html"]
