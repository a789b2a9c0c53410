"""The built-in datasets by name, for a user's own task."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from importlib import import_module
from pathlib import Path

from data.files import default_data_dir
from data.splits import Dataset, Splits

DATASETS = {
    "mnist": ("data.mnist", "MNIST"),
    "digits": ("data.digit_recognizer", "DIGITS"),
    "documents": ("data.documents", "DOCUMENTS"),
}
"""The module and the name of each."""
_asked: ContextVar[tuple[str, Path] | None] = ContextVar("asked", default=None)
"""The keys data= and data_dir= of the command that calls a task's data()."""


@contextmanager
def asked_for(choice: str, data_dir: Path) -> Iterator[None]:
    """Makes `load` follow a command's keys within the block: data= as its default choice, and the folder of files."""
    token = _asked.set((choice, data_dir))
    try:
        yield
    finally:
        _asked.reset(token)


def load(name: str, choice: str | None = None) -> Splits:
    """Returns a built-in dataset: "mnist", Kaggle's "digits", or "documents", pages of text with their clean targets.

    `choice` is "original", "made" (synthetic), or "auto": the original if it is available, else made, with a notice.
    In a task's data() it is the command's data=, and files are in its data_dir=; elsewhere "auto", and
    $FRUGAL_DATA_DIR, or else a cache in your home. Raises ValueError for another name, and DataUnavailable.
    """
    if name not in DATASETS:
        raise ValueError(f"load({name!r}): expected one of {', '.join(DATASETS)}")
    module, constant = DATASETS[name]
    dataset: Dataset = getattr(import_module(module), constant)
    asked, data_dir = _asked.get() or ("auto", default_data_dir())
    return dataset.load(choice or asked, data_dir, print)
