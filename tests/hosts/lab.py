"""A lab for `ray up`: a laptop, a head and workers, simulated on one machine.

Each host is a set of Linux namespaces with its own address, processes, name and files, and runs sshd. Only processes
hold the namespaces, and the kernel ends them with the process that made the lab, even if that is killed. So nothing is
left over.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from tests.waiting import HANG_SECONDS

LAPTOP, HEAD = "laptop", "head"
ADDRESSES = {"localhost": "127.0.0.1", LAPTOP: "10.77.0.1", HEAD: "10.77.0.10"}
HOME = "/root"
NAMESPACES = ("--net", "--pid", "--mount", "--uts", "--ipc")
ATTEMPT = "mount -t tmpfs tmpfs /tmp && ip link add switch type bridge && ip link add port type veth"
PACKAGES = {
    **dict.fromkeys(("unshare", "nsenter", "setpriv", "mount", "pivot_root"), "util-linux"),
    **dict.fromkeys(("ssh", "ssh-keygen"), "openssh-client"),
    "/usr/sbin/sshd": "openssh-server",
    "ip": "iproute2",
    "rsync": "rsync",
}
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def obstacle() -> str | None:
    """Returns why a lab is impossible on this machine, or None if it is possible."""
    if os.geteuid() != 0:
        return "needs root, for network and process namespaces"
    absent = [tool for tool in PACKAGES if not shutil.which(tool)]
    if absent:
        packages = sorted({PACKAGES[tool] for tool in absent})
        return f"needs {', '.join(absent)}: apt-get install {' '.join(packages)}"
    tried = subprocess.run(["unshare", *NAMESPACES, "--fork", "sh", "-c", ATTEMPT], capture_output=True, text=True)
    return f"needs its own namespaces, mounts and links: {tried.stderr.strip()}" if tried.returncode else None


@dataclass(frozen=True)
class Command:
    """A command that was started on a host, and the file with its output."""

    words: tuple[str, ...]
    process: subprocess.Popen[bytes]
    output: Path

    @property
    def text(self) -> str:
        return self.output.read_text(errors="replace")

    def finish(self, exit_code: int = 0) -> str:
        """Waits for the end and returns the output; fails on another exit code."""
        found = self.process.wait()
        assert found == exit_code, f"{' '.join(self.words)}: exit code {found}\n{self.text}"
        return self.text


class Lab:
    """The hosts `laptop`, `head`, `worker1`, `worker2` and so on, with their disks in a new folder.

    They see this machine's system folders and those in `seen`, read-only; the laptop also sees those in `on_laptop`.
    """

    def __init__(self, folder: Path, seen: Sequence[str] = (), on_laptop: Sequence[str] = ()) -> None:
        self.folder, self.seen, self.on_laptop = folder, seen, on_laptop
        self.workers: tuple[str, ...] = ()
        self._holders: dict[str, subprocess.Popen[bytes]] = {}
        self._commands: list[Command] = []

    def up(self, num_workers: int) -> None:
        """Starts all hosts."""
        self.workers = tuple(f"worker{number + 1}" for number in range(num_workers))
        hosts = (LAPTOP, HEAD, *self.workers)
        self.folder.mkdir(parents=True)
        (self.folder / "names").write_text("".join(f"{self.address(host)} {host}\n" for host in ("localhost", *hosts)))
        for key in ("user_key", "host_key"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.folder / key], check=True)
        for host in hosts:
            self.start(host)

    def down(self) -> None:
        """Ends all hosts with all their processes."""
        self._end(*self._holders)
        for command in self._commands:
            command.process.wait()

    def start(self, host: str) -> None:
        """Powers a host on."""
        ssh = self.home(host) / ".ssh"
        ssh.mkdir(parents=True, exist_ok=True)
        shutil.copy(self.folder / "host_key", ssh)
        shutil.copy(self.folder / "user_key.pub", ssh / "authorized_keys")
        if host == LAPTOP:
            shutil.copy(self.folder / "user_key", ssh)
        seen = (*self.seen, *self.on_laptop) if host == LAPTOP else self.seen
        command: list[Any] = [
            "setpriv",
            "--pdeathsig",
            "KILL",
            "unshare",
            *NAMESPACES,
            "--fork",
            "--kill-child",
            "bash",
        ]
        command += [Path(__file__).with_name("host.sh"), host, self.folder / host, *seen]
        with self._log(host).open("wb") as log:
            self._holders[host] = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        self._wait(host, lambda: self._holder(host).children())
        self._plug_in(host)
        self._wait(host, lambda: "Server listening" in self._log(host).read_text())

    def kill(self, host: str) -> None:
        """Powers a host off without notice to the others."""
        self._ip(LAPTOP, f"link delete {host}")
        self._end(host)

    def unplug(self, host: str) -> None:
        """Disconnects a host from the network; it keeps running."""
        self._ip(LAPTOP, f"link set {host} down")

    def plug(self, host: str) -> None:
        """Connects a host to the network again."""
        self._ip(LAPTOP, f"link set {host} up")

    def exec(self, host: str, *words: str, folder: str = HOME, path: str = PATH) -> Command:
        """Starts a command on a host."""
        environment = ["env", "-i", f"--chdir={folder}", f"HOME={HOME}", "TERM=dumb", f"PATH={path}"]
        output = self.folder / f"command{len(self._commands)}.txt"
        with output.open("wb") as file:
            process = subprocess.Popen(
                [*self._enter(host, *NAMESPACES), *environment, *words],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
            )
        self._commands.append(Command(words, process, output))
        return self._commands[-1]

    def address(self, host: str) -> str:
        return ADDRESSES.get(host) or f"10.77.0.{11 + self.workers.index(host)}"

    def home(self, host: str) -> Path:
        """Returns the folder that is a host's /root; it exists even while the host is off."""
        return self.folder / host / "root"

    def processes(self, *hosts: str) -> list[psutil.Process]:
        """Returns the processes on these hosts, or on all hosts that are on."""
        namespaces = {_namespace(self._first(host)) for host in hosts or self._holders}
        return [process for process in psutil.process_iter() if _namespace(process) in namespaces]

    def running(self, host: str) -> set[str]:
        """Returns the names of the processes on a host."""
        names = set()
        for process in self.processes(host):
            with suppress(psutil.NoSuchProcess):
                names.add(process.name())
        return names

    def _plug_in(self, host: str) -> None:
        """Connects a host to the switch, which is on the laptop."""
        self._ip(host, "link set lo up")
        port = "switch" if host == LAPTOP else "eth0"
        if host == LAPTOP:
            self._ip(LAPTOP, f"link add {port} type bridge")
        else:
            card = "02:00:00:00:00:" + self.address(host).rpartition(".")[2]  # constant, as in real hardware
            end = f"name {port} address {card} netns {self._first(host).pid}"
            self._ip(LAPTOP, f"link add {host} type veth peer {end}")
            self._ip(LAPTOP, f"link set {host} master switch up")
        self._ip(host, f"addr add {self.address(host)}/24 dev {port}")
        self._ip(host, f"link set {port} up")

    def _end(self, *hosts: str) -> None:
        """Ends hosts, and waits until the kernel has ended process 1 of each, which it does last."""
        holders = [self._holders.pop(host) for host in hosts]
        firsts = [first for holder in holders for first in psutil.Process(holder.pid).children()]
        for holder in holders:
            holder.kill()
        for holder in holders:
            holder.wait()
        psutil.wait_procs(firsts)

    def _holder(self, host: str) -> psutil.Process:
        return psutil.Process(self._holders[host].pid)

    def _first(self, host: str) -> psutil.Process:
        """Returns a host's process 1."""
        [first] = self._holder(host).children()
        return first

    def _log(self, host: str) -> Path:
        """Returns the file with the output of process 1."""
        return self.folder / f"{host}.log"

    def _ip(self, host: str, words: str) -> None:
        subprocess.run([*self._enter(host, "--net"), "ip", *words.split()], check=True)

    def _enter(self, host: str, *namespaces: str) -> list[str]:
        return ["nsenter", "--target", str(self._first(host).pid), *namespaces]

    def _wait(self, host: str, condition: Callable[[], Any]) -> None:
        deadline = time.monotonic() + HANG_SECONDS
        while not condition():
            if self._holders[host].poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{host} does not start: {self._log(host).read_text()}")
            time.sleep(0.02)


def wait_until(condition: Callable[[], Any], command: Command | None = None, step_seconds: float = 0.01) -> None:
    """Waits until the condition holds; fails if the command ends first or after HANG_SECONDS."""
    deadline = time.monotonic() + HANG_SECONDS
    while not condition():
        printed = command.text if command else ""
        assert time.monotonic() < deadline, f"waited too long\n{printed}"
        assert command is None or command.process.poll() is None, f"ended too soon\n{printed}"
        time.sleep(step_seconds)


def _namespace(process: psutil.Process) -> str:
    """Returns the PID namespace of a process, or an empty string if it has ended."""
    try:
        return os.readlink(f"/proc/{process.pid}/ns/pid")
    except OSError:
        return ""
