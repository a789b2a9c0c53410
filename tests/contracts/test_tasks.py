"""The contract of every task; a new file in search/tasks/ is found here automatically."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from data.splits import Split, Splits
from search import tasks
from search.planning.config import parse
from search.planning.plan import Plan
from search.planning.survey import survey
from search.runs.study_tables import param_types
from search.study.budget import Budget
from spaces.goal import Classify
from spaces.recipe import Candidate, Recipe
from trainables.build import build
from trainables.goals import DeviceSplit
from trainables.inference import to_float
from trainables.optim import make_optimizer
from trainables.training import Training

TASKS = [tasks.find(name) for name in tasks.names()]


def budget_of(task: tasks.Task) -> Budget:
    return Budget(max_params=task.max_params, max_macs=task.laptop.max_macs, max_code=task.max_code)


@pytest.fixture(params=TASKS, ids=lambda task: task.name)
def task(request) -> tasks.Task:
    return request.param


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory) -> Path:
    """Returns a folder for made data, with the real MNIST if it is available: some data are made from it."""
    folder = tmp_path_factory.mktemp("data")
    shared = Path(__file__).parents[3] / "shared" / "data" / "MNIST"
    if shared.is_dir():
        (folder / "MNIST").symlink_to(shared)
    return folder


@pytest.fixture(scope="module")
def loaded() -> dict[str, Splits]:
    return {}


@pytest.fixture
def splits(task, loaded, data_dir) -> Splits:
    """Returns the task's made data at laptop scale, made once."""
    dataset = task.laptop.dataset or task.dataset
    if dataset.made is None:
        pytest.skip(f"{dataset.name} has no made stand-in data")
    if task.name not in loaded:
        loaded[task.name] = dataset.load("made", data_dir, print)
    return loaded[task.name]


def candidates_of(task: tasks.Task) -> list[Candidate]:
    return [reference.candidate for reference in task.references.values()]


def small(candidates) -> list[Candidate]:
    """Returns the candidates that are quick to build."""
    return [c for c in candidates if c.network.num_params < 2_000_000]


@pytest.fixture(scope="module")
def seen():
    """Returns each task's survey of random draws at laptop scale, made once."""
    return {t.name: survey(t.space.pinned(t.laptop.fix), budget_of(t), seed=0) for t in TASKS}


def test_it_can_be_listed(task):
    assert task.sentence
    assert not task.sentence.endswith(".")
    assert task.objective.direction in ("maximize", "minimize")
    for scale in (task.laptop, task.full):
        assert scale.num_trials >= 16
        assert scale.max_epochs > 0
    assert 0 < task.gpus_per_trial <= 1


def test_at_least_a_fifth_of_random_draws_keep_its_budget(task, seen):
    assert seen[task.name].acceptance >= 0.2, seen[task.name].rates()


def test_draws_round_trip_and_are_built_as_counted(task, seen):
    for candidate in seen[task.name].feasible[:40]:
        assert Candidate.from_json(candidate.to_json()) == candidate
        module = build(candidate.network, device="meta")
        assert sum(p.numel() for p in module.parameters()) == candidate.network.num_params
        make_optimizer(candidate.recipe, module.parameters())


def test_references_round_trip_and_are_built_as_counted(task):
    for candidate in candidates_of(task):
        assert Candidate.from_json(candidate.to_json()) == candidate
        module = build(candidate.network, device="meta")
        assert sum(p.numel() for p in module.parameters()) == candidate.network.num_params


def test_every_parameter_has_a_column_type_and_a_name_of_its_own(task):
    names = [parameter.name for parameter in task.space.parameters]
    assert len(set(names)) == len(names)
    assert list(param_types(task.space)) == names


def test_references_have_their_published_counts(task):
    counts = {name: each.candidate.network.num_params for name, each in task.references.items()}
    assert counts == {name: each.num_params for name, each in task.references.items()}


@pytest.mark.parametrize("scale", ["laptop", "full"])
def test_references_are_trained_or_skipped_with_their_cost(task, scale):
    plan = Plan.of(parse([f"task={task.name}", f"scale={scale}"]))
    assert plan.references().keys() | plan.skipped().keys() == task.references.keys()
    for name, reason in plan.skipped().items():
        assert f"{task.references[name].candidate.network.num_params:,} parameters" in reason


def test_networks_take_its_images_and_answer_for_them(task, seen, splits):
    images, answer = splits.train.take(np.arange(2)), splits.num_classes if isinstance(task.goal, Classify) else None
    if isinstance(images.x, list):  # parts of pages, of odd sizes, since whole pages take long
        images = Split([page[:101, :131] for page in images.x], [page[:101, :131] for page in images.y])
    split = DeviceSplit.of(images.x, images.y, torch.device("cpu"))
    for candidate in [*small(candidates_of(task)), *seen[task.name].feasible[:10]]:
        module = build(candidate.network).eval()
        for x in split.x:
            shape = module(to_float(x.unsqueeze(0)))[0].shape
            assert shape == ((answer,) if answer else x.shape)
            assert answer is None or shape == candidate.network.output_shape


def test_a_candidate_learns_from_its_images(task, seen, splits):
    """Trains two epochs of a few images: every report is finite, and the loss falls."""
    few = splits.limited(*([4, 2] if isinstance(splits.train.x, list) else [256, 64]))
    train, val = (DeviceSplit.of(split.x, split.y, torch.device("cpu")) for split in (few.train, few.val))
    drawn = [c for c in seen[task.name].feasible if c.network.num_macs < 1000 * len(splits.train.x[0].ravel())]
    recipe = Recipe(optimizer="adam", learning_rate=2e-3, batch_size=8)
    training = Training(replace(drawn[0], recipe=recipe), train, val, goal=task.goal, seed=0, epochs=2)
    first, second = training.advance(), training.advance()
    assert first.is_finite
    assert second.is_finite
    assert second.train_loss < first.train_loss
    assert all(isinstance(value, float) for value in second.metrics.values())


def test_made_data_is_marked_and_is_not_the_original(task, splits):
    assert splits.origin == "made"
    assert splits.name != task.dataset.name
    assert len(splits.train) > len(splits.val) > 0
    assert len(splits.test) > 0


def test_there_is_no_other_task():
    with pytest.raises(ValueError, match="there is no such task; there are"):
        tasks.find("no_such_task")
