"""A run of a task file is found from another folder, keeps its task's name, and says what it needs if it is refused."""

from pathlib import Path

import pytest

from search.planning.config import parse
from search.planning.plan import Plan
from search.planning.warm_start import find_earlier, start_warm
from search.retraining.ablate_config import parse as parse_ablation
from search.retraining.confirm_config import parse as parse_confirmation
from search.retraining.replaying import parse as parse_replay
from search.session.study import open_study
from search.study.study import Study
from spaces.recipe import Candidate
from tests.search import toy

FILE = """import numpy as np
from data import Splits
from spaces.layers import Dense
from spaces.recipe import Recipe

SEED = 0
recipe = Recipe(batch_size=16)

def data():
    x = np.random.default_rng(SEED).normal(size=(60, 2))
    return Splits.of(x, x[:, 0] > 0)

def space(choose):
    return [Dense(choose.int("width", 1, 99)), Dense(2)]
"""
KEYS = ("max_epochs=2", "num_trials=16", "grace_epochs=1")


@pytest.fixture
def runs(tmp_path, monkeypatch) -> Path:
    """The folder of runs; the task file is in the current folder beside it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my points.py").write_text(FILE)
    return tmp_path / "runs"


def start(*arguments: str) -> tuple[Plan, Study]:
    plan = Plan.of(parse(arguments))
    with plan.folder.locked():
        return plan, open_study(plan, plan.load_data(print))


def start_new(run: str, *arguments: str) -> tuple[Plan, Study]:
    return start("task=my points.py", "runs_dir=runs", f"run={run}", *KEYS, *arguments)


def complete_trials(study: Study, number: int) -> list[Candidate]:
    for _ in range(number):
        trial = study.suggest()
        for step in (1, 2):
            study.report(trial.number, toy.report(step, 0.5 + trial.number / 100, finished=step == 2))
    return [trial.candidate for trial in study.trials]


def test_a_run_is_found_from_another_folder(runs, monkeypatch):
    start_new("a")
    monkeypatch.chdir("/")
    for config in (parse(["run=a", f"runs_dir={runs}"]), parse_confirmation(["run=a", f"runs_dir={runs}"])):
        assert config.definition.name == "my points"


def test_a_run_keeps_its_tasks_name_with_its_own_copy_of_the_file(runs):
    start_new("a")
    Path("my points.py").rename("renamed.py")
    keys = ["run=a", "runs_dir=runs"]
    with pytest.raises(ValueError, match=r"my points\.py: there is no such file; .* and pass task=runs/a/task\.py$"):
        parse(keys)
    for task in ("task=runs/a/task.py", "task=renamed.py"):
        start(*keys, task)
        assert parse_confirmation([*keys, task]).definition.name == "my points"
        assert parse_replay([*keys, task, "trial=0"]).task == task.removeprefix("task=")


def test_an_ablation_is_named_after_the_task_not_after_the_files_path(runs):
    start_new("a")
    config = parse_ablation(["base=a/0", "vary=width", "values=[2,3]", "runs_dir=runs"]).run
    assert config.run.startswith("my points-ablation-")
    assert config.definition.name == "my points"


def test_data_that_are_not_the_same_each_time_are_refused_with_the_cure(runs):
    unseeded = FILE.replace("(SEED)", "()")
    Path("my points.py").write_text(unseeded)
    start_new("a")
    with pytest.raises(ValueError, match=r"dataset_fingerprint was .* returned other examples .* seed its random"):
        start_new("a")


@pytest.mark.parametrize(("change", "num_reused"), [("# a comment\n", 4), ("# a comment\nSEED = 0\n", 0)])
def test_a_warm_start_reuses_curves_of_the_same_code_only(runs, change, num_reused):
    """Another code may train the same choices to another score."""
    plan, study = start_new("a")
    candidates = complete_trials(study, 5)
    Path("my points.py").write_text(FILE + change)
    plan, study = start_new("b", "warm_start=a")
    lines: list[str] = []
    splits = plan.load_data(print)
    left = start_warm(plan, study, find_earlier(plan, lines.append), plan.identity(splits), lines.append)
    reused = [trial.candidate for trial in study.trials]
    assert len(reused) == num_reused
    assert {each.to_json() for each in (*reused, *(each for each, _ in left))} <= {
        each.to_json() for each in candidates
    }
    assert any("file was another one" in line for line in lines) == (num_reused == 0)


def test_the_default_space_follows_the_budget_that_was_typed_also_in_a_resumed_run(runs):
    Path("my points.py").write_text(FILE[: FILE.index("def space")].replace("recipe = Recipe(batch_size=16)", ""))
    (units, *_), (fewer, *_), (resumed, *_) = (
        [each for each in Plan.of(parse(keys)).space.parameters if each.name == "units_1"]
        for keys in (
            ["task=my points.py", "runs_dir=runs", "run=large"],
            ["task=my points.py", "runs_dir=runs", f"run={start_new('b', 'max_params=40')[0].config.run}", *KEYS],
            ["run=b", "runs_dir=runs"],
        )
    )
    assert resumed == fewer
    assert fewer.distribution.high < units.distribution.high  # pyright: ignore[reportAttributeAccessIssue]


def test_built_in_data_of_a_task_are_what_the_command_asks_for(runs, tmp_path):
    Path("numbers.py").write_text("from data import load\n\ndef data():\n    return load('mnist')\n")
    keys = ["task=numbers.py", "runs_dir=runs", f"data_dir={tmp_path}"]
    assert Plan.of(parse([*keys, "data=made"])).load_data(print).origin == "made"
    with pytest.raises(ValueError, match=f"(?s)MNIST are not on disk.*{tmp_path}"):
        parse([*keys, "data=original"])
    with pytest.raises(ValueError, match="my points has no made stand-in data"):
        Plan.of(parse(["task=my points.py", "runs_dir=runs", "data=made"])).load_data(print)


def test_a_run_whose_copy_of_the_text_was_deleted_takes_no_other(runs):
    start_new("a")
    (runs / "a" / "task.py").unlink()
    Path("my points.py").write_text(FILE.replace("SEED = 0", "SEED = 1"))
    with pytest.raises(ValueError, match=r"run=a: .*task\.py is missing, the text of the task .*; put it back"):
        parse(["run=a", "runs_dir=runs"])
