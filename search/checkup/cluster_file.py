"""Checks of a cluster file before `ray up`: Ray's own, and those that Ray makes only once machines are running."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from results.wording import count
from search.checkup.findings import Finding, Severity
from search.engines.ray import check_cluster_config, with_defaults

if TYPE_CHECKING:
    from jsonschema import ValidationError

INSTALL_BOTO3 = "pip install -e '.[cluster]' -c constraints.txt"
MAX_MESSAGE_LENGTH = 160
"""Characters shown of a message of Ray's; some quote the whole file."""

MAX_VALUES = 10_000
"""The most values that a cluster file may have: a few lines of references can expand to billions."""

Config = Mapping[str, Any]


def read_cluster_file(path: str) -> dict[str, object]:
    """Returns a cluster file's content. Raises ValueError with the line if it is not a valid file."""
    try:
        config = yaml.safe_load(Path(path).expanduser().read_text())
    except OSError as error:
        raise ValueError(
            f"{path}: cannot be read: {error.strerror}; name a cluster file such as cluster.yaml"
        ) from None
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not a text file: {error.reason}") from None
    except yaml.YAMLError as error:
        raise ValueError(f"{path}{_position(error)}: not YAML: {getattr(error, 'problem', None) or error}") from None
    except RecursionError:
        raise ValueError(f"{path}: its values are nested too deeply") from None
    if _num_values(config) > MAX_VALUES:
        raise ValueError(f"{path}: its references (*NAME) expand to more than {MAX_VALUES:,} values, or to themselves")
    if not isinstance(config, dict):
        raise ValueError(
            f"{path}: expected fields such as `provider:` and `file_mounts:`, found {_short(repr(config))}"
        )
    return config


def _num_values(config: object) -> int:
    """Counts a file's values with its references expanded, and stops just above MAX_VALUES."""
    ahead, num_values = [config], 0
    while ahead and num_values <= MAX_VALUES:
        value = ahead.pop()
        num_values += 1
        ahead += value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    return num_values


def check_cluster_file(path: str, config: Config) -> list[Finding]:
    """Returns what would go wrong in `ray up` with this file from the current folder, without using a network."""
    filled = _filled(config)
    wrong = list(_by_schema(filled)) or list(_by_ray(filled))
    if not wrong:
        prepared = with_defaults(filled)
        wrong = [finding for check in CHECKS for finding in check(prepared, Path(path).expanduser().parent)]
    if not wrong:
        mounted = count(len(config.get("file_mounts") or {}), "mounted path")
        wrong = [(Severity.ok, f"Ray's schema is satisfied; {mounted} found", "")]
    return [Finding(severity, path, cause, cure) for severity, cause, cure in wrong]


def worker_addresses(config: Config) -> list[str]:
    """Returns the machines that a file of type local names as workers."""
    provider = config.get("provider")
    addresses = provider.get("worker_ips") if isinstance(provider, dict) else None
    return [str(address) for address in addresses] if isinstance(addresses, list) else []


Wrong = Iterator[tuple[Severity, str, str]]
"""Severity, cause and cure."""


def _filled(config: Config) -> dict[str, Any]:
    """Returns a copy with empty `resources` where Ray asks AWS or Google for them."""
    copied = json.loads(json.dumps(config, default=str))
    provider, kinds = copied.get("provider"), copied.get("available_node_types")
    if isinstance(provider, dict) and provider.get("type") in ("aws", "gcp") and isinstance(kinds, dict):
        for kind in kinds.values():
            if isinstance(kind, dict):
                kind.setdefault("resources", {})
    return copied


def _by_schema(config: Config) -> Wrong:
    """Validates the file as written, so that a message quotes the user's text and not Ray's version of it."""
    import ray.autoscaler
    from jsonschema import Draft7Validator
    from jsonschema.exceptions import best_match

    schema = json.loads(Path(ray.autoscaler.__file__).with_name("ray-schema.json").read_text())
    # Ray has a default for the name that its schema requires
    error = best_match(Draft7Validator(schema).iter_errors({"cluster_name": "default", **config}))
    if error:
        where = ".".join(str(step) for step in error.absolute_path)
        yield (
            Severity.broken,
            f"{where or 'at the top'}: {_short(error.message)}",
            f"correct it, since `ray up` refuses it{_did_you_mean(error)}",
        )


def _by_ray(config: Config) -> Wrong:
    """Runs Ray's checks beyond its schema, which raise errors of any kind."""
    try:
        check_cluster_config(config)
    except Exception as error:
        message = error.args[0] if error.args and isinstance(error.args[0], str) else error
        yield (
            Severity.broken,
            f"Ray cannot use it: {_short(str(message))}",
            "correct it, since `ray up` fails in the same way",
        )


