"""The terminal shows texts unchanged, and tables that fit its width without cutting scores or names."""

import io
import os
import pty
import re
import sys
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest

from data.made.digits import load_made
from search import replay
from search.checkup.findings import Finding, Severity, print_findings
from search.cluster.connection import Slots
from search.cluster.slots import Nodes, Slot
from search.command_line.signals import Stop
from search.command_line.terminal import Column, NotebookView, Table, Terminal
from search.planning.config import parse
from search.planning.known_candidates import Base
from search.planning.plan import Plan
from search.planning.preview import space_table
from search.retraining.ablation import Ablation
from search.retraining.ablation_table import print_ablation
from search.retraining.confirmation import Confirmation, finalists_of
from search.retraining.confirmed_table import print_confirmed
from search.runs.study_tables import write_tables
from search.session.summary import print_summary
from search.study.study import Study
from search.trials.outcome import Outcome
from search.trials.progress import Progress
from tests.search import toy
from tests.search.command import ROOT, environment
from tests.search.pseudo_terminal import run_on_terminal

WIDTHS = (60, 80, 100, 120)
MARKUP = ("[red]x[/red]", "[/]", "a[b]", ":smile:", "[link=https://a.b]c[/link]", "\\[x]", "{x}", "<b>x</b>", "a  b")
LONG = "a-published-network-with-a-name-of-exactly-sixty-characters."
ESCAPE = "\x1b"


def printed(print_to, width: int | None) -> str:
    text = io.StringIO()
    print_to(Terminal(text, width))
    return text.getvalue()


def plan_of(folder: Path, *arguments: str) -> Plan:
    return Plan.of(parse(["run=a[b]", f"runs_dir={folder}", "data=made", "max_epochs=9", *arguments]))


def searched(folder: Path, name: str) -> Study:
    """Searches twelve trials and a reference, each with two further metrics."""
    study = toy.open_study(folder / "journal.log")
    candidate = study.suggest().candidate
    toy.train(study, 0, 9)
    number = study.add_reference(name, candidate, 1).number
    study.report(number, toy.report(1, 0.123456, finished=True, metrics={"psnr": 20.0, "rmse": 0.01}))
    toy.run(study, 11)
    return study


def leaderboard(folder: Path, name: str = "bertoldi"):
    plan, splits, study = plan_of(folder), load_made(), searched(folder, name)
    plan.folder.path.mkdir(parents=True)
    write_tables(study, plan.origin(splits), plan.folder.path, is_live=False)
    return lambda terminal: print_summary(
        terminal, plan, splits, study, Outcome(Stop()), best_model=None, test_reads="untouched"
    )


def confirmation(folder: Path, name: str = "bertoldi"):
    study = searched(folder, name)
    plans = Confirmation(plan_of(folder), load_made(), finalists_of(study), 2, 2)
    retrained = toy.open_study(folder / "retrained.log")
    for given_name, one in plans.given(retrained).items():
        number = retrained.add_reference(given_name, one.candidate, one.seed).number
        retrained.report(number, toy.report(1, 0.9 + number / 1000, finished=True))
    return lambda terminal: print_confirmed(terminal, plans, retrained)


def ablation(folder: Path, name: str = "bertoldi"):
    base = plan_of(folder).task.references["bertoldi"].candidate
    planned = Ablation.of(plan_of(folder), Base(name, base, {}), {"dropout": [0.0, 0.1], "pooling": ["average"]}, 2)
    splits = load_made()
    with planned.plan.folder.locked():
        study = planned.open_study(planned.plan, splits)
        for given_name, one in planned.job(splits).given.items():
            number = study.add_reference(given_name, one.candidate, one.seed).number
            study.report(number, toy.report(1, 0.9 + number / 1000, finished=True))
    session = SimpleNamespace(study=study, splits=splits)
    return lambda terminal: print_ablation(terminal, planned, session)  # type: ignore[arg-type]


TABLES = {leaderboard: ("trial", "score"), confirmation: ("finalist", "mean"), ablation: ("dropout", "mean")}
"""The functions that print tables, and the columns that always stay."""


def _cells(line: str) -> list[str]:
    return re.split(r"\s{2,}", line.strip())


def rows_of(text: str) -> list[str]:
    """Returns a table's lines, without the title above and the sentences below."""
    return [line for line in text.splitlines() if line.startswith(" ")]


@pytest.mark.parametrize("table", TABLES)
def test_a_narrow_table_has_some_of_the_wide_one_s_columns_each_of_them_whole(tmp_path, table):
    print_table = table(tmp_path)
    wide = [_cells(line) for line in rows_of(printed(print_table, None))]
    for width in WIDTHS:
        narrow = rows_of(printed(print_table, width))
        assert max(map(len, narrow)) <= width
        heads = " ".join(narrow[:3])  # of which the longest one may be wrapped
        assert all(name in heads for name in (wide[0] if width == 120 else TABLES[table]))
        if table is not ablation:  # its longest column is wrapped at words
            assert len(narrow) == len(wide)
            assert all(set(_cells(line)) <= set(cells) for cells, line in zip(wide, narrow, strict=True))


