"""A folder to work in, with a model, images and pages."""

import numpy as np
import pytest
import torch
from PIL import Image

from search.tasks.tiny10k import BERTOLDI
from spaces.layers import Conv, Dense, GlobalPool
from tests.search.prediction.toy_files import SIDES
from tests.search.prediction.toy_models import save, save_layers


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """Returns the current folder, where outputs go by default."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def model(here):
    return save(here / "best.pt", BERTOLDI)


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (7, 28, 28), dtype=np.uint8)


@pytest.fixture
def pages(here):
    """Writes a folder of three pages in two sizes; returns the pages by name."""
    rng = np.random.default_rng(0)
    (here / "pages").mkdir()
    found = {str(number): rng.integers(0, 256, size, dtype=np.uint8) for number, size in enumerate(SIDES, 1)}
    for name, page in found.items():
        Image.fromarray(page).save(here / "pages" / f"{name}.png")
    return found


PETS = ("cat", "dog")


@pytest.fixture
def pets(here):
    """A model that calls dark images cat and bright ones dog, and 5 grey images of 8x8 with their classes."""
    layers = (Conv(1, 1), GlobalPool(), Dense(2))
    path = save_layers(here / "pets.pt", *layers, facts={"classes": list(PETS)}, scale=1.0)
    held = torch.load(path, weights_only=True)
    *_, weight, bias = held["weights"]
    held["weights"] |= {weight: torch.tensor([[-1.0], [1.0]]), bias: torch.tensor([0.5, -0.5])}
    torch.save(held, path)
    values = np.array([10, 250, 20, 240, 30], np.uint8)
    return path, np.broadcast_to(values[:, None, None], (5, 8, 8)).copy(), np.array(PETS)[[0, 1, 0, 1, 1]]