def _mounts(config: Config, folder: Path) -> Wrong:
    for there, value in config["file_mounts"].items():
        here = str(value)
        if os.path.exists(os.path.expanduser(here)):
            continue
        if (folder / here).exists():
            cure = f"run `ray up` from there: cd {folder}"
            yield (
                Severity.broken,
                f"file_mounts: {here} is next to the cluster file, but not in the current folder",
                cure,
            )
        elif there.endswith(".ray/auth_token"):
            cure = "create it here with `ray get-auth-token --generate`"
            yield Severity.broken, f"file_mounts: {here} does not exist; Ray's nodes authenticate with it", cure
        else:
            cure = "correct the path; relative paths start from the folder that `ray up` runs in"
            yield Severity.broken, f"file_mounts: the source of {there}, {here}, does not exist", cure


def _keys(config: Config, folder: Path) -> Wrong:
    for name in ("ssh_private_key", "ssh_public_key"):
        key = config["auth"].get(name)
        if key and not os.path.exists(os.path.expanduser(key)):
            cure = f"name the key for the machines, or create one: ssh-keygen -N '' -f {key.removesuffix('.pub')}"
            yield Severity.broken, f"auth.{name}: {key} does not exist", cure


def _tools(config: Config, folder: Path) -> Wrong:
    if config["provider"]["type"] == "aws" and find_spec("boto3") is None:
        yield Severity.broken, "provider aws: boto3, which Ray needs for AWS, is not installed here", INSTALL_BOTO3
    for tool in ("ssh", "rsync"):
        if not shutil.which(tool):
            cure = "install it with your system's package manager"
            yield Severity.broken, f"{tool}, which Ray needs to reach the machines, is not installed here", cure


def _workers(config: Config, folder: Path) -> Wrong:
    if config["provider"]["type"] == "local":
        return
    kinds = {name: kind for name, kind in config["available_node_types"].items() if name != config["head_node_type"]}
    idle = [name for name, kind in kinds.items() if _has_no_cpu(kind)]
    train = [name for name, kind in kinds.items() if name not in idle and kind.get("max_workers")]
    for name in idle:
        severity = Severity.warn if train or not _head_is_idle(config) else Severity.broken
        cause = f"available_node_types.{name}: its resources have no CPU, so it runs no trial"
        yield severity, cause, 'declare what one machine has: resources: {"CPU": 4, "GPU": 1}'
    if not idle and not train and _head_is_idle(config):
        cause = "no worker may start (max_workers), and the head offers no CPU: nothing trains"
        yield Severity.broken, cause, "set max_workers of the file and of a node type above 0"


def _head(config: Config, folder: Path) -> Wrong:
    if not _head_is_idle(config):
        cause = "the head also trains: its trials share CPU, memory and disk with the driver and the run's files"
        cure = "add --num-cpus=0 to `ray start --head`, unless the machine is large enough for both"
        yield Severity.warn, cause, cure


def _versions(config: Config, folder: Path) -> Wrong:
    for kind in ("head", "worker"):
        if "constraints.txt" not in " ".join(config[f"{kind}_setup_commands"]):
            cause = f"no setup command of a {kind} uses constraints.txt: its versions may differ from other nodes'"
            cure = "add to setup_commands: cd ~/frugal && pip install -e . -c constraints.txt"
            yield Severity.warn, cause, cure


def _autoscaler(config: Config, folder: Path) -> Wrong:
    if len(worker_addresses(config)) > 1 and "RAY_enable_autoscaler_v2=0" not in " ".join(
        config["head_start_ray_commands"]
    ):
        cause = "type local with several workers: Ray's newer autoscaler starts only one of them"
        yield Severity.warn, cause, "put RAY_enable_autoscaler_v2=0 before `ray start --head`"


CHECKS: tuple[Callable[[Config, Path], Wrong], ...] = (_mounts, _keys, _tools, _workers, _head, _versions, _autoscaler)


def _has_no_cpu(kind: Config) -> bool:
    """Returns whether a node type declares no CPU. Without a declaration, Ray asks the cloud."""
    return (kind.get("resources") or {}).get("CPU") == 0


def _head_is_idle(config: Config) -> bool:
    commands = " ".join(config["head_start_ray_commands"]).replace("=", " ").split()
    given = [number for option, number in pairwise(commands) if option == "--num-cpus"]
    if given:
        return given[-1] == "0"
    return _has_no_cpu(config["available_node_types"][config["head_node_type"]])


def _did_you_mean(error: ValidationError) -> str:
    schema, found = error.schema, error.instance
    if error.validator != "additionalProperties" or not isinstance(schema, Mapping) or not isinstance(found, Mapping):
        return ""
    known = schema.get("properties", {})
    near = [match for name in found if name not in known for match in get_close_matches(name, known, 1)]
    return f" (did you mean {near[0]}?)" if near else ""


def _position(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    return f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""


def _short(text: str) -> str:
    line = text.strip().partition("\n")[0]
    return line if len(line) <= MAX_MESSAGE_LENGTH else f"{line[:MAX_MESSAGE_LENGTH]}..."
