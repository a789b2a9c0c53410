"""Runs in a bucket: newer files are fetched, tables are read in place, and a missing bucket is reported."""

import io
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

import results
from results import bucket, tables
from results.bucket import Remote
from results.fetch import download, fetch_run, run_names
from results.locations import user_facing_path, working_folder
from results.schema import CURVES
from search import report
from tests.results.bucket import URL
from tests.results.synthetic import make_run

ROOT = Path(__file__).parents[2]


def put(run: str, **files: bytes) -> None:
    """Puts a run's files into the bucket. In a name, __ is a slash, j the journal, and s__j a study's journal."""
    for name, content in files.items():
        Remote(f"{URL}/{run}").send(real(name), io.BytesIO(content))


def lay(folder: Path, **files: bytes) -> None:
    for name, content in files.items():
        (folder / real(name)).parent.mkdir(parents=True, exist_ok=True)
        (folder / real(name)).write_bytes(content)


def real(name: str) -> str:
    return "/".join("journal.log" if part == "j" else part for part in name.split("__"))


def contents(folder: Path) -> dict[str, bytes]:
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != ".lock"]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


class TestPlaces:
    def test_a_bucket_s_runs_are_worked_on_in_the_user_s_cache_and_shown_by_their_url(self, monkeypatch, tmp_path):
        monkeypatch.delenv("FRUGAL_WORK_DIR", raising=False)
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        folder = working_folder("s3://b/c/d")
        assert folder == tmp_path / "frugal" / "remote-runs" / "s3" / "b" / "c" / "d"
        assert user_facing_path(folder / "a" / "report.html") == "s3://b/c/d/a/report.html"
        monkeypatch.setenv("FRUGAL_WORK_DIR", str(tmp_path / "else"))
        assert working_folder("gs://b") == tmp_path / "else" / "gs" / "b"
        assert user_facing_path(tmp_path / "else" / "gs" / "b") == "gs://b"

    def test_any_other_place_is_itself(self):
        assert working_folder("results/runs") == Path("results/runs")
        assert user_facing_path(Path("results/runs/a")) == "results/runs/a"
        assert fetch_run("results/runs", "no-such-run") == Path("results/runs/no-such-run")

    @pytest.mark.parametrize(
        "url", ["s3://", "s3:///a", "s3://a//b", "s3://a/../b", "s3://me:secret@a", "s3://a/b?c=d"]
    )
    def test_a_url_that_names_no_bucket(self, url):
        with pytest.raises(ValueError, match=r"expected s3://BUCKET/FOLDER; credentials and AWS_ENDPOINT_URL belong"):
            working_folder(url)

    def test_a_scheme_that_is_not_known(self):
        with pytest.raises(ValueError, match=r"hdfs:// is not supported; a bucket is s3://BUCKET/FOLDER or gs://"):
            results.load("tiny10k", "hdfs://a/b")


