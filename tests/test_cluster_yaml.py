"""Both cluster files pass Ray's own checks, train nothing on the head, and name existing files."""

import copy
import json
import os
import re
import subprocess
import time
from fnmatch import fnmatch
from pathlib import Path

import boto3
import pytest
import yaml
from moto import mock_aws
from ray.autoscaler._private.aws import config
from ray.autoscaler._private.aws.node_provider import AWSNodeProvider
from ray.autoscaler._private.util import prepare_config, validate_config

ROOT = Path(__file__).parents[1]


def prepared(name: str) -> dict:
    """Returns a file as `ray up` sees it, with its provider's defaults; needs neither boto3 nor a network."""
    return prepare_config(yaml.safe_load((ROOT / name).read_text()))


@pytest.fixture(scope="module")
def cluster() -> dict:
    return prepared("cluster.yaml")


@pytest.fixture(scope="module")
def local() -> dict:
    return prepared("cluster-local.yaml")


@pytest.fixture(params=["cluster", "local"])
def either(request: pytest.FixtureRequest) -> dict:
    return request.getfixturevalue(request.param)


def test_ray_accepts_it(either):
    validate_config(either)


def test_ray_accepts_the_example_for_another_cloud_in_the_comment():
    text = (ROOT / "cluster.yaml").read_text()
    comment = text.partition("# ANOTHER CLOUD")[2].partition("\n\n")[0]
    changes = yaml.safe_load("\n".join(line[4:] for line in comment.splitlines() if line.startswith("#   ")))
    other = yaml.safe_load(text) | {"provider": changes.pop("provider")}
    assert changes.keys() == other["available_node_types"].keys()
    for name, node_config in changes.items():
        other["available_node_types"][name]["node_config"] = node_config
    other = prepare_config(other)
    validate_config(other)
    assert other["provider"]["type"] == "gcp"


def test_the_head_trains_nothing(cluster):
    head = cluster["available_node_types"][cluster["head_node_type"]]
    assert head["resources"] == {"CPU": 0}
    assert head["max_workers"] == 0
    assert "InstanceMarketOptions" not in head["node_config"]
    assert "--num-cpus=0" in cluster["head_start_ray_commands"][-1]


def test_a_local_head_trains_nothing_and_all_workers_start(local):
    start = local["head_start_ray_commands"][-1]
    assert "--num-cpus=0 --num-gpus=0" in start
    assert "RAY_enable_autoscaler_v2=0" in start
    [kind] = local["available_node_types"].values()
    assert kind["min_workers"] == kind["max_workers"] == len(local["provider"]["worker_ips"])


def test_up_to_eight_spot_workers_with_a_gpu_each(cluster):
    (worker,) = (node for name, node in cluster["available_node_types"].items() if name != cluster["head_node_type"])
    assert (worker["min_workers"], worker["max_workers"], cluster["max_workers"]) == (0, 8, 8)
    assert worker["resources"]["GPU"] == 1
    assert worker["node_config"]["InstanceMarketOptions"]["MarketType"] == "spot"


def test_aws_starts_a_head_and_a_spot_worker_that_leave_no_disk(cluster, tmp_path, monkeypatch):
    """Ray's own provider starts them; moto simulates AWS."""
    monkeypatch.setenv("HOME", str(tmp_path))  # a new key is written there
    monkeypatch.setenv("MOTO_IAM_LOAD_MANAGED_POLICIES", "true")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setattr(time, "sleep", lambda seconds: None)  # Ray waits until new permissions are effective
    (tmp_path / ".ssh").mkdir()
    with mock_aws():
        started = config.bootstrap_aws(copy.deepcopy(cluster))
        provider = AWSNodeProvider(started["provider"], started["cluster_name"])
        for name in ("head", "gpu_worker"):
            node_config = started["available_node_types"][name]["node_config"]
            provider.create_node(node_config, {"ray-node-type": name, "ray-node-name": name}, 1)
        found = boto3.client("ec2", region_name="us-west-2").describe_instances()["Reservations"]
    head, worker = (instance for reservation in found for instance in reservation["Instances"])
    assert (head["InstanceType"], head.get("InstanceLifecycle")) == ("m7i.large", None)
    assert (worker["InstanceType"], worker.get("InstanceLifecycle")) == ("g6.xlarge", "spot")
    assert "IamInstanceProfile" in started["head_node"], "it allows the head to start workers and to write to buckets"
    for instance in (head, worker):
        [disk] = instance["BlockDeviceMappings"]
        assert disk["Ebs"]["DeleteOnTermination"]


