"""Reads model files and checks all of their content, since a file may come from anyone."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from spaces.network import Network
from spaces.recipe import Candidate
from trainables.build import Module, build
from trainables.task_code import TaskCode, TaskFileError
from trainables.tensor_file import NoTensorFile, read_tensors

FORMAT = 1
MAX_LAYERS = 10_000
MAX_VALUES = 2**28
"""The maximum number of values in a layer's output for one image, a gigabyte."""
MAX_REASON = 300
FACT_TYPES: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(("run", "task", "dataset", "dataset_fingerprint", "scored_on"), (str, type(None))),
    "trial": (int, type(None)),
    "val_score": (int, float, type(None)),
    "classes": (list, type(None)),
    "goal": (str, dict, type(None)),
    "input_dtype": (str, type(None)),
}
"""The types of the facts that commands read. Other facts are not checked."""


class Content(NamedTuple):
    """The checked content of a model file."""

    candidate: Candidate
    module: Module
    facts: dict[str, Any]


def read_model_file(path: str | Path, code: TaskCode | None = None) -> Content:
    """Reads a model file. Raises ValueError, with the path, if it is missing, foreign, damaged or inconsistent.

    A network with a module of the user's own needs the task's `code`, whose errors are raised as TaskFileError.
    """
    try:
        with open(path, "rb") as file:
            return _checked(read_tensors(file), code)
    except FileNotFoundError:
        raise ValueError(
            f"{path}: there is no such file; a finished run has its best model in models/best.pt"
        ) from None
    except TaskFileError:
        raise
    except NoTensorFile as error:
        is_onnx = Path(path).suffix == ".onnx"
        reason = "an ONNX file is for other programs; name the .pt file beside it" if is_onnx else _short(error)
        raise ValueError(f"{path}: not a model that Frugal saved: {reason}") from None
    except ValueError as error:
        raise ValueError(f"{path}: {_short(error)}") from None
    except Exception as error:  # a network with fields of wrong types can raise anything
        raise ValueError(f"{path}: not a model that Frugal saved ({type(error).__name__}: {_short(error)})") from None


def _checked(held: Any, code: TaskCode | None) -> Content:
    names = ("format", "candidate", "weights", "facts")
    if not isinstance(held, dict) or not all(name in held for name in names):
        raise NoTensorFile(f"it does not have all of {', '.join(names)}")
    if held["format"] != FORMAT:
        raise ValueError(f"a model of format {held['format']!r:.20}; this version of Frugal reads format {FORMAT}")
    if not isinstance(held["candidate"], str):
        raise NoTensorFile("its candidate is not text")
    candidate = Candidate.from_json(held["candidate"])
    _check_size(candidate.network, held["weights"])
    if candidate.network.has_own_module and code is None:
        raise ValueError("its network has a module of the task's own file, which model files do not hold: task=FILE")
    # Nothing is drawn or downloaded, since the file has all weights
    module = build(candidate.network, device="meta", code=code)
    _check_weights(held["weights"], module.state_dict())
    module.load_state_dict(held["weights"], assign=True)
    _check_facts(held["facts"], candidate.network)
    return Content(candidate, module, held["facts"])


def _check_size(network: Network, weights: Any) -> None:
    """Raises ValueError, before anything is built, if the network needs more weights or memory than there are."""
    if len(network.layers) > MAX_LAYERS:
        raise ValueError(f"a network of {len(network.layers):,} layers; at most {MAX_LAYERS:,} are read")
    if not isinstance(weights, dict) or not all(isinstance(value, Tensor) for value in weights.values()):
        raise NoTensorFile("its weights are not tensors")
    found = sum(value.numel() for value in weights.values())
    if network.num_params > found:
        raise ValueError(f"the network has {network.num_params:,} weights, but the file has {found:,} numbers")
    if any(math.prod(step.shape) > MAX_VALUES for step in network.trace()):
        raise ValueError(f"a layer of the network has more than {MAX_VALUES:,} outputs for one image")


def _check_weights(found: Mapping[Any, Tensor], expected: Mapping[str, Tensor]) -> None:
    if missing := [name for name in expected if name not in found]:
        raise ValueError(f"the network's weights {missing[0]} are missing")
    if unknown := [name for name in found if name not in expected]:
        raise ValueError(f"there are weights {unknown[0]!r:.80}, which the network does not have")
    for name, weights in found.items():
        wanted = expected[name]
        if weights.shape != wanted.shape or weights.dtype != wanted.dtype:
            raise ValueError(f"the weights {name} are {_kind(weights)}; the network expects {_kind(wanted)}")
        if not weights.isfinite().all():
            raise ValueError(f"the weights {name} are not all finite numbers")


def _check_facts(facts: Any, network: Network) -> None:
    if not isinstance(facts, dict) or not all(isinstance(name, str) for name in facts):
        raise NoTensorFile("its facts are not a dict with names as keys")
    for name, kinds in FACT_TYPES.items():
        value = facts.get(name)
        if not isinstance(value, kinds) or isinstance(value, bool):
            raise ValueError(f"its {name} is {value!r:.40}; expected {' or '.join(_names(kinds))}")
    classes = facts.get("classes")
    if classes is None:
        return
    if not all(isinstance(each, str) for each in classes):
        raise ValueError("its classes are not all text")
    is_map = goal_name(facts) == "Segment"
    if (network.output_shape[:1] if is_map else network.output_shape) != (len(classes),):
        raise ValueError(f"it names {len(classes):,} classes, but its network has outputs {list(network.output_shape)}")
    if len(set(classes)) < len(classes):
        raise ValueError("two of its classes have the same name")


def goal_name(facts: Mapping[str, Any]) -> str | None:
    """Returns the kind of goal that a model was trained for, or None if it is not known."""
    goal = facts.get("goal")
    return goal.get("goal") if isinstance(goal, dict) else None


def _kind(weights: Tensor) -> str:
    return f"{str(weights.dtype).removeprefix('torch.')} {list(weights.shape)}"


def _names(kinds: tuple[type, ...]) -> list[str]:
    words = {str: "text", int: "whole number", float: "number", list: "list", dict: "table"}
    return [words[kind] for kind in kinds if kind in words]


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:MAX_REASON]
