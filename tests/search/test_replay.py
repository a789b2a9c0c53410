"""A trial is retrained from its record: the same bits result, or the difference is reported with its reason."""

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from data.made.digits import load_made
from data.splits import Splits
from results.schema import Status
from search.planning.config import parse
from search.planning.plan import Plan
from search.replay import main
from search.retraining.replaying import _difference
from search.session.study import open_study
from spaces.report import Report
from tests.search.unfinished import line
from trainables.goals import DeviceSplit
from trainables.machine import describe, prepare_process
from trainables.training import Training

CPU = torch.device("cpu")
EPOCHS = 3

Change = Callable[[Report], Report]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Computes with one thread, as a worker does."""
    threads = torch.get_num_threads()
    prepare_process()
    yield
    torch.set_num_threads(threads)


def record(
    runs_dir: Path,
    *,
    is_interrupted: bool = False,
    change: Change = lambda report: report,
    splits: Splits | None = None,
    ending: tuple[Status, str | None] | None = None,
) -> None:
    """Records a run `a` with one trial, trained without Ray. `change` is applied to each report first."""
    plan = Plan.of(parse(line(runs_dir, f"max_epochs={EPOCHS}", "grace_epochs=3", "train_examples=300", "seed=1")))
    splits = splits or load_made().limited(300)
    train, val = (DeviceSplit.of(split.x, split.y, CPU) for split in (splits.train, splits.val))
    with plan.folder.locked():
        study = open_study(plan, splits)
        trial = study.suggest()
        training = Training(trial.candidate, train, val, seed=trial.seed, epochs=EPOCHS)
        for _ in range(EPOCHS - (ending is not None)):
            study.report(trial.number, change(replace(training.advance(), **describe(CPU))))
            if is_interrupted:
                state = training.save()
                training = Training(trial.candidate, train, val, seed=trial.seed, epochs=EPOCHS)
                training.load(state)
        if ending:
            study.end(trial.number, ending[0], error=ending[1])


def replay(runs_dir: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    code = main([f"runs_dir={runs_dir}", "run=a", "trial=0"])
    printed = capsys.readouterr()
    return code, printed.out + printed.err


@pytest.mark.parametrize("is_interrupted", [False, True])
def test_a_recorded_trial_comes_out_the_same_also_if_it_was_interrupted(tmp_path, capsys, is_interrupted: bool):
    record(tmp_path, is_interrupted=is_interrupted)
    code, output = replay(tmp_path, capsys)
    assert code == 0, output
    assert "trial 0 of a: COMPLETE after 3 reports; retraining it on sklearn-digits" in output
    assert output.count(": the same: train_loss ") == EPOCHS
    assert "The same: all 3 reports, bit for bit." in output


def test_a_trial_that_failed_is_replayed_up_to_its_last_report_and_its_error_is_shown(tmp_path, capsys):
    record(tmp_path, ending=(Status.FAILED, "KeyError: 'broken'"))
    code, output = replay(tmp_path, capsys)
    assert code == 0, output
    assert "trial 0 of a: FAILED after 2 reports (KeyError: 'broken')" in output
    assert "The same: all 2 reports" in output


@pytest.mark.parametrize("name", ["train_loss", "val_loss", "val_score"])
def test_one_last_bit_is_a_difference(tmp_path, capsys, name: str):
    def nudged(report: Report) -> Report:
        return replace(report, **{name: math.nextafter(getattr(report, name), 2.0)}) if report.step == 2 else report

    record(tmp_path, change=nudged)
    code, output = replay(tmp_path, capsys)
    assert code == 1, output
    assert output.count(": the same: ") == EPOCHS - 1
    assert output.count("epoch 2: differs: ") == 1
    assert "Not the same: the largest difference is" in output
    assert "not expected: device, CPU, torch and threads are the same" in output


WITHOUT_GPU = pytest.mark.skipif(torch.cuda.is_available(), reason="trains on the GPU here")


@pytest.mark.parametrize(
    ("fact", "was"),
    [("torch", "1.0.0"), ("cpu", "an abacus"), pytest.param("device", "some GPU", marks=WITHOUT_GPU)],
)
def test_on_another_machine_a_difference_is_expected(tmp_path, capsys, fact: str, was: str):
    record(tmp_path, change=lambda report: replace(report, **{fact: was}, val_loss=report.val_loss + 0.25))
    code, output = replay(tmp_path, capsys)
    assert code == 1, output
    assert "Not the same: the largest difference is 0.25" in output
    assert f"expected, since {fact} was {was}, is {describe(CPU)[fact]}." in output
    assert "not expected" not in output


def test_on_another_machine_it_may_be_the_same_all_the_same(tmp_path, capsys):
    record(tmp_path, change=lambda report: replace(report, torch="1.0.0"))
    assert replay(tmp_path, capsys)[0] == 0


def test_a_loss_that_was_not_finite_and_is_now_is_a_difference(tmp_path, capsys):
    record(tmp_path, change=lambda report: replace(report, train_loss=math.inf))
    code, output = replay(tmp_path, capsys)
    assert code == 1, output
    assert "FAILED_NAN after 1 reports" in output
    assert "the largest difference is inf" in output


@pytest.mark.parametrize(("recorded", "again", "expected"), [(0.5, math.nan, math.inf), (math.nan, -math.inf, 0.0)])
def test_no_other_number_is_the_same_as_one_that_is_not_finite(recorded: float, again: float, expected: float):
    assert _difference(recorded, again) == expected


def test_another_dataset_is_refused_with_both_named(tmp_path, capsys):
    other = load_made().limited(299)
    record(tmp_path, splits=other)
    code, output = replay(tmp_path, capsys)
    assert code == 2
    assert output.startswith(f"search.replay: the run was trained on sklearn-digits ({other.fingerprint})")
    assert f"but sklearn-digits ({load_made().limited(300).fingerprint}) was found" in output
    assert "data_dir=" in output


def test_a_trial_without_reports_is_refused(tmp_path, capsys):
    plan = Plan.of(parse(line(tmp_path)))
    with plan.folder.locked():
        open_study(plan, load_made()).suggest()
    code, output = replay(tmp_path, capsys)
    assert code == 2
    assert "trial=0: it has no report to compare a replay with: 0 reports so far" in output


def test_a_run_without_trials_is_refused(tmp_path, capsys):
    plan = Plan.of(parse(line(tmp_path)))
    with plan.folder.locked():
        open_study(plan, load_made())
    assert replay(tmp_path, capsys) == (2, "search.replay: trial=0: the run a has no trials yet\n")


def test_help_says_what_is_promised(capsys):
    assert main(["--help"]) == 0
    output = capsys.readouterr().out
    promise = ("same model of CPU with the same version of PyTorch", "killed and resumed", "On a GPU, some sums depend")
    assert [part for part in promise if part not in output] == []
    for key in ("run ", "trial ", "runs_dir ", "data_dir "):
        assert f"\n  {key}" in output
