"""How many examples a search uses: a scale says how many at most, the user exactly how many."""

from __future__ import annotations

import io
from contextlib import redirect_stderr
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from data.made.digits import load_made
from data.splits import Dataset, Split, Splits
from search import tasks
from search.planning.config import parse
from search.planning.plan import Plan
from search.planning.resume import earlier
from search.replay import main as replay
from search.run import main as search
from search.session.study import open_study
from search.tasks import Scale
from tests.search.unfinished import contents, cut_short, line

LIMITED = Scale(num_trials=16, max_epochs=3, train_examples=2_000, val_examples=200)
"""Limits above the embedded 1,257 images for training, and below the 270 for validation."""


@pytest.fixture
def of_scale(monkeypatch: pytest.MonkeyPatch) -> None:
    """Gives the task digits, whose made data are the embedded digits, a scale with limits."""
    monkeypatch.setitem(tasks.FOUND, "digits", replace(tasks.find("digits"), laptop=LIMITED))


def plan(tmp_path: Path, *arguments: str) -> Plan:
    return Plan.of(parse(["task=digits", *line(tmp_path, *arguments)]))


@pytest.mark.parametrize("scale", ["laptop", "full"])
@pytest.mark.parametrize("name", tasks.names())
def test_few_examples_are_all_taken_by_every_task_at_every_scale(name: str, scale: str):
    """Uses 12 images for training and 10 for validation, of 10 classes."""
    x, y = np.zeros((12, 28, 28), np.uint8), np.arange(12) % 10
    few = Splits(name="few", origin="made", train=Split(x, y), val=Split(x[:10], y[:10]), test=Split(x, y))
    known = Plan.of(parse([f"task={name}", f"scale={scale}", "data=made"]))
    splits = replace(known, dataset=Dataset(name="few", original=lambda *_: few, made=lambda *_: few)).load_data(print)
    assert (len(splits.train), len(splits.val)) == (12, 10)


def test_a_scales_number_is_an_upper_limit_and_a_typed_one_is_exact(tmp_path, of_scale):
    splits = plan(tmp_path).load_data(print)
    assert (len(splits.train), len(splits.val)) == (1_257, 200)
    assert len(plan(tmp_path, "train_examples=300").load_data(print).train) == 300
    with pytest.raises(ValueError, match="train_examples=2000: sklearn-digits has 1,257"):
        plan(tmp_path, "train_examples=2000").load_data(print)


def test_what_was_used_is_recorded_and_only_what_was_typed_is_asked_for_again(tmp_path, of_scale):
    started = plan(tmp_path, "val_examples=100")
    splits = started.load_data(print)
    with started.folder.locked():
        open_study(started, splits)
    recorded = yaml.safe_load((tmp_path / "a" / "config.yaml").read_text())
    assert (recorded["train_examples"], recorded["val_examples"]) == (None, 100)
    assert (recorded["dataset"]["train_examples"], recorded["dataset"]["val_examples"]) == (1_257, 100)
    again = earlier(str(tmp_path), "a")
    assert again is not None
    assert (again.train_examples, again.val_examples) == (None, 100)


@pytest.mark.parametrize("arguments", [[], ["train_examples=1257"]])
def test_a_run_begun_with_its_scales_numbers_goes_on_also_where_they_are_typed(tmp_path, of_scale, nowhere, arguments):
    cut_short(tmp_path, "task=digits", splits=plan(tmp_path).load_data(print))
    assert "no Ray cluster answers there" in refused(tmp_path, nowhere, *arguments)


def test_a_run_goes_on_whose_configuration_has_its_scales_numbers_as_if_they_were_typed(tmp_path, monkeypatch, nowhere):
    """Earlier versions recorded a scale's numbers as exact ones."""
    enough = replace(LIMITED, train_examples=1_000)
    monkeypatch.setitem(tasks.FOUND, "digits", replace(tasks.find("digits"), laptop=enough))
    cut_short(tmp_path, "task=digits", splits=plan(tmp_path).load_data(print))
    config = tmp_path / "a" / "config.yaml"
    text = config.read_text()
    open_, typed = "\ntrain_examples: null\nval_examples: null\n", "\ntrain_examples: 1000\nval_examples: 200\n"
    assert open_ in text
    config.write_text(text.replace(open_, typed))
    assert "no Ray cluster answers there" in refused(tmp_path, nowhere)


def test_a_number_typed_in_an_earlier_session_that_is_no_longer_there_is_refused(tmp_path, nowhere, monkeypatch):
    cut_short(tmp_path, "train_examples=300", splits=load_made().limited(300))
    fewer = load_made().limited(200)
    monkeypatch.setattr("data.made.digits.load_made", lambda: fewer)
    monkeypatch.setitem(tasks.FOUND, "tiny10k", replace(tasks.find("tiny10k"), dataset=of(fewer)))
    assert "train_examples=300: sklearn-digits has 200 training examples" in refused(tmp_path, nowhere)


def test_fewer_data_than_a_run_was_begun_with_are_other_data_where_no_number_was_typed(
    tmp_path, of_scale, nowhere, monkeypatch, capsys
):
    cut_short(tmp_path, "task=digits", splits=plan(tmp_path).load_data(print))
    fewer = replace(tasks.find("digits"), dataset=of(load_made().limited(200)))
    monkeypatch.setitem(tasks.FOUND, "digits", fewer)
    errors = refused(tmp_path, nowhere)
    assert "train_examples was 1257, is now 200" in errors
    assert "dataset_fingerprint was" in errors
    assert replay([f"runs_dir={tmp_path}", "run=a", "trial=0"]) == 2
    assert "the run was trained on sklearn-digits" in capsys.readouterr().err


def of(splits: Splits) -> Dataset:
    return Dataset(name=splits.name, original=lambda *_: splits, made=lambda *_: splits)


def refused(runs_dir: Path, nowhere: str, *arguments: str) -> str:
    """Returns the message for resuming a run without a Ray, and checks that the folder is unchanged."""
    errors = io.StringIO()
    before = contents(runs_dir / "a")
    with redirect_stderr(errors):
        assert search(line(runs_dir, nowhere, *arguments)) == 2
    assert contents(runs_dir / "a") == before
    return errors.getvalue()
