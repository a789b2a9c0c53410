"""A new pruner and a new sampler are one class and one line of a registry each; the study knows neither by name."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from results.schema import Status
from search.planning.config import parse
from search.planning.keys import help_text
from search.planning.plan import Plan
from search.study.budget import Budget
from search.study.pruning.pruner import PrunerEntry, PruningKeys
from search.study.pruning.registry import PRUNERS
from search.study.sampling.draws import random_draws
from search.study.sampling.registry import SAMPLERS
from search.study.sampling.sampler import MAX_DRAWS, Gate, Problem, SamplerEntry
from search.study.study import SearchEnded, Study
from search.study.trial import TrialRecord
from spaces.space import Params
from tests.search.toy import TOY, open_study, picture, run


class Halfway:
    """Stops every trial below a score, at half of its length."""

    def __init__(self, keys: PruningKeys) -> None:
        self.rungs = (keys.max_epochs * keys.reports_per_epoch // 2,)

    def should_continue(self, step: int, score: float) -> bool:
        return step not in self.rungs or score >= 0.2


class Largest:
    """Proposes the largest of ten feasible draws, preferably of a size that no trial with a report has."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.trials: dict[int, TrialRecord] = {}

    def start(self, trial: TrialRecord) -> None:
        self.trials[trial.number] = trial

    def end(self, trial: TrialRecord) -> None:
        assert self.trials[trial.number] is trial

    def draws(self, number: int, gate: Gate) -> Iterator[Params]:
        drawn = islice(random_draws(self.problem, number, purpose=1), MAX_DRAWS)
        pool = list(islice(((p, c.network.num_params) for p in drawn if (c := gate(p))), 10))
        seen = {t.candidate.network.num_params for t in self.trials.values() if t.reports}
        if pool:
            yield max(pool, key=lambda each: (each[1] not in seen, each[1]))[0]


@pytest.fixture(autouse=True)
def _registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PRUNERS, "halfway", PrunerEntry("stops weak trials halfway", Halfway))
    monkeypatch.setitem(SAMPLERS, "largest", SamplerEntry("the largest of ten", Largest))


def open_with_both(path: Path, **changes: Any) -> Study:
    pruner = PRUNERS["halfway"].make(PruningKeys(grace_epochs=1, reduction_factor=3, max_epochs=6))
    return open_study(path, sampler="largest", pruner=pruner, last_step=6, **changes)


def test_a_search_is_played_with_both_and_resumes_with_the_same_decisions_and_proposals(tmp_path):
    study = open_with_both(tmp_path / "journal.log")
    run(study, 8, last=6)
    resumed = open_with_both(tmp_path / "journal.log")
    assert picture(resumed) == picture(study)
    for each in (study, resumed):
        assert {trial.origin for trial in each.trials} == {"largest"}
        assert {trial.status for trial in each.trials} == {Status.COMPLETE, Status.PRUNED}
        assert {trial.stop_rung for trial in each.trials if trial.status == Status.PRUNED} == {3.0}
        assert sum(trial.rejected["over max_params"] for trial in each.trials) > 0, "the gate counts what it rejects"
    assert resumed.suggest().params == study.suggest().params


def test_a_sampler_that_finds_nothing_feasible_ends_the_search_with_the_rate(tmp_path):
    space, budget = TOY.pinned({"optimizer": "adam"}), Budget(max_params=60)
    study = open_with_both(tmp_path / "journal.log", space=space, budget=budget)
    with pytest.raises(SearchEnded, match=r"exhausted: 1000 draws gave no new candidate .* equal to an earlier trial"):
        run(study, 100, last=6)
    assert len(study.trials) == 3


def test_the_command_line_knows_both(tmp_path):
    config = parse([f"runs_dir={tmp_path}", "sampler=largest", "pruner=halfway", "max_epochs=8", "data=made"])
    assert isinstance(Plan.of(config).pruner(), Halfway)
    assert list(Plan.of(config).pruner().rungs) == [4]
    assert "halfway (stops weak trials halfway)" in help_text()
    assert "|".join(SAMPLERS) in help_text()
    with pytest.raises(ValueError, match=rf"expected one of \[{', '.join(PRUNERS)}\] \(did you mean halfway\?\)"):
        parse(["pruner=halfwya"])
