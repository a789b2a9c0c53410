"""A task file of one's own in a real Ray: search, confirmation, resume, replay, and what is refused."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import results
import search
from search.run import main
from tests.search.command import run_command
from trainables.model import load_model

FILE = '''"""Which quarter of the plane a point is in"""

import numpy as np
from torch import nn

from data import Splits

max_params = 200
references = {"linear": lambda: nn.Linear(2, 4)}


def data():
    x = np.random.default_rng(0).normal(size=(600, 2))
    return Splits.of(x, 2 * (x[:, 0] > 0) + (x[:, 1] > 0))


def space(choose):
    layers = [nn.Linear(2, choose.int("width", 4, 64, log=True)), nn.ReLU()]
    if choose.of("drop", [True, False]):
        layers.append(nn.Dropout(choose.float("rate", 0.1, 0.3)))
    return nn.Sequential(*layers, nn.Linear(layers[0].out_features, 4))


def allowed(choices, cost):
    return choices["width"] != 5 or "five is unlucky"
'''
SMALL = ("num_trials=3", "max_epochs=6", "concurrency=2", "seed=1")
CONFIRMED = ("confirm.top_k=1", "confirm.seeds=2")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("own")


@pytest.fixture(scope="module")
def file(folder) -> Path:
    path = folder / "quarters.py"
    path.write_text(FILE)
    return path


@pytest.fixture(scope="module")
def found(folder, file, cluster) -> str:
    """Runs the search and its confirmation, and returns what it printed."""
    keys = (f"task={file}", cluster, f"runs_dir={folder}", "run=a", "export=onnx")
    code, output = run_command("search.run", *keys, *SMALL, *CONFIRMED)
    assert code == 0, output
    return output


pytestmark = pytest.mark.ray


def test_its_tables_have_the_choices_and_the_counted_costs(found, folder):
    assert found.startswith("quarters: Which quarter of the plane a point is in")
    board = results.load("quarters", folder)
    drawn = board[board["reference"].isna()]
    assert set(board["reference"].dropna()) == {"linear"}
    assert drawn["num_params"].tolist() == [3 * w + 4 * w + 4 for w in drawn["param_width"]]
    assert drawn["num_macs"].tolist() == [2 * w + 4 * w for w in drawn["param_width"]]
    assert drawn["param_rate"].isna().tolist() == [not drop for drop in drawn["param_drop"]]
    assert board["score"].between(0.25, 1).all()
    finalists = results.load("quarters", folder, table="finalists")
    assert finalists["test_score"].notna().all()
    assert (folder / "a" / "report.html").is_file()
    assert (folder / "a" / "models" / "best.onnx").is_file()


def test_the_run_keeps_the_files_text(found, folder):
    assert (folder / "a" / "task.py").read_text() == FILE


def test_a_model_needs_the_file(found, folder, file):
    model = folder / "a" / "models" / "best.pt"
    with pytest.raises(ValueError, match="task="):
        load_model(model)
    logits = load_model(model, task=file)(np.array([[3, 3], [-3, -3]], np.float32))
    assert logits.argmax(1).tolist() == [3, 0]


def test_a_replay_repeats_a_trial_bit_for_bit(found, folder, file):
    code, output = run_command("search.replay", "run=a", "trial=1", f"runs_dir={folder}")
    assert code == 0, output
    assert "bit for bit" in output, output


def test_it_is_extended_with_another_comment_and_refused_with_another_text(found, folder, file, cluster):
    more = (f"task={file}", cluster, f"runs_dir={folder}", "run=a", "num_trials=4")
    file.write_text(f"# a comment\n{FILE}")
    code, output = run_command("search.run", *more, "confirm.top_k=0")
    assert code == 0, output
    assert len(results.load("quarters", folder)) == 5
    file.write_text(FILE.replace("x[:, 1] > 0", "x[:, 1] > 1"))
    for module, keys in (
        ("search.run", more),
        ("search.confirm", ("run=a", f"runs_dir={folder}")),
        ("search.replay", ("run=a", "trial=1", f"runs_dir={folder}")),
    ):
        code, output = run_command(module, *keys)
        assert code == 2, output
        assert "+    return Splits.of(x, 2 * (x[:, 0] > 0) + (x[:, 1] > 1))" in output
    file.write_text(FILE)


def test_an_error_in_the_file_ends_before_ray_starts(folder, capsys):
    broken = folder / "broken.py"
    broken.write_text(FILE.replace("2 * (x[:, 0] > 0)", "missing"))
    assert main([f"task={broken}", f"runs_dir={folder}", "run=b"]) == 2
    error = capsys.readouterr().err
    assert re.search(r"broken\.py, line 14: NameError: name 'missing' is not defined\n +return Splits\.of", error)
    assert "Traceback" not in error
    assert not (folder / "b").exists()


def test_an_exception_in_a_module_ends_its_trial_alone(folder, cluster):
    odd = folder / "odd.py"
    text = FILE.replace("    return nn.Sequential(*layers", "    return Odd(*layers") + (
        "\n\nclass Odd(nn.Sequential):\n    def forward(self, x):\n        y = super().forward(x)\n"
        "        if self.training and self[0].out_features > 9:\n            raise RuntimeError('too wide')\n"
        "        return y\n"
    )
    odd.write_text(text)
    keys = (f"task={odd}", cluster, f"runs_dir={folder}", "run=c", "references=false", "confirm.top_k=0")
    _, output = run_command("search.run", *keys, "num_trials=6", "max_epochs=2", "seed=2", "max_failures=0")
    board = results.load("odd", folder)
    wide = board["param_width"] > 9
    assert set(board.loc[wide, "status"]) == {"FAILED"}, output
    assert not board.loc[~wide, "status"].str.startswith("FAILED").any()
    assert board.loc[wide, "error"].str.contains(r"odd\.py, line \d+: RuntimeError: too wide").all()


def test_the_same_from_python(folder, cluster, capsys):
    def data():
        from data import Splits

        x = np.random.default_rng(0).normal(size=(300, 3)).astype(np.float32)
        return Splits.of(x, x[:, 0] - 2 * x[:, 1])

    task = search.Task(name="slope", data=data)
    keys = {"runs_dir": folder, "address": cluster.removeprefix("address="), "num_trials": 2, "max_epochs": 4}
    run = search.start(task, run="d", confirm={"top_k": 0}, **keys)
    assert run.best.score < 3
    assert "input=EXAMPLES\n" in capsys.readouterr().out
    run = run.extend(num_trials=3)
    assert len(run.leaderboard) == 3
    assert search.open(run.folder, task=task).best.score == run.best.score
    assert run.best.model()(np.zeros((1, 3), np.float32)).shape == (1, 1)


PARTS = """
import numpy as np
from torch import nn
from data import Splits

