"""Sets one thread, as in a worker, and provides a dataset small enough to learn in a second."""

from collections.abc import Iterator

import pytest
import torch

from data.made.digits import load_made
from trainables.goals import DeviceSplit


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def digits() -> tuple[DeviceSplit, DeviceSplit]:
    """Returns 250 digits to train on and 100 to validate on."""
    splits, cpu = load_made(), torch.device("cpu")
    train, val = splits.train, splits.val
    return DeviceSplit.of(train.x[:250], train.y[:250], cpu), DeviceSplit.of(val.x[:100], val.y[:100], cpu)
