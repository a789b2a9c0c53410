"""What every task must hold; a new file in search/tasks/ is found here by itself."""

import pytest
import torch

from search import tasks
from search.export import param_types
from search.study import Budget
from search.survey import survey
from spaces.recipe import Candidate
from trainables.build import build
from trainables.optim import make_optimizer

TASKS = [tasks.find(name) for name in tasks.names()]


@pytest.fixture(params=TASKS, ids=lambda task: task.name)
def task(request) -> tasks.Task:
    return request.param


@pytest.fixture(scope="module")
def seen():
    """Each task's survey of random draws, made once."""
    return {t.name: survey(t.space, Budget(max_params=t.max_params, max_macs=t.max_macs), seed=0) for t in TASKS}


def test_it_can_be_listed(task):
    assert task.sentence
    assert not task.sentence.endswith(".")
    assert task.objective.direction in ("maximize", "minimize")
    assert task.max_epochs > 0
    assert 0 < task.gpus_per_trial <= 1


def test_at_least_a_fifth_of_random_draws_keep_its_budget(task, seen):
    assert seen[task.name].acceptance >= 0.2, seen[task.name].rates()


def test_draws_round_trip_and_are_built_as_counted(task, seen):
    for candidate in seen[task.name].feasible[:40]:
        assert Candidate.from_json(candidate.to_json()) == candidate
        module = build(candidate.network, device="meta")
        assert sum(p.numel() for p in module.parameters()) == candidate.network.num_params
        make_optimizer(candidate.recipe, module.parameters())


def test_references_keep_the_budget_round_trip_and_are_built_as_counted(task):
    budget = Budget(max_params=task.max_params, max_macs=task.max_macs)
    for candidate in task.references.values():
        assert budget.rejection(candidate) is None
        assert Candidate.from_json(candidate.to_json()) == candidate
        module = build(candidate.network, device="meta")
        assert sum(p.numel() for p in module.parameters()) == candidate.network.num_params


def test_every_parameter_has_a_column_type_and_a_name_of_its_own(task):
    names = [parameter.name for parameter in task.space.parameters]
    assert len(set(names)) == len(names)
    assert list(param_types(task.space)) == names


def test_networks_take_its_images_and_answer_for_its_labels(task, seen):
    splits = task.dataset.made()
    height, width = splits.train.x.shape[1:]
    for candidate in [*task.references.values(), *seen[task.name].feasible[:10]]:
        assert candidate.network.input_shape == (1, height, width)
        assert candidate.network.output_shape == (splits.num_classes,)
        module = build(candidate.network).eval()
        assert module(torch.zeros(2, 1, height, width)).shape == (2, splits.num_classes)


def test_made_data_is_marked_and_is_not_the_original(task):
    splits = task.dataset.made()
    assert splits.origin == "made"
    assert splits.name != task.dataset.name


def test_there_is_no_other_task():
    with pytest.raises(ValueError, match="there is no such task; there are"):
        tasks.find("no_such_task")
