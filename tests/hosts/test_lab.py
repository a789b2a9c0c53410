"""Each host of a lab has its own files, processes and address, and none outlives the process that made it."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.hosts.lab import HEAD, HOME, LAPTOP, Lab, obstacle, wait_until

pytestmark = pytest.mark.hosts

ROOT = Path(__file__).parents[2]
MAKER = """
import sys, time
from pathlib import Path
from tests.hosts.lab import Lab
lab = Lab(Path(sys.argv[1]))
lab.up(1)
print(*(process.pid for process in lab.processes()), flush=True)
time.sleep(600)
"""


@pytest.fixture(autouse=True)
def _possible() -> None:
    if reason := obstacle():
        pytest.skip(f"the host lab {reason}")


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    lab = Lab(tmp_path / "lab", [sys.base_prefix], [str(ROOT / "search")])
    try:
        lab.up(1)
        yield lab
    finally:
        lab.down()


def test_each_host_has_files_of_its_own(lab):
    mine = [f"{folder}/mine" for folder in ("/root", "/tmp", "/run", "/dev/shm")]
    lab.exec(HEAD, "touch", *mine).finish()
    for host in (LAPTOP, "worker1"):
        lab.exec(host, "bash", "-c", f"! ls {' '.join(mine)} && ! touch /usr/mine && ls {sys.base_prefix}").finish()
    assert not any(Path(path).exists() for path in mine)
    lab.exec(LAPTOP, "ls", str(ROOT / "search")).finish()
    lab.exec(HEAD, "ls", str(ROOT)).finish(exit_code=2)


def test_a_host_reaches_the_others_until_it_is_unplugged_or_off(lab):
    ssh = ("ssh", "-i", f"{HOME}/.ssh/user_key", "-o", "StrictHostKeyChecking=no")
    attempt = (*ssh, "-o", "ConnectTimeout=1", "worker1", "true")
    lab.exec(LAPTOP, *ssh, "worker1", "touch kept").finish()
    lab.unplug("worker1")
    lab.exec(LAPTOP, *attempt).finish(exit_code=255)
    lab.plug("worker1")
    lab.exec(LAPTOP, *ssh, "worker1", "true").finish()
    processes = lab.processes("worker1")
    lab.kill("worker1")
    assert processes
    assert not any(process.is_running() for process in processes)
    lab.exec(LAPTOP, *attempt).finish(exit_code=255)
    lab.start("worker1")
    lab.exec(LAPTOP, *ssh, "worker1", "ls kept").finish()


def test_nothing_outlives_the_process_that_made_a_lab_even_if_it_is_killed(tmp_path):
    with subprocess.Popen([sys.executable, "-c", MAKER, tmp_path / "lab"], cwd=ROOT, stdout=subprocess.PIPE) as maker:
        assert maker.stdout
        processes = [psutil.Process(int(pid)) for pid in maker.stdout.readline().split()]
        assert len(processes) == 3
        maker.kill()
    wait_until(lambda: not any(process.is_running() for process in processes))
    assert str(tmp_path) not in Path("/proc/mounts").read_text()
