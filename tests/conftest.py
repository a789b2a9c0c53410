"""What all tests share: quiet engines, and where real files lie if this checkout has them beside it."""

from pathlib import Path

import optuna
import pytest

optuna.logging.set_verbosity(optuna.logging.ERROR)


@pytest.fixture(scope="session")
def mnist_dir() -> Path:
    """A data_dir with the real MNIST; tests that need it are skipped where there is none."""
    folder = Path(__file__).parents[2] / "shared" / "data"
    if not (folder / "MNIST" / "raw" / "train-images-idx3-ubyte").exists():
        pytest.skip("no MNIST files in ../shared/data")
    return folder
