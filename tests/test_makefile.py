"""The Makefile's recipes, as far as they can be read without being run."""

import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from search.config import parse
from search.plan import Plan

ROOT = Path(__file__).parents[1]


@pytest.mark.skipif(not shutil.which("make"), reason="make is not installed")
def test_the_documents_recipe_trains_one_network_on_all_training_pages():
    command = [shutil.which("make") or "make", "--dry-run", "documents", f"--assume-old={ROOT / '.venv/installed'}"]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    line = next(line for line in printed.replace("\\\n", " ").splitlines() if "search.run" in line)
    words = shlex.split(line)
    config = parse(words[words.index("search.run") + 1 :])
    assert (config.train_examples, config.val_examples, config.max_epochs, config.num_trials) == (None, None, 170, 1)
    assert config.data == "original"
    assert config.confirm.top_k == 0
    plan = Plan.of(config)
    drawn = {p.name for p in plan.space.parameters if not getattr(p.distribution, "single", lambda: False)()}
    assert not drawn & {
        "family",
        "stages",
        "width_1",
        "convs",
        "kernel",
        "skips",
        "optimizer",
        "learning_rate",
        "batch_size",
    }
    assert plan.references() == {}
