"""The code of a user's task is executed once, travels as its text, and names the line of an error."""

import pickle
import sys

import pytest
from torch import nn

from spaces.goal import Custom
from spaces.own import Own
from trainables.task_code import TaskCode, TaskFileError

TEXT = """
from torch import nn
from spaces.goal import Custom

def space(choose):
    if choose.of("wide", [True, False]):
        return nn.Linear(4, choose.int("width", 1, 9))
    return "narrow"

def make():
    return nn.Linear(4, 2)

references = {"made": make, "a module": nn.Linear(1, 1), "broken": lambda: 1 / 0}
goal = Custom(loss=print, score=make)
"""


def own(name: str = "", **choices: bool | int) -> Own:
    return Own(tuple(choices.items()), (2,), num_params=10, num_macs=8, name=name)


def test_it_travels_as_its_text():
    code = TaskCode(TEXT, "task.py")
    assert isinstance(code.goal, Custom)
    travelled = pickle.loads(pickle.dumps(code))
    assert travelled == code
    assert "namespace" not in vars(travelled)
    assert travelled.goal == code.goal
    assert code.augment is None


def test_a_module_is_made_of_its_choices_or_by_its_name():
    code = TaskCode(TEXT, "task.py")
    for layer, size in ((own(wide=True, width=7), 7), (own("made"), 2)):
        module = code.make_module(layer)
        assert isinstance(module, nn.Linear)
        assert module.out_features == size
        assert code.make_module(layer) is not module


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (own(wide=False), r"^task.py: space\(\) gave str; expected a torch.nn.Module$"),
        (own("a module"), r'references\["a module"\] is a module; expected a function that makes a new one'),
        (own("broken"), r"^task.py, line 13: ZeroDivisionError: division by zero\n    references = "),
        (own(wide=True), r"^task.py, line 7: ValueError: width is missing\n    return nn.Linear"),
    ],
)
def test_what_cannot_be_made_is_the_users_error(layer: Own, message: str):
    with pytest.raises(TaskFileError, match=message):
        TaskCode(TEXT, "task.py").make_module(layer)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1\ny = x +", "^task.py, line 2: SyntaxError: invalid syntax\n    y = x [+]$"),
        ("x = 1\nimport nothing_of_this_name", "^task.py, line 2: ModuleNotFoundError: No module named"),
        ("x = 1\nraise SystemExit(3)", "^task.py, line 2: SystemExit: 3"),
    ],
)
def test_an_error_in_the_file_has_its_line(text: str, message: str):
    with pytest.raises(TaskFileError, match=message):
        _ = TaskCode(text, "task.py").namespace


def test_a_file_may_define_dataclasses_and_is_no_module_afterwards():
    text = (
        "from __future__ import annotations\nfrom dataclasses import dataclass\n@dataclass\nclass Size:\n    width: int"
    )
    before = set(sys.modules)
    assert TaskCode(text, "data.py").namespace["Size"](3).width == 3
    assert set(sys.modules) == before


def test_an_error_in_functions_that_were_given_in_python_has_its_line_too():
    def space(choose):
        return nn.Linear(4, "four")

    code = TaskCode("", "", {"space": space})
    with pytest.raises(TaskFileError, match=r"test_task_code\.py, line \d+: TypeError: .*\n    return nn.Linear"):
        code.make_module(own())


def test_a_shortage_of_memory_is_not_the_users_error():
    code = TaskCode("def space(choose): raise MemoryError", "task.py")
    with pytest.raises(MemoryError):
        code.make_module(own())


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"task=.*none\.py: cannot be read: .*No such file"):
        TaskCode.read(tmp_path / "none.py")
    path = tmp_path / "task.py"
    path.write_text(TEXT)
    assert TaskCode.read(path) == TaskCode(TEXT, str(path))
