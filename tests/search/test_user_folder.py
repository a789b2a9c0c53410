"""Frugal runs in a user's folder whose files have the names of Frugal's packages."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from results.runs_at import VARIABLE
from tests.search.command import ROOT, environment

PACKAGES = ("data", "results", "search", "spaces", "trainables")
USERS = "raise SystemExit('a file of the user was imported')\n"


def at(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Runs Python in a folder, with the checkout after it on sys.path, as in an installation."""
    variables = environment() | {"PYTHONPATH": str(ROOT)}
    variables.pop(VARIABLE, None)
    return subprocess.run([sys.executable, *command], cwd=folder, env=variables, capture_output=True, text=True)


def _folder(path: Path) -> None:
    (path / "images").mkdir(parents=True)


def _module(path: Path) -> None:
    path.with_suffix(".py").write_text(USERS)


def _package(path: Path) -> None:
    path.mkdir()
    (path / "__init__.py").write_text(USERS)


OTHERS = [name for name in PACKAGES if name != "search"]


@pytest.mark.parametrize(
    ("make", "names", "options"),
    [
        (_folder, PACKAGES, []),
        (_module, OTHERS, []),
        (_package, OTHERS, []),
        (_module, PACKAGES, ["-P"]),
        (_package, PACKAGES, ["-P"]),
    ],
)
def test_its_names_do_not_stand_in_the_way_of_a_command(tmp_path, make, names, options):
    for name in names:
        make(tmp_path / name)
    done = at(tmp_path, *options, "-m", "search.run", "--help")  # reads all tasks, so spaces, data and results too
    assert done.returncode == 0, done.stderr
    assert "tiny10k" in done.stdout


@pytest.mark.parametrize("code", ["import results; results.load", "import data.mnist, spaces.space, trainables.model"])
def test_its_folders_do_not_stand_in_the_way_of_an_import(tmp_path, code):
    for name in PACKAGES:
        _folder(tmp_path / name)
    done = at(tmp_path, "-c", code)
    assert done.returncode == 0, done.stderr


def test_its_data_py_does_not_stand_in_the_way_of_a_model(tmp_path):
    _module(tmp_path / "data")
    done = at(tmp_path, "-c", "import trainables.model, data.mnist; print(data.__file__)")
    assert done.stdout == f"{ROOT / 'data' / '__init__.py'}\n", done.stderr


def test_a_module_of_the_users_that_was_imported_before_is_named(tmp_path):
    (tmp_path / "data.py").touch()
    done = at(tmp_path, "-c", "import data, search.run")
    assert f"ImportError: {tmp_path}/data.py was imported as data, a name of Frugal's own packages" in done.stderr


def test_an_installation_holds_the_packages_as_plain_files_with_all_that_they_read():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    assert settings["package-dir"] == {"": "."}  # otherwise setuptools installs an import hook that runs last
    found = {path.parent.relative_to(ROOT).as_posix().replace("/", ".") for path in ROOT.glob("s*/**/__init__.py")}
    assert found <= {*settings["packages"]}
    patterns = settings["package-data"]["results"]
    read = [path for path in (ROOT / "results").iterdir() if path.suffix in (".css", ".js", ".ipynb")]
    assert [path.name for path in read if not any(path.match(pattern) for pattern in patterns)] == []


@pytest.mark.ray
@pytest.mark.tasks
def test_a_search_and_its_tables_from_a_folder_of_the_users(tmp_path, cluster):
    for name in PACKAGES:
        _folder(tmp_path / name)
    for name in OTHERS:
        _module(tmp_path / name)
    few = ["num_trials=2", "max_epochs=1", "train_examples=300", "val_examples=100", "references=false"]
    where = ["run=mine", "confirm.top_k=1", "confirm.seeds=1", "data=made", cluster]
    done = at(tmp_path, "-m", "search.run", "task=tiny10k", *few, *where)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "run      frugal-runs/mine\n" in done.stdout
    assert {path.name for path in tmp_path.iterdir() if path.suffix != ".py"} == {*PACKAGES, "frugal-runs"}
    _check_paths(tmp_path, done.stdout)
    for name in OTHERS:
        (tmp_path / f"{name}.py").unlink()
    code = "import results; print(len(results.load('tiny10k')), *results.load(table='finalists')['run'])"
    assert at(tmp_path, "-c", code).stdout == "2 mine\n"
    done = at(tmp_path, "-m", "search.report", "run=mine")
    assert done.stdout == "frugal-runs/mine/report.html\n", done.stderr


def _check_paths(folder: Path, output: str) -> None:
    """Checks that all files and folders in the output can be opened from the folder."""
    named = re.findall(r"(?:frugal-runs|/)[\w./-]+\.(?:parquet|ipynb|pt|html)", output)
    assert {Path(name).name for name in named} == {"leaderboard.parquet", "finalists.parquet", "report.html"} | {
        *("best.pt", "analysis.ipynb")
    }
    assert [name for name in named if not os.path.exists(folder / name)] == []
    runs = re.search(rf"{VARIABLE}=(\S+)\)", output)
    assert runs
    assert Path(runs[1]) == folder / "frugal-runs"
