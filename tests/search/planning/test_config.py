"""The command line of a search: its keys, and its messages for a user's mistakes."""

import subprocess
import sys
from pathlib import Path

import pytest

from results.shell import command_line
from search import tasks
from search.planning.config import parse
from search.planning.keys import RunKeys, help_text
from search.planning.plan import Plan
from search.run import main
from spaces.goal import Denoise
from spaces.space import describe


def test_the_defaults_are_the_tasks():
    config = parse([])
    assert (config.task, config.num_trials, config.max_params, config.max_macs) == ("tiny10k", 64, 9_999, 3_000_000)
    assert config.run is not None
    assert config.run.startswith("tiny10k-")


def test_the_command_line_is_typed():
    config = parse(
        ["num_trials=8", "seed=3", "sampler=random", "references=false", "fix.optimizer=adam", "fix.stages=3"]
    )
    assert (config.num_trials, config.seed, config.sampler, config.references) == (8, 3, "random", False)
    assert config.fix == {"optimizer": "adam", "stages": 3}


def test_the_command_line_wins_over_the_environment(monkeypatch):
    monkeypatch.setenv("FRUGAL_DATA_DIR", "from/environment")
    assert parse([]).data_dir == "from/environment"
    assert parse(["data_dir=from/line"]).data_dir == "from/line"


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("task=tiny", r"no such task; there are .*tiny10k"),
        ("num_trals=3", r"num_trals: there is no such key \(did you mean num_trials\?\)"),
        ("num_trials", r"'num_trials' is not key=value"),
        ("num_trials=many", r"num_trials=many: expected a whole number"),
        ("num_trials=0", r"num_trials=0: must be above 0"),
        ("num_trials=-4", r"num_trials=-4: must be above 0"),
        ("max_epochs=2.5", r"max_epochs=2.5: expected a whole number"),
        ("time_budget_seconds=nan", r"time_budget_seconds=nan: expected a finite number"),
        ("seed=-1", r"seed=-1: must be 0 to 4294967295"),
        ("seed=4294967296", r"seed=4294967296: must be 0 to 4294967295"),
        ("max_epochs=10000000", r"max_epochs=10000000: must be above 0 and at most 1000000"),
        ("max_macs=99999999999999999999", r"max_macs=9+: must be above 0, and at most 9223372036854775807"),
        ("sigma=inf", r"sigma=inf: expected a finite number"),
        ("reduction_factor=1", r"must be 2 or more"),
        ("grace_epochs=99", r"grace_epochs=99: longer than a whole trial of max_epochs=18"),
        ("grace_epochs=0.5", r"grace_epochs=0.5: no trial reports then; .* at multiples of 1"),
        ("sampler=grid", r"expected one of \[tpe, random"),
        ("data=fake", r"data=fake: expected one of \[auto, original, made\]; a path .* is taken by task=images"),
        ("scale=huge", r"expected one of \[laptop, full\]"),
        ("sigma=0.3", r"sigma=0.3: the images of task=tiny10k get no noise"),
        ("sigma=0", r"sigma=0.0: must be above 0"),
        ("weights=mine", r"expected one of \[imagenet, random\]"),
        ("val_examples=0", r"val_examples=0: must be above 0"),
        ("run=a/b", r"a plain name, without slashes"),
        ("run=..", r"a plain name"),
        ("fix.optimizer=adm", r"fix.optimizer=adm: outside the space, which has adam, adamw"),
        ("fix.stages=9", r"fix.stages=9: outside the space, which has 2 to 3"),
        ("fix.stages=2.5", r"outside the space"),
        ("fix.depth=3", r"the space has no parameter 'depth'; it has stages"),
        ("fix=3", r"fix=3: expected names with values, as KEY.NAME=VALUE"),
        ("fix=[3]", r"fix=\[3\]: expected names with values"),
        ("references=perhaps", r"references=perhaps: expected true or false"),
    ],
)
def test_a_users_mistake_is_reported_in_one_paragraph_with_exit_code_2(argument, message, capsys):
    with pytest.raises(ValueError, match=message):
        parse([argument])
    assert main([argument]) == 2
    error = capsys.readouterr().err
    assert error.startswith("search.run: ")
    assert "Traceback" not in error
    assert len(error.splitlines()) == 1


