"""the kind of a signal in noise: python -m search.run task=examples/chirps.py max_params=3000"""

import numpy as np

from data import Splits
from spaces.layers import Activation, Conv, Dense, Flatten, GlobalPool, Norm, Pool

KINDS = {"steady": 0, "rising": 1, "falling": -1, "noise": None}
references = {"linear": [Flatten(), Dense(len(KINDS))]}


def data(number=6000, length=256):
    rng, time = np.random.default_rng(0), np.linspace(0, 1, length)
    labels = rng.choice([*KINDS], number)
    pitch, phase = rng.uniform(15, 30, number), rng.uniform(0, 2 * np.pi, number)
    bend = np.array([KINDS[label] or 0 for label in labels])
    waves = np.sin(2 * np.pi * (np.outer(pitch, time) + np.outer(6 * bend, time**2 - time)) + phase[:, None])
    waves[labels == "noise"] = 0
    return Splits.of((waves + rng.normal(0, 1.2, waves.shape))[:, None, :], labels)


def space(choose):
    layers, width = [], choose.int("width", 4, 24, log=True)
    for stage in range(choose.int("stages", 1, 4)):
        layers += [Conv(width, choose.of(f"kernel_{stage}", [3, 7, 15])), Norm(), Activation()]
        layers += [Pool(choose.of(f"pool_{stage}", ["max", "average"]), 2)]
    return [*layers, GlobalPool(), Dense(len(KINDS))]