@pytest.mark.parametrize(("table", "score"), [(leaderboard, "0.1235"), (confirmation, "0.9035")])
def test_a_long_name_leaves_the_score_whole_and_loses_no_character(tmp_path, table, score):
    print_table = table(tmp_path, LONG)
    for width in WIDTHS:
        lines = rows_of(printed(print_table, width))
        assert max(map(len, lines)) <= width
        assert LONG in "".join(line.replace(score, "").strip() for line in lines)
        assert sum(score in line for line in lines) == 1


def test_columns_go_in_their_order_and_the_last_of_equals_first():
    columns = (Column("n", folds=True), Column("a", goes=2), Column("b", goes=1), Column("c", goes=1), Column("s"))
    table = Table(columns)
    table.add("n" * 10, "a" * 10, "b" * 10, "c" * 10, "0.5")
    shown = {
        width: "".join(sorted(set(printed(lambda terminal: terminal.show(table), width)) & set("nabc5")))
        for width in (65, 53, 52, 41, 40, 29, 28, 17)
    }
    assert list(shown.values()) == ["5abcn", "5abcn", "5abn", "5abn", "5an", "5an", "5n", "5n"]


@pytest.mark.parametrize("width", [None, 40, 120])
@pytest.mark.parametrize("name", MARKUP)
def test_no_text_is_markup(name, width):
    table = Table((Column(name, is_text=True), Column("score")), title=name)
    table.add(name, "0.5")

    def tell(terminal: Terminal) -> None:
        terminal.say(name)
        terminal.say((name, "bold"), f": {name}", style="red")
        terminal.show(table)

    lines = [line.strip() for line in printed(tell, width).splitlines()]
    assert lines[:3] == [name, f"{name}: {name}", name]
    assert [line.removesuffix(end).strip() for line, end in zip(lines[3:], ("score", "0.5"), strict=True)] == [name] * 2


def test_control_characters_are_shown_and_not_obeyed():
    table = Table((Column("a\x1b[2Jb\nc"),))
    table.add("a\x1b[2Jb\nc")
    lines = printed(lambda terminal: terminal.show(table), 80).splitlines()
    assert [line.strip() for line in lines] == ["a\\x1b[2Jb\\nc"] * 2
    assert printed(lambda terminal: terminal.say("a\x1b[31m\x07\r\nb"), 80) == "a\\x1b[31m\\x07\\x0d\nb\n"


def test_a_line_has_no_ends_of_ours_and_a_file_s_table_drops_nothing():
    path = "/" + "folder with spaces/" * 20
    assert printed(lambda terminal: terminal.say(path), 60) == f"{path}\n"
    table = Table(tuple(Column(f"column {number}", goes=number) for number in range(40)))
    table.add(*("x" * 20 for _ in range(40)))
    assert len(re.findall("x{20}", printed(lambda terminal: terminal.show(table), None))) == 40


@pytest.mark.parametrize("name", ["FORCE_COLOR", "CLICOLOR_FORCE", "TTY_COMPATIBLE", "TTY_INTERACTIVE"])
def test_no_variable_makes_a_terminal_of_a_file(monkeypatch, name):
    monkeypatch.setenv(name, "1")
    assert not Terminal(io.StringIO()).is_live
    assert printed(lambda terminal: terminal.say(("told", "bold"), style="red"), None) == "told\n"


@pytest.mark.parametrize(
    ("name", "text", "is_live"),
    [("TERM", "xterm", True), ("TERM", "dumb", False), ("TERM", "", False), ("TTY_COMPATIBLE", "0", False)],
)
def test_only_a_terminal_that_can_move_its_cursor_is_live(monkeypatch, name, text, is_live):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv(name, text)
    ours, its = pty.openpty()
    with open(ours, "rb", 0), open(its, "w") as file:
        terminal = Terminal(file)
        assert terminal.is_live == is_live
        terminal.say("told", style="red")
        assert (ESCAPE in os.read(ours, 100).decode()) == is_live


def test_an_output_that_has_no_middle_dot_gets_a_bar():
    ascii_only = io.TextIOWrapper(io.BytesIO(), "ascii")
    assert Terminal(ascii_only).joined(["a", "b"]) == "a | b"
    assert Terminal(io.StringIO()).joined(["a", "b"]) == "a · b"


