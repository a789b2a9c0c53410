"""Workers, the checkpoint store and whole nodes are killed during training."""

import os
import signal
import time
from collections import Counter

import psutil
import pytest
from ray.cluster_utils import Cluster

from search.planning.keys import RunKeys
from tests.faults.observed import Run

LONG = ("num_trials=4", "max_epochs=9", "concurrency=2")
REFERENCE, VICTIM = 0, 1


@pytest.fixture(scope="module")
def of_killed_workers(undisturbed, tmp_path_factory) -> tuple[Run, Counter[int]]:
    """Kills the reference's worker once in its third epoch, and the first candidate's at each start of its second."""
    run, kills = Run(tmp_path_factory.mktemp("workers"), undisturbed.address, ("seed=7", *LONG)), Counter()
    with run.started() as process:
        seen = 0
        while process.poll() is None:
            notes = run.notes()
            for kind, trial, epoch, pid in notes[seen:]:
                is_due = (trial, epoch) == (VICTIM, 2) or ((trial, epoch) == (REFERENCE, 3) and not kills[REFERENCE])
                if kind == "begin" and is_due:
                    os.kill(pid, signal.SIGKILL)
                    kills[trial] += 1
            seen = len(notes)
            time.sleep(0.005)
        run.wait(process, 0)
    return run, kills


def test_a_trial_whose_worker_is_killed_resumes_from_its_checkpoint(of_killed_workers, record):
    run, kills = of_killed_workers
    row, trained = run.table().iloc[REFERENCE], run.epochs()
    assert (row["status"], row["epochs"]) == ("COMPLETE", 9)
    curve = run.table("curves")
    assert curve[curve["trial"] == REFERENCE]["epoch"].tolist() == [float(epoch) for epoch in range(1, 10)]
    assert [trained[REFERENCE, epoch] for epoch in range(1, 10)] == [1] * 9
    assert run.epochs("begin")[REFERENCE, 3] == 2
    record("worker killed in mid-epoch", kills.total(), run)


def test_a_trial_whose_worker_is_killed_every_time_fails_with_its_error_and_the_run_continues(of_killed_workers):
    run, kills = of_killed_workers
    rows = run.table()
    row = rows.iloc[VICTIM]
    assert (row["status"], row["epochs"]) == ("FAILED", 1)
    assert "died" in row["error"]
    assert kills[VICTIM] == 1 + RunKeys.max_failures
    assert set(rows["status"].drop(VICTIM)) <= {"COMPLETE", "PRUNED"}
    assert len(rows) == 5


def test_the_next_command_retries_such_a_trial_without_losing_a_candidate(of_killed_workers, record):
    run, _ = of_killed_workers
    before = run.table()
    run.finish()
    rows = run.table()
    again = len(before)
    assert f"retrying trial {VICTIM} (FAILED): " in run.output
    assert rows["repeats"].dropna().to_dict() == {again: VICTIM}
    assert rows["repeated_by"].dropna().to_dict() == {VICTIM: again}
    assert rows["status"][again] in ("COMPLETE", "PRUNED")
    assert rows["candidate_json"][again] == rows["candidate_json"][VICTIM]
    assert rows["seed"][again] == rows["seed"][VICTIM]
    assert rows["error"][VICTIM].endswith(f"retried as trial {again}")
    kept = rows.drop(columns=["repeated_by", "error", "rank", "pareto"]).head(again)
    assert kept.equals(before.drop(columns=["repeated_by", "error", "rank", "pareto"]))
    record("worker killed more than max_failures times, and the run resumed", 1 + RunKeys.max_failures, run)


def test_a_checkpoint_store_that_is_killed_is_started_again(make_run, undisturbed, record):
    run = make_run("a", "concurrency=1")
    with run.started() as process:
        run.wait_until(lambda: len(run.notes()) > 4, process)
        processes = psutil.Process().children(recursive=True)
        [store] = [process for process in processes if "ray::CheckpointStore" in " ".join(process.cmdline())]
        store.kill()
        run.wait(process, 0)
    assert run.picture() == undisturbed.picture()
    assert (run.folder / "models" / "best.pt").exists()
    record("checkpoint store killed", 1, run)


def test_a_trial_whose_node_is_killed_resumes_on_another(make_run, record):
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    try:
        nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
        run = make_run("a", *LONG, at=cluster.address)
        with run.started() as process:
            run.wait_until(lambda: len({pid for *_, pid in run.notes()}) == 2 and len(run.notes()) > 8, process)
            cluster.remove_node(nodes[1], allow_graceful=False)
            run.wait(process, 0)
    finally:
        cluster.shutdown()
    rows, curves = run.table(), run.table("curves")
    assert len(rows) == 5
    assert set(rows["status"]) <= {"COMPLETE", "PRUNED"}
    for row in rows.itertuples():
        assert curves[curves["trial"] == row.trial]["epoch"].tolist() == [1.0 + n for n in range(int(row.epochs))]
    assert run.repeated() <= 1
    record("node killed", 1, run)
