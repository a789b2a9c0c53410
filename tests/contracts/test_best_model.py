"""models/best.pt holds the network of the leaderboard's first row, by whichever command it was written."""

from pathlib import Path

import pytest

from results import tables
from spaces.recipe import Candidate
from tests.search.command import run
from trainables.model import load_model

pytestmark = [pytest.mark.ray, pytest.mark.tasks]

SMALL = ("max_epochs=1", "train_examples=1000", "val_examples=200")
# Candidates that hardly learn within an epoch, so that the published network leads
SLOW = ("fix.batch_norm=false", "fix.optimizer=sgd", "fix.sgd_learning_rate=0.02", "fix.batch_size=256")
ALONE = ("num_trials=1", "references=false")
KINDS = {
    "a reference leads": ("run=reference", "num_trials=1", *SLOW),
    "its best candidate is taken over, and its file holds the reference": ("run=known", "warm_start=reference", *ALONE),
    "that run is extended, and its best changes": ("run=known", "num_trials=2", "references=true"),
    "warm start from a table": ("run=table", "warm_start={runs_dir}/reference/leaderboard.parquet", *ALONE),
}
"""The commands by kind. They run in this order, each after those before it."""


@pytest.fixture(scope="module")
def outputs(tmp_path_factory, cluster) -> tuple[Path, dict[str, tuple[bool, str]]]:
    """Returns the runs_dir, and by kind whether the contract held after the command and what it printed."""
    runs_dir, found = tmp_path_factory.mktemp("runs"), {}
    for kind, arguments in KINDS.items():
        code, output = run(runs_dir, cluster, *SMALL, *(each.format(runs_dir=runs_dir) for each in arguments))
        assert code == 0, output
        folder = runs_dir / arguments[0].removeprefix("run=")
        found[kind] = (holds_the_first(folder), output)
    return runs_dir, found


def holds_the_first(folder: Path) -> bool:
    first = tables.read_run(folder, "leaderboard").to_pylist()[0]
    return load_model(folder / "models" / "best.pt").candidate == Candidate.from_json(first["candidate_json"])


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_the_first_rows_and_its_path_is_printed(outputs, kind):
    runs_dir, found = outputs
    is_first, output = found[kind]
    assert is_first, output
    name = KINDS[kind][0].removeprefix("run=")
    assert f"best model: {runs_dir / name}/models/best.pt; try: " in output


def test_these_are_the_kinds_that_they_are_called(outputs):
    runs_dir, found = outputs
    first = tables.read_run(runs_dir / "reference", "leaderboard").to_pylist()[0]
    assert first["reference"] == "bertoldi"
    retrained = [kind for kind, (_, output) in found.items() if "is retrained, since no file holds" in output]
    assert retrained == [list(KINDS)[1]]
