"""A run has one text of its task file: comments and layout may change, and another code is refused."""

from pathlib import Path

import pytest

from search.planning.task_text import is_same_code, read_code

TEXT = "def data():\n    return 1\n"


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    "other", ["# why\ndef data():\n\n    return 1  # one\n", "def data(): return 1\n", "def data():\n  return (1)\n"]
)
def test_comments_and_layout_make_no_other_code(other):
    assert is_same_code(TEXT, other)


@pytest.mark.parametrize("other", ["def data():\n    return 2\n", "def date():\n    return 1\n", "def data(:\n", ""])
def test_anything_else_does(other):
    assert not is_same_code(TEXT, other)


def test_the_runs_own_text_is_executed(tmp_path):
    file, recorded = write(tmp_path / "mine.py", f"# later\n{TEXT}"), write(tmp_path / "task.py", TEXT)
    assert read_code(str(file), recorded).text == TEXT
    assert read_code(str(file)).text.startswith("# later")


def test_another_code_is_refused_with_the_lines_that_differ(tmp_path):
    file, recorded = write(tmp_path / "mine.py", TEXT.replace("1", "2")), write(tmp_path / "task.py", TEXT)
    with pytest.raises(ValueError, match="another text") as refused:
        read_code(str(file), recorded)
    assert str(refused.value).splitlines()[-2:] == ["-    return 1", "+    return 2"]


def test_a_file_that_is_gone_is_not_replaced_by_the_runs_copy_unasked(tmp_path):
    """The copy may be from somebody else's bucket, and its text would be executed."""
    recorded = write(tmp_path / "task.py", TEXT)
    with pytest.raises(ValueError, match=r"no such file; the run's own copy is .*task\.py: read it, and pass task="):
        read_code(str(tmp_path / "gone.py"), recorded)
    with pytest.raises(ValueError, match=r"there is no such file$"):
        read_code(str(tmp_path / "gone.py"))


def test_a_file_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "mine.py").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match=r"mine\.py: cannot be read as text"):
        read_code(str(tmp_path / "mine.py"))
