"""A cluster file before `ray up`: each mistake is reported with its cause and its cure."""

import os
import shutil
import sys
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from search.checkup.cluster_file import check_cluster_file, read_cluster_file, worker_addresses
from tests.search.command import ROOT

CLOUD = """
cluster_name: cloud
max_workers: 2
provider: {type: aws, region: us-west-2}
auth: {ssh_user: ubuntu}
head_node_type: head
available_node_types:
  head: {resources: {CPU: 0}, node_config: {}}
  worker: {resources: {CPU: 4, GPU: 1}, min_workers: 0, max_workers: 2, node_config: {}}
file_mounts: {~/frugal/search: search}
setup_commands: [cd ~/frugal && pip install -e . -c constraints.txt]
"""
MACHINES = """
cluster_name: machines
provider: {type: local, head_ip: 10.0.0.1, worker_ips: [10.0.0.2, 10.0.0.3]}
auth: {ssh_user: ubuntu, ssh_private_key: ~/.ssh/id_ed25519}
file_mounts: {~/frugal/search: search}
setup_commands: [cd ~/frugal && pip install -e . -c constraints.txt]
head_start_ray_commands: [ray stop, RAY_enable_autoscaler_v2=0 ray start --head --num-cpus=0]
"""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Makes the current folder and home of a user who has everything that is needed."""
    (tmp_path / "search").mkdir()
    for name in (".ssh/id_ed25519", "bin/ssh", "bin/rsync"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch(mode=0o700)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", f"{tmp_path}/bin{os.pathsep}{os.environ['PATH']}")
    boto3 = ModuleType("boto3")
    boto3.__spec__ = sys.__spec__
    monkeypatch.setitem(sys.modules, "boto3", boto3)
    return tmp_path


def found(text: str, name: str = "c.yaml") -> list[str]:
    """Returns the findings for a file with this content, one line each."""
    path = Path(name)
    path.write_text(text)
    findings = check_cluster_file(name, read_cluster_file(name))
    assert {finding.node for finding in findings} == {name}
    return [f"{finding.severity}: {finding.cause}: {finding.cure}" for finding in findings]


@pytest.mark.parametrize("text", [CLOUD, MACHINES])
def test_a_good_file_is_told_in_a_line_and_nothing_else_is_printed(text: str, capfd):
    assert found(text) == ["ok: Ray's schema is satisfied; 1 mounted path found: "]
    assert capfd.readouterr().out == ""


def test_a_type_of_machine_that_the_cloud_knows_needs_no_resources():
    assert found(CLOUD.replace("resources: {CPU: 4, GPU: 1}, ", ""))[0].startswith("ok: ")


@pytest.mark.parametrize("path", sorted(ROOT.glob("cluster*.yaml")), ids=lambda path: path.name)
def test_the_projects_own_files_are_good_but_for_the_token_that_everybody_makes(path: Path, home: Path, monkeypatch):
    monkeypatch.chdir(ROOT)
    (finding,) = check_cluster_file(path.name, read_cluster_file(path.name))
    assert "~/.ray/auth_token does not exist" in finding.cause
    assert "ray get-auth-token --generate" in finding.cure
    (home / ".ray").mkdir()
    (home / ".ray" / "auth_token").touch()
    (finding,) = check_cluster_file(path.name, read_cluster_file(path.name))
    assert finding.severity == "ok", finding


@pytest.mark.parametrize(
    ("text", "old", "new", "parts"),
    [
        (CLOUD, "max_workers: 2", "max_worker: 2", ["'max_worker' was unexpected", "did you mean max_workers?"]),
        (CLOUD, "max_workers: 2", "max_workers: two", ["max_workers: 'two' is not of type 'integer'", "correct it"]),
        (CLOUD, "CPU: 4", "CPU: lots", ["available_node_types.worker.resources.CPU: 'lots' is not of type 'integer'"]),
        (CLOUD, "provider: {type: aws, region: us-west-2}", "", ["at the top: 'provider' is a required property"]),
        (CLOUD, "type: aws", "type: amazon", ["Ray cannot use it: Unsupported node provider: amazon"]),
        (CLOUD, "head_node_type: head", "head_node_type: boss", ["`head_node_type` must be one of"]),
        (CLOUD, "min_workers: 0", "min_workers: 3", ["smaller than the sum of `min_workers`"]),
        (MACHINES, "head_ip: 10.0.0.1, ", "", ["Please supply a `head_ip`"]),
        (
            MACHINES,
            "auth:",
            "available_node_types: {a: {resources: {}, node_config: {}}}\nauth:",
            ["not supported for on-premise"],
        ),
        (CLOUD, ": search}", ": serach}", ["the source of ~/frugal/search, serach, does not exist", "correct"]),
        (MACHINES, "id_ed25519", "id_rsa", ["~/.ssh/id_rsa does not exist", "ssh-keygen -N '' -f ~/.ssh/id_rsa"]),
        (CLOUD, "CPU: 4", "CPU: 0", ["available_node_types.worker: its resources have no CPU", "resources: {"]),
        (CLOUD, "max_workers: 2, node", "max_workers: 0, node", ["no worker may start", "nothing trains", "above 0"]),
    ],
)
def test_a_fault_that_breaks_ray_up_or_the_search_is_reported(text: str, old: str, new: str, parts: list[str], capfd):
    assert old in text
    (line,) = found(text.replace(old, new))
    assert line.startswith("broken: ")
    assert [part for part in parts if part not in line] == [], line
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize(
    ("text", "old", "new", "parts"),
    [
        (CLOUD, "head: {resources: {CPU: 0}", "head: {resources: {CPU: 4}", ["the head also trains", "--num-cpus=0"]),
        (MACHINES, " --num-cpus=0", "", ["the head also trains", "--num-cpus=0"]),
        (MACHINES, "RAY_enable_autoscaler_v2=0 ", "", ["starts only one", "RAY_enable_autoscaler_v2=0 before"]),
    ],
)
def test_a_fault_that_a_search_survives_is_a_warning(text: str, old: str, new: str, parts: list[str]):
    (line,) = found(text.replace(old, new))
    assert line.startswith("warn: ")
    assert [part for part in parts if part not in line] == [], line


def test_an_idle_kind_of_worker_beside_one_that_trains_is_a_warning():
    (line,) = found(
        CLOUD.replace("file_mounts", "  idle: {resources: {CPU: 0}, max_workers: 1, node_config: {}}\nfile_mounts")
    )
    assert line.startswith("warn: available_node_types.idle: its resources have no CPU")


def test_each_kind_of_node_is_to_install_the_versions_of_constraints():
    both = found(CLOUD.replace(" -c constraints.txt", ""))
    assert [line.split(" uses")[0] for line in both] == [
        "warn: no setup command of a head",
        "warn: no setup command of a worker",
    ]
    assert all("pip install -e . -c constraints.txt" in line for line in both)
    (head,) = found(CLOUD.replace("setup_commands", "worker_setup_commands"))
    assert head.startswith("warn: no setup command of a head")


def test_mounts_are_looked_for_where_ray_up_does_in_the_current_folder(home: Path, monkeypatch):
    (home / "elsewhere").mkdir()
    monkeypatch.chdir(home / "elsewhere")
    (line,) = found(CLOUD, name="../c.yaml")
    assert "search is next to the cluster file, but not in the current folder" in line
    assert line.endswith("run `ray up` from there: cd ..")


def test_a_missing_requirement_of_ray_up_is_reported(home: Path, monkeypatch):
    monkeypatch.setitem(sys.modules, "boto3", None)
    monkeypatch.setenv("PATH", str(home / "bin"))
    (home / "bin/rsync").unlink()
    missing, tool = found(CLOUD)
    assert missing.endswith(
        "boto3, which Ray needs for AWS, is not installed here: pip install -e '.[cluster]' -c constraints.txt"
    )
    assert "rsync, which Ray needs to reach the machines, is not installed here" in tool
    (line,) = found(MACHINES)
    assert "rsync" in line


LAUGHS = b"a0: &a0 [x]\n" + b"".join(b"a%d: &a%d [%s]\n" % (k + 1, k + 1, b"*a%d," % k * 9) for k in range(30))


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (b"provider: [a\nauth: {", "c.yaml, line 2, column 5: not YAML: expected ',' or ']'"),
        (b"a shopping list", "expected fields such as `provider:` and `file_mounts:`, found 'a shopping list'"),
        (b"", "expected fields such as `provider:` and `file_mounts:`, found None"),
        (bytes(range(128, 200)), "not a text file"),
        (b"a: &a {b: *a}", "expand to more than 10,000 values, or to themselves"),
        (LAUGHS, "expand to more than 10,000 values, or to themselves"),
        (b"a: " + b"[" * 10_000, "its values are nested too deeply"),
        (None, "cannot be read: No such file or directory"),
    ],
)
def test_what_is_no_cluster_file_is_refused(content: bytes | None, part: str):
    if content is not None:
        Path("c.yaml").write_bytes(content)
    with pytest.raises(ValueError, match=r"^c\.yaml") as mistake:
        read_cluster_file("c.yaml")
    assert part in str(mistake.value)


def test_a_folder_is_refused(home: Path):
    shutil.rmtree(home / "bin")
    with pytest.raises(ValueError, match="search: cannot be read: Is a directory"):
        read_cluster_file("search")


def test_only_the_users_own_machines_are_named_by_their_addresses():
    assert worker_addresses(yaml.safe_load(MACHINES)) == ["10.0.0.2", "10.0.0.3"]
    assert worker_addresses(yaml.safe_load(CLOUD)) == []
    assert worker_addresses({}) == []
