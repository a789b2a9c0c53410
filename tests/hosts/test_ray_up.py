"""A real `ray up` of cluster-local.yaml with a laptop, a head and two workers; searches survive the loss of hosts.

The tests depend on each other and run in order. No folder is shared: `ray up` copies the project, `ray rsync-up` copies
the data to the head, and `ray rsync-down` copies the runs back.
"""

import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

import results
from tests.hosts.cluster import FILE, ROOT, LabCluster, Note
from tests.hosts.lab import HEAD, HOME, LAPTOP, Lab, obstacle, wait_until

pytestmark = pytest.mark.hosts

MNIST = ROOT.parent / "shared" / "data" / "MNIST"
SILENT_SECONDS = 60.0
QUICK = "references=false confirm.top_k=0 report=false"
COMMON = f"task=tiny10k {QUICK}"
OWN_TASK = '''"""Which side of a plane a point is on"""

import time

import numpy as np
import torch
from torch import nn

from data import Splits
from spaces.goal import Custom


def data():
    x = np.random.default_rng(0).normal(size=(400, 3))
    return Splits.of(x, (x.sum(1) > 0).astype(np.float32))


class Side(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.first, self.last = nn.Linear(3, width), nn.Linear(width, 1)

    def forward(self, x):
        return self.last(torch.tanh(self.first(x)))


def space(choose):
    return Side(choose.int("width", 2, 16))


def loss(outputs, targets):
    return nn.functional.binary_cross_entropy_with_logits(outputs.flatten(), targets.flatten())


def right(outputs, targets):
    time.sleep(3)  # one worker must not finish all trials while the other one starts
    return ((outputs.flatten() > 0) == (targets.flatten() > 0.5)).float().mean()


goal = Custom(loss=loss, score=right, direction="maximize", bounds=(0, 1))
'''


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabCluster]:
    """Starts the cluster, and waits until the workers have joined."""
    if reason := obstacle():
        pytest.skip(f"the host lab {reason}")
    on_laptop = [str(folder) for folder in (ROOT, MNIST) if folder.exists()]
    lab = Lab(tmp_path_factory.mktemp("hosts") / "lab", [sys.prefix, sys.base_prefix], on_laptop)
    try:
        lab.up(2)
        cluster = LabCluster(lab)
        cluster.write_file()
        cluster.ray("get-auth-token", "--generate")
        cluster.ray("up", "--yes", FILE)
        wait_until(lambda: len(cluster.nodes()) == 3, step_seconds=1)
        yield cluster
    finally:
        lab.down()


@pytest.fixture(scope="module")
def data(cluster: LabCluster) -> str:
    """Copies the real data to the head if available, and returns the keys for them or for made data."""
    if not MNIST.exists():
        return "data=made train_examples=1200"
    cluster.ray("rsync-up", FILE, str(MNIST), "~/data/")
    return "data=original data_dir=~/data train_examples=2000 val_examples=1000"


@pytest.fixture(scope="module")
def own_task(cluster: LabCluster) -> str:
    """Copies a user's task file to the head alone, and returns the keys for a search with it."""
    (cluster.lab.home(LAPTOP) / "sides.py").write_text(OWN_TASK)
    cluster.ray("rsync-up", FILE, f"{HOME}/sides.py", "frugal/sides.py")
    return f"task=sides.py {QUICK} run=own max_epochs=2 grace_epochs=2 seed=1"


@pytest.fixture(scope="module")
def notes(cluster: LabCluster, data: str) -> list[Note]:
    """Returns the workers' log of run 'b': its driver and later a worker are killed, another is silent."""
    keys = f"run=b {data} num_trials=4 max_epochs=6 grace_epochs=6"
    search = f"cd frugal && FAULTS_LOG=$HOME/epochs.log python -m tests.faults.driver {COMMON} {keys}"

    first = cluster.start("exec", FILE, search)
    wait_until(lambda: all_in_mid_epoch(cluster, {}), first)
    cluster.driver().kill()
    first.finish(exit_code=1)

    seen = {host: len(cluster.notes(host)) for host in cluster.lab.workers}
    second = cluster.start("exec", FILE, search)
    wait_until(lambda: all_in_mid_epoch(cluster, seen), second)
    cluster.lab.unplug("worker2")
    silent_since = time.monotonic()
    cluster.lab.kill("worker1")
    wait_until(lambda: set(cluster.nodes()) == {HEAD}, second, step_seconds=1)
    time.sleep(max(0.0, SILENT_SECONDS - (time.monotonic() - silent_since)))
    cluster.lab.plug("worker2")
    second.finish()
    return [note for host in cluster.lab.workers for note in cluster.notes(host)]


