"""`results.load` of runs that were renamed, copied, damaged, or written by another version."""

import re
import shutil
import warnings
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import results
from results import tables
from results.report.run_record import read_run
from results.schema import CURVES, FINALISTS, LEADERBOARD, SCHEMAS, VERSION_KEY
from search import report
from tests.results.synthetic import make_run


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    return make_run(tmp_path_factory.mktemp("made") / "a", num_trials=6)


@pytest.fixture
def two(made, tmp_path) -> Path:
    """Returns a folder of two runs."""
    shutil.copytree(made, tmp_path / "runs" / "a")
    make_run(tmp_path / "runs" / "b", num_trials=4)
    return tmp_path / "runs"


def rewrite(path: Path, table: pa.Table, version: bytes) -> None:
    pq.write_table(table.replace_schema_metadata({VERSION_KEY: version}), path)


class TestNames:
    @pytest.mark.parametrize("table", ["leaderboard", "curves", "finalists", "predictions"])
    def test_a_run_is_called_as_its_folder_is(self, two, table):
        (two / "a").rename(two / "[new] name")
        assert set(results.load(root=two, table=table)["run"]) == {"[new] name", "b"}
        assert set(results.load(root=two / "[new] name", table=table)["run"]) == {"[new] name"}

    def test_also_where_the_folder_is_the_current_one(self, two, monkeypatch):
        (two / "a").rename(two / "c")
        monkeypatch.chdir(two / "c")
        for root in (".", "../c", "../c/"):
            assert set(results.load(root=root)["run"]) == {"c"}

    def test_its_report_and_its_record_call_it_so_too(self, two, capsys):
        (two / "a").rename(two / "c")
        run = read_run(two / "c")
        assert {run.name, *run.leaderboard["run"], *run.curves["run"]} == {"c"}
        assert run.finalists is not None
        assert set(run.finalists["run"]) == {"c"}
        assert len(run.fair) > 0
        assert report.main(["run=[c,b]", f"runs_dir={two}"]) == 0
        page = (two / "report-c-b.html").read_text(encoding="utf-8")
        assert '"name":"c"' in page
        assert '"name":"a"' not in page

    def test_a_run_within_a_run_has_a_name_of_its_own(self, two):
        make_run(two / "a" / "a", num_trials=2)
        make_run(two / "a" / "inner", num_trials=2)
        assert set(results.load(root=two / "a")["run"]) == {"a", "a/a", "inner"}
        assert set(results.load(root=two)["run"]) == {"a", "b"}


class TestCopies:
    @pytest.mark.parametrize("table", ["leaderboard", "curves", "finalists", "predictions"])
    def test_copies_are_distinguished_by_their_names_and_reported(self, two, table):
        shutil.copytree(two / "a", two / "copy of a")
        with pytest.warns(UserWarning, match=f"{two}/a and {two}/copy of a are copies of one run"):
            found = results.load(root=two, table=table)
        assert set(found["run"]) == {"a", "b", "copy of a"}

    def test_a_copy_that_was_extended_since_is_reported_too(self, two):
        shutil.copytree(two / "a", two / "longer")
        board = tables.read(two / "a" / "leaderboard.parquet", "leaderboard")
        tables.write(pa.concat_tables([board, board.slice(0, 1)]), two / "longer" / "leaderboard.parquet")
        with (two / "longer" / "journal.log").open("ab") as journal:
            journal.write(b"{}\n")
        with pytest.warns(UserWarning, match="are copies of one run"):
            results.load(root=two)

    def test_a_copy_of_the_tables_alone_is_reported_too(self, two):
        (two / "c").mkdir()
        (two / "a" / "journal.log").unlink()
        shutil.copy(two / "a" / "leaderboard.parquet", two / "c")
        with pytest.warns(UserWarning, match="are copies of one run"):
            results.load(root=two)

    def test_runs_that_only_look_alike_are_not_copies(self, two):
        make_run(two / "c", num_trials=4)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert set(results.load(root=two)["run"]) == {"a", "b", "c"}


def _without(name: str):
    return lambda path: rewrite(path, pq.read_table(path).drop_columns(name), b"leaderboard/1")


