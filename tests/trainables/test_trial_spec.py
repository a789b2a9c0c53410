"""A trial's description survives its way to the worker."""

from pathlib import Path

from spaces.goal import Denoise
from spaces.layers import Dense, Flatten
from spaces.network import Network
from spaces.recipe import Candidate, Recipe
from trainables.trial_spec import TrialSpec


def test_a_spec_comes_back_from_json_as_it_was():
    spec = TrialSpec(
        number=3,
        candidate=Candidate(Network((1, 28, 28), (Flatten(), Dense(10))), Recipe(learning_rate=1 / 3)),
        goal=Denoise(0.3),
        seed=2**32 - 1,
        epochs=18,
        reports_per_epoch=2,
        record_steps=False,
        data_dir=Path("/data"),
        length=5,
        facts={"run": "a", "classes": ["cat", "dog"], "goal": Denoise(0.3).to_json(), "trial": 3},
    )
    assert TrialSpec.from_json(spec.to_json()) == spec
