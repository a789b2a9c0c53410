"""The stand-in for MNIST without network: scikit-learn's 1,797 digits, brought to MNIST's format."""

import numpy as np

from data.splits import Split, Splits, stratified_split

# Changing one of these makes older rows of every leaderboard incomparable with new ones.
VAL_FRACTION = TEST_FRACTION = 0.15
SPLIT_SEED = 0


def load_made() -> Splits:
    """1,257 training, 270 validation and 270 test digits, uint8 28x28, as white ink on black with 4 pixels of margin.

    Source: the test set of "Optical Recognition of Handwritten Digits" (UCI), 8x8 pixels of 0 to 16, which comes with
    scikit-learn.
    """
    from sklearn.datasets import load_digits  # here, since it takes over a second

    images, labels = (np.asarray(array) for array in load_digits(return_X_y=True))
    x = np.stack([_like_mnist(image_HW) for image_HW in images.reshape(-1, 8, 8)])
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


def _like_mnist(image_HW: np.ndarray) -> np.ndarray:
    """An 8x8 digit of 0 to 16 as a 20x20 one of 0 to 255 in the middle of 28x28, where MNIST has its digits."""
    from PIL import Image

    small = Image.fromarray(np.round(image_HW * (255 / 16)).astype(np.uint8))
    large = np.asarray(small.resize((20, 20), Image.Resampling.BICUBIC))  # clipped to 0..255 by Pillow
    return np.pad(large, 4)
