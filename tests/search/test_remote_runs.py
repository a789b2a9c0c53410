"""Whole commands on runs in a bucket: cut off, killed, and resumed on a machine that has no files of the run."""

import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pytest

import results
from data.made.digits import load_made
from results.bucket import Remote
from results.fetch import fetch_run
from results.locations import working_folder
from search import ablate, confirm, predict, replay
from search.planning.config import parse
from search.planning.known_candidates import find_base
from search.planning.plan import Plan
from search.planning.resume import resume_command
from search.planning.warm_start import find_earlier
from search.runs.folder import find_run
from search.session.study import open_study
from search.tasks import find
from search.trials.job import search_job
from tests.faults.observed import wait_for
from tests.results.bucket import URL, Bucket
from tests.search import toy
from tests.search.command import ROOT, environment, start, timeless
from tests.search.unfinished import cut_short
from tests.waiting import HANG_SECONDS

SEARCH = ("task=tiny10k", "data=made", "run=a", "concurrency=1", "num_trials=8", "max_epochs=9", "grace_epochs=4")
QUICK = f"""
import sys
from results import bucket
from search import run
from search.runs import mirror
mirror.ROUND_SECONDS, bucket.SILENT_SECONDS = 0.3, {HANG_SECONDS}
sys.exit(run.main())
"""
"""The search command with a faster mirror, so that much happens in a short run."""


@pytest.fixture
def served(server) -> Bucket:
    server.mend()
    server.empty()
    return server


