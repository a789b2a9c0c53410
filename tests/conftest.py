"""What all tests share: quiet engines, and where real files lie if this checkout has them beside it."""

from pathlib import Path

import hypothesis
import optuna
import pytest

hypothesis.settings.register_profile("untimed", deadline=None)  # on a busy machine any example may take long
hypothesis.settings.load_profile("untimed")
optuna.logging.set_verbosity(optuna.logging.ERROR)


@pytest.fixture(scope="session")
def mnist_dir() -> Path:
    """A data_dir with the real MNIST; tests that need it are skipped where there is none."""
    folder = Path(__file__).parents[2] / "shared" / "data"
    if not (folder / "MNIST" / "raw" / "train-images-idx3-ubyte").exists():
        pytest.skip("no MNIST files in ../shared/data")
    return folder