def data():
    x = np.random.default_rng(0).normal(size=(300, 3)).astype(np.float32)
    return Splits.of(x, x[:, 0] - 2 * x[:, 1])

def space(choose):
    return nn.Sequential(nn.Linear(3, choose.int("width", 2, 9)), nn.Tanh(), Last())
"""
HELPER = """
from torch import nn

class Last(nn.Module):
    def forward(self, x):
        return x.sum(1, keepdim=True)
"""


def test_parts_from_modules_that_workers_lack(folder, cluster, monkeypatch, capsys):
    """Workers get the text of modules that are on the driver's path alone, and of those that they import."""
    sources = folder / "sources"
    sources.mkdir()
    (sources / "last_layer.py").write_text(HELPER)
    (sources / "slopes.py").write_text(f"from last_layer import Last\n{PARTS}")
    monkeypatch.syspath_prepend(str(sources))
    import slopes  # pyright: ignore[reportMissingImports]

    task = search.Task(name="slopes", data=slopes.data, space=slopes.space)
    keys = {"runs_dir": folder, "address": cluster.removeprefix("address="), "num_trials": 2, "max_epochs": 2}
    run = search.start(task, run="imported", confirm={"top_k": 0}, **keys)
    assert set(run.leaderboard["status"]) == {"COMPLETE"}
    assert "try in Python: run.best.model()(examples)" in capsys.readouterr().out
    assert "input=EXAMPLES</" in run.report().read_text()  # without task=, since the run's text is no file
    assert run.best.model()(np.zeros((1, 3), np.float32)).shape == (1, 1)


def test_a_misspelt_part_is_named_with_the_nearest():
    with pytest.raises(TypeError, match=r"refernces is no part of a task; did you mean references\?"):
        search.Task(name="mine", data=lambda: None, refernces={})  # pyright: ignore[reportCallIssue]