class TestFetching:
    def test_a_run_that_is_only_in_the_bucket_is_fetched(self, served):
        put("a", j=b"1\n2\n", confirmation__j=b"x\n", models__best=b"m", checkpoints__3=b"c")
        folder = fetch_run(URL, "a")
        assert contents(folder) == {
            "journal.log": b"1\n2\n",
            "confirmation/journal.log": b"x\n",
            "models/best": b"m",
            "checkpoints/3": b"c",
        }
        assert run_names(URL) == ["a"]

    def test_a_run_that_is_nowhere_has_no_folder(self, served):
        assert not fetch_run(URL, "a").exists()

    @pytest.mark.parametrize(
        ("here", "there"),
        [
            ({"j": b"1\n"}, {"j": b"1\n2\n"}),
            ({"j": b"1\n2", "old": b"gone"}, {"j": b"1\n2\n3\n"}),
            ({"j": b"1\n"}, {"j": b"1\n", "s__j": b"x\n"}),
            ({"table": b"old"}, {"j": b"1\n"}),
            ({}, {"table": b"new"}),
        ],
    )
    def test_where_the_bucket_has_more_it_is_fetched_and_what_is_not_there_goes(self, served, here, there):
        put("a", **there)
        lay(working_folder(URL) / "a", **here)
        assert contents(fetch_run(URL, "a")) == {real(name): content for name, content in there.items()}

    @pytest.mark.parametrize(
        ("here", "there"),
        [
            ({"j": b"1\n2\n"}, {"j": b"1\n"}),
            ({"j": b"1\n2\n"}, {"j": b"1\n2\n"}),
            ({"j": b"1\n2\n3"}, {"j": b"1\n2\n"}),
            ({"j": b"1\n", "s__j": b"x\n"}, {"j": b"1\n"}),
            ({"j": b"1\n"}, {"config": b""}),
            ({"j": b"1\n"}, {}),
        ],
    )
    def test_where_there_is_more_here_it_is_kept(self, served, here, there):
        put("a", table=b"theirs", **there)
        lay(working_folder(URL) / "a", table=b"ours", **here)
        expected = {real(name): content for name, content in {"table": b"ours", **here}.items()}
        assert contents(fetch_run(URL, "a")) == expected

    @pytest.mark.parametrize(
        ("here", "there"),
        [
            ({"j": b"1\n2\n"}, {"j": b"1\n3\n"}),
            ({"j": b"1\n2\n"}, {"j": b"1\n", "s__j": b"x\n"}),
        ],
    )
    def test_runs_that_have_diverged_are_left_untouched(self, served, here, there):
        put("a", **there)
        lay(working_folder(URL) / "a", **here)
        with pytest.raises(ValueError, match=r"run=a: the local copy, in .*, and the run at s3://.*/a have diverged"):
            fetch_run(URL, "a")
        assert contents(working_folder(URL) / "a") == {real(name): content for name, content in here.items()}

    def test_what_a_process_here_is_running_is_ahead(self, served):
        put("a", j=b"1\n2\n")
        folder = working_folder(URL) / "a"
        lay(folder, j=b"1\n")
        program = (
            "import fcntl, sys; lock = open(sys.argv[1], 'w'); fcntl.flock(lock, fcntl.LOCK_EX);"
            "print('held', flush=True); sys.stdin.read()"
        )
        command = [sys.executable, "-c", program, str(folder / ".lock")]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        with subprocess.Popen(command, text=True, **pipes) as holder:  # type: ignore[call-overload]
            assert holder.stdout.readline() == "held\n"
            assert contents(fetch_run(URL, "a")) == {"journal.log": b"1\n"}
            holder.communicate()
        assert contents(fetch_run(URL, "a")) == {"journal.log": b"1\n2\n"}

    def test_one_that_is_cut_short_is_begun_again(self, served):
        put("a", j=b"1\n", a=b"1", b=b"2", c=b"3")
        folder = working_folder(URL) / "a"
        (folder / "b").mkdir(parents=True)  # blocks a file's path
        with pytest.raises(ValueError, match=r"s3://.*/a: .*Is a directory"):
            fetch_run(URL, "a")
        assert not (folder / "journal.log").exists()
        (folder / "b").rmdir()
        assert sorted(contents(fetch_run(URL, "a"))) == ["a", "b", "c", "journal.log"]

    def test_what_is_half_written_or_hidden_is_no_part_of_a_run(self, served):
        put("a", j=b"1\n")
        for name in (".lock", "x.part", ".tune/y"):
            Remote(f"{URL}/a").send(name, io.BytesIO(b"z"))
        lay(working_folder(URL) / "a", mine=b"m")
        (working_folder(URL) / "a" / ".hidden").write_bytes(b"h")
        assert contents(fetch_run(URL, "a")) == {"journal.log": b"1\n", ".hidden": b"h"}