def test_only_workers_train(cluster):
    slots = {host: node.get("CPU", 0) for host, node in cluster.nodes().items()}
    assert slots == {HEAD: 0, **dict.fromkeys(cluster.lab.workers, 1)}


def test_a_search_trains_on_every_worker(cluster, data):
    long = "num_trials=4 max_epochs=12 grace_epochs=12"  # one worker must not finish all while the other one starts
    cluster.ray("exec", FILE, f"cd frugal && python -m search.run {COMMON} run=a {data} {long}")
    runs = fetch_runs(cluster)
    rows = results.load("tiny10k", runs / "a")
    assert set(rows["node"]) == set(cluster.lab.workers)
    assert set(rows["status"]) <= {"COMPLETE", "PRUNED"}
    assert len(rows) == 4
    assert (runs / "a" / "models" / "best.pt").exists()


def test_a_users_own_task_trains_on_every_worker_though_only_the_head_has_its_file(cluster, own_task):
    for num_trials in (4, 6):  # the second command resumes the run
        cluster.ray("exec", FILE, f"cd frugal && python -m search.run {own_task} num_trials={num_trials}")
        runs = fetch_runs(cluster)
        rows = results.load("sides", runs / "own")
        assert set(rows["status"]) == {"COMPLETE"}
        assert len(rows) == num_trials
        assert set(rows["node"]) == set(cluster.lab.workers)
        assert rows["score"].between(0.3, 1).all()
    assert (runs / "own" / "task.py").read_text() == OWN_TASK
    assert not any(list(cluster.lab.home(worker).rglob("sides.py")) for worker in cluster.lab.workers)


def test_all_trials_end_although_hosts_were_lost(cluster, notes):
    runs = fetch_runs(cluster)
    rows, curves = (results.load("tiny10k", runs / "b", table=table) for table in ("leaderboard", "curves"))
    assert len(rows) == 4
    assert set(rows["status"]) <= {"COMPLETE", "PRUNED"}
    for row in rows.itertuples():
        epochs = curves[curves["trial"] == row.trial].sort_values("step")["epoch"]
        assert epochs.tolist() == [1.0 + n for n in range(int(row.epochs))]


def test_a_trial_repeats_at_most_one_epoch_each_time_that_it_is_cut_off(notes):
    num_cut_off = 0
    for trial in {note.trial for note in notes}:
        processes = {(note.host, note.pid) for note in notes if note.trial == trial}
        trained = Counter(note.epoch for note in notes if note.trial == trial and note.kind == "end")
        assert trained.total() - len(trained) <= len(processes) - 1
        num_cut_off += len(processes) - 1
    assert num_cut_off >= 3  # the driver's end cuts off two; each worker's loss one, unless it was between two trials


def test_ray_down_and_a_stop_on_each_worker_leave_no_ray(cluster, notes):
    cluster.ray("down", "--yes", FILE)
    worker = f"root@{cluster.lab.address('worker2')}"
    ssh = ("ssh", "-i", f"{HOME}/.ssh/user_key", "-o", "StrictHostKeyChecking=no", worker)
    cluster.lab.exec(LAPTOP, *ssh, "env/bin/ray stop --force").finish()
    for host in (HEAD, "worker2"):
        wait_until(lambda host=host: cluster.lab.running(host) == {"sshd"})


def fetch_runs(cluster: LabCluster) -> Path:
    """Copies the folder of runs to the laptop and returns its path."""
    cluster.ray("rsync-down", FILE, "frugal/results/runs/", f"{HOME}/runs/")
    return cluster.lab.home(LAPTOP) / "runs"


def all_in_mid_epoch(cluster: LabCluster, since: Mapping[str, int]) -> bool:
    """Returns whether each worker has ended an epoch and started another since the given lengths of the logs."""
    news = [cluster.notes(host)[since.get(host, 0) :] for host in cluster.lab.workers]
    return all(len(notes) > 1 and notes[-1].kind == "begin" for notes in news)