class Head:
    """A machine with a home of its own, on which the search of `SEARCH` is run."""

    def __init__(self, home: Path, address: str) -> None:
        self.home, self.address = home, address
        home.mkdir()

    @property
    def journal(self) -> Path:
        return self.home / "frugal" / "remote-runs" / URL.replace("://", "/") / "a" / "journal.log"

    @property
    def output(self) -> str:
        return (self.home / "output.txt").read_text()

    @contextmanager
    def started(self, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
        command = [sys.executable, "-c", QUICK, *SEARCH, f"runs_dir={URL}", self.address, *arguments]
        home = {"XDG_CACHE_HOME": str(self.home)}
        with (
            (self.home / "output.txt").open("w") as output,
            subprocess.Popen(command, cwd=ROOT, env=environment() | home, stdout=output, stderr=output) as process,
        ):
            try:
                yield process
            finally:
                process.kill()


@pytest.mark.faults
def test_a_run_cut_off_killed_and_resumed_elsewhere_equals_the_undisturbed_run(served, cluster, tmp_path):
    first, second = Head(tmp_path / "first", cluster), Head(tmp_path / "second", cluster)
    undisturbed = start(tmp_path, *SEARCH, cluster)
    with first.started("confirm.top_k=0", "report=false") as driver:

        def comes(condition) -> None:
            assert wait_for(lambda: condition() or driver.poll() is not None)
            assert condition(), first.output

        comes(lambda: num_records(Remote(f"{URL}/a").read("journal.log")) > 6)
        served.cut()
        comes(lambda: "cannot be reached" in first.output)
        here = num_records(first.journal.read_bytes())
        comes(lambda: num_records(first.journal.read_bytes()) > here + 2)
        served.mend()
        comes(lambda: "answers again" in first.output)
        sent = num_records(Remote(f"{URL}/a").read("journal.log"))
        comes(lambda: num_records(Remote(f"{URL}/a").read("journal.log")) > sent)
    assert driver.returncode == -9, first.output

    with second.started("confirm.top_k=0", "report=true") as driver:
        assert driver.wait(timeout=HANG_SECONDS) == 0, second.output
    assert f"run      {URL}/a, worked on in {second.journal.parent}" in second.output
    assert "continuing from their last checkpoint" in second.output
    assert f"report: {URL}/a/report.html" in second.output

    found = Remote(f"{URL}/a").files()
    assert {"config.yaml", "journal.log", "leaderboard.parquet", "models/best.pt", "report.html"} <= found.keys()
    assert not any("checkpoints/" in name for name in found)
    with undisturbed:
        assert undisturbed.wait(timeout=HANG_SECONDS) == 0
    for table in ("leaderboard", "curves"):
        expected = timeless(results.load("tiny10k", tmp_path, table=table))
        pd.testing.assert_frame_equal(timeless(results.load("tiny10k", URL, table=table)), expected)


def num_records(journal: bytes | None) -> int:
    return (journal or b"").count(b"\n")


class TestOtherCommands:
    """Commands find a run in a bucket on a machine that has no files of it; other tests cover their training."""

    @pytest.fixture
    def there(self, served, tmp_path, monkeypatch) -> str:
        """Sends a run `a` of three completed trials to the bucket. Returns the URL of the folder of runs."""
        monkeypatch.setenv("FRUGAL_WORK_DIR", str(tmp_path / "work"))
        plan = Plan.of(parse(["run=a", f"runs_dir={tmp_path}", "data=made", "max_epochs=3", "references=false"]))
        with plan.folder.locked():
            study = open_study(plan, load_made())
            for score in (0.5, 0.6, 0.7):
                trial = study.suggest()
                for step in (1, 2, 3):
                    study.report(trial.number, toy.report(step, score, finished=step == 3))
            search_job(plan, load_made()).write_tables(study, False)
        (plan.folder.path / "models").mkdir()
        (plan.folder.path / "models" / "best.pt").write_bytes(b"of a")
        for path in plan.folder.path.rglob("*.*"):
            if path.name != ".lock":
                with path.open("rb") as file:
                    Remote(URL).send(path.relative_to(tmp_path).as_posix(), file)
        return URL

    def test_a_search_goes_on_as_the_run_was_begun_and_names_the_bucket(self, there):
        config = parse([f"runs_dir={there}/", "run=a"])
        assert (config.max_epochs, config.references, config.runs_dir) == (3, False, there)
        assert Plan.of(config).folder.journal.exists()
        assert shlex.split(resume_command(config))[3:] == ["task=tiny10k", "run=a", f"runs_dir={there}"]

    def test_a_confirmation_resumes_with_the_original_settings(self, there):
        assert confirm.parse([f"runs_dir={there}", "run=a", "top_k=1"]).max_epochs == 3

    def test_a_replay_reads_its_journal(self, there, capsys):
        assert replay.main([f"runs_dir={there}", "run=a", "trial=7"]) == 2
        assert "the run a has trials 0 to 2" in capsys.readouterr().err

    def test_a_base_is_one_of_its_trials(self, there, capsys):
        assert find_base("a", find("tiny10k"), "random", there).name == "a/2"
        line = [f"runs_dir={there}", "data=made", "run=a", "base=a/0", "vary=dropout", "values=[0]"]
        assert ablate.main(line) == 2
        assert "the run of that name is not an ablation" in capsys.readouterr().err

    @pytest.mark.parametrize("place", [URL, f"{URL}/a", "a", f"{URL}/a/leaderboard.parquet"])
    def test_a_warm_start_takes_its_best(self, there, place):
        plan = Plan.of(parse([f"runs_dir={there}", "run=b", "data=made", "max_epochs=3", f"warm_start={place}"]))
        found = find_earlier(plan, print)
        assert [each.score for each in found] == [0.7, 0.6, 0.5]
        if not place.endswith(".parquet"):
            assert found[0].model is not None
            assert found[0].model.read_bytes() == b"of a"

    def test_a_run_is_no_warm_start_of_itself(self, there):
        messages: list[str] = []
        plan = Plan.of(parse([f"runs_dir={there}", "run=a", f"warm_start={there}"]))
        assert find_earlier(plan, messages.append) == []
        assert "The run continues without it" in messages[0]

    def test_a_model_is_applied_from_there(self, there, capsys, tmp_path):
        (tmp_path / "images").mkdir()
        line = [f"model={there}/a/models/best.pt", f"input={tmp_path / 'images'}"]
        assert predict.main(line) == 2
        assert "best.pt" in capsys.readouterr().err  # it is not a model, but it was found
        assert predict.main([f"model={there}/a/models/none.pt", f"input={tmp_path / 'images'}"]) == 2
        assert f"{there}/a/models/none.pt: there is no such file" in capsys.readouterr().err

    def test_a_run_that_is_not_there(self, there):
        with pytest.raises(ValueError, match=f"run=c: there is no such run in {there}; it has a"):
            find_run(there, "c")

    @pytest.mark.parametrize("run", ["run=a", "seed=1"])
    def test_a_bucket_that_does_not_answer_is_told_before_anything_else(self, there, served, run):
        served.cut()
        with pytest.raises(ValueError, match=f"{there}/.*: no answer: "):
            parse([f"runs_dir={there}", run])

    def test_what_was_not_sent_is_gone_on_with_here(self, there):
        folder = cut_short(working_folder(there)).rename(working_folder(there) / "b")
        assert fetch_run(there, "b") == folder
        assert parse([f"runs_dir={there}", "run=b"]).max_epochs == 3
