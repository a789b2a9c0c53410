"""Runs and data that were renamed, copied or moved. A folder's name identifies a run, a fingerprint data."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data.made.digits import load_made
from results import tables
from search import ablate, confirm, replay
from search import run as search
from search.planning.config import parse
from search.planning.known_candidates import find_base
from search.planning.plan import Plan
from search.planning.warm_start import find_earlier
from search.retraining.ablation import Ablation
from search.retraining.confirmation import Confirmation, finalists_of
from search.session.study import open_study
from search.trials.job import search_job
from tests.search import toy
from tests.search.test_replay import one_thread, record  # noqa: F401  the first is a fixture
from tests.search.unfinished import cut_short, line

SPLITS = load_made()
NO_RAY = "no Ray cluster answers there"
"""The message of a command at `nowhere` that has passed all earlier checks."""


def completed(runs_dir: Path, run: str, *arguments: str) -> Path:
    """Writes a run of three completed trials, and returns its folder."""
    plan = planned(runs_dir, run, *arguments)
    with plan.folder.locked():
        study = open_study(plan, SPLITS)
        for score in (0.5, 0.6, 0.7):
            number = study.suggest().number
            for step in (1, 2, 3):
                study.report(number, toy.report(step, score + step / 1000, finished=step == 3))
        search_job(plan, SPLITS).write_tables(study, False)
    return plan.folder.path


def planned(runs_dir: Path, run: str, *arguments: str) -> Plan:
    asked = ["data=made", "max_epochs=3", "grace_epochs=3", *arguments]
    return Plan.of(parse([f"run={run}", f"runs_dir={runs_dir}", *asked]))


def _renamed(folder: Path) -> Path:
    return folder.rename(folder.with_name("new name"))


def _moved(folder: Path) -> Path:
    (folder.parent.parent / "elsewhere").mkdir()
    return Path(shutil.move(folder, folder.parent.parent / "elsewhere" / "b"))


def _copied(folder: Path) -> Path:
    return shutil.copytree(folder, folder.with_name("copy of a"))


@pytest.mark.parametrize("move", [_renamed, _moved, _copied])
class TestARunThatMoved:
    def test_is_resumed_and_writes_its_tables_under_its_new_name(self, tmp_path, nowhere, capsys, move: Callable):
        folder = move(cut_short(tmp_path / "runs"))
        line = [f"run={folder.name}", f"runs_dir={folder.parent}", nowhere]
        assert search.main(line) == 2
        assert NO_RAY in capsys.readouterr().err
        plan = Plan.of(parse(line))
        with plan.folder.locked():
            study = open_study(plan, SPLITS)
            search_job(plan, SPLITS).write_tables(study, False)
        assert len(study.trials) == 3
        found = tables.read(folder / "leaderboard.parquet", "leaderboard")
        assert set(found["run"].to_pylist()) == {folder.name}

    def test_is_confirmed_also_where_a_confirmation_had_begun(self, tmp_path, nowhere, capsys, move: Callable):
        folder = completed(tmp_path / "runs", "a")
        started = begin_confirmation(Plan.of(parse(["run=a", f"runs_dir={tmp_path / 'runs'}"])))
        folder = move(folder)
        where = [f"run={folder.name}", f"runs_dir={folder.parent}"]
        assert confirm.main([*where, nowhere]) == 2
        assert NO_RAY in capsys.readouterr().err
        assert begin_confirmation(Plan.of(parse(where))) == started

    def test_is_the_base_of_an_ablation_that_was_begun_with_it(self, tmp_path, move: Callable):
        folder = completed(tmp_path / "runs", "a")
        assert open_ablation(tmp_path / "runs", "a/1") == ["a/1, seed 0", "activation=relu, seed 0"]
        folder = move(folder)
        if folder.parent == tmp_path / "runs":
            assert open_ablation(tmp_path / "runs", f"{folder.name}/1") == ["a/1, seed 0", "activation=relu, seed 0"]

    def test_is_warm_started_from(self, tmp_path, move: Callable):
        folder = move(completed(tmp_path / "runs", "a"))
        for place in (folder, folder / "leaderboard.parquet"):
            plan = planned(tmp_path / "others", "b", f"warm_start={place}")
            found = find_earlier(plan, print)
            assert [each.name for each in found] == [f"trial {number} of {folder.name}" for number in (2, 1, 0)]

    def test_is_replayed(self, tmp_path, capsys, move: Callable):
        record(tmp_path / "runs")
        folder = move(tmp_path / "runs" / "a")
        assert replay.main([f"run={folder.name}", f"runs_dir={folder.parent}", "trial=0"]) == 0
        assert f"trial 0 of {folder.name}" in capsys.readouterr().out


def begin_confirmation(plan: Plan) -> int:
    """Returns the number of trainings in the run's confirmation, after adding one if there is none."""
    with plan.folder.locked():
        known = finalists_of(open_study(plan, SPLITS))
    confirmation = Confirmation(plan, SPLITS, known, 1, 1)
    with confirmation.folder.locked():
        study = confirmation.open_study()
        if not study.trials:
            name, one = next(iter(confirmation.given(study).items()))
            study.add_reference(name, one.candidate, one.seed)
    return len(study.trials)


