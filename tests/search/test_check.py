"""search.check finds planted faults of a task file, each with a cure, and nothing in a file that is right."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from search.check import main
from search.planning.config import from_values

RIGHT = '''"""which quarter of the plane a point is in"""

import random

import numpy as np
import torch
from torch import nn

from data import Splits
from data.splits import Split
from spaces.goal import Classify, Custom

NAMES = {"state": 0}


def data():
    x = np.random.default_rng(0).normal(size=(400, 2)).astype(np.float32)
    y = 2 * (x[:, 0] > 0) + (x[:, 1] > 0)
    return Splits.of(x, y)


class Net(nn.Sequential):
    def forward(self, x):
        return super().forward(x)


def space(choose):
    width = choose.int("width", 4, 32, log=True)
    return Net(nn.Linear(2, width), nn.ReLU(), nn.Dropout(0.1), nn.Linear(width, 4))


def accuracy(outputs, targets):
    return (outputs.argmax(1) == targets).float().mean()


def loss(outputs, targets):
    return nn.functional.cross_entropy(outputs, targets)


goal = Custom(loss=loss, score=accuracy, direction="maximize", bounds=(0, 1))
'''
LEAK = "x = np.concatenate([x, x[:50]])"
BROKEN, USERS_ERROR = 1, 2


def check(folder: Path, text: str, capsys: pytest.CaptureFixture[str], *keys: str) -> tuple[int, str]:
    file = folder / "quarters.py"
    file.write_text(text)
    code = main([f"task={file}", *keys])
    captured = capsys.readouterr()
    return code, captured.out + captured.err


def test_a_task_that_is_right_is_ok(tmp_path, capsys):
    code, output = check(tmp_path, RIGHT, capsys)
    assert code == 0, output
    parts = [line.split()[1] for line in output.splitlines() if line.startswith("ok ")]
    assert parts == [
        *("data", "classes", "leaks", "space", "counts", "training", "learning", "replay", "checkpoint", "onnx")
    ]
    assert output.endswith("0 broken, 0 warnings, 10 ok\n")


@pytest.mark.parametrize(
    ("old", "new", "code", "message"),
    [
        pytest.param(
            "nn.Linear(width, 4))",
            "nn.Linear(width, 3))",
            USERS_ERROR,
            r"space\(\) gives outputs of shape \[3\] for inputs of shape \[2\]; Custom needs \[4\]",
            id="wrong output shape",
        ),
        pytest.param(
            "nn.Linear(2, width)",
            "nn.Linear(3, width)",
            USERS_ERROR,
            r"cannot be counted: .*quarters\.py, line \d+: .*reduction dim",
            id="wrong input shape",
        ),
        pytest.param(
            "return Splits.of(x, y)",
            "y[-1] = 7\n    parts = [Split(x[k::3], y[k::3].astype(int)) for k in range(3)]\n"
            '    return Splits(name="points", origin="original", train=parts[1], val=parts[2], test=parts[0], '
            "classes=tuple('abcd'))",
            BROKEN,
            r"broken +data +y of test has the label 7, out of range: labels number the classes from 0 to 3",
            id="labels out of range",
        ),
        pytest.param(
            "return (outputs.argmax(1) == targets).float().mean()",
            "return (outputs.argmax(1) == targets).float().mean() * float('nan')",
            BROKEN,
            r"broken +score +the score is nan: score\(\) must return a number",
            id="a metric that is always NaN",
        ),
        pytest.param(
            "        return super().forward(x)",
            "        NAMES['state'] += 1\n        return super().forward(x) * (1 + 0.1 * NAMES['state'])",
            BROKEN,
            r"broken +replay +two trainings from one seed differ: .*state.*: .*keep no state outside the module",
            id="state between trials",
        ),
        pytest.param(
            "        return super().forward(x)",
            "        return super().forward(x) * (1 + random.random())",
            BROKEN,
            r"broken +replay +two trainings from one seed differ: randomness that is not seeded",
            id="randomness that is not seeded",
        ),
        pytest.param(
            "return nn.functional.cross_entropy(outputs, targets)",
            "return nn.functional.cross_entropy(outputs * 0, targets)",
            BROKEN,
            r"broken +learning +the loss of a repeated batch stays at 100% of its start",
            id="a loss that never falls",
        ),
        pytest.param(
            "    y = 2 *",
            f"    {LEAK}\n    y = 2 *",
            BROKEN,
            r"broken +leaks +\d+ .*test.*: scores on them say nothing about new examples",
            id="equal examples in two splits",
        ),
        pytest.param(
            "goal = Custom",
            "max_params = 20\ngoal = Custom",
            BROKEN,
            r"broken +space +all of 100 draws are rejected: 100\.0% over max_params; the smallest network has 32 "
            r"parameters.*: raise the budget",
            id="all draws over the budget",
        ),
        pytest.param(
            "nn.Dropout(0.1)",
            'nn.Dropout(choose.float("width", 0.1, 0.3))',
            USERS_ERROR,
            r"quarters\.py, line \d+: ValueError: 'width' is chosen twice; give each choice a name of its own",
            id="a name twice",
        ),
        pytest.param(
            "        return super().forward(x)",
            "        return super().forward(x) + torch.linalg.svd(x.T @ x)[1].sum() * 0",
            0,
            r"warn +onnx +.*svd.*: export=onnx would fail",
            id="a module that cannot be exported",
        ),
        pytest.param(
            "        return super().forward(x)",
            "        return super().forward((x - x.mean(0)) / (x.std(0, correction=0) + 0.1))",
            BROKEN,
            r"broken +outputs +an example gets another output alone than in a batch: no statistics of the batch",
            id="a module that normalizes over the batch",
        ),
        pytest.param(
            "    def forward(self, x):\n        return super().forward(x)",
            "    def __init__(self, *layers):\n        super().__init__(*layers)\n        self.scale = torch.rand(2)\n"
            "    def forward(self, x):\n        return super().forward(x * self.scale)",
            BROKEN,
            r"broken +model +a model that is read from its file gives other outputs than in training: register",
            id="a random tensor that is no buffer",
        ),
        pytest.param(
            'direction="maximize"',
            'direction="minimize"',
            0,
            r"warn +score +while the loss falls, the score goes from .*: that is worse with direction='minimize'",
            id="the wrong direction",
        ),
        pytest.param(
            "        return super().forward(x)",
            "        print('here')\n        return super().forward(x)",
            0,
            r"warn +output +the code of the task prints \d+ lines here, the first: 'here'",
            id="a module that prints",
        ),
        pytest.param(
            "bounds=(0, 1)",
            "bounds=(2, 3)",
            BROKEN,
            r"broken +score +.* is not within \(2, 3\)",
            id="a score that is not within its bounds",
        ),
        pytest.param(
            "goal = Custom",
            "def allowed(choices, cost):\n    return 'too slow'\n\n\ngoal = Custom",
            BROKEN,
            r"broken +space +all of 100 draws are rejected: 100\.0% too slow.*: let allowed\(\) accept more",
            id="a constraint that accepts nothing",
        ),
    ],
)
def test_a_planted_fault_is_found_and_has_a_cure(old, new, code, message, tmp_path, capsys):
    assert RIGHT.count(old) == 1
    found, output = check(tmp_path, RIGHT.replace(old, new), capsys)
    assert re.search(message, output), output
    assert found == code, output
    assert "Traceback" not in output


def test_the_budget_of_the_command_line_counts(tmp_path, capsys):
    code, output = check(tmp_path, RIGHT, capsys, "max_params=20")
    assert code == BROKEN
    assert "over max_params" in output


def test_a_state_that_no_checkpoint_has_is_found(tmp_path, capsys):
    text = RIGHT.replace(
        "        return super().forward(x)",
        "        self.calls = getattr(self, 'calls', 0) + self.training\n"
        "        return super().forward(x) * (1 + 0.01 * self.calls)",
    )
    code, output = check(tmp_path, text, capsys)
    assert code == BROKEN, output
    assert re.search(r"broken +checkpoint +a resumed training differs.*register_buffer", output)


def test_a_task_of_frugals_is_ok(capsys):
    assert main(["task=tiny10k", "data=made"]) == 0, capsys.readouterr().out


DATA_ONLY = """
import numpy as np