def _of_another_type(path: Path) -> None:
    table = pq.read_table(path)
    place = table.schema.get_field_index("score")
    rewrite(path, table.set_column(place, "score", pa.array(["high"] * len(table))), b"leaderboard/2")


def _twice(path: Path) -> None:
    table = pq.read_table(path)
    rewrite(path, table.append_column("score", table["score"]), b"leaderboard/2")


def _as_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


DAMAGES = {
    "cut short": lambda path: path.write_bytes(path.read_bytes()[:-9]),
    "empty": lambda path: path.write_bytes(b""),
    "garbage": lambda path: path.write_bytes(b"PAR1" + b"garbage" * 99 + b"PAR1"),
    "from the future": lambda path: rewrite(path, pq.read_table(path), b"leaderboard/9"),
    "no version": lambda path: rewrite(path, pq.read_table(path), b"?"),
    "another table": lambda path: rewrite(path, pq.read_table(path), b"curves/1"),
    "without a needed column": _without("trial"),
    "of another type": _of_another_type,
    "a column twice": _twice,
    "a folder": _as_a_folder,
}


@pytest.mark.parametrize("damage", DAMAGES)
class TestOneThatCannotBeRead:
    def test_is_named_in_a_warning_and_the_others_are_loaded(self, two, damage: str):
        DAMAGES[damage](two / "a" / "leaderboard.parquet")
        with pytest.warns(UserWarning, match=f"left out, .*{re.escape(str(two))}/a/leaderboard.parquet"):
            assert set(results.load("tiny10k", two)["run"]) == {"b"}
        with pytest.raises(ValueError, match=r"/a/leaderboard.parquet"):
            results.load(root=two / "a")
        DAMAGES[damage](two / "b" / "leaderboard.parquet")
        with pytest.raises(ValueError, match=r"/a/leaderboard.parquet.*1 more table cannot be read"):
            results.load(root=two)

    def test_is_named_and_left_out_of_a_comparison(self, two, damage: str, capsys):
        make_run(two / "c", num_trials=3, confirmed=False)
        DAMAGES[damage](two / "a" / "leaderboard.parquet")
        code = report.main(["run=[a,b,c]", f"runs_dir={two}", f"output={two / 'page.html'}"])
        output = capsys.readouterr()
        if damage == "a folder":
            assert (code, "has no leaderboard.parquet" in output.err) == (2, True)
            return
        assert code == 0
        assert f"NOTICE: left out of the comparison: {two}/a/leaderboard.parquet" in output.err
        assert "2 runs compared" in (two / "page.html").read_text(encoding="utf-8")


class TestAnOlderVersion:
    def test_is_read_and_what_it_did_not_have_is_null(self, two):
        path = two / "a" / "leaderboard.parquet"
        older = pq.read_table(path).drop_columns(["code_size", "dataset_origin"])
        rewrite(path, older, b"leaderboard/1")
        found = results.load(root=two / "a")
        assert list(found.columns)[: len(LEADERBOARD) - 1] == LEADERBOARD.names[:-1]
        assert found.columns[-1] == "candidate_json"
        assert found["dataset_origin"].isna().all()
        assert (found["code_size"].dtype, found["dataset_origin"].dtype) == (pd.Int64Dtype(), pd.StringDtype())
        assert set(results.load(root=two)["run"]) == {"a", "b"}
        assert report.main(["run=a", f"runs_dir={two}"]) == 0

    @pytest.mark.parametrize(("table", "schema"), [("curves", CURVES), ("finalists", FINALISTS)])
    def test_needs_few_columns(self, tmp_path, table, schema):
        needed = {"run": ["x"], "task": ["t"], "trial": [1], "step": [1], "seed": [0]}
        path = tmp_path / f"{table}.parquet"
        rewrite(path, pa.table({name: needed[name] for name in needed if name in schema.names}), f"{table}/1".encode())
        assert tables.read(path, table).schema.equals(schema, check_metadata=True)

    def test_a_newer_file_of_the_same_version_keeps_the_columns_that_are_not_known_here(self, two):
        path = two / "a" / "curves.parquet"
        table = pq.read_table(path)
        rewrite(
            path, table.append_column("joules", pa.array([1.0] * len(table))), SCHEMAS["curves"].metadata[VERSION_KEY]
        )
        assert "joules" in results.load(root=two, table="curves")
