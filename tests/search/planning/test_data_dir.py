"""The folder of data files reaches every trial, of a search or a confirmation, in any current folder."""

from pathlib import Path

import pytest

from data.made.digits import load_made
from search.planning.config import parse
from search.planning.plan import Plan
from search.retraining.confirmation import Confirmation
from search.session.study import open_study
from search.trials.job import search_job, trial_spec

SPLITS = load_made()


@pytest.mark.parametrize("way", ["typed", "in the environment"])
def test_a_trial_gets_the_absolute_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FRUGAL_DATA_DIR", str(tmp_path / ("other" if way == "typed" else "mine")))
    typed = ["data_dir=mine"] if way == "typed" else []
    plan = Plan.of(parse(["data=made", "run=a", f"runs_dir={tmp_path}", *typed]))
    with plan.folder.locked():
        study = open_study(plan, SPLITS)
        search, confirmation = search_job(plan, SPLITS), Confirmation(plan, SPLITS, [], 1, 1).job(study)
        trial = study.suggest()
    for job in (search, confirmation):
        assert trial_spec(trial, job).data_dir == tmp_path / "mine"
