"""Runs at gs://. Google's filesystem answers differently from S3's, which the other tests of buckets use."""

import io
from collections.abc import Iterator
from pathlib import Path

import pytest

import results
from results import bucket
from results.bucket import Remote
from results.fetch import fetch_run, run_names
from results.locations import working_folder
from search import run
from search.command_line.signals import Stop
from search.planning.config import parse
from search.planning.plan import Plan
from search.runs import mirror as module
from search.runs.mirror import mirrored
from tests.faults.observed import wait_for
from tests.results.google_bucket import URL, GoogleBucket, google_bucket
from tests.search.unfinished import contents, cut_short, place, write


@pytest.fixture
def google(tmp_path, monkeypatch) -> Iterator[GoogleBucket]:
    """Yields an empty bucket, with a working folder for the test."""
    monkeypatch.setenv("FRUGAL_WORK_DIR", str(tmp_path / "work"))
    with google_bucket(tmp_path / "google") as served:
        for name, value in served.environment.items():
            monkeypatch.setenv(name, value)
        yield served


@pytest.fixture
def quick(monkeypatch) -> None:
    monkeypatch.setattr(module, "ROUND_SECONDS", 0.1)
    monkeypatch.setattr(module, "LAST_SECONDS", 0.0)
    monkeypatch.setattr(bucket, "SILENT_SECONDS", 0.5)


def there(name: str = "a") -> dict[str, bytes | None]:
    remote = Remote(f"{URL}/{name}")
    return {name: remote.read(name) for name in remote.files()}


def test_what_is_sent_is_there_until_it_is_removed(google):
    remote = Remote(f"{URL}/a")
    assert remote.files() == {}
    assert remote.read("x") is None
    large = bytes(range(256)) * 50_000
    remote.send("x", io.BytesIO(b"1"))
    remote.send("models/y", io.BytesIO(large))
    remote.send("x", io.BytesIO(b"22"))
    assert there() == {"models/y": large, "x": b"22"}
    assert (remote.size("x"), remote.size("z")) == (2, None)
    remote.remove("x")
    remote.remove("x")
    assert list(remote.files()) == ["models/y"]
    remote.remove_all()
    assert remote.files() == {}


def test_a_cut_connection_costs_nothing_and_a_new_head_has_all(google, quick, tmp_path, monkeypatch):
    folder = cut_short(working_folder(URL))
    messages: list[str] = []
    with mirrored(*place(Plan.of(parse([f"runs_dir={URL}", "run=a", "data=made"]))), Stop(), messages.append) as mirror:
        assert mirror
        assert wait_for(lambda: "journal.log" in there())
        google.cut()
        write(folder, {"models/best.pt": b"meanwhile"})
        assert wait_for(lambda: mirror.behind)
        google.mend()
        assert wait_for(lambda: not mirror.behind)
    assert there() == contents(folder)
    assert [line.partition(" (")[0] for line in messages] == [
        f"{URL}/a: cannot be reached",
        f"{URL}/a: answers again; sending what is missing",
    ]
    assert "no answer: " in messages[0]
    assert run_names(URL) == ["a"]
    monkeypatch.setenv("FRUGAL_WORK_DIR", str(tmp_path / "other"))
    new = fetch_run(URL, "a")
    assert new.is_relative_to(tmp_path / "other")
    assert contents(new) == contents(folder)
    assert {path.stat().st_mtime_ns for path in new.glob("*.yaml")} == {Remote(URL).files()["a/config.yaml"].mtime_ns}


@pytest.mark.faults
def test_a_search_that_started_there_resumes_on_a_new_head(google, cluster, tmp_path, monkeypatch, capsys):
    line = ["task=tiny10k", "data=made", "run=a", "max_epochs=1", "references=false", "confirm.top_k=0", cluster]
    assert run.main([*line, f"runs_dir={URL}", "num_trials=1"]) == 0
    assert f"{URL}/a/leaderboard.parquet" in capsys.readouterr().out
    monkeypatch.setenv("FRUGAL_WORK_DIR", str(tmp_path / "other"))
    assert run.main([*line, f"runs_dir={URL}", "num_trials=2"]) == 0
    assert sorted(results.load("tiny10k", URL)["trial"]) == [0, 1]
    assert {"config.yaml", "journal.log", "models/best.pt", "report.html"} <= there().keys()


class TestNoAnswer:
    def test_no_such_bucket(self, google):
        with pytest.raises(ValueError, match="gs://elsewhere/a: there is no such bucket; create it first"):
            self.begin("gs://elsewhere")

    def test_nobody_there(self, google, quick):
        google.cut()
        with pytest.raises(ValueError, match=f"{URL}/a: no answer: .*[Cc]ould not connect"):
            fetch_run(URL, "a")

    def test_no_credentials(self, monkeypatch, quick, tmp_path):
        monkeypatch.delenv("STORAGE_EMULATOR_HOST", raising=False)
        monkeypatch.setenv("GCE_METADATA_HOST", "127.0.0.1:1")  # where Google's library looks for credentials
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
        with pytest.raises(ValueError, match=r"access is denied: no access token is available\. For s3:"):
            fetch_run("gs://some/where", "a")

    @pytest.mark.parametrize(
        ("code", "reason"),
        [
            ("PERMISSION_DENIED: Permanent error", "access is denied: x does not have storage.objects.list access. "),
            ("UNAUTHENTICATED: Permanent error", "access is denied: x does not have storage.objects.list access. "),
            ("DEADLINE_EXCEEDED: Retry policy exhausted", "no answer: x does not have"),
            ("INTERNAL: Permanent error", "INTERNAL: x does not have storage.objects.list access"),
        ],
    )
    def test_answers_that_no_emulator_gives_have_plain_messages(self, code, reason):
        text = f"google::cloud::Status({code}, with a last message of x does not have storage.objects.list access"
        assert bucket.describe_error(OSError(f"{text} error_info={{reason=forbidden, domain=global}})")).startswith(
            reason
        )

    def begin(self, runs_dir: str) -> None:
        cut_short(Path(working_folder(runs_dir)))
        with mirrored(*place(Plan.of(parse([f"runs_dir={runs_dir}", "run=a", "data=made"]))), Stop(), print):
            raise AssertionError("it has begun")
