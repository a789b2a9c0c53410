"""The built-in datasets by name, for a user's own task."""

from importlib import import_module

from data.files import default_data_dir
from data.splits import Dataset, Splits

DATASETS = {
    "mnist": ("data.mnist", "MNIST"),
    "digits": ("data.digit_recognizer", "DIGITS"),
    "documents": ("data.documents", "DOCUMENTS"),
}
"""The module and the name of each."""


def load(name: str, choice: str = "auto") -> Splits:
    """Returns a built-in dataset: "mnist", Kaggle's "digits", or "documents", pages of text with their clean targets.

    `choice` is "original", "made" (synthetic), or "auto": the original if it is available, else made, with a notice.
    Files are in $FRUGAL_DATA_DIR, else in a cache in your home. Raises ValueError for another name, and
    DataUnavailable.
    """
    if name not in DATASETS:
        raise ValueError(f"load({name!r}): expected one of {', '.join(DATASETS)}")
    module, constant = DATASETS[name]
    dataset: Dataset = getattr(import_module(module), constant)
    return dataset.load(choice, default_data_dir(), print)
