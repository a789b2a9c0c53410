"""Model files of small networks, which take no time to make."""

from pathlib import Path

import torch

from spaces.layers import Conv, Layer
from spaces.network import Network
from spaces.recipe import Candidate, Recipe
from trainables.build import build
from trainables.model import model_bytes

ANY_SIZE = (Conv(1, 3),)


def save(path, candidate, facts=None, seed=1, scale=None):
    """Writes a model file. With `scale`, its first layer multiplies each pixel by it, channel by channel."""
    module = build(candidate.network, seed)
    if scale is not None:
        weight = module.layers[0].weight
        torch.nn.init.zeros_(weight)
        with torch.no_grad():
            for channel in range(len(weight)):
                weight[channel, channel, weight.shape[2] // 2, weight.shape[3] // 2] = scale
    Path(path).write_bytes(model_bytes(candidate, module.state_dict(), {"run": "r", "trial": 0} | (facts or {})))
    return Path(path)


def save_layers(path, *layers: Layer, shape=(1, 8, 8), **kwargs):
    return save(path, Candidate(Network(shape, layers), Recipe()), **kwargs)
