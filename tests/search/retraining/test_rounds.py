"""Rounds of a confirmation: how often test images were read, and which finalists were chosen after that."""

from dataclasses import replace
from pathlib import Path

import pytest

from data.made.digits import load_made
from results import tables
from results.analysis.readings import describe_choice, describe_readings, mark_name
from results.files import StorageError
from results.schema import FINALISTS
from search.retraining.confirm_run import _open_study
from search.retraining.confirmation import Confirmation, finalists_of
from search.retraining.rounds import begin_round, num_test_reads
from search.study.study import Study
from tests.search import toy
from tests.search.test_confirm import plan_of

SPLITS = load_made()


def searched(folder: Path, num_trials: int) -> Study:
    """Searches up to `num_trials`, resuming the folder's run. Each trial is better than those before it."""
    study = toy.open_study(folder / "search.log")
    while len(study.trials) < num_trials:
        number = study.suggest().number
        study.report(number, toy.report(1, 0.5 + number / 100, finished=True))
    return study


def confirmed(folder: Path, num_trials: int, top_k: int, seeds: int, num: int = 1000, notes: bool = True):
    """Resumes a confirmation with at most `num` trainings, and returns its rows."""
    folder.mkdir(exist_ok=True)
    asked = Confirmation(plan_of(folder), SPLITS, finalists_of(searched(folder, num_trials)), top_k, seeds)
    with asked.plan.folder.locked(), asked.folder.locked():
        study = asked.open_study()
        if notes:
            begin_round(study, [finalist.name for finalist in asked.finalists], seeds)
        known = {trial.reference for trial in study.trials}
        left = [(name, one) for name, one in asked.given(study).items() if name not in known]
        for name, one in left[:num]:
            number = study.add_reference(name, one.candidate, one.seed).number
            study.report(number, toy.report(1, 0.9, finished=True))
        study = asked.open_study()
        asked.write_tables(study, True)
    return tables.read(asked.plan.folder.path / "finalists.parquet", "finalists").to_pylist()


def rounds_of(rows) -> dict[str, tuple[set[int], bool]]:
    """Returns by finalist its rounds of training, and whether it was chosen after test images were read."""
    names = dict.fromkeys(f"trial {row['trial']}" for row in rows)
    mine = {name: [row for row in rows if f"trial {row['trial']}" == name] for name in names}
    return {name: ({r["round"] for r in each}, each[0]["chosen_after_test"]) for name, each in mine.items()}


def test_a_first_confirmation_chooses_before_any_reading(tmp_path):
    rows = confirmed(tmp_path, 4, top_k=2, seeds=2)
    assert rounds_of(rows) == {"trial 3": ({1}, False), "trial 2": ({1}, False)}
    assert sorted(row["test_read"] for row in rows) == [1, 2, 3, 4]
    assert describe_choice(rows, "trial 3") == "It was chosen by validation scores, before any test example was read"
    assert describe_readings(rows) == (
        "Test examples have been read 4 times for this run, once after each training, in 1 round; all finalists had "
        "been chosen before the first time."
    )
    assert num_test_reads(plan_of(tmp_path).folder) == 4


def test_confirmed_extended_and_confirmed_again_what_is_new_is_marked_and_what_was_there_is_not(tmp_path):
    confirmed(tmp_path, 4, top_k=2, seeds=2)
    rows = confirmed(tmp_path, 6, top_k=3, seeds=2)
    assert rounds_of(rows) == {
        "trial 5": ({2}, True),
        "trial 4": ({2}, True),
        "trial 3": ({1}, False),
        "trial 2": ({1}, False),
    }
    assert "after test examples had been read for this run" in describe_choice(rows, "trial 5")
    assert (mark_name(rows, "trial 5"), mark_name(rows, "trial 3")) == ("trial 5 *", "trial 3")
    assert "8 times for this run, once after each training, in 2 rounds" in describe_readings(rows)
    assert describe_readings(rows).endswith("Chosen after the first time, and marked with *: trial 5, trial 4.")


