"""One rule gives the folder of runs, for the commands that write them and for the code that reads them."""

from pathlib import Path

import pytest

import results
from results.report.run_record import RunRecord
from results.runs_at import VARIABLE, is_default, runs_at
from search import ablate, confirm, replay, report
from search import run as search
from search.planning.config import parse
from search.planning.resume import resume_command
from tests.results.synthetic import make_run

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _no_variable(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv(VARIABLE, raising=False)


@pytest.mark.parametrize(
    ("folder", "expected"), [(".", "results/runs"), ("results", "runs"), ("tests/results", "../../results/runs")]
)
def test_in_the_checkout_and_below_it_runs_are_the_checkouts(monkeypatch, folder: str, expected: str):
    monkeypatch.chdir(ROOT / folder)
    assert runs_at() == expected
    assert is_default(ROOT / "results" / "runs")


def test_elsewhere_they_lie_in_a_folder_that_is_called_like_no_package(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert runs_at() == "frugal-runs"
    assert is_default(tmp_path / "frugal-runs")
    assert is_default(ROOT / "results" / "runs", here=ROOT / "results")
    assert not is_default("frugal-runs", here=ROOT / "results")


def test_the_environment_wins_and_what_is_typed_wins_over_it(monkeypatch, tmp_path):
    monkeypatch.chdir(ROOT)
    for named, expected in [("x", "x"), ("~/x", str(Path.home() / "x")), ("s3://b/runs/", "s3://b/runs")]:
        monkeypatch.setenv(VARIABLE, named)
        assert (runs_at(), is_default(expected)) == (expected, True)
        assert runs_at("other") == "other"
    monkeypatch.setenv(VARIABLE, "")
    assert runs_at() == "results/runs"


@pytest.mark.parametrize("named", ["{tmp}/file", "~nobody-of-this-name/x", "ftp://a/b", "s3://"])
def test_what_cannot_be_a_folder_of_runs_is_named_with_its_variable_unless_another_is_typed(
    monkeypatch, tmp_path, capsys, named: str
):
    (tmp_path / "file").touch()
    monkeypatch.setenv(VARIABLE, named.format(tmp=tmp_path))
    with pytest.raises(ValueError, match=named.format(tmp=tmp_path).split("://")[0]):
        results.load()
    assert search.main(["data=made"]) == 2
    assert VARIABLE in capsys.readouterr().err
    assert parse([f"runs_dir={tmp_path}"]).runs_dir == str(tmp_path)
    assert "runs_dir=" in resume_command(parse([f"runs_dir={tmp_path}"]))


def test_all_commands_and_load_use_it_and_printed_commands_leave_it_out(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    make_run(tmp_path / "frugal-runs" / "mine", num_trials=3, confirmed=False)
    assert set(results.load()["run"]) == {"mine"}
    assert parse(["run=mine", "data=made"]).runs_dir == "frugal-runs"
    assert report.main(["run=mine"]) == 0
    assert capsys.readouterr().out == "frugal-runs/mine/report.html\n"
    for main, arguments in [
        (confirm.main, ["run=other"]),
        (replay.main, ["run=other", "trial=0"]),
        (ablate.main, ["base=other", "vary=dropout", "values=[0]", "data=made"]),
    ]:
        assert main(arguments) == 2
        assert "frugal-runs" in capsys.readouterr().err
    assert "runs_dir" not in resume_command(parse(["run=mine", "data=made"]))
    record = RunRecord(Path("frugal-runs/mine"), results.load(), results.load(table="curves"))
    assert record.command("search.confirm") == "python -m search.confirm run=mine"
    monkeypatch.setenv(VARIABLE, "elsewhere")
    assert "runs_dir=frugal-runs" in resume_command(parse(["run=mine", "data=made", "runs_dir=frugal-runs"]))
    assert record.command("search.confirm").endswith("runs_dir=frugal-runs")


@pytest.mark.parametrize("main", [search.main, confirm.main, ablate.main, replay.main, report.main])
def test_help_shows_the_rule(main, capsys):
    assert main(["--help"]) == 0
    shown = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("  runs_dir"))
    for place in ("$FRUGAL_RUNS_DIR", "results/runs", "frugal-runs"):
        assert place in shown
