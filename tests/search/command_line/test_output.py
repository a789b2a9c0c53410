"""A command does its work even if its output is closed, full, unread, or of a limited encoding."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
WORK = r"""
import sys
from search.command_line.command import run_command

def work(place):
    with open(place[0], "w") as file:  # before anything is printed, as a run's journal is
        for number in range(2000):
            print("line", number, "\u00b7 \u5b57 \udce9")
        print("a warning", file=sys.stderr)
        file.write(f"done, as number {min(file.fileno(), 3)}")
    return 5

sys.exit(run_command("x", None, help_text=str, parse=list, work=work))
"""
C_LOCALE = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}


def outcome(folder: Path, redirection: str, **environment: str) -> tuple[int, bytes, str]:
    """Runs the work from a shell with a redirection. Returns the exit code, the output, and the written text."""
    (folder / "work.py").write_text(WORK)
    command = ["sh", "-c", f'{{ "$0" work.py result; echo $? > code; }} {redirection}', sys.executable]
    known = {name: text for name, text in os.environ.items() if name not in C_LOCALE and name != "PYTHONIOENCODING"}
    run = subprocess.run(
        command, cwd=folder, env={**known, "PYTHONPATH": str(ROOT), **environment}, capture_output=True, check=False
    )
    return int((folder / "code").read_text()), run.stdout + run.stderr, (folder / "result").read_text()


@pytest.mark.parametrize("redirection", [">&-", "<&- >&- 2>&-", "2>&1 | head -1", ">/dev/full", ">/dev/full 2>&1"])
def test_the_work_is_done_and_says_so_by_its_exit_code(tmp_path, redirection):
    if "full" in redirection and not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full")
    code, printed, result = outcome(tmp_path, redirection)
    assert (code, result) == (5, "done, as number 3")  # and not the number of what is closed
    assert b"Traceback" not in printed
    assert b"Error" not in printed
    assert (b"standard output could not be written: No space left" in printed) == (redirection == ">/dev/full")


@pytest.mark.parametrize(
    ("environment", "line"),
    [
        ({"PYTHONIOENCODING": "ascii"}, rb"line 0 \xb7 \u5b57 " + b"\xe9"),
        (C_LOCALE, rb"line 0 \xb7 \u5b57 " + b"\xe9"),
        ({"PYTHONIOENCODING": "utf-8"}, "line 0 · 字 ".encode() + b"\xe9"),
    ],
    ids=["ascii", "the C locale", "utf-8"],
)
def test_what_the_encoding_lacks_is_escaped_and_bytes_of_a_name_stay(tmp_path, environment, line):
    code, printed, _ = outcome(tmp_path, "", **environment)
    assert code == 5
    assert printed.splitlines()[0] == line


def test_a_program_without_output_streams_is_no_fault_either(monkeypatch, tmp_path):
    from search.command_line.command import run_command

    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    assert run_command("x", [], help_text=str, parse=list, work=lambda keys: print("told") or 0) == 0
    assert run_command("x", ["--help"], help_text=lambda: "help", parse=list, work=len) == 0
    assert sys.stdout is None


def test_an_escape_in_an_error_moves_no_cursor(capsys):
    from search.command_line.command import run_command

    def refuse(arguments: object) -> None:
        raise ValueError("no such file: \x1b[2J[red]x[/red]")

    assert run_command("x", [], help_text=str, parse=refuse, work=lambda keys: 0) == 2
    assert capsys.readouterr().err == "x: no such file: \\x1b[2J[red]x[/red]\n"