def test_more_seeds_are_a_round_of_their_own_and_choose_nobody_anew(tmp_path):
    confirmed(tmp_path, 4, top_k=1, seeds=2)
    assert rounds_of(confirmed(tmp_path, 4, top_k=1, seeds=3)) == {"trial 3": ({1, 2}, False)}


def test_a_larger_top_k_is_a_choice_too(tmp_path):
    confirmed(tmp_path, 4, top_k=1, seeds=2)
    assert rounds_of(confirmed(tmp_path, 4, top_k=2, seeds=2)) == {"trial 3": ({1}, False), "trial 2": ({2}, True)}


@pytest.mark.parametrize("num", [0, 1, 3])
def test_a_confirmation_that_was_cut_short_goes_on_in_its_round(tmp_path, num):
    confirmed(tmp_path, 4, top_k=2, seeds=2, num=num)
    rows = confirmed(tmp_path, 4, top_k=2, seeds=2)
    assert rounds_of(rows) == {"trial 3": ({1}, False), "trial 2": ({1}, False)}
    assert rounds_of(confirmed(tmp_path, 4, top_k=1, seeds=1)) == rounds_of(rows), "nor is it one to ask for less"


def test_one_that_was_chosen_and_never_scored_before_the_search_went_on_does_not_mark_the_next(tmp_path):
    confirmed(tmp_path, 4, top_k=2, seeds=2, num=0)
    assert rounds_of(confirmed(tmp_path, 6, top_k=1, seeds=1)) == {"trial 5": ({2}, False)}


def test_of_a_journal_without_notes_only_what_did_not_exist_at_the_first_reading_is_marked(tmp_path, monkeypatch):
    """Earlier versions wrote such journals."""
    confirmed(tmp_path, 4, top_k=1, seeds=2, notes=False)
    rows = confirmed(tmp_path, 6, top_k=1, seeds=2, notes=False)
    assert rounds_of(rows) == {"trial 5": ({1}, True), "trial 3": ({1}, False)}
    rows = confirmed(tmp_path, 6, top_k=2, seeds=2)
    assert rounds_of(rows) == {"trial 5": ({1}, True), "trial 4": ({2}, True), "trial 3": ({1}, False)}


def test_where_validation_images_are_scored_nothing_is_said_of_test_images(tmp_path, monkeypatch):
    unlabelled = replace(SPLITS, test=SPLITS.test.take(range(0)))
    monkeypatch.setattr(f"{__name__}.SPLITS", unlabelled)
    rows = confirmed(tmp_path, 4, top_k=1, seeds=2)
    assert [(row["round"], row["test_read"], row["chosen_after_test"]) for row in rows] == [(1, None, None)] * 2
    assert describe_readings(rows) == ""
    assert num_test_reads(plan_of(tmp_path).folder) == 0


def test_a_table_of_an_earlier_version_is_silent_and_so_are_sentences(tmp_path):
    rows = confirmed(tmp_path, 4, top_k=1, seeds=2)
    older = [row | dict.fromkeys(("round", "test_read", "chosen_after_test")) for row in rows]
    assert (describe_readings(older), mark_name(older, "trial 3")) == ("", "trial 3")
    assert describe_choice(older, "trial 3") == "It was chosen by validation scores"
    assert {"round", "test_read", "chosen_after_test"} <= set(FINALISTS.names)


@pytest.mark.parametrize("damage", [b'"seeds":0', b'"seedz":2', b'"seeds":"2"'])
def test_a_note_that_is_none_of_a_round_is_named_with_its_journal(tmp_path, damage):
    confirmed(tmp_path, 4, top_k=1, seeds=2)
    asked = Confirmation(plan_of(tmp_path), SPLITS, finalists_of(searched(tmp_path, 4)), 1, 2)
    whole = asked.folder.journal.read_bytes()
    assert b'"seeds":2' in whole
    asked.folder.journal.write_bytes(whole.replace(b'"seeds":2', damage))
    with asked.folder.locked(), pytest.raises(StorageError, match="the journal is damaged"):
        _open_study(asked)
