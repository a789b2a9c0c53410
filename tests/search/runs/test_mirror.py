"""The bucket's copy of a run: which files are sent, cut connections, and other writers of the same run."""

import io
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

import pytest

from results.bucket import Remote
from results.files import StorageError
from results.locations import working_folder
from search.command_line.signals import Stop
from search.planning.config import parse
from search.planning.plan import Plan
from search.runs import mirror as module
from search.runs.mirror import Mirror, mirrored
from tests.faults.observed import wait_for
from tests.results.bucket import URL, Bucket
from tests.search.runs.mirrors import fetched, mirror_of, there
from tests.search.unfinished import contents, cut_short, line, place, write


@pytest.fixture
def folder(served) -> Path:
    """Returns the folder of a run `a` with three trials that exists nowhere else yet."""
    return cut_short(working_folder(URL))


class TestWhatIsSent:
    def test_all_that_belongs_to_the_run(self, folder):
        expected = contents(folder)
        none_of_it = (".lock", ".tune/trials/x", "models/.best.pt.1f.part", ".leaderboard.parquet.1f.part", "y.part")
        write(folder, dict.fromkeys(none_of_it, b"x"))
        mirror_of(folder).send_changes()
        assert there() == expected
        assert {"config.yaml", "journal.log", "checkpoints/2.ckpt"} <= expected.keys()

    def test_no_record_that_is_half_written(self, folder):
        whole = (folder / "journal.log").read_bytes()
        write(folder, {"journal.log": whole + b'{"op_code":5,"wor'})
        mirror_of(folder).send_changes()
        assert there()["journal.log"] == whole

    def test_what_has_changed_and_nothing_else(self, folder):
        write(folder, {"models/best.pt": b"first", "report.html": b"first"})
        mirror = mirror_of(folder)
        mirror.send_changes()
        for name in ("models/best.pt", "report.html"):
            mirror.remote.send(name, io.BytesIO(b"changed there"))
        write(folder, {"models/best.pt": b"second"})
        mirror.send_changes()
        assert there()["models/best.pt"] == b"second"
        assert there()["report.html"] == b"changed there"

    def test_a_file_that_was_removed_here_is_removed_there(self, folder):
        mirror = mirror_of(folder)
        mirror.send_changes()
        (folder / "checkpoints" / "2.ckpt").unlink()
        mirror.send_changes()
        assert there() == contents(folder)

    def test_a_resumed_session_sends_no_fetched_file_and_removes_old_checkpoints(self, folder):
        write(folder, {"models/best.pt": b"m", "checkpoints/1.ckpt": b"1", "report.html": b"r"})
        mirror_of(folder).send_changes()
        write(folder, {"models/best.pt": b"m2"})
        (folder / "checkpoints" / "1.ckpt").unlink()
        (folder / "report.html").unlink()
        mirror_of(folder).send_changes()
        assert there() == contents(folder) | {"report.html": b"r"}, "made elsewhere, perhaps: it stays"
        new = fetched(folder.parent / "new")
        with ExitStack() as stack:
            assert mirror_of(new)._take(["models/best.pt", "config.yaml", "checkpoints/2.ckpt"], stack) == []


