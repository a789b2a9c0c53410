"""The Makefile's recipes, as far as they can be checked without running them."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from search.planning.config import parse
from search.planning.plan import Plan

ROOT = Path(__file__).parents[1]
ENVIRONMENT = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKEOVERRIDES", "ARGS")}
"""The environment without the variables that `make test ARGS=...` passes on to each make started within it."""

WITH_MAKE = pytest.mark.skipif(not shutil.which("make"), reason="make is not installed")
HAS_VENV = f"""#!{sys.executable}
import pathlib, sys
if sys.argv[1:3] == ["-m", "venv"]:
    python = pathlib.Path(sys.argv[3], "bin", "python")
    python.parent.mkdir(parents=True, exist_ok=True)
    python.write_text("#!/bin/sh\\necho 'No space left on device' >&2\\nexit PIPS\\n")
    python.chmod(0o755)
"""
"""A fake Python that creates an environment whose pip exits with the code PIPS."""
NO_VENV = f"#!{sys.executable}\nimport sys; sys.exit('ensurepip' in sys.argv[-1])"
"""A fake Python that cannot create an environment."""


def set_up(folder: Path, python: str) -> tuple[int, str]:
    """Runs make with this script as Python; returns the exit code and the output."""
    script = folder / "python"
    script.write_text(python)
    script.chmod(0o755)
    venv = folder / "venv"
    command = [shutil.which("make") or "make", f"PYTHON={script}", f"VENV={venv}", f"{venv}/installed"]
    done = subprocess.run(
        command, cwd=ROOT, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    return done.returncode, done.stdout


@WITH_MAKE
def test_a_failed_set_up_prints_the_reason_and_is_repeated(tmp_path: Path):
    code, output = set_up(tmp_path, NO_VENV)
    assert code
    assert "python3-venv" in output
    assert not (tmp_path / "venv").exists()
    code, output = set_up(tmp_path, HAS_VENV.replace("PIPS", "1"))
    assert code
    assert "No space left on device" in output
    assert "is not whole" in output
    assert not (tmp_path / "venv" / "installed").exists()
    assert set_up(tmp_path, HAS_VENV.replace("PIPS", "0"))[0] == 0, "the next attempt continues"
    assert (tmp_path / "venv" / "installed").exists()


@WITH_MAKE
def test_the_documents_recipe_trains_one_network_on_all_training_pages():
    command = [shutil.which("make") or "make", "--dry-run", "documents", f"--assume-old={ROOT / '.venv/installed'}"]
    printed = subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, check=True).stdout
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
