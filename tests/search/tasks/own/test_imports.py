"""A module beside a task file would be missing on the workers of other machines, so its import is refused."""

import sys

import pytest

from search.tasks.own.imports import check_imports
from trainables.task_code import TaskCode, TaskFileError

DATA = "def data(): ...\n"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with a module and a package, which is also the first entry of sys.path, as the current folder is."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "helper.py").touch()
    (tmp_path / "mine" / "parts").mkdir()
    (tmp_path / "mine" / "parts" / "blocks.py").touch()
    monkeypatch.setattr(sys, "path", [str(tmp_path / "mine"), *sys.path])
    return tmp_path / "mine"


@pytest.mark.parametrize(
    ("text", "line", "name"),
    [
        ("import helper\n", 1, "helper"),
        ("import numpy, helper as h\n", 1, "helper"),
        ("\nfrom helper import block\n", 2, "helper"),
        ("from . import helper\n", 1, "helper"),
        ("from parts.blocks import Block\n", 1, "parts"),
        ("def space(choose):\n    import helper\n", 2, "helper"),
        ("class A:\n    def data(self):\n        import helper\n", 3, "helper"),
    ],
)
@pytest.mark.parametrize("from_elsewhere", [True, False])
def test_a_module_beside_the_file_is_refused_with_what_to_do(folder, text, line, name, from_elsewhere, monkeypatch):
    if from_elsewhere:
        monkeypatch.setattr(sys, "path", ["/", *sys.path[1:]])
    message = rf"/mine/task\.py, line {line}: imports {name}, which is .*/mine/{name}.* install it as a package"
    with pytest.raises(TaskFileError, match=message):
        check_imports(TaskCode(text + DATA, str(folder / "task.py")))


def test_a_module_in_the_current_folder_is_refused_too(folder, monkeypatch):
    monkeypatch.chdir(folder)
    with pytest.raises(TaskFileError, match=r"imports helper, which is .*/mine/helper\.py"):
        check_imports(TaskCode(f"import helper\n{DATA}", "/elsewhere/task.py"))


@pytest.mark.parametrize(
    "text",
    [
        "import numpy\nimport sys\nimport os.path\nfrom data import Splits\nfrom spaces.goal import Regress\n",
        "def data():\n    import helper\n",
        "import absent\n",
        "import folder_of_data\n",
    ],
)
def test_what_is_installed_and_what_data_alone_imports_is_not_refused(folder, text):
    (folder / "data.py").touch()
    (folder / "sys.py").touch()
    (folder / "numpy").mkdir()
    (folder / "numpy" / "__init__.py").touch()
    (folder / "folder_of_data").mkdir()
    check_imports(TaskCode(text, str(folder / "task.py")))


def test_a_module_of_an_installed_project_may_lie_beside_the_file(folder, monkeypatch):
    """An editable installation puts the project's folder on sys.path, after the current folder."""
    monkeypatch.setattr(sys, "path", [*sys.path, str(folder)])
    check_imports(TaskCode(f"import helper\n{DATA}", str(folder / "task.py")))