class TestTheConnection:
    @pytest.fixture
    def messages(self, monkeypatch) -> list[str]:
        monkeypatch.setattr(module, "ROUND_SECONDS", 0.05)
        monkeypatch.setattr(module, "LAST_SECONDS", 0.0)
        return []

    def test_a_cut_and_its_end_are_reported_once_each_and_nothing_is_missing(self, served, folder, messages):
        with mirrored(*place(plan()), Stop(), messages.append) as mirror:
            assert mirror
            assert wait_for(lambda: "journal.log" in there())
            served.cut()
            write(folder, {"models/best.pt": b"meanwhile"})
            assert wait_for(lambda: mirror.behind)
            write(folder, {"models/best.pt": b"later"})
            served.mend()
            assert wait_for(lambda: not mirror.behind)
            write(folder, {"report.html": b"at the end"})
        assert there() == contents(folder)
        assert len(messages) == 2
        assert messages[0].startswith(f"{URL}/a: cannot be reached (no answer: ")
        assert messages[0].endswith(f"the run continues in {folder} and is sent when the bucket answers again")
        assert messages[1] == f"{URL}/a: answers again; sending what is missing"

    def test_a_cut_at_the_end_loses_nothing_and_the_folder_is_named(self, served, folder, messages):
        with pytest.raises(StorageError) as error, mirrored(*place(plan()), Stop(), messages.append):
            self.cut(served, folder)
        assert str(error.value).startswith(f"{URL}/a: no answer: ")
        assert str(error.value).endswith(f"; only {folder} has the latest files")
        served.mend()
        with mirrored(*place(plan()), Stop(), messages.append):  # as the command that resumes does
            pass
        assert there() == contents(folder)

    def cut(self, served: Bucket, folder: Path) -> None:
        served.cut()
        write(folder, {"report.html": b"at the end"})

    @pytest.mark.parametrize("raised", [StorageError, RuntimeError])
    def test_the_error_that_ends_a_session_is_raised_and_its_work_is_sent(self, served, folder, messages, raised):
        with pytest.raises(raised, match="as it was"), mirrored(*place(plan()), Stop(), messages.append):
            self.write_and_raise(folder, raised("as it was"))
        assert there() == contents(folder)

    def write_and_raise(self, folder: Path, error: Exception) -> None:
        write(folder, {"report.html": b"at the end"})
        raise error

    def test_a_place_that_cannot_be_written_is_a_mistake_before_anything_begins(self, served, folder, messages):
        served.ask("POST", "/moto-api/reset-auth", b"0")
        with (
            pytest.raises(ValueError, match=f"{URL}/a: access is denied"),
            mirrored(*place(plan()), Stop(), messages.append),
        ):
            raise AssertionError("it has begun")

    def test_a_new_run_that_starts_with_a_mistake_leaves_nothing(self, served, folder, messages):
        with pytest.raises(ValueError, match="a mistake"), mirrored(*place(plan()), Stop(), messages.append):
            raise ValueError("a mistake")
        assert there() == {}
        mirror_of(folder).send_changes()
        with pytest.raises(ValueError, match="a mistake"), mirrored(*place(plan()), Stop(), messages.append):
            raise ValueError("a mistake")
        assert there() == contents(folder), "what was there before is no new run"

    def test_a_run_on_this_machine_has_none(self, tmp_path):
        with mirrored(*place(Plan.of(parse(line(tmp_path)))), Stop(), print) as mirror:
            assert mirror is None


def plan() -> Plan:
    return Plan.of(parse([f"runs_dir={URL}", "run=a", "data=made"]))


class TestAnotherWriter:
    @pytest.fixture
    def both(self, folder, tmp_path) -> tuple[Mirror, Mirror]:
        """Returns mirrors of the same run on two heads, at the same point."""
        mine = mirror_of(folder)
        mine.send_changes()
        return mine, mirror_of(fetched(tmp_path / "other"))

    def test_the_second_writer_stops(self, both):
        mine, others = both
        go_on(others.folder)
        others.send_changes()
        go_on(mine.folder)
        with pytest.raises(StorageError, match="another process writes this run, or has removed it"):
            mine.send_changes()
        go_on(others.folder)
        others.send_changes()
        assert there()["journal.log"] == (others.folder / "journal.log").read_bytes()

    def test_a_writer_whose_run_was_removed_stops(self, both):
        mine, _ = both
        mine.remote.remove_all()
        go_on(mine.folder)
        with pytest.raises(StorageError, match=r"journal\.log: has no bytes where \d+ were sent: another process"):
            mine.send_changes()

    def test_a_session_is_stopped_by_another_writer(self, both, monkeypatch):
        monkeypatch.setattr(module, "ROUND_SECONDS", 0.05)
        mine, others = both
        go_on(others.folder)
        others.send_changes()
        thread = threading.Thread(target=mine._run)
        go_on(mine.folder)
        thread.start()
        thread.join()
        assert mine.stop.is_due
        with pytest.raises(StorageError, match="another process"):
            mine.check()

    def test_a_run_that_was_resumed_elsewhere_is_not_overwritten(self, both):
        mine, others = both
        go_on(others.folder)
        others.send_changes()
        with pytest.raises(ValueError, match=f"{URL}/a: another process has just continued this run"):
            mirror_of(mine.folder)

    def test_a_lost_answer_is_not_taken_for_another_writer(self, folder):
        """The journal arrived, but its sender received an error."""

        class Deaf(Remote):
            def send(self, name: str, file: BinaryIO) -> None:
                super().send(name, file)
                if name == "journal.log":
                    raise OSError("no answer")

        mirror = mirror_of(folder, remote=Deaf(f"{URL}/a"))
        for _ in range(3):
            with pytest.raises(OSError, match="no answer"):
                mirror.send_changes()
            go_on(folder)
        mirror.remote = Remote(f"{URL}/a")
        mirror.send_changes()
        assert there() == contents(folder)


def go_on(folder: Path) -> None:
    with (folder / "journal.log").open("ab") as journal:
        journal.write(b'{"op_code":9,"by":"%d"}\n' % id(folder))
