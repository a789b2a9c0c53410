"""For a damaged or foreign run the command makes a report, or names the file and the damage in one paragraph."""

from __future__ import annotations

import os
import random
import shutil
import signal
from datetime import timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from results import analysis
from results.report.run_record import read_run
from results.rungs import rungs_below
from search import report
from tests.results.analysis.test_ablation import write_ablation
from tests.results.damage import damages
from tests.results.synthetic import FACTS, make_run, write_predictions, write_samples
from tests.waiting import HANG_SECONDS

SEED = int(os.environ.get("FAULTS_SEED", "20261121"))
MANY = 40
"""The number that is drawn from the thousand ways of each kind; another FAULTS_SEED draws others."""
KINDS = ("search", "images", "ablation")
LONGEST = 2_000
"""The maximum number of characters of a paragraph."""


@pytest.fixture(autouse=True)
def without_plotly_and_without_end(monkeypatch):
    monkeypatch.setattr("plotly.offline.get_plotlyjs", lambda: "")

    def hang(*_):
        raise TimeoutError("the report does not come to an end")

    before = signal.signal(signal.SIGALRM, hang)
    signal.setitimer(signal.ITIMER_REAL, HANG_SECONDS)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Path:
    """Writes a small run of each kind."""
    folder = tmp_path_factory.mktemp("runs")
    search, images = make_run(folder / "search", num_trials=14), make_run(folder / "images", num_trials=6)
    write_predictions(search, {"run": "search", "task": "tiny10k", **FACTS}, 0, num_images=30)
    (images / "predictions.parquet").unlink()
    write_samples(images)
    for name in ("config.yaml", "samples.npz"):
        shutil.copy(search / name, write_ablation(folder / "ablation") / name)
    return folder


class Damaged:
    """A copy of a run that is damaged in one way at a time."""

    def __init__(self, whole: Path, folder: Path) -> None:
        self.whole, self.folder = whole, folder
        self._restore()
        self._ways = list(damages(folder))

    def __len__(self) -> int:
        return len(self._ways)

    def damage(self, number: int) -> str:
        """Restores the copy, and damages it in the way of this number. Returns the way's name."""
        self._restore()
        name, change = self._ways[number]
        change()
        return name

    def _restore(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        shutil.copytree(self.whole, self.folder, ignore=shutil.ignore_patterns("report.html"))


@pytest.fixture
def damaged(runs, tmp_path, kind) -> Damaged:
    return Damaged(runs / kind, tmp_path / kind)


def check_command(folder: Path, name: str, capsys) -> None:
    code = report.main([f"run={folder.name}", f"runs_dir={folder.parent}"])
    output = capsys.readouterr().err
    assert code in (0, 2), (name, output)
    assert (code == 0) == (folder / "report.html").is_file(), name
    if code == 2:
        assert str(folder) in output, (name, output)
        assert len(output) < LONGEST, (name, output)
        assert len(output.strip().splitlines()) == 1, (name, output)


@pytest.mark.parametrize("kind", KINDS)
def test_a_report_or_one_paragraph_comes_of_a_run_that_is_damaged(damaged, capsys, kind):
    """Tries a few of the ways, drawn anew when the ways change; `make test-faults` tries many."""
    for number in random.Random(kind).sample(range(len(damaged)), 4):
        check_command(damaged.folder, damaged.damage(number), capsys)


@pytest.mark.faults
@pytest.mark.parametrize("kind", KINDS)
def test_a_report_or_one_paragraph_comes_of_many_damages(damaged, capsys, kind):
    for number in random.Random(f"{kind} {SEED}").sample(range(len(damaged)), MANY):
        check_command(damaged.folder, damaged.damage(number), capsys)


@pytest.mark.parametrize("kind", ["search", "images"])
def test_a_damaged_run_is_read_or_refused_by_the_name_of_its_file(damaged, kind):
    """Tries a few of the ways, evenly spaced."""
    messages = {}
    for number in range(3, len(damaged), 120):
        name = damaged.damage(number)
        try:
            read_run(damaged.folder)
        except ValueError as error:
            messages[name] = str(error)
    assert messages
    places = {name: (str(damaged.folder), name.split()[0]) for name in messages}  # a file's name is the first word
    assert [messages[name] for name, parts in places.items() if not all(part in messages[name] for part in parts)] == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("reduction_factor: 1", "reduction_factor=1: must be 2 or more"),
        ("reduction_factor: many", "reduction_factor=many: expected a whole number"),
        ("max_epochs: -3", "max_epochs=-3.0: must be above 0"),
        ("max_epochs: .nan", "max_epochs=nan: expected a finite number"),
        ("objective: {direction: sideways}", "expected one of [maximize, minimize]"),
        ("objective: accuracy", "objective: expected names with values"),
        ("fix: {a: {b: c}}", "fix.a: expected a number"),
        ("- a\n- b", "it has no names with values"),
        ("a: " + "[" * 5_000, "not the configuration of a run, or damaged"),
    ],
)
def test_a_mistyped_configuration_is_told_by_its_key(runs, tmp_path, text, message):
    folder = shutil.copytree(runs / "search", tmp_path / "run")
    (folder / "config.yaml").write_text(text)
    with pytest.raises(ValueError, match=r"config\.yaml: ") as raised:
        read_run(folder)
    assert message in str(raised.value)