def open_ablation(runs_dir: Path, base: str) -> list[str]:
    """Opens an ablation of a run, starts missing trainings, and returns all of them."""
    keys = ["run=ablation", f"runs_dir={runs_dir}", "data=made", "max_epochs=1", f"base={base}", "vary=activation"]
    asked = ablate.parse([*keys, "values=[relu]"])
    plan = dataclasses.replace(Plan.of(asked.run), more={"ablation": dataclasses.asdict(asked.keys)})
    found = find_base(base, plan.task, "random", str(runs_dir))
    value = "silu" if found.params["activation"] == "relu" else "relu"
    ablation = Ablation.of(plan, found, {"activation": [value]}, 1)
    with plan.folder.locked():
        study = ablation.open_study(plan, SPLITS)
        job = ablation.job(SPLITS)
        started = {trial.reference for trial in study.trials}
        for name, one in job.given.items():
            if name not in started:
                study.add_reference(name, one.candidate, one.seed)
    return [str(trial.reference).replace("silu", "relu") for trial in study.trials]


def test_a_run_that_was_killed_before_its_first_trial_and_renamed_goes_on(tmp_path):
    plan = planned(tmp_path, "a")
    with plan.folder.locked():
        open_study(plan, SPLITS)
    journal = plan.folder.journal
    journal.write_bytes(journal.read_bytes().partition(b"\n")[0] + b"\n")  # without the record that identifies it
    folder = _renamed(plan.folder.path)
    again = planned(tmp_path, folder.name)
    with again.folder.locked():
        assert open_study(again, SPLITS).trials == []


def test_a_confirmation_that_was_copied_into_another_run_is_refused(tmp_path):
    completed(tmp_path, "a")
    completed(tmp_path, "b", "seed=1")
    begin_confirmation(planned(tmp_path, "a"))
    shutil.copytree(tmp_path / "a" / "confirmation", tmp_path / "b" / "confirmation")
    with pytest.raises(ValueError, match=r"b/confirmation: holds the confirmation of another run.*Move that folder"):
        begin_confirmation(planned(tmp_path, "b", "seed=1"))


def test_one_damaged_run_of_a_folder_is_named_and_the_others_are_warm_started_from(tmp_path):
    completed(tmp_path / "runs", "a")
    for name, content in [("b", b"garbage\n" * 9), ("c", (tmp_path / "runs" / "a" / "journal.log").read_bytes()[9:])]:
        (tmp_path / "runs" / name).mkdir()
        (tmp_path / "runs" / name / "journal.log").write_bytes(content)
    messages: list[str] = []
    found = find_earlier(planned(tmp_path / "others", "x", f"warm_start={tmp_path / 'runs'}"), messages.append)
    assert [each.name for each in found] == ["trial 2 of a", "trial 1 of a", "trial 0 of a"]
    assert [sum(f"runs/{name}/journal.log" in each for each in messages) for name in "bc"] == [1, 1]
    shutil.rmtree(tmp_path / "runs" / "a")
    with pytest.raises(ValueError, match="no completed candidate"):
        find_earlier(planned(tmp_path / "others", "x", f"warm_start={tmp_path / 'runs'}"), messages.append)


