"""Trials under Ray Tune on a toy task: every ending, and workers that see no rejected candidate."""

import io

import numpy as np
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution
from rich.console import Console

from data.splits import Dataset, Split, Splits
from results import tables
from results.schema import Status
from search.cluster import Cluster
from search.config import RunConfig
from search.plan import Plan
from search.slots import Slot
from search.study import Budget
from search.tasks import Metric, Task
from search.tuning import run_trials
from spaces.network import Conv, Dense, Flatten, Network, Norm
from spaces.recipe import Candidate, Recipe
from spaces.space import Parameter, Params, Space

pytestmark = pytest.mark.ray

NETWORK = Network((1, 6, 6), (Conv(4, 3), Norm(), Flatten(), Dense(2)))


def candidate(params: Params) -> Candidate:
    """A 'broken' optimizer is one that no worker knows; 'wild' is one whose loss overflows."""
    name, rate = params["optimizer"], float(params["rate"])
    return Candidate(
        NETWORK, Recipe(optimizer="sgd" if name == "wild" else name, learning_rate=1e30 if name == "wild" else rate)
    )  # type: ignore[arg-type]


SPACE = Space(
    (
        Parameter("optimizer", CategoricalDistribution(["adam", "sgd", "broken", "wild"])),
        Parameter("rate", FloatDistribution(1e-4, 1e-1, log=True)),
    ),
    candidate,
)


def stripes(count: int, seed: int) -> Split:
    """Images with a bright row (1) or a bright column (0)."""
    rng = np.random.default_rng(seed)
    x, y = rng.integers(0, 60, (count, 6, 6), dtype=np.uint8), rng.integers(0, 2, count)
    for image, label in zip(x, y, strict=True):
        place = rng.integers(6)
        image[(place, slice(None)) if label else (slice(None), place)] = 255
    return Split(x, y)


def made() -> Splits:
    return Splits(name="stripes", origin="made", train=stripes(256, 0), val=stripes(128, 1), test=stripes(128, 2))


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("toy") / "run"
    folder.mkdir()
    task = Task(
        name="toy",
        sentence="stripes",
        dataset=Dataset(name="stripes", original=lambda *_: made(), made=made),
        space=SPACE,
        objective=Metric("accuracy", "maximize"),
        max_epochs=4,
        max_params=1_000,
    )
    config = RunConfig(
        num_trials=12, max_epochs=4, run="run", runs_dir=str(folder.parent), max_failures=0, address="local"
    )
    plan = Plan(config, task, SPACE, Budget(max_params=1_000), 4, folder)
    splits = made()
    study = plan.open_study(splits)
    with Cluster(config):
        run_trials(plan, splits, study, Slot(cpus=1, gpus=0), 1, Console(file=io.StringIO()))
    return study, plan


def test_every_trial_ended_as_its_candidate_had_to(study):
    expected = {"broken": {Status.FAILED}, "wild": {Status.FAILED_NAN}}
    for trial in study[0].trials:
        assert trial.status in expected.get(trial.params["optimizer"], {Status.COMPLETE, Status.PRUNED})
    assert {trial.status for trial in study[0].trials} == {
        Status.COMPLETE,
        Status.PRUNED,
        Status.FAILED,
        Status.FAILED_NAN,
    }


def test_a_failed_trial_keeps_its_error_and_does_not_stop_the_run(study):
    failed = [trial for trial in study[0].trials if trial.status == Status.FAILED]
    assert {trial.error for trial in failed} == {"KeyError: 'broken'"}
    assert len(study[0].trials) == 12


def test_the_table_says_the_same(study):
    table = tables.frame(tables.read(study[1].folder / "leaderboard.parquet", "leaderboard"))
    by_trial = table.set_index("trial")["status"].sort_index().tolist()
    assert by_trial == [str(trial.status) for trial in study[0].trials]
    assert table[table["status"].str.startswith("FAILED")]["rank"].isna().all()


def test_the_best_model_is_the_best_completed_trials(study):
    from trainables.model import load_model

    model = load_model(study[1].folder / "models" / "best.pt")
    best = study[0].best()
    assert model.facts["trial"] == best.number
    assert model.candidate == best.candidate
    assert model.facts["val_score"] == best.reports[-1]["val_score"]
