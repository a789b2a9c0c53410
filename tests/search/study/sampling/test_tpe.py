"""The part of a long history that TPE sees: enough for the same choice of good trials, and no more."""

from functools import partial
from itertools import islice

import numpy as np
import optuna
import pytest
from optuna.samplers._tpe.sampler import _split_trials

from results.schema import Status
from search import tasks
from search.engines import tpe
from search.engines.tpe import OneHistoryTPE
from search.study.budget import Budget
from search.study.sampling import tpe as sampling
from search.study.sampling.draws import draws_from, suggest_value
from search.study.sampling.sampler import MAX_DRAWS, Problem
from search.study.sampling.tpe import NUM_BEST, NUM_LATEST, Tpe
from search.study.trial import TrialRecord
from spaces.goal import Metric
from spaces.space import Params, Space
from tests.search.toy import TOY, open_study, report, toy_candidate

NUM_TRIALS = 700


def ended_trial(number: int, rng: np.random.Generator) -> TrialRecord:
    params = {"filters": int(rng.integers(1, 21)), "optimizer": "adam"}
    trial = TrialRecord(number, toy_candidate(params), seed=0, origin="tpe", params=params)
    trial.status = rng.choice([Status.COMPLETE, Status.PRUNED, Status.FAILED], p=[0.1, 0.8, 0.1])
    steps = 9 if trial.status == Status.COMPLETE else int(rng.choice([1, 3]))
    trial.reports = [report(step, float(rng.uniform())) for step in range(1, steps + 1)]
    return trial


def after(trials: list[TrialRecord], objective: Metric) -> Tpe:
    """Returns a sampler that knows these trials, which ended in another order than they started, and two that run."""
    sampler = Tpe(Problem(space=TOY, budget=Budget(), objective=objective, last_step=9, seed=0))
    for trial in trials:
        sampler.start(trial)
    for trial in np.random.default_rng(1).permutation(np.array(trials, dtype=object)):
        sampler.end(trial)
    for number in (len(trials), len(trials) + 1):
        params = {"filters": 3, "optimizer": "adam"}
        running = TrialRecord(number, toy_candidate(params), seed=0, origin="tpe", params=params)
        sampler.start(running)
    return sampler


def numbers(trials: list[optuna.trial.FrozenTrial]) -> list[int]:
    return [trial.number for trial in trials]


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_of_a_long_history_tpe_is_shown_the_trials_that_it_counts_as_good_and_the_latest(direction, monkeypatch):
    rng = np.random.default_rng(0)
    trials = [ended_trial(number, rng) for number in range(NUM_TRIALS)]
    objective = Metric("accuracy", direction)
    shown = after(trials, objective).history()
    monkeypatch.setattr(sampling, "NUM_LATEST", NUM_TRIALS)
    every = after(trials, objective).history()
    assert len(shown) < NUM_BEST + NUM_LATEST + 2 < len(every)
    assert numbers(shown)[-(NUM_LATEST + 2) :] == numbers(every)[-(NUM_LATEST + 2) :], "the latest, and those that run"
    study = optuna.create_study(direction=direction)
    good, good_of_every = (_split_trials(study, each, NUM_BEST)[0] for each in (shown, every))
    assert numbers(good) == numbers(good_of_every)


@pytest.mark.parametrize("ahead", [1, tpe.DRAWS_PER_BATCH])
def test_its_tpe_draws_as_optunas_own_does(ahead: int, monkeypatch):
    """Many draws from one history, in the space of a task: conditions, groups, trials that run.

    Where several are prepared at once only the first is the same, and the others as likely.
    """
    monkeypatch.setattr(tpe, "DRAWS_PER_BATCH", ahead)
    space, seed = tasks.find("tiny10k").space, 7
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(seed=seed))
    for score in np.random.default_rng(0).uniform(size=40):
        trial = study.ask()
        space.draw(partial(suggest_value, trial))
        if score > 0.1:
            study.tell(trial, float(score))
    num_ended = sum(trial.state.is_finished() for trial in study.trials)
    with pytest.warns(optuna.exceptions.ExperimentalWarning, match="group"):
        theirs = optuna.samplers.TPESampler(
            seed=seed, multivariate=True, group=True, constant_liar=True, n_ei_candidates=tpe.NUM_EI_CANDIDATES
        )
    expected, found = draws(study, space, theirs), draws(study, space, OneHistoryTPE(seed, num_ended))
    same = 10 if ahead == 1 else 1
    assert found[:same] == expected[:same]
    assert len({str(params) for params in found}) == 10


def draws(study: optuna.Study, space: Space, sampler: optuna.samplers.BaseSampler) -> list[Params]:
    """Makes ten draws that leave nothing in the study."""
    history = study.get_trials()
    for trial in history:
        trial.number += MAX_DRAWS
    return list(islice(draws_from(space, sampler, history, study.direction), 10))


def test_what_failed_and_what_was_not_drawn_here_it_is_not_shown(tmp_path):
    study = open_study(tmp_path / "journal.log")
    study.add_reference("a", toy_candidate({"filters": 2, "optimizer": "adam"}))
    study.end(study.suggest().number, Status.FAILED)
    assert study._sampler.history() == []
    study.suggest()
    assert len(study._sampler.history()) == 1


def test_a_reopened_study_with_trials_under_way_suggests_what_the_live_one_does(tmp_path):
    study = open_study(tmp_path / "journal.log")
    for _ in range(14):
        trial = study.suggest()
        study.report(trial.number, report(1, trial.candidate.network.num_params / 1000, finished=True))
    for _ in range(3):
        study.suggest()
    reopened = open_study(tmp_path / "journal.log")
    assert reopened.suggest().params == study.suggest().params