from data import Splits
from spaces.goal import Custom, Segment
from spaces.layers import Dense, Flatten, Reshape
from spaces.recipe import Recipe
from search.tasks import Scale

rng = np.random.default_rng(0)
x = rng.normal(size=(200, 2)).astype(np.float32)
y = 2 * (x[:, 0] > 0) + (x[:, 1] > 0)


def data():
    return Splits.of(x, y)


"""


@pytest.mark.parametrize(
    ("arrays", "text", "message"),
    [
        pytest.param(
            "x, np.full(200, 3.0)", "", r"broken +data +y is 3\.000 for all training examples", id="a constant target"
        ),
        pytest.param(
            "np.concatenate([x, x * 0 + 1], 1), y",
            "",
            r"warn +data +features that are constant in training \(2 of 4\): number 2, number 3",
            id="constant features",
        ),
        pytest.param(
            "x, (y > 1).astype(float)",
            "",
            r"warn +data +y holds floats of 2 whole values, which are regressed: if they are classes",
            id="labels that are floats",
        ),
        pytest.param(
            "x, 1e9 + 1e8 * x[:, 0]",
            "def error(outputs, targets):\n    return (outputs - targets).square().mean()\n"
            'goal = Custom(loss=error, score=error, direction="minimize")\n',
            r"warn +data +y has mean .*e\+08 and deviation .*, to which outputs are not scaled",
            id="targets far out of scale",
        ),
        pytest.param(
            "rng.integers(0, 255, (200, 8, 8)).astype(np.uint8), y",
            "def space(choose):\n    return [Dense(4)]\n",
            r"broken +space +.*: correct the layers: layer 2: Dense.*: put Flatten or GlobalPool before",
            id="no Flatten",
        ),
    ],
)
def test_a_fault_is_found_before_anything_is_trained(arrays, text, message, tmp_path, capsys):
    """The budget admits no network, so that the checks end before a training."""
    code, output = check(tmp_path, DATA_ONLY.replace("(x, y)", f"({arrays})") + text, capsys, "max_params=1")
    assert re.search(message, output), output
    assert code == BROKEN, output


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def space(choose):\n    return []\n", r"space\(\) returned a list with nothing in it"),
        ("def space(choose):\n    choose.int('width', 1, 2)\n", r"space\(\) returned nothing; expected layers"),
        (
            "import torch\nreferences = {'a': torch.nn.Linear(2, 4)}\n",
            r'references\["a"\] is a module; expected a func',
        ),
        (
            "import torch\ndef space(choose):\n    return [torch.nn.Linear(2, 4)]\n",
            r"space\(\) returned a list of modules; expected one module: nn\.Sequential\(\*modules\)",
        ),
        ("def recipe(choose):\n    pass\n", r"recipe\(\) returned a NoneType; expected a Recipe"),
        ("recipe = Recipe(optimizer='adma')\n", r"recipe: optimizer='adma': expected one of adam, adamw"),
        ("def allowed(choices):\n    pass\n", r"allowed\(\) is called with other .* def allowed\(choices, cost\)"),
        ("def space():\n    pass\n", r"space\(\) is called with other arguments: expected def space\(choose\)"),
        (
            "def one(outputs):\n    return outputs.mean()\n"
            "goal = Custom(loss=lambda outputs, targets: outputs.mean(), score=one)\n",
            r"score\(\) is called with other arguments: expected def score\(outputs, targets\)",
        ),
        ("def allowed(choices, cost):\n    pass\n", r"allowed\(\) returned None; expected True, False"),
        (
            "def space(choose):\n    return [Dense(choose.int('optimizer', 4, 8)), Dense(4)]\n",
            r"space\(\) chooses 'optimizer', which the recipe chooses too; rename it",
        ),
        (
            "def space(choose):\n    return [Dense(choose.integer('width', 4, 8)), Dense(4)]\n",
            r"there is no choose\.integer; there are choose\.int, choose\.float and choose\.of",
        ),
        ("goal = Custom(loss=abs)\n", r"goal = Custom\(\.\.\.\) lacks score: expected a function for each"),
        (
            "scale = Scale(num_trials=-1, max_epochs=1)\n",
            r"quarters\.py, line \d+: ValueError: Scale\(num_trials=-1\): expected a whole number above 0",
        ),
        ("goal = Segment()\n", r"Segment needs the class of each pixel"),
        (
            "def data():\n    return Splits.of([np.zeros((8, 8 + n % 2), np.uint8) for n in range(200)], y)\n",
            r"x has arrays of several sizes, and Classify needs one size: resize or pad",
        ),
        (
            "def data():\n    images = rng.integers(0, 255, (60, 32, 32)).astype(np.uint8)\n"
            "    return Splits.of(images, (images > 99).astype(int))\n"
            "goal = Segment(patch=16)\n"
            "def space(choose):\n    return [Flatten(), Dense(2048), Reshape((2, 32, 32))]\n",
            r"space\(\) has Flatten, which takes one size, but images or patches have several",
        ),
    ],
)
def test_a_mistake_in_a_file_is_the_users(text, message, tmp_path, capsys):
    code, output = check(tmp_path, DATA_ONLY + text, capsys)
    assert re.search(message, output), output
    assert code == USERS_ERROR


def test_a_recipe_and_a_limit_count_without_a_space(tmp_path):
    file = tmp_path / "quarters.py"
    recipe = "def recipe(choose):\n    return Recipe(batch_size=choose.of('batch', [8, 16]))\n"
    file.write_text(f"{DATA_ONLY}{recipe}max_macs = 100\n")
    config = from_values(task=str(file))
    names = [parameter.name for parameter in config.definition.space.parameters]
    assert names[-1] == "batch"
    assert not {"optimizer", "batch_size"} & {*names}
    assert config.max_macs == 100


def test_a_module_on_the_path_that_is_not_installed_is_no_part_of_the_run(tmp_path, capsys, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "helpers_of_quarters.py").write_text("def double(x):\n    return 2 * x\n")
    monkeypatch.syspath_prepend(tmp_path / "elsewhere")
    text = "from helpers_of_quarters import double\n" + DATA_ONLY
    _, output = check(tmp_path, text, capsys, "max_params=1")
    assert "warn    code          the file imports helpers_of_quarters: a change there is not noticed" in output
