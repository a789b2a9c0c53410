"""ONNX files of a run's models: written once, rewritten for a newer model, and named in a message on failure."""

import io
import os
from pathlib import Path

import pytest

from search.command_line.terminal import Terminal
from search.planning.config import parse
from search.runs.folder import RunFolder
from search.runs.onnx_models import write_onnx_models
from spaces.layers import Conv, Dense, GlobalPool
from spaces.network import Network
from spaces.recipe import Candidate, Recipe
from trainables import onnx_file
from trainables.build import build
from trainables.model import model_bytes

TINY = Candidate(Network((1, 8, 8), (Conv(2, 3), GlobalPool(), Dense(3))), Recipe())


@pytest.fixture
def folder(tmp_path) -> RunFolder:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "best.pt").write_bytes(model_bytes(TINY, build(TINY.network, 0).state_dict(), {}))
    return RunFolder(tmp_path)


def written(folder: RunFolder) -> tuple[bool, str]:
    text = io.StringIO()
    return write_onnx_models(folder, Terminal(text, width=200)), text.getvalue()


def test_each_model_has_its_file_which_is_written_once(folder, monkeypatch):
    is_whole, message = written(folder)
    assert is_whole
    assert "ONNX: 1 file written, each checked against PyTorch's output" in message
    path = folder.models / "best.onnx"
    first = path.stat().st_mtime_ns
    assert written(folder) == (True, "")
    assert path.stat().st_mtime_ns == first
    os.utime(folder.models / "best.pt", ns=(first + 10**9,) * 2)
    monkeypatch.setattr(onnx_file, "write_onnx", lambda model, path: path.write_bytes(b"again"))
    assert written(folder)[0]
    assert path.read_bytes() == b"again"


def test_what_cannot_be_written_is_named_and_the_others_are(folder, monkeypatch):
    def fail(model: object, path: Path) -> None:
        raise onnx_file.ExportFailed("differs by 0.1")

    monkeypatch.setattr(onnx_file, "write_onnx", fail)
    is_whole, message = written(folder)
    assert not is_whole
    assert "best.onnx: not written: differs by 0.1" in message


def test_it_is_refused_at_the_start_where_packages_are_missing(monkeypatch):
    monkeypatch.setattr(onnx_file, "PACKAGES", ("not_there_at_all",))
    with pytest.raises(ValueError, match="not_there_at_all"):
        parse(["export=onnx"])
    assert parse(["export=none"]).export.value == "none"