def test_a_scale_sets_what_the_command_line_leaves_open():
    laptop, full = parse(["task=autoencoder"]), parse(["task=autoencoder", "scale=full", "num_trials=9"])
    assert (full.num_trials, full.max_code, laptop.max_code) == (9, 128, 128)
    assert full.max_epochs > laptop.max_epochs
    assert parse(["task=autoencoder", "max_epochs=3", "max_code=32"]).max_code == 32


@pytest.mark.parametrize("task", tasks.names())
def test_numbers_of_examples_are_those_that_were_typed(task: str):
    """A scale's numbers are upper limits, which apply once the data are known."""
    open_, typed = parse([f"task={task}"]), parse([f"task={task}", "train_examples=60", "val_examples=20"])
    assert (open_.train_examples, open_.val_examples) == (None, None)
    assert (typed.train_examples, typed.val_examples) == (60, 20)


def test_a_scale_pins_parameters_that_the_command_line_does_not():
    laptop = parse(["task=max_digit"]).fix
    assert laptop["augmentation"] == "none"
    assert laptop["padding"] == "same"
    assert parse(["task=max_digit", "scale=full"]).fix == {}
    assert parse(["task=max_digit", "fix.augmentation=affine", "fix.stages=3"]).fix == {
        **laptop,
        "augmentation": "affine",
        "stages": 3,
    }
    assert "fix.padding=same" in help_text()


def test_shorter_trials_have_no_more_grace_than_epochs():
    assert parse(["task=max_digit"]).grace_epochs == 3
    assert parse(["task=max_digit", "max_epochs=2"]).grace_epochs == 2
    with pytest.raises(ValueError, match="grace_epochs=3: longer than a whole trial"):
        parse(["task=max_digit", "max_epochs=2", "grace_epochs=3"])


@pytest.mark.parametrize(
    ("grace", "reports", "rungs"), [("0.25", 4, [1, 3, 9, 27]), ("1", 4, [4, 12, 36]), ("0.7", 10, [7, 21, 63])]
)
def test_a_rung_may_lie_within_an_epoch_where_a_trial_reports(grace: str, reports: int, rungs: list[int]):
    config = parse([f"grace_epochs={grace}", f"reports_per_epoch={reports}", "max_epochs=12"])
    assert list(Plan.of(config).pruner().rungs) == rungs


def test_null_frees_a_parameter_that_the_scale_pins():
    plan = Plan.of(parse(["task=max_digit", "fix.kernel_1=null"]))
    assert plan.config.fix["kernel_1"] is None
    described = {parameter.name: describe(parameter.distribution) for parameter in plan.space.parameters}
    assert (described["kernel_1"], described["kernel_2"]) == ("3, 5", "3")


def test_a_noise_is_the_goals():
    config = parse(["task=denoiser", "sigma=0.3"])
    assert config.goal == Denoise(0.3)
    assert Plan.of(config).goal == Denoise(0.3)


def test_a_path_is_data_where_a_task_takes_ones_own(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    assert parse(["task=images", "data=~/photos"]).data == "/home/me/photos"
    assert main(["task=images", f"data={tmp_path}/nothing"]) == 2


def test_help_names_every_task_and_key():
    text = help_text()
    for word in ("tiny10k", *RunKeys.__dataclass_fields__):
        assert word in text


def test_help_imports_neither_torch_nor_ray():
    code = (
        "import sys; from search.run import main; main(['--help']); print(sorted({'torch', 'ray'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[3]
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_budget_that_nothing_keeps_is_refused_before_anything_starts(capsys):
    assert main(["max_params=50", "data=made"]) == 2
    error = capsys.readouterr().err
    assert "100% of 1000 draws were rejected" in error
    assert "the smallest network seen has" in error


def test_a_home_that_the_shell_left_as_it_is_is_found():
    assert parse(["runs_dir=~/runs", "data_dir=~/data"]).runs_dir == str(Path.home() / "runs")


def test_a_printed_command_calls_this_python_as_it_can_be_typed_here(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "venv" / "bin" / "python"))
    assert command_line("search.run").startswith(f"{tmp_path}/venv/bin/python -m search.run")
    monkeypatch.chdir(tmp_path)
    assert command_line("search.run", "run=my run") == "venv/bin/python -m search.run 'run=my run'"
    (tmp_path / "venv" / "bin").mkdir(parents=True)
    (tmp_path / "venv" / "bin" / "python").touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "venv" / "bin"))
    assert command_line("search.run") == "python -m search.run"
