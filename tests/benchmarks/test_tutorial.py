"""The tutorial's training in the benchmarks uses the same networks and images as Frugal's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from benchmarks.peers.tutorial import images_of, plain_module
from data.mnist import MNIST
from search.tasks.tiny10k import BERTOLDI, PIXELS
from spaces.layers import Activation, Conv, Dense, Dropout, GlobalPool, Layer, Norm, Pool
from spaces.network import Network
from trainables.build import build

OTHER: tuple[Layer, ...] = (
    *(Conv(4, 3, stride=2, bias=False), Norm(), Activation("gelu"), Pool("average", 2)),
    *(Conv(6, 3, padding="valid"), Activation("elu"), GlobalPool(), Dropout(0.5), Dense(10)),
)


@pytest.mark.parametrize("layers", [BERTOLDI.network.layers, OTHER], ids=["bertoldi", "other"])
def test_the_plain_module_computes_the_same_as_the_built_one(layers: tuple[Layer, ...]):
    network = Network((1, 28, 28), (PIXELS, *layers))
    ours, plain = build(network, seed=1).eval(), plain_module(network).eval()
    for theirs, weight in zip(plain.parameters(), ours.parameters(), strict=True):
        theirs.data.copy_(weight)
    images = torch.rand(5, 1, 28, 28)
    torch.testing.assert_close(plain((images - PIXELS.mean) / PIXELS.std), ours(images), atol=1e-5, rtol=0)


def test_the_plain_dataset_has_the_images_of_a_split_standardized(mnist_dir: Path):
    val = MNIST.load("original", mnist_dir, print).val
    few = replace(val, x=val.x[:3], y=val.y[:3])
    served = [images_of(mnist_dir, few)[n] for n in range(3)]
    pixels = torch.stack([image for image, _ in served])[:, 0] * PIXELS.std + PIXELS.mean
    torch.testing.assert_close(255 * pixels, torch.from_numpy(few.x).float(), atol=1e-3, rtol=0)
    assert [label for _, label in served] == few.y.tolist()
