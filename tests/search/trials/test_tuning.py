"""Trials under Ray Tune on a toy task: every ending occurs, and no worker gets a rejected candidate."""

import io
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution
from ray.tune.execution.tune_controller import TuneController

from data.splits import Dataset, Split, Splits
from results import tables
from results.report import lessons
from results.report.run_record import read_run
from results.schema import Status
from search.cluster.connection import Cluster, Slots
from search.cluster.slots import Nodes, Slot
from search.command_line.signals import Stop
from search.command_line.terminal import Terminal
from search.planning.config import RunConfig, from_values
from search.planning.plan import Plan
from search.runs.folder import RunFolder
from search.session.study import open_study
from search.session.summary import print_summary
from search.study.budget import Budget
from search.study.study import Study
from search.tasks import Scale, Task
from search.trials.failures import FIRST_TRIALS
from search.trials.job import search_job
from search.trials.outcome import Outcome
from search.trials.tuning import run_trials
from spaces.layers import Conv, Dense, Flatten, Norm
from spaces.network import Network
from spaces.recipe import Candidate, Recipe
from spaces.space import Parameter, Params, Space

pytestmark = pytest.mark.ray

NETWORK = Network((1, 6, 6), (Conv(4, 3), Norm(), Flatten(), Dense(2)))
HUGE = Network((1, 6, 6), (Flatten(), Dense(10**12), Dense(2)))  # 144 TB of weights
ENDINGS = {
    "broken": {Status.FAILED},
    "wild": {Status.FAILED_NAN},
    "huge": {Status.FAILED_OOM},
    "sound": {Status.COMPLETE, Status.PRUNED},
}


def candidate(params: Params) -> Candidate:
    """Returns a candidate. No worker knows a 'broken' optimizer; a 'wild' learning rate makes the loss overflow."""
    fate, rate = params["fate"], float(params["rate"])
    recipe = Recipe(optimizer="sgd", learning_rate=rate * 1e30 if fate == "wild" else rate)
    return Candidate(
        HUGE if fate == "huge" else NETWORK,
        replace(recipe, optimizer="broken") if fate == "broken" else recipe,  # type: ignore[arg-type]
    )


SPACE = Space(
    (
        Parameter("fate", CategoricalDistribution(["sound", "broken", "wild", "huge"])),
        Parameter("rate", FloatDistribution(1e-4, 1e-1, log=True)),
    ),
    candidate,
)


def stripes(count: int, seed: int) -> Split:
    """Returns images with a bright row (1) or a bright column (0)."""
    rng = np.random.default_rng(seed)
    x, y = rng.integers(0, 60, (count, 6, 6), dtype=np.uint8), rng.integers(0, 2, count)
    for image, label in zip(x, y, strict=True):
        place = rng.integers(6)
        image[(place, slice(None)) if label else (slice(None), place)] = 255
    return Split(x, y)


def made() -> Splits:
    return Splits(name="stripes", origin="made", train=stripes(256, 0), val=stripes(128, 1), test=stripes(128, 2))


@dataclass
class Session:
    study: Study
    plan: Plan
    outcome: Outcome

    def printed(self) -> str:
        text = io.StringIO()
        print_summary(
            Terminal(text, width=120),
            self.plan,
            made(),
            self.study,
            self.outcome,
            best_model=None,
            test_reads="untouched",
        )
        return text.getvalue()


def run(folder: Path, *, seed: int, fix: dict[str, str], pruner: str = "asha") -> Session:
    task = Task(
        name="toy",
        sentence="stripes",
        dataset=Dataset(name="stripes", original=lambda *_: made(), made=lambda *_: made()),
        space=SPACE.pinned(fix),
        laptop=Scale(num_trials=8, max_epochs=4),
        full=Scale(num_trials=8, max_epochs=4),
    )
    config = RunConfig(
        num_trials=8,
        max_epochs=4,
        grace_epochs=1,
        run="run",
        runs_dir=str(folder),
        data_dir=str(folder / "data"),
        max_failures=0,
        references=False,
        seed=seed,
        sampler="random",
        pruner=pruner,
        fix=fix,
        definition=task,
        limits=task.laptop,
        goal=task.goal,
    )
    plan = Plan(
        config=config,
        task=task,
        goal=task.goal,
        dataset=task.dataset,
        scale=task.laptop,
        budget=Budget(),
        num_trials=8,
        max_epochs=4,
        folder=RunFolder(folder / "run"),
    )
    with plan.folder.locked():
        study = open_study(plan, made())
        outcome = run_trials(
            search_job(plan, made()),
            made(),
            study,
            Slots(Slot(cpus=1, gpus=0), 1, lambda: Nodes(up=[{"CPU": 1.0}])),
            Terminal(io.StringIO()),
            Stop(),
        )
    return Session(study, plan, outcome)


