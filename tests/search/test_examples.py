"""The examples of tasks of one's own: each is short, and its command finds, confirms and exports a network."""

from __future__ import annotations

import ast
import re
import signal
import time
from itertools import islice
from pathlib import Path

import pandas as pd
import pytest
from optuna.samplers import RandomSampler

import results
from search.planning import config
from search.planning.plan import Plan
from search.study.budget import judge
from search.study.sampling.draws import draws_from
from tests.search.command import ROOT, run_command, start_command

EXAMPLES = sorted(path for path in (ROOT / "examples").glob("*.py") if "task=examples/" in path.read_text())
SMALL = ("num_trials=2", "max_epochs=1", "confirm.top_k=1", "confirm.seeds=1", "export=onnx", "concurrency=2")
MAX_DRAWS = 3_000


def keys_of(example: Path) -> list[str]:
    """Returns the keys of the command in an example's docstring, but the task's."""
    command = (ast.get_docstring(ast.parse(example.read_text())) or "").splitlines()[-1]
    begin = f"python -m search.run task=examples/{example.name}"
    assert command.startswith(begin)
    return command.removeprefix(begin).split()


def few(example: Path) -> list[str]:
    """Returns the keys that leave few examples; pages are large."""
    return ["train_examples=4", "val_examples=4"] if example.stem == "text_on_pages" else ["train_examples=200"]


@pytest.fixture(scope="module", params=EXAMPLES, ids=lambda path: path.stem)
def example(request) -> Path:
    return request.param


@pytest.fixture(scope="module")
def made(example, tmp_path_factory) -> Path:
    """Writes the example with made data, which need no files, and returns its path."""
    path = tmp_path_factory.mktemp("examples") / example.name
    text = example.read_text()
    for name in ("mnist", "documents"):
        text = text.replace(f'load("{name}")', f'load("{name}", "made")').replace(
            f'load, "{name}")', f'load, "{name}", "made")'
        )
    path.write_text(text)
    return path


def test_it_is_short_and_says_what_is_searched_for(example):
    text = example.read_text()
    assert len(text.splitlines()) <= 25
    sentence, blank, *_ = (ast.get_docstring(ast.parse(text)) or "").splitlines()
    assert sentence[0].islower()
    assert not sentence.endswith(".")
    assert not blank
    assert keys_of(example) is not None


def test_its_space_has_networks_within_the_budget(example, made):
    plan = Plan.of(config.parse([f"task={made}", *keys_of(example)]))
    assert plan.task.references
    draws = islice(draws_from(plan.space, RandomSampler(seed=0)), MAX_DRAWS)
    judged = (judge(plan.space, plan.budget, params) for params in draws)
    networks = [candidate.network for candidate, rejection in islice((each for each in judged if not each[1]), 20)]
    assert len(networks) == 20
    assert max(network.num_params for network in networks) <= int(plan.budget.max_params or 0)
    assert len({network.output_shape for network in networks}) == 1


@pytest.mark.ray
@pytest.mark.tasks
def test_its_command_finds_confirms_and_exports_a_network(example, made, cluster, tmp_path):
    keys = [f"task={made}", *keys_of(example), cluster, f"runs_dir={tmp_path}", "run=a", *SMALL, *few(example)]
    code, output = run_command("search.run", *keys)
    assert code == 0, output
    board = results.load(example.stem, tmp_path)
    assert len(board) == 3
    assert set(board["reference"].dropna()) == {"linear" if example.stem != "breast_cancer" else "logistic"}
    finalists = results.load(example.stem, tmp_path, table="finalists")
    assert finalists["test_score"].notna().all()
    assert finalists["reference"].isna().sum() == 1
    assert len(finalists) == 2
    assert (tmp_path / "a" / "report.html").is_file()
    assert (tmp_path / "a" / "models" / "best.onnx").is_file()


@pytest.mark.ray
@pytest.mark.tasks
def test_one_that_was_killed_is_resumed(cluster, tmp_path):
    keys = ["task=examples/chirps.py", "max_params=3000", cluster, f"runs_dir={tmp_path}", "run=a", *SMALL]
    keys += ["export=none", "num_trials=4", "max_epochs=2", "train_examples=300"]
    with start_command("search.run", *keys) as process:
        while process.poll() is None and not ended(tmp_path):
            time.sleep(0.05)
        process.kill()
    assert process.returncode == -signal.SIGKILL
    before = ended(tmp_path)
    code, output = run_command("search.run", *keys)
    assert code == 0, output
    assert re.search(r"resumed +\d+ trials? had ended", output)
    board = results.load("chirps", tmp_path)
    assert len(board) == 5
    assert before.items() <= scores(board).items()
    assert results.load("chirps", tmp_path, table="finalists")["test_score"].notna().all()


def ended(folder: Path) -> dict[int, float]:
    """Returns the scores of the trials that were trained to their end, by number."""
    if not (folder / "a" / "leaderboard.parquet").exists():
        return {}
    return scores(results.load("chirps", folder))


def scores(board: pd.DataFrame) -> dict[int, float]:
    complete = board[board["status"] == "COMPLETE"]
    return dict(zip(complete["trial"].tolist(), complete["score"].tolist(), strict=True))
