"""The stand-in for MNIST: scikit-learn's 1,797 digits, converted to MNIST's format."""

import numpy as np

from data.splits import Split, Splits
from data.stratified import stratified_split

# A change to one of these makes older rows of every leaderboard incomparable with new ones.
VAL_FRACTION = TEST_FRACTION = 0.15
SPLIT_SEED = 0


def load_made() -> Splits:
    """Returns 1,257 training, 270 validation and 270 test digits, uint8 28x28, white on black with a 4-pixel margin.

    Source: the test set of "Optical Recognition of Handwritten Digits" (UCI), 8x8 pixels of 0 to 16, which comes with
    scikit-learn.
    """
    from sklearn.datasets import load_digits  # here, since it takes over a second to import

    images, labels = (np.asarray(array) for array in load_digits(return_X_y=True))
    x = np.stack([_resize(image_HW) for image_HW in images.reshape(-1, 8, 8)])
    y = labels.astype(np.int64)
    rest, test = stratified_split(y, TEST_FRACTION, SPLIT_SEED)
    train, val = (rest[part] for part in stratified_split(y[rest], VAL_FRACTION * len(y) / len(rest), SPLIT_SEED))
    return Splits(
        name="sklearn-digits",
        origin="made",
        train=Split(x[train], y[train]),
        val=Split(x[val], y[val]),
        test=Split(x[test], y[test]),
    )


def _resize(image_HW: np.ndarray) -> np.ndarray:
    """Returns an 8x8 digit of 0 to 16 as a 20x20 one of 0 to 255 in the middle of 28x28, as MNIST has its digits."""
    from PIL import Image

    small = Image.fromarray(np.round(image_HW * (255 / 16)).astype(np.uint8))
    large = np.asarray(small.resize((20, 20), Image.Resampling.BICUBIC))  # clipped to 0..255 by Pillow
    return np.pad(large, 4)
