"""A run has one text of its task file: comments and layout may change, and another code is refused."""

from pathlib import Path

import numpy as np
import pytest

from search.planning.keys import RunKeys
from search.planning.task_text import find_task, is_same_code, read_code
from search.tasks.own import assembling

TEXT = "def data():\n    return 1\n"
POINTS = """from __future__ import annotations
from dataclasses import dataclass
import numpy as np
from data import Splits

@dataclass
class Sizes:
    examples: int = 30

def data():
    x = np.load("points.npy")[: Sizes().examples]
    return Splits.of(x, x[:, 0] > 0)

if __name__ == "__main__":
    raise RuntimeError
"""


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


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current folder, with the data of POINTS."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    np.save("points.npy", np.linspace(-1, 1, 60).reshape(30, 2))
    return tmp_path


@pytest.mark.parametrize(
    "name", ["points.py", "my-points.py", "3points.py", "points.v2.py", "ein Ordner mit ä/meine Punkte ü.py"]
)
def test_a_file_may_have_any_name(folder, name):
    (folder / "sub").mkdir()
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text(POINTS)
    paths = [f"./{name}", f"./sub/../{name}", f"~/{name}", str(folder / name)]
    assert {find_task(RunKeys(task=path)).name for path in (name, *paths)} == {Path(name).stem}


@pytest.mark.parametrize("change", [lambda text: text.replace("\n", "\r\n"), lambda text: "\ufeff" + text])
def test_a_file_written_on_windows_is_the_same_code(folder, change):
    write(folder / "task.py", POINTS)
    (folder / "points.py").write_bytes(change(POINTS).encode())
    assert find_task(RunKeys(task="points.py")).name == "points"
    assert read_code("points.py", folder / "task.py").text == POINTS


def test_a_link_to_a_file_has_the_links_name(folder):
    write(folder / "points.py", POINTS)
    (folder / "link.py").symlink_to("points.py")
    assert find_task(RunKeys(task="link.py")).name == "link"


@pytest.mark.parametrize(
    ("task", "message"),
    [
        ("./sub", "it is a folder; expected a Python file, such as sub/my_task.py"),
        ("folder.py", "it is a folder; expected a Python file"),
        ("./points", r"there is no such file; did you mean task=\./points\.py"),
        ("points", r"there is no such task; did you mean task=points\.py"),
        ("./notes.ipynb", "expected a Python file, such as my_task.py"),
        ("./dead.py", "there is no such file$"),
        ("other", "there is no such task; there are .*digits, .* and task=FILE.py"),
        ("", "there is no such task; there are"),
    ],
)
def test_what_is_no_task_file_is_refused_with_what_is_right(folder, task, message):
    write(folder / "points.py", POINTS)
    write(folder / "notes.ipynb", "{}")
    (folder / "dead.py").symlink_to("nowhere")
    for name in ("sub", "folder.py"):
        (folder / name).mkdir()
    with pytest.raises(ValueError, match=f"^task={task}: {message}"):
        find_task(RunKeys(task=task))


def test_an_empty_file_lacks_data_and_one_with_null_bytes_is_no_code(folder):
    for text, message in (("", "it defines no data"), (f"{POINTS}\0", "SyntaxError: .*null bytes")):
        write(folder / "points.py", text)
        with pytest.raises(ValueError, match=rf"/points\.py: {message}"):
            find_task(RunKeys(task="points.py"))


def test_slow_data_are_announced_and_what_data_prints_is_printed(folder, capsys, monkeypatch):
    monkeypatch.setattr(assembling, "SLOW_SECONDS", 0.01)
    write(folder / "points.py", POINTS.replace("    x =", "    print('here'); import time; time.sleep(0.5)\n    x ="))
    find_task(RunKeys(task="points.py"))
    assert capsys.readouterr() == ("here\n", f"{folder}/points.py: waiting for data() ...\n")


def test_ctrl_c_in_data_ends_the_command_and_an_exit_is_the_files_error(folder):
    write(folder / "points.py", POINTS.replace("    x =", "    raise KeyboardInterrupt\n    x ="))
    with pytest.raises(KeyboardInterrupt):
        find_task(RunKeys(task="points.py"))
    write(folder / "points.py", POINTS.replace("    x =", "    raise SystemExit(3)\n    x ="))
    with pytest.raises(ValueError, match="line 11: SystemExit: 3"):
        find_task(RunKeys(task="points.py"))
