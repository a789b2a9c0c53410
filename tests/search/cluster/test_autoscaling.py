"""A search that is started on a head alone, where nodes come with the work: Ray's own autoscaler, simulated nodes."""

import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pandas as pd
import pytest

import results
from benchmarks.ray_head import NO_TOKEN
from tests.search.autoscaling import autoscaling_cluster
from tests.search.command import ROOT, environment
from tests.waiting import HANG_SECONDS

pytestmark = [pytest.mark.ray, pytest.mark.nodes]

WAIT_FOR_THE_HEAD_ALONE = """
import logging, sys, time, ray
ray.init(address=sys.argv[1], log_to_driver=False, logging_level=logging.ERROR)
while sum(node["Alive"] for node in ray.nodes()) > 1:
    time.sleep(0.5)
"""
TYPES = {
    "l4": {"resources": {"CPU": 2, "GPU": 1}, "max_workers": 2},
    "cpu": {"resources": {"CPU": 4}, "max_workers": 2},
}


@pytest.fixture(scope="module")
def searched(tmp_path_factory) -> tuple[str, pd.DataFrame, pd.DataFrame]:
    """What a search from zero workers printed, its leaderboard, and the steps of its trials: node and share.

    It continues until all nodes that the work brought have left, which they do after six idle seconds.
    """
    folder: Path = tmp_path_factory.mktemp("autoscaling")
    asked = ["data=made", "run=a", f"runs_dir={folder}", "num_trials=6", "max_epochs=3", "references=false"]
    with autoscaling_cluster(folder, TYPES, env={"NOTES": str(folder / "notes")}) as address:
        command = [sys.executable, "-m", "tests.search.on_fake_gpus", f"address={address}", *asked]
        done = subprocess.run(
            [*command, "confirm.top_k=0", "report=false"],
            cwd=ROOT,
            env=environment() | NO_TOKEN,
            capture_output=True,
            text=True,
            timeout=HANG_SECONDS,
        )
        gone = [sys.executable, "-c", WAIT_FOR_THE_HEAD_ALONE, address]
        subprocess.run(gone, env=environment() | NO_TOKEN, check=True, timeout=HANG_SECONDS)
    assert done.returncode == 0, done.stdout + done.stderr
    notes = pd.read_csv(folder / "notes", sep=" ", names=["trial", "node", "share"])
    return done.stdout, results.load("tiny10k", folder), notes


def test_a_head_alone_asks_for_as_many_workers_as_it_can_use(searched):
    output, table, notes = searched
    assert "slots    0, each of 0.25 GPUs and 1 CPU, 4 once all nodes have joined" in output
    assert notes["node"].nunique() == 2
    assert len(table) == 6
    assert set(table["status"]) <= {"COMPLETE", "PRUNED"}


def test_several_small_trials_share_a_gpu_and_no_trial_goes_to_a_node_without_one(searched):
    _, _, notes = searched
    trials = notes[notes["share"] == 0.25].groupby("node")["trial"].nunique()
    assert (trials >= 2).all()
    assert set(notes["share"]) == {0.25, 1.0}


def test_a_trial_without_memory_is_tried_again_alone_on_a_gpu(searched):
    output, table, notes = searched
    shares = defaultdict(list)
    for note in notes.itertuples():
        shares[note.trial].append(note.share)
    assert shares.pop(1)[0] == 0.25
    assert set(notes[notes["trial"] == 1]["share"].iloc[1:]) == {1.0}
    assert {share for given in shares.values() for share in given} == {0.25}
    assert table.set_index("trial").loc[1, "status"] in ("COMPLETE", "PRUNED")
    assert "trial 1 restarts" in output