def test_every_mounted_file_exists(either):
    missing = [source for source in either["file_mounts"].values() if not (ROOT / source).exists()]
    assert missing == ["~/.ray/auth_token"], "the user's own file is the only exception"


def test_all_nodes_use_the_users_token(either):
    assert either["file_mounts"]["~/.ray/auth_token"] == "~/.ray/auth_token"
    for kind in ("head", "worker"):
        assert "RAY_AUTH_MODE=token" in " ".join(either[f"{kind}_setup_commands"])


def test_both_files_mount_the_same(cluster, local):
    assert local["file_mounts"] == cluster["file_mounts"]
    assert local["rsync_exclude"] == cluster["rsync_exclude"]


def test_no_file_of_the_project_is_left_out(cluster):
    """rsync matches a pattern that starts with / from the root of each mount, and one that ends with / to folders."""
    mounted = {source for source in cluster["file_mounts"].values() if (ROOT / source).is_dir()}
    listed = subprocess.run(["git", "ls-files", *mounted], cwd=ROOT, capture_output=True, text=True, check=True)
    folders = {Path(*path.parts[1:]) for line in listed.stdout.splitlines() for path in Path(line).parents}
    assert Path("runs") in folders, "search/runs is code; results/runs holds runs"
    assert mounted
    anchored = [pattern.rstrip("/") for pattern in cluster["rsync_exclude"] if pattern.startswith("/")]
    assert [folder for folder in folders for pattern in anchored if fnmatch(f"/{folder}", pattern)] == []


def test_every_package_is_mounted(cluster):
    pyproject = (ROOT / "pyproject.toml").read_text()
    packages = re.search(r"^packages = \[(.*?)\]", pyproject, re.MULTILINE | re.DOTALL)
    assert packages
    tops = {name.split(".")[0] for name in re.findall(r'"([^"]+)"', packages[1])}
    assert tops <= set(cluster["file_mounts"].values())


def test_every_node_installs_the_constrained_project(either):
    for kind in ("head", "worker"):
        commands = " ".join(either[f"{kind}_setup_commands"])
        assert "pip install --quiet -e . -c constraints.txt" in commands


def test_every_command_is_valid_shell(either):
    """Commands use POSIX syntax only, so that `sh` can check them."""
    for kind in ("head", "worker"):
        for command in [*either[f"{kind}_setup_commands"], *either[f"{kind}_start_ray_commands"]]:
            subprocess.run(["sh", "-n", "-c", command], check=True)


def test_the_head_starts_workers_from_its_own_image(cluster, tmp_path):
    image = cluster["available_node_types"]["gpu_worker"]["node_config"]["ImageId"]
    assert image.startswith("resolve:ssm:/aws/service/")
    bootstrap = tmp_path / "ray_bootstrap_config.yaml"
    bootstrap.write_text(json.dumps({"node_config": {"ImageId": image, "InstanceType": "g6.xlarge"}}))
    (command,) = (c for c in cluster["head_start_ray_commands"] if "resolve:ssm" in c)
    # A fake curl answers as the metadata service would, with an image
    shell = f"curl() {{ echo ami-123; }}; {command}"
    subprocess.run(["sh", "-c", shell], check=True, env={"HOME": str(tmp_path), "PATH": os.environ["PATH"]})
    assert yaml.safe_load(bootstrap.read_text())["node_config"] == {"ImageId": "ami-123", "InstanceType": "g6.xlarge"}
