"""For every task: two runs that differ in anything that changes what a score means are never compared."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

import results
from data.splits import Split, Splits
from results import plots
from results.conditions import Conditions
from results.report.pages import run_page
from results.report.run_record import read_run
from search import report, tasks
from search.planning.config import parse
from search.planning.plan import Plan
from search.session.study import open_study
from search.trials.job import search_job
from spaces.goal import Goal, Restore
from tests.search import toy

TASKS = [tasks.find(name) for name in tasks.names()]
Change = tuple[Plan, Splits]


@pytest.fixture(params=TASKS, ids=lambda task: task.name)
def task(request) -> tasks.Task:
    return request.param


def images(goal: Goal, num: int, seed: int) -> Split:
    """Returns a few small images, with labels or with images to restore."""
    x = np.random.default_rng(seed).integers(0, 256, (num, 4, 4), dtype=np.uint8)
    return Split(x, x if isinstance(goal, Restore) else np.arange(num) % 2)


def splits_of(task: tasks.Task, seed: int = 0) -> Splits:
    train, val, test = (images(task.goal, num, seed) for num in (40, 20, 10))
    return Splits(name="few", origin="made", train=train, val=val, test=test)


def plan_of(task: tasks.Task, folder: Path, run: str, *arguments: str) -> Plan:
    return Plan.of(parse([f"task={task.name}", "data=made", f"run={run}", f"runs_dir={folder}", *arguments]))


def changed_goals(goal: Goal) -> list[Goal]:
    """Returns the goal with each of its settings changed, and goals of other kinds."""
    settings = [field.name for field in dataclasses.fields(goal)]  # type: ignore[arg-type]
    changed = [dataclasses.replace(goal, **{name: getattr(goal, name) * 2}) for name in settings]  # type: ignore[type-var]
    return changed + [
        kind() for kind in Goal.kinds.values() if kind is not type(goal) and kind.__module__ == "spaces.goal"
    ]


def others(task: tasks.Task, folder: Path) -> dict[str, Change]:
    """Returns runs that each differ from the task's own run in one condition."""
    splits = splits_of(task)

    def same(run: str, *arguments: str) -> Plan:
        return plan_of(task, folder, run, *arguments)

    found = {
        "max_epochs": (same("max_epochs", f"max_epochs={same('x').max_epochs + 1}"), splits),
        "images": (same("images"), splits_of(task, seed=1)),
        "train_examples": (same("train_examples"), splits.limited(30)),
        "val_examples": (same("val_examples"), splits.limited(None, 15)),
        "test images": (same("test-images"), dataclasses.replace(splits, test=images(task.goal, 9, 2))),
    }
    for place, goal in enumerate(changed_goals(task.goal)):
        found[str(goal)] = (dataclasses.replace(same(f"goal-{place}"), goal=goal), splits)
    other = next(each for each in TASKS if each.name != task.name)
    found["task"] = (plan_of(other, folder, "task", f"max_epochs={same('x').max_epochs}"), splits)
    return found


def write(plan: Plan, splits: Splits) -> None:
    """Writes the run's journal and tables, with one completed trial."""
    with plan.folder.locked():
        study = open_study(plan, splits)
        trial = study.suggest()
        for step in range(1, plan.max_epochs + 1):
            study.report(trial.number, toy.report(step, 0.5, finished=step == plan.max_epochs))
        search_job(plan, splits).write_tables(study, False)


def test_runs_that_differ_in_what_a_score_means_are_never_compared(task, tmp_path):
    own = plan_of(task, tmp_path, "own"), splits_of(task)
    here = Conditions.of_row(own[0].origin(own[1]).columns())
    assert here.differences(Conditions.of_row(plan_of(task, tmp_path, "b").origin(splits_of(task)).columns())) == []
    for what, (plan, splits) in others(task, tmp_path).items():
        there = Conditions.of_row(plan.origin(splits).columns())
        assert len(there.differences(here)) == len(here.differences(there)) == 1, what
        began = Conditions.of_identity(plan.identity(splits).to_json())
        assert began.differences(Conditions.of_identity(own[0].identity(own[1]).to_json())), what


def test_neither_tables_nor_figures_nor_reports_compare_them(task, tmp_path, capsys):
    """Compares, as a user would, with an equal run and with one that has another goal."""
    goal = changed_goals(task.goal)[0]
    for plan in (plan_of(task, tmp_path, "a"), plan_of(task, tmp_path, "b", "seed=1")):
        write(plan, splits_of(task))
    write(dataclasses.replace(plan_of(task, tmp_path, "other"), goal=goal), splits_of(task))
    with pytest.warns(UserWarning, match=f"not all scores of task {task.name} compare"):
        everything = results.load(task.name, tmp_path)
    with pytest.warns(UserWarning, match="not comparable with run a: run other"):
        alike = results.comparable(everything, "a")
    assert set(alike["run"]) == {"a", "b"}
    plots.compare(alike)
    with pytest.raises(ValueError, match="these scores do not compare"):
        plots.compare(everything)
    assert read_run(tmp_path / "other").goal in run_page(read_run(tmp_path / "other")).partition("</header>")[0]
    assert report.main(["run=[a,b,other]", f"runs_dir={tmp_path}"]) == 0
    assert "they are in 2 groups" in (tmp_path / "report-a-b-other.html").read_text(encoding="utf-8")