@pytest.mark.parametrize("width", WIDTHS)
def test_the_live_view_has_the_best_and_the_time_left_in_lines_that_fit(tmp_path, monkeypatch, width):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("COLUMNS", raising=False)
    study = searched(tmp_path, LONG)
    for _ in range(3):
        study.suggest()
    slots = Slots(Slot(cpus=1, gpus=0), None, lambda: Nodes(up=[{"CPU": 2.0}]))
    ours, its = pty.openpty()
    with (
        open(ours, "rb", 0),
        open(its, "w") as file,
        Progress(Terminal(file, width), study, num_expected=20, slots=slots, max_epochs=9),
    ):
        shown = ""
        while "score" not in shown:
            shown += os.read(ours, 65536).decode()
    lines = [line.rstrip() for line in re.split(r"[\r\n]+", re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown))]
    assert max(map(len, lines)) <= width
    bar, *rest = [line for line in lines if line]
    assert set(bar) <= set("━╸╺")
    text = "\n".join(rest)
    assert re.search(r"^13/20 trials · 2 running( · |\n)1 waiting for nodes", text)
    assert re.search(r"best 0\.\d{4} \(trial \d+\)", text)
    assert re.search(r"about [\d.]+ s left", text)
    assert re.search(r"trial .*score", text)


def test_the_preview_s_space_fits(tmp_path):
    space = plan_of(tmp_path).space
    for width in WIDTHS:
        lines = rows_of(printed(lambda terminal: terminal.show(space_table(space)), width))
        assert max(map(len, lines)) <= width
        assert all(any(each.name in line for line in lines) for each in space.parameters)


def test_the_doctor_s_findings_are_lines_without_ends_of_ours(monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")
    finding = Finding(Severity.broken, "[red]node[/red]", "/" + "[b]/" * 40, "`ray stop` there :smile:")
    print_findings([finding], Terminal(), Counter())
    path = "/" + "[b]/" * 40
    assert capsys.readouterr().out == f"broken  [red]node[/red]  {path}: `ray stop` there :smile:\n"


@pytest.fixture(scope="module")
def on_80_columns(tmp_path_factory, cluster) -> tuple[Path, list[str]]:
    """Searches on a terminal of 80 columns. Returns the runs_dir, with brackets in its name, and all lines shown."""
    runs_dir = tmp_path_factory.mktemp("runs") / "[red]x[" / "]:smile:s"
    sizes = ("num_trials=2", "max_epochs=1", "train_examples=300", "val_examples=100", "confirm.top_k=1")
    command = [sys.executable, "-m", "search.run", cluster, "data=made", f"runs_dir={runs_dir}", "run=a[b]", *sizes]
    code, lines = run_on_terminal(
        [*command, "confirm.seeds=1"], 80, folder=ROOT, environment={**environment(), "FORCE_COLOR": "1"}
    )
    assert code == 0, "\n".join(lines)
    return runs_dir, lines


@pytest.mark.ray
@pytest.mark.tasks
def test_a_search_on_80_columns_shows_scores_and_names_whole(on_80_columns):
    runs_dir, lines = on_80_columns
    text = "\n".join(lines)
    assert re.search(r"^ +rank +trial +score +parameters", text, re.MULTILINE)
    assert re.search(r"^ +\d +bertoldi +0\.\d{4} +9,682", text, re.MULTILINE)
    assert re.search(r"^ +finalist +mean +", text, re.MULTILINE)
    assert re.search(r"^ +bertoldi +0\.\d{4} +", text, re.MULTILINE)
    assert re.search(r"^3/3 trials · .*best 0\.\d{4} \((trial \d|bertoldi)\)", text, re.MULTILINE)
    assert "…" not in text
    for line in lines:
        assert len(line) <= 80 or not line.startswith((" ", "━")), line
    assert f"run      {runs_dir}/a[b]" in lines
    assert f"report: {runs_dir}/a[b]/report.html" in lines


@pytest.mark.ray
@pytest.mark.tasks
def test_a_replay_s_texts_are_no_markup_either(on_80_columns, capsys):
    assert replay.main(["run=a[b]", "trial=0", f"runs_dir={on_80_columns[0]}"]) == 0
    assert "trial 0 of a[b]: " in capsys.readouterr().out


def test_a_notebook_shows_progress_in_one_output_and_takes_no_text_for_markup(monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda data, **options: shown.append((data, options)))
    table = Table([Column("trial")])
    table.add("<b>x</b> [red]")
    view = NotebookView(Terminal(io.StringIO(), 110))
    view.start()
    for num_done in (1, 2):
        view.show(num_done, 4, [f"{num_done}/4 <i>trials</i>"], table)
    view.stop()
    assert [options["update"] for _, options in shown] == [False, True]
    assert len({options["display_id"] for _, options in shown}) == 1
    last = shown[-1][0]
    assert "2/4 <i>trials</i>" in last["text/plain"]
    assert "<b>x</b> [red]" in last["text/plain"]
    assert "&lt;b&gt;x&lt;/b&gt; [red]" in last["text/html"]
    assert "<i>" not in last["text/html"]
