"""The keys of a search as Python values: the same names, checks and errors as on the command line."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from search.planning.config import from_values, parse
from search.planning.keys import Weights, to_dict
from tests.search.unfinished import cut_short

GIVEN: dict[str, Any] = {"task": "denoiser", "run": "a", "num_trials": 8, "sigma": 0.3, "references": False}
TYPED = ["task=denoiser", "run=a", "num_trials=8", "sigma=0.3", "references=false"]


def test_values_are_what_a_command_line_of_the_same_names_is():
    nested = from_values(**GIVEN, sampler="random", confirm={"top_k": 0}, fix={"optimizer": "adam", "kernel": None})
    typed = parse([*TYPED, "sampler=random", "confirm.top_k=0", "fix.optimizer=adam", "fix.kernel=null"])
    assert nested == typed
    assert from_values(**GIVEN, **{"confirm.top_k": 0, "fix.optimizer": "adam", "fix.kernel": None}) == parse(
        [*TYPED, "confirm.top_k=0", "fix.optimizer=adam", "fix.kernel=null"]
    )


def test_paths_and_choices_may_be_pythons_own():
    config = from_values(run="a", data_dir=Path("some", "where"), weights=Weights.random)
    assert to_dict(config) == to_dict(parse(["run=a", "data_dir=some/where", "weights=random"]))


def test_values_may_be_numpys_scalars():
    config = from_values(run="a", num_trials=np.int64(3), report=np.bool_(False), fix={"stages": np.int64(2)})
    assert config == parse(["run=a", "num_trials=3", "report=false", "fix.stages=2"])
    assert json.dumps(config.fix) == '{"stages": 2}'


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"num_trals": 3}, r"num_trals: there is no such key \(did you mean num_trials\?\)"),
        ({"num_trials": "many"}, "num_trials=many: expected a whole number"),
        ({"num_trials": 2.5}, "num_trials=2.5: expected a whole number"),
        ({"num_trials": 0}, "num_trials=0: must be above 0"),
        ({"num_trials": [3]}, r"num_trials=\[3\]: expected a whole number"),
        ({"data": 3}, "data=3: expected text"),
        ({"sampler": "grid"}, r"sampler=grid: expected one of \[tpe, random"),
        ({"confirm": 3}, "confirm=3: expected names with values"),
        ({"confirm": {"topk": 3}}, r"confirm.topk: there is no such key \(did you mean confirm.top_k\?\)"),
        ({"confirm": {"top_k": -1}}, "confirm.top_k=-1: must be 0 or more"),
        ({"fix": 3}, "fix=3: expected names with values"),
        ({"fix": {"optimizer": "adm"}}, "fix.optimizer=adm: outside the space, which has adam"),
        ({"fix": {"optimizer": object()}}, "fix.optimizer: expected a number, text, true or false"),
        ({"run": "a/b"}, "run='a/b': must be a plain name"),
        ({"max_epochs": 2, "grace_epochs": 3}, "grace_epochs=3: longer than a whole trial"),
    ],
)
def test_a_mistake_is_told_as_on_the_command_line(values: dict[str, Any], message: str):
    with pytest.raises(ValueError, match=message):
        from_values(**values)


def test_a_run_that_exists_keeps_what_is_not_given(tmp_path):
    cut_short(tmp_path, "num_trials=7", "seed=4", "fix.optimizer=adam")
    again = from_values(run="a", runs_dir=tmp_path, num_trials=9, fix={"stages": 3})
    assert (again.num_trials, again.seed, again.fix) == (9, 4, {"optimizer": "adam", "stages": 3})