class TestReading:
    @pytest.fixture
    def there(self, served, runs) -> Path:
        """Sends a folder of runs to the bucket, and returns it."""
        for path in runs.rglob("*.parquet"):
            with path.open("rb") as file:
                Remote(URL).send(path.relative_to(runs).as_posix(), file)
        return runs

    @pytest.mark.parametrize("table", ["leaderboard", "curves", "finalists"])
    def test_tables_are_those_of_the_folder(self, there, table):
        for task in ("tiny10k", "digits", None):
            expected = results.load(task, there, table=table)
            pd.testing.assert_frame_equal(results.load(task, URL, table=table), expected)
        pd.testing.assert_frame_equal(
            results.load("tiny10k", f"{URL}/tiny10k-1"), results.load("tiny10k", there / "tiny10k-1")
        )

    def test_what_is_damaged_or_of_another_version_is_refused_by_its_url(self, there):
        put("tiny10k-1", **{"curves.parquet": b"nothing of the kind"})
        with pytest.raises(ValueError, match=f"{URL}/tiny10k-1/curves.parquet is not a Parquet file, or damaged"):
            results.load("tiny10k", URL, table="curves")
        other = there / "other.parquet"
        tables.write(CURVES.empty_table().replace_schema_metadata({"frugal": "curves 0"}), other)
        put("tiny10k-1", **{"curves.parquet": other.read_bytes()})
        with pytest.raises(ValueError, match=f"{URL}/tiny10k-1/curves.parquet holds .*, and this version of Frugal"):
            results.load("tiny10k", URL, table="curves")
        with pytest.raises(ValueError, match=f"{URL}/none.parquet: there is no such file"):
            tables.read(f"{URL}/none.parquet", "curves")

    def test_a_folder_that_is_not_there(self, served):
        with pytest.raises(ValueError, match=f"no runs at {URL}: there is no such folder; .* root= names another"):
            results.load("tiny10k", URL)

    def test_a_notebook_s_process_ends_well(self, there):
        code = f"import results; print(len(results.load('tiny10k', '{URL}')))"
        assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=True).stdout == b"8\n"

    def test_a_copy_of_a_file_or_of_some_of_a_folder_s(self, served):
        put("a", j=b"1\n", models__best=b"m", models__other=b"o")
        assert download(f"{URL}/a/models/best").read_bytes() == b"m"
        assert contents(download(f"{URL}/a", "journal.log", "/best")) == {"journal.log": b"1\n", "models/best": b"m"}
        assert user_facing_path(download(f"{URL}/a/models/best")) == f"{URL}/a/models/best"
        with pytest.raises(ValueError, match=f"{URL}/a/none: there is no such file, and no run"):
            download(f"{URL}/a/none")


class TestReports:
    @pytest.fixture
    def made(self, served, tmp_path) -> list[str]:
        """Puts two runs into the bucket, and returns their command line."""
        for name in ("a", "b"):
            folder = make_run(tmp_path / "made" / name, confirmed=False)
            for path in folder.rglob("*.*"):
                with path.open("rb") as file:
                    Remote(f"{URL}/{name}").send(path.relative_to(folder).as_posix(), file)
        return [f"runs_dir={URL}/"]

    def test_one_is_made_here_and_sent_there(self, made, capsys):
        assert report.main([*made, "run=a"]) == 0
        assert capsys.readouterr().out == f"{URL}/a/report.html\n"
        page = Remote(URL).read("a/report.html")
        assert page is not None
        assert f"search.confirm run=a runs_dir={URL}" in page.decode()

    def test_one_that_compares_several_lies_beside_them(self, made, capsys):
        assert report.main([*made, "run=[a,b]"]) == 0
        assert capsys.readouterr().out == f"{URL}/report-a-b.html\n"
        assert Remote(URL).read("report-a-b.html")

    def test_one_for_a_file_of_this_machine_stays_here(self, made, capsys, tmp_path):
        assert report.main([*made, "run=a", f"output={tmp_path / 'x.html'}"]) == 0
        assert capsys.readouterr().out == f"{tmp_path / 'x.html'}\n"
        assert Remote(URL).read("a/report.html") is None

    def test_of_a_run_that_is_not_there(self, made, capsys):
        assert report.main([*made, "run=c"]) == 2
        assert "there is no such run; runs here: a, b" in capsys.readouterr().err


class TestNoAnswer:
    def test_no_such_bucket(self, served):
        for ask in (lambda: fetch_run("s3://elsewhere/x", "a"), lambda: results.load("tiny10k", "s3://elsewhere")):
            with pytest.raises(ValueError, match=r"s3://elsewhere.*: there is no such bucket; create it first"):
                ask()

    def test_nobody_there(self, served):
        served.cut()
        with pytest.raises(ValueError, match=f"{URL}: no answer: .*[Cc]ould not connect"):
            results.load("tiny10k", URL)

    def test_silence(self, served, monkeypatch, silent):
        monkeypatch.setattr(bucket, "SILENT_SECONDS", 1.0)
        monkeypatch.setenv("AWS_ENDPOINT_URL", silent)
        with pytest.raises(ValueError, match=f"{URL}: no answer: .*[Tt]oo slow"):
            results.load("tiny10k", URL)

    def test_access_that_is_denied(self, served):
        served.ask("POST", "/moto-api/reset-auth", b"0")  # from now on it checks credentials
        with pytest.raises(
            ValueError, match=r"access is denied: .*For s3://, credentials are read from AWS_ACCESS_KEY_ID"
        ):
            results.load("tiny10k", URL)

    @pytest.fixture
    def silent(self) -> Iterator[str]:
        """Listens at an address that accepts connections and never answers."""
        import socket

        with socket.create_server(("127.0.0.1", 0)) as server:
            yield f"http://127.0.0.1:{server.getsockname()[1]}"