@pytest.fixture(scope="module", autouse=True)
def local_ray():
    with Cluster(from_values(address="local")):
        yield


@pytest.fixture(scope="module")
def tunes_own_records() -> list[int]:
    """Collects the number of trials in each of Tune's own records."""
    return []


@pytest.fixture(scope="module")
def kept_workers() -> list[bool]:
    """Collects, for each trial that ended well, whether Tune kept its worker for another trial."""
    return []


@pytest.fixture(scope="module")
def session(tmp_path_factory, tunes_own_records, kept_workers) -> Session:
    with pytest.MonkeyPatch.context() as monkeypatch:
        save, keep = TuneController.save_to_dir, TuneController._maybe_cache_trial_actor
        monkeypatch.setattr(
            TuneController,
            "_maybe_cache_trial_actor",
            lambda self, trial: kept_workers.append(keep(self, trial)) or kept_workers[-1],
        )
        monkeypatch.setattr(
            TuneController, "save_to_dir", lambda self: tunes_own_records.append(len(self.get_trials())) or save(self)
        )
        # A seed whose draws are one of each, and five sound ones
        return run(tmp_path_factory.mktemp("toy"), seed=41, fix={})


@pytest.fixture
def study(session):
    return session.study, session.plan


def test_every_trial_ended_as_its_candidate_had_to(study):
    for trial in study[0].trials:
        assert trial.status in ENDINGS[trial.params["fate"]]
    assert {trial.status for trial in study[0].trials} == set().union(*ENDINGS.values())


def test_tune_writes_down_its_first_trials_and_no_more(session, tunes_own_records):
    assert tunes_own_records == [1]


def test_a_worker_is_kept_for_the_next_trial_and_not_beyond_the_last(session, kept_workers):
    assert kept_workers[:-1] == [True] * (len(kept_workers) - 1)
    assert not kept_workers[-1]
    assert len(kept_workers) > 2


def test_a_failed_trial_keeps_its_error_and_does_not_stop_the_run(session):
    errors = {trial.status: trial.error for trial in session.study.trials}
    assert errors[Status.FAILED] == "KeyError: 'broken'"
    assert "allocate" in errors[Status.FAILED_OOM]
    assert len(session.study.trials) == 8
    assert session.outcome.failure is None


@pytest.mark.parametrize(
    ("fate", "error"),
    [pytest.param("broken", "KeyError: 'broken'", marks=pytest.mark.tasks), ("wild", "was not finite")],  # 20 seconds
)
def test_when_the_first_trials_all_fail_in_the_same_way_the_run_stops_and_shows_the_error(tmp_path, fate, error):
    session = run(tmp_path, seed=0, fix={"fate": fate})
    assert FIRST_TRIALS <= len(session.study.trials) <= FIRST_TRIALS + 1
    assert "all trials so far failed in the same way" in session.printed()
    assert error in session.printed()
    table = tables.frame(tables.read(session.plan.folder.path / "leaderboard.parquet", "leaderboard"))
    assert set(table["status"]) <= {*map(str, ENDINGS[fate]), "STOPPED"}


def test_without_a_pruner_every_trial_is_trained_to_its_end(tmp_path):
    session = run(tmp_path, seed=0, fix={"fate": "sound"}, pruner="none")
    assert [(trial.status, len(trial.reports)) for trial in session.study.trials] == [(Status.COMPLETE, 4)] * 8
    assert read_run(session.plan.folder.path).rungs == []
    assert "No trial was stopped early: pruner=none." in lessons.rungs(read_run(session.plan.folder.path)).html


def test_the_table_says_the_same(study):
    table = tables.frame(tables.read(study[1].folder.path / "leaderboard.parquet", "leaderboard"))
    by_trial = table.set_index("trial")["status"].sort_index().tolist()
    assert by_trial == [str(trial.status) for trial in study[0].trials]
    assert table[table["status"].str.startswith("FAILED")]["rank"].isna().all()


def test_the_best_model_is_the_best_completed_trials(study):
    from trainables.model import load_model

    model = load_model(study[1].folder.path / "models" / "best.pt")
    best = study[0].best
    assert model.facts["trial"] == best.number
    assert model.candidate == best.candidate
    assert model.facts["val_score"] == best.reports[-1].val_score
