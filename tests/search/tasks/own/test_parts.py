"""A task file defines parts by name; a part of another kind is refused with what is right."""

from pathlib import Path

import pytest

from search.tasks import Scale
from search.tasks.own.parts import OwnTask, parts_of
from spaces.goal import Regress
from trainables.task_code import TaskCode, TaskFileError

DATA = "def data(): ...\n"


def parts(text: str, name: str = "mine") -> OwnTask:
    return parts_of(TaskCode(text, str(Path("/folder", f"{name}.py"))))


def test_only_data_is_needed():
    found = parts(DATA)
    assert (found.name, found.sentence, found.goal, found.space, dict(found.references)) == ("mine", "", None, None, {})


def test_the_docstring_says_what_is_searched_for():
    assert parts(f'"""mine: the angle of a digit.\n\nMore.\n"""\n{DATA}').sentence == "the angle of a digit"
    assert parts(f'"""The angle of a digit"""\n{DATA}').sentence == "The angle of a digit"


def test_all_parts_are_read_by_their_names():
    text = (
        "from spaces.goal import Regress\nfrom search.tasks import Scale\n"
        "goal = Regress()\nmax_params = 9\nscale = Scale(num_trials=1, max_epochs=2)\naugment = False\n"
        "def space(choose): ...\ndef allowed(choices, cost): ...\n"
    )
    found = parts(text + DATA)
    assert (found.goal, found.max_params, found.augment) == (Regress(), 9, False)
    assert found.scale == Scale(num_trials=1, max_epochs=2)
    assert callable(found.space)
    assert callable(found.allowed)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "it defines no data; expected a function that returns Splits"),
        ("data = 3\n", "data = 3: expected a function that returns Splits"),
        (f"{DATA}goal = 'classify'\n", r"goal = 'classify': expected a goal, such as Classify\(\)"),
        (f"{DATA}from spaces.goal import Classify\ngoal = Classify\n", "goal = <class .*: expected a goal"),
        (f"{DATA}space = [1]\n", r"space = \[1\]: expected a function"),
        (f"{DATA}max_params = '9'\n", "max_params = '9': expected a whole number above 0"),
        (f"{DATA}max_params = 0\n", "max_params = 0: expected a whole number above 0"),
        (f"{DATA}max_macs = True\n", "max_macs = True: expected a whole number above 0"),
        (f"{DATA}references = []\n", r"references = \[\]: expected networks by name"),
        (f"{DATA}scale = 3\n", "scale = 3: expected Scale"),
        (f"{DATA}augment = 'yes'\n", "augment = 'yes': expected True, False, or a function"),
        (f"{DATA}max_param = 9\n", "max_param is no part of a task; did you mean max_params"),
        (f"{DATA}reference = dict()\n", "reference is no part of a task; did you mean references"),
        (f"{DATA}def spaces(choose): ...\n", "spaces is no part of a task; did you mean space"),
    ],
)
def test_a_mistake_is_named_with_what_is_right(text, message):
    with pytest.raises(TaskFileError, match=rf"/folder/mine\.py: {message}"):
        parts(text)


def test_the_name_of_a_task_of_frugals_is_taken():
    with pytest.raises(TaskFileError, match="digits is a task of Frugal's own; give the file another name"):
        parts(DATA, "digits")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def data(:\n", r"/folder/mine\.py, line 1: SyntaxError: "),
        (f"{DATA}import gone_away\n", r"/folder/mine\.py, line 2: ModuleNotFoundError: No module named 'gone_away'"),
        (f"{DATA}\n\nx = 1 / 0\n", r"/folder/mine\.py, line 4: ZeroDivisionError: division by zero\n    x = 1 / 0"),
    ],
)
def test_an_error_in_the_file_has_its_line(text, message):
    with pytest.raises(TaskFileError, match=message):
        parts(text)
