"""Python values are what the command line reads."""

from pathlib import Path

import numpy as np
import pytest

from results.values import free_value
from search.command_line.arguments import arguments_of
from search.planning.config import RunConfig, parse
from search.planning.keys import Weights


@pytest.mark.parametrize(
    ("keys", "typed"),
    [
        ({"num_trials": np.int64(3), "max_macs": None}, ["num_trials=3"]),
        ({"time_budget_seconds": 1e-5, "report": np.bool_(False)}, ["time_budget_seconds=0.00001", "report=false"]),
        ({"weights": Weights.random, "data_dir": Path("a b")}, ["weights=random", "data_dir=a b"]),
        ({"fix": {"optimizer": "adam", "batch_norm": True}}, ["fix.optimizer=adam", "fix.batch_norm=true"]),
        ({"fix.dropout": 0.1, "confirm.top_k": 0}, ["fix.dropout=0.1", "confirm.top_k=0"]),
    ],
)
def test_a_value_of_pythons_is_what_the_command_line_reads(keys, typed):
    assert parse(arguments_of(RunConfig, {"run": "a"} | keys)) == parse(["run=a", *typed])


@pytest.mark.parametrize("text", ["0.1", "null", "true", "[a]", "it's", '"a"', "a, b"])
def test_text_stays_text(text):
    [argument] = arguments_of(RunConfig, {"fix": {"name": text}})
    assert free_value(argument.removeprefix("fix.name=")) == text
    [argument] = arguments_of(RunConfig, {"fix": {"name": [text, 1]}})
    assert free_value(argument.removeprefix("fix.name=")) == [text, 1]