def change(path: Path, column: str, value) -> None:
    table = pq.read_table(path)
    place = table.schema.get_field_index(column)
    column_type = table.schema.field(place).type
    changed = pa.array([value, *table[column].to_pylist()[1:]], column_type)
    pq.write_table(table.set_column(place, table.schema.field(place), changed), path)


@pytest.mark.parametrize(
    ("table", "column", "value", "message"),
    [
        ("leaderboard", "status", "DONE", "status is 'DONE'; expected one of COMPLETE"),
        ("leaderboard", "num_params", None, "column num_params has no value in 1 of 15 rows"),
        ("leaderboard", "train_seconds", -1.0, "column train_seconds has -1.0; expected 0 to 1e+100"),
        ("curves", "step", None, "column step has no value"),
        ("finalists", "seed", -1, "column seed has -1; expected 0 to"),
        ("predictions", "label", None, "column label has no value"),
    ],
)
def test_a_value_that_no_run_writes_is_told_by_its_column(runs, tmp_path, table, column, value, message):
    folder = shutil.copytree(runs / "search", tmp_path / "run")
    change(folder / f"{table}.parquet", column, value)
    with pytest.raises(ValueError, match=f"{table}.parquet is damaged, or not a table of a run: ") as raised:
        read_run(folder)
    assert message in str(raised.value)


def test_a_number_that_is_not_finite_is_one_that_is_missing(runs, tmp_path):
    folder = shutil.copytree(runs / "search", tmp_path / "run")
    for value in (np.nan, np.inf, -np.inf):
        change(folder / "leaderboard.parquet", "score", value)
        assert read_run(folder).leaderboard["score"].isna().sum() == 1


def test_no_arrays_are_unpacked_that_together_are_larger_than_pictures(runs, tmp_path, monkeypatch):
    folder = shutil.copytree(runs / "search", tmp_path / "run")
    monkeypatch.setattr("results.report.run_samples._MAX_BYTES", 100_000)
    np.savez_compressed(folder / "samples.npz", input_0=np.zeros(100_000, np.uint8))
    with pytest.raises(ValueError, match=r"samples\.npz: .*take more than 100,000 bytes"):
        read_run(folder)


def test_a_trial_that_ended_before_it_began_took_no_time(runs):
    """Clocks of two machines can differ so; the other trials' time stays."""
    board = read_run(runs / "search").leaderboard
    whole = analysis.slot_time(board)
    board.loc[0, "ended_at"] = board.loc[0, "started_at"] - timedelta(days=3)
    times, slots = analysis.slot_time(board), analysis.max_concurrent(board)
    assert (times[["training", "rest"]].to_numpy() >= 0).all()
    assert times["rest"].sum() == pytest.approx(whole["rest"].sum(), abs=1)
    assert slots >= 1


@pytest.mark.parametrize(("grace", "factor"), [(1, 1), (0, 3), (1, 0), (1, -2), (float("nan"), 3)])
def test_rungs_that_never_end_are_refused(grace, factor):
    with pytest.raises(ValueError, match="a factor above 1"):
        rungs_below(9, grace, factor)
