"""cluster-local.yaml in a lab: runs a user's commands on the laptop, and observes the hosts."""

from __future__ import annotations

import json
import sys
import sysconfig
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import psutil
import yaml

from tests.hosts.lab import HEAD, HOME, LAPTOP, PATH, Command, Lab

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
FILE = f"{HOME}/cluster.yaml"

# Hosts have no network, so their environments use the packages of the one that runs these tests
ENVIRONMENT = (
    f"test -x ~/env/bin/ray || {{ {sys.base_prefix}/bin/python3 -m venv --without-pip ~/env && "
    f"echo {sysconfig.get_path('purelib')} > $(echo ~/env/lib/python*/site-packages)/lab.pth && "
    f'sed "1s|.*|#!$HOME/env/bin/python|" {BIN}/ray > ~/env/bin/ray && chmod +x ~/env/bin/ray; }}'
)
INSTALL = "cd ~/frugal && ~/env/bin/python -m pip install --quiet --no-deps --no-build-isolation -e ."
# A silent host counts as lost after about 8 seconds, not 60, and is retried after 5 more, not 30
IMPATIENT = (
    "RAY_health_check_initial_delay_ms=1000 RAY_health_check_period_ms=500 RAY_health_check_timeout_ms=2000 "
    "RAY_health_check_failure_threshold=3 AUTOSCALER_HEARTBEAT_TIMEOUT_S=5 AUTOSCALER_UPDATE_INTERVAL_S=1"
)
NODES = """
import json, logging, ray
ray.init(address="auto", log_to_driver=False, logging_level=logging.ERROR)
print("nodes", json.dumps({node["NodeManagerHostname"]: node["Resources"] for node in ray.nodes() if node["Alive"]}))
"""


class Note(NamedTuple):
    """A log entry: a worker's process started or ended an epoch of a trial."""

    kind: str
    trial: int
    epoch: int
    pid: int
    host: str


@dataclass(frozen=True)
class LabCluster:
    """A cluster whose file is on the laptop of a lab."""

    lab: Lab

    def write_file(self) -> None:
        """Writes cluster-local.yaml with the lab's addresses and key, one slot per worker, and other changes."""
        config = yaml.safe_load((ROOT / "cluster-local.yaml").read_text())
        config["provider"]["head_ip"] = self.lab.address(HEAD)
        config["provider"]["worker_ips"] = [self.lab.address(worker) for worker in self.lab.workers]
        config["auth"] = {"ssh_user": "root", "ssh_private_key": "~/.ssh/user_key"}
        config["file_mounts"]["~/frugal/tests/faults/driver.py"] = "tests/faults/driver.py"
        _change(config["setup_commands"], "python3 -m venv", lambda command: ENVIRONMENT)
        _change(config["setup_commands"], "pip install", lambda command: INSTALL)
        _change(config["head_start_ray_commands"], "ray start", lambda command: f"export {IMPATIENT}; {command}")
        _change(config["worker_start_ray_commands"], "ray start", lambda command: f"{command} --num-cpus=1")
        (self.lab.home(LAPTOP) / Path(FILE).name).write_text(yaml.safe_dump(config))

    def ray(self, *words: str) -> str:
        """Runs `ray WORDS` on the laptop, in the project's folder, and returns its output."""
        return self.start(*words).finish()

    def start(self, *words: str) -> Command:
        """Starts `ray WORDS` on the laptop, in the project's folder."""
        return self.lab.exec(LAPTOP, "ray", *words, folder=str(ROOT), path=f"{BIN}:{PATH}")

    def nodes(self) -> dict[str, dict[str, float]]:
        """Returns the resources of each live host, as Ray on the head reports them."""
        text = self.lab.exec(HEAD, f"{HOME}/env/bin/python", "-c", NODES).finish()
        [found] = [line.removeprefix("nodes ") for line in text.splitlines() if line.startswith("nodes ")]
        return json.loads(found)

    def driver(self) -> psutil.Process:
        """Returns the search's process on the head."""
        [driver] = [process for process in self.lab.processes(HEAD) if "tests.faults.driver" in process.cmdline()]
        return driver

    def notes(self, host: str) -> list[Note]:
        """Returns the log of epochs that workers on this host have written."""
        log = self.lab.home(host) / "epochs.log"
        lines = log.read_text().split("\n")[:-1] if log.exists() else []
        return [Note(kind, *map(int, numbers), host) for kind, *numbers in (line.split() for line in lines)]


def _change(commands: list[str], words: str, change: Callable[[str], str]) -> None:
    """Changes the only command that contains these words."""
    [index] = [index for index, command in enumerate(commands) if words in command]
    commands[index] = change(commands[index])