@pytest.fixture
def photos(tmp_path) -> Path:
    """Writes a user's images: two classes of 20."""
    rng = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(20):
            pixels = rng.integers(0, 256, (12, 12), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{number}.png")
    return tmp_path / "photos"


class TestDataThatMoved:
    def begin(self, runs_dir: Path, photos: Path) -> None:
        plan = Plan.of(parse(["run=a", f"runs_dir={runs_dir}", "task=images", f"data={photos}", "max_epochs=3"]))
        with plan.folder.locked():
            study = open_study(plan, plan.load_data(print))
            study.report(study.suggest().number, toy.report(1, 0.5))

    def commands(self, runs_dir: Path, *further: str) -> list[Callable[[], int]]:
        where = ["run=a", f"runs_dir={runs_dir}", *further]
        return [lambda: search.main(["task=images", *where]), lambda: confirm.main(where)]

    def test_under_another_name_are_the_same_data(self, tmp_path, photos, nowhere, capsys):
        self.begin(tmp_path / "runs", photos)
        moved = photos.rename(tmp_path / "pictures")
        for command in self.commands(tmp_path / "runs", nowhere, f"data={moved}"):
            assert command() == 2
            assert NO_RAY in capsys.readouterr().err
        where = ["run=a", f"runs_dir={tmp_path / 'runs'}", "trial=0", f"data={moved}"]
        assert replay.main(where) == 1  # the recorded curve was made up
        assert "retraining it on images:pictures" in capsys.readouterr().out

    def test_are_asked_for_by_their_key_where_they_are_not_found(self, tmp_path, photos, nowhere, capsys):
        self.begin(tmp_path / "runs", photos)
        photos.rename(tmp_path / "pictures")
        where = ["run=a", f"runs_dir={tmp_path / 'runs'}", "trial=0"]
        for command in [*self.commands(tmp_path / "runs", nowhere), lambda: replay.main(where)]:
            assert command() == 2
            error = capsys.readouterr().err
            assert str(photos) in error
            assert "set data= to their new path" in error

    def test_other_data_are_refused_with_both_named(self, tmp_path, photos, nowhere, capsys):
        self.begin(tmp_path / "runs", photos)
        moved = photos.rename(tmp_path / "pictures")
        (moved / "cat" / "0.png").unlink()
        for command in self.commands(tmp_path / "runs", nowhere, f"data={moved}"):
            assert command() == 2
            error = capsys.readouterr().err
            assert "dataset was images:photos, is now images:pictures" in error
            assert "give their folder with data_dir= or data=" in error


def test_data_files_that_moved_are_named_by_data_dir(tmp_path, nowhere, capsys):
    cut_short(tmp_path, f"data_dir={tmp_path / 'old'}")
    (tmp_path / "new").mkdir()
    where = [f"runs_dir={tmp_path}", "run=a", f"data_dir={tmp_path / 'new'}"]
    assert confirm.parse(where).data_dir == str(tmp_path / "new")
    assert confirm.parse([*where, "data=original"]).data == "original"
    for name in ("data", "data_dir"):
        for schema in (confirm.ConfirmConfig, replay.ReplayConfig):
            assert name in {field.name for field in dataclasses.fields(schema)}
        assert name in ablate.SHARED
    assert confirm.main([*where, nowhere]) == 2
    assert NO_RAY in capsys.readouterr().err
    assert search.main([*line(tmp_path), "data=/no/such", nowhere]) == 2  # a task that takes no data of one's own
    assert "task=images" in capsys.readouterr().err
    assert replay.main([f"runs_dir={tmp_path}", "run=a", "trial=0", "data=/no/such"]) == 2
    assert "task=images" in capsys.readouterr().err
