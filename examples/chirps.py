"""the kind of a signal in noise

python -m search.run task=examples/chirps.py max_params=3000
"""

import numpy as np

from data import Splits
from spaces.layers import Activation, Conv, Dense, Flatten, GlobalPool, Norm, Pool

references = {"linear": [Flatten(), Dense(3)]}


def data(number=6000, length=256):
    rng, time = np.random.default_rng(0), np.linspace(0, 1, length)
    bend, pitch, phase = rng.choice([-6, 0, 6], number), rng.uniform(15, 30, number), rng.uniform(0, 7, number)
    waves = np.sin(2 * np.pi * (np.outer(pitch, time) + np.outer(bend, time**2 - time)) + phase[:, None])
    return Splits.of(
        (waves + rng.normal(0, 1.2, waves.shape))[:, None, :], np.array(["steady", "up", "down"])[bend // 6]
    )


def space(choose):
    layers, width = [], choose.int("width", 4, 24, log=True)
    for stage in range(choose.int("stages", 1, 4)):
        layers += [Conv(width, choose.of(f"kernel_{stage}", [3, 7, 15])), Norm(), Activation(), Pool("max", 2)]
    return [*layers, GlobalPool(), Dense(3)]
