"""The journal's file: a record is written whole or not at all, and any other file is left unchanged."""

import errno
import os
import re
from collections.abc import Callable
from pathlib import Path

import optuna
import pytest

from results.files import StorageError
from search.study.journal_file import cut_torn_line, num_whole_bytes, reading
from tests.search.toy import open_study, picture, report, run

RECORDS = b'{"op_code":0,"study_name":"toy"}\n{"op_code":2}\n'


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.log"


def failing(number: int) -> Callable[[int], None]:
    """Returns an os.fsync for a full disk, which may have written a part."""

    def fsync(descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    return fsync


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EDQUOT])
def test_a_disk_that_takes_no_more_leaves_the_file_as_it_was(path, monkeypatch, number: int):
    study = open_study(path)
    run(study, 1, last=2)
    before, expected = path.read_bytes(), picture(study)
    monkeypatch.setattr(os, "fsync", failing(number))
    with pytest.raises(StorageError, match=re.escape(f"{path}: cannot be written: {os.strerror(number)}")):
        study.suggest()
    assert path.read_bytes() == before
    assert picture(open_study(path)) == expected


def test_a_report_that_did_not_fit_comes_again_when_there_is_room(path, monkeypatch):
    study = open_study(path)
    number = study.suggest().number
    with monkeypatch.context() as full:
        full.setattr(os, "fsync", failing(errno.ENOSPC))
        with pytest.raises(StorageError):
            study.report(number, report(1, 0.5))
    again = open_study(path)
    assert again.trials[number].reports == []
    again.report(number, report(1, 0.5))
    assert len(open_study(path).trials[number].reports) == 1


@pytest.mark.parametrize("torn", [b"{", b'{"op_c', b'{"op_code":5,"wor', b'{"op_code":5}', b"\0", b"\0" * 99])
def test_a_torn_last_line_is_cut_off(path, torn: bytes):
    path.write_bytes(RECORDS + torn)
    assert num_whole_bytes(path) == len(RECORDS)
    assert path.read_bytes() == RECORDS + torn, "to look is not to touch"
    cut_torn_line(path)
    assert path.read_bytes() == RECORDS


@pytest.mark.parametrize(
    "content",
    [
        b"one line without an end",
        bytes(range(1, 256)),
        b"\0\0\0\1",
        RECORDS + b"text",
        RECORDS + b"text\n",
        RECORDS + b"\n",
        RECORDS + b'{"op_code":broken}\n',
        RECORDS + b'{"op_code":' + b"[" * 100_000 + b"\n",
        b"text\n" + RECORDS,
        RECORDS + b'["op_code"]\n' + RECORDS,
        RECORDS[1:],
    ],
)
def test_what_is_no_journal_is_named_and_not_touched(path, content: bytes):
    path.write_bytes(content)
    with pytest.raises(ValueError, match=re.escape(f"{path}: line ") + "[0-9] is damaged, or this is no journal"):
        cut_torn_line(path)
    assert path.read_bytes() == content


def test_nothing_is_made_of_a_journal_that_is_not_there(path):
    cut_torn_line(path)
    assert not path.exists()


def test_any_error_of_reading_is_the_files_fault_except_the_disks(path):
    expected = re.escape(f"{path}: the journal is damaged") + ".*KeyError: 'seed'"
    with pytest.raises(ValueError, match=expected), reading(path):
        raise KeyError("seed")
    with pytest.raises(StorageError), reading(path):
        raise StorageError("full")


class TestOtherJournals:
    def test_one_of_another_format_says_so(self, path):
        open_study(path)
        path.write_text(path.read_text().replace('"format":2', '"format":99'))
        with pytest.raises(ValueError, match="written in format 99; this version of Frugal reads format 2"):
            open_study(path)

    @pytest.mark.parametrize("name", ["toy", "other"])
    def test_a_study_of_optunas_is_not_gone_on_with(self, path, name: str):
        storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(path)))
        optuna.create_study(storage=storage, study_name=name).add_trial(optuna.trial.create_trial(value=1.0))
        before = path.read_bytes()
        with pytest.raises(ValueError, match="a journal of Optuna, but not of a run of Frugal; give another run="):
            open_study(path)
        assert path.read_bytes() == before

    def test_a_second_study_in_it_is_not_ours(self, path):
        run(open_study(path), 1)
        storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(path)))
        optuna.create_study(storage=storage, study_name="other")
        with pytest.raises(ValueError, match="not of a run of Frugal"):
            open_study(path)

    def test_a_study_that_was_killed_before_its_header_is_begun_again(self, path):
        run(open_study(path), 1)
        path.write_bytes(path.read_bytes().splitlines(keepends=True)[0])
        study = open_study(path)
        run(study, 1)
        assert picture(open_study(path)) == picture(study)
