"""A search stops in an orderly way, with its tables, if its Ray is killed or its process group gets a signal."""

import os
import signal
from collections.abc import Callable

import psutil
import pytest
from ray.cluster_utils import Cluster

import results
from tests.faults.observed import Run, wait_for
from tests.faults.test_signals import resume_as_printed

SHORT = ("num_trials=2", "max_epochs=3", "train_examples=600", "seed=7", "references=false", "concurrency=1")
LOST = {"gcs_server": "Stopped by the loss of Ray, whose GCS", "raylet": "Stopped by the loss of Ray, whose raylet"}


def ray_processes(driver: int, name: str) -> list[psutil.Process]:
    return [process for process in psutil.Process(driver).children(recursive=True) if process.name() == name]


def is_alive(process: psutil.Process) -> bool:
    """Returns whether the process runs; a zombie, which init may leave in some containers, does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def end(run: Run, how: Callable[[int], None], exit_code: int) -> list[psutil.Process]:
    """Ends a driver whose first trial has ended an epoch, and returns the processes that the driver had."""
    with run.started() as process:
        run.wait_until(lambda: run.epochs().total() > 0, process)
        children = psutil.Process(process.pid).children(recursive=True)
        how(process.pid)
        run.wait(process, exit_code)
    assert "Traceback" not in run.output
    return children


def kill_part(name: str) -> Callable[[int], None]:
    def kill(driver: int) -> None:
        [part] = ray_processes(driver, name)
        part.kill()

    return kill


def check_stopped(run: Run) -> None:
    statuses = results.load("tiny10k", run.runs_dir)["status"]
    assert "RUNNING" not in set(statuses)
    assert "STOPPED" in set(statuses)


def check_resumes(run: Run) -> None:
    resume_as_printed(run)
    assert set(results.load("tiny10k", run.runs_dir)["status"]) <= {"COMPLETE", "PRUNED"}
    assert run.repeated() <= 1


@pytest.mark.parametrize("part", LOST)
def test_a_run_stops_orderly_and_resumes_after_a_part_of_its_local_ray_is_killed(tmp_path, part, record):
    run = Run(tmp_path / "a", "local", SHORT)
    children = end(run, kill_part(part), exit_code=1)
    assert LOST[part] in run.output
    assert wait_for(lambda: not any(map(is_alive, children)))
    check_stopped(run)
    check_resumes(run)
    record(f"local Ray's {part} killed", 1, run)


@pytest.mark.parametrize("part", LOST)
def test_a_run_stops_orderly_after_a_part_of_the_ray_that_it_joined_is_killed(tmp_path, part, record):
    arguments = {"num_cpus": 1, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=arguments)
    try:
        before = {process.pid for process in psutil.Process().children(recursive=True)}
        run = Run(tmp_path / "a", cluster.address, SHORT)
        [node] = cluster.list_all_nodes()
        [known] = node.all_processes[part]
        assert known.process.pid in before
        end(run, lambda driver: os.kill(known.process.pid, signal.SIGKILL), exit_code=1)
        assert LOST[part] in run.output
    finally:
        cluster.shutdown()
    record(f"joined Ray's {part} killed", 1, run)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_to_the_whole_process_group_stops_the_run_orderly(tmp_path, number, record):
    """GNU timeout, systemd, Slurm and terminals send signals to the whole group."""
    run = Run(tmp_path / "a", "local", SHORT)

    def signal_group(driver: int) -> None:
        for process in psutil.Process(driver).children(recursive=True):
            if os.getpgid(process.pid) == driver:
                process.send_signal(number)
        os.killpg(driver, number)

    children = end(run, signal_group, exit_code=128 + number)
    assert "Stopped by " in run.output
    assert wait_for(lambda: not any(map(is_alive, children)))
    check_stopped(run)
    if number == signal.SIGTERM:  # the other signals leave the same state
        check_resumes(run)
    record(f"{number.name} to the process group", 1, run)


def test_a_local_ray_ends_with_a_driver_that_is_killed(tmp_path):
    run = Run(tmp_path / "a", "local", SHORT)
    children = end(run, lambda driver: os.kill(driver, signal.SIGKILL), exit_code=-signal.SIGKILL)
    assert children
    assert wait_for(lambda: not any(map(is_alive, children)))
