"""the angle by which a digit is turned

python -m search.run task=examples/turned_digits.py max_params=8000"""

import numpy as np
from PIL import Image

from data import Splits, load
from spaces.goal import Regress
from spaces.layers import Dense, Flatten

goal = Regress("absolute")  # degrees
references = {"linear": [Flatten(), Dense(1)]}


def data():
    digits = load("mnist")
    train, val, test = (turned(split, k) for k, split in enumerate((digits.train, digits.val, digits.test)))
    return Splits.of(*train, val=val, test=test, origin=digits.origin)


def turned(split, seed):
    angles = np.random.default_rng(seed).uniform(-60, 60, len(split)).astype("float32")
    images = [Image.fromarray(x).rotate(angle, Image.BILINEAR) for x, angle in zip(split.x, angles, strict=True)]
    return np.stack(images), angles
