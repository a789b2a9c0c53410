"""The notebook is committed without outputs and runs from its first cell to its last."""

import nbformat
import pytest
from nbclient.exceptions import CellExecutionError

from tests.results.notebook import NOTEBOOK, execute
from tests.results.synthetic import make_run

FIGURES = (
    *("confirmed", "size", "macs", "curves", "rungs", "importance", "effects", "choices", "mistakes", "compare"),
)


def test_it_is_committed_without_outputs():
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    for cell in notebook.cells:
        assert cell.cell_type == "markdown" or (not cell.outputs and cell.execution_count is None)
    assert notebook.metadata.kernelspec.name == "python3"


def test_it_runs_on_a_folder_of_runs(tmp_path):
    for name, data in (("first", "one"), ("second", "another"), ("third", "one")):
        make_run(tmp_path / name, dataset_fingerprint=data, confirmed=name == "third")
    before = NOTEBOOK.read_bytes()
    cells = {cell.id: cell for cell in execute(NOTEBOOK, tmp_path).cells if cell.cell_type == "code"}
    streams = {output.name: output.text for output in cells["load"].outputs}
    assert streams["stdout"].startswith("third: ")
    assert (
        "not comparable with run third: run second (other examples of mnist, fingerprint another, here one)"
        in streams["stderr"]
    )
    assert "bertoldi" in cells["best"].outputs[0].data["text/html"]
    for name in FIGURES:
        assert list(cells[name].outputs[-1].get("data", ())) == ["application/vnd.plotly.v1+json"], name
    assert "not comparable with run third: run second (other examp" in cells["compare"].outputs[0].text
    compared = cells["compare"].outputs[-1].data["application/vnd.plotly.v1+json"]["data"]
    assert {trace.get("name") for trace in compared} == {None, "first", "third"}
    assert all(name in cells["runs"].outputs[0].data["text/html"] for name in ("first", "second", "third"))
    assert "adam" in cells["question"].outputs[0].data["text/html"]
    assert NOTEBOOK.read_bytes() == before


def test_it_says_what_to_do_without_a_run(runs):
    with pytest.raises(CellExecutionError, match=r"no run of digits yet: `python -m search\.run task=digits`"):
        execute(NOTEBOOK, runs, task="digits")
