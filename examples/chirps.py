"""whether the pitch of a signal in noise falls or rises

python -m search.run task=examples/chirps.py max_params=3000"""

import numpy as np

from data import Splits
from spaces.layers import Activation, Conv, Dense, Flatten, Norm, Pool

references = {"linear": [Flatten(), Dense(3)]}


def data():
    rng, time, shape = np.random.default_rng(0), np.linspace(0, 1, 256), (6000, 1, 1)
    kind, pitch, start = rng.integers(3, size=shape), rng.uniform(20, 40, shape), rng.uniform(0, 1, shape)
    waves = np.sin(2 * np.pi * (start + pitch * time + 15 * (kind - 1) * (time**2 - time)))
    return Splits.of(waves + rng.normal(0, 1.5, waves.shape), kind.ravel(), classes=["falls", "stays", "rises"])


def space(choose):
    layers, width = [], choose.int("width", 4, 24, log=True)
    for stage in range(choose.int("stages", 1, 3)):
        layers += [Conv(width, choose.of(f"kernel_{stage}", [3, 7, 15])), Norm(), Activation(), Pool("max", 4)]
    return [*layers, Flatten(), Dense(3)]
