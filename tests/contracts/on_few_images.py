"""python -m tests.contracts.on_few_images key=value ...: runs search.run on a few images of the made data.

All else is the task's own: its scale, space, budget and references. A scale's numbers are upper limits, so the command
line is the same with few images; on all of them some tasks take an hour.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from data import max_digit
from data.splits import Dataset, Images, Split, Splits
from search import tasks
from search.run import main

NUM_TRAIN, NUM_OTHERS, NUM_PAGES = 64, 20, 3
PAGE_SIDE = 80
"""The side of the parts that are cut out of pages; a training patch fits in one."""


def few(splits: Splits) -> Splits:
    """Returns a few images of each split, some of each label; pages are cut."""
    if isinstance(splits.train.x, list):
        pages = {name: _cut(getattr(splits, name)) for name in ("train", "val", "test")}
        return replace(splits, **pages)
    test = replace(splits, val=splits.test).at_most(None, NUM_OTHERS).val
    return replace(splits.at_most(NUM_TRAIN, NUM_OTHERS), test=test)


def _cut(split: Split) -> Split:
    def corners(pages: Images) -> list[Any]:
        return [page[:PAGE_SIDE, :PAGE_SIDE] for page in pages[:NUM_PAGES]]

    return Split(corners(split.x), corners(split.y))


def shrunk(dataset: Dataset) -> Dataset:
    return replace(dataset, made=lambda data_dir, say: few(dataset.made(data_dir, say)))


def shrink_all() -> None:
    """Makes less data for each task, in this process."""
    max_digit.load_made = _in_small_numbers(max_digit.load_made)  # it draws tens of thousands, for minutes
    for name in tasks.names():
        task = tasks.find(name)
        scales = {each: getattr(task, each) for each in ("laptop", "full")}
        less = {each: replace(s, dataset=shrunk(s.dataset)) for each, s in scales.items() if s.dataset}
        tasks.FOUND[name] = replace(task, dataset=shrunk(task.dataset), **less)


def _in_small_numbers(load_made: Callable[..., Splits]) -> Callable[..., Splits]:
    return lambda *args, **numbers: load_made(*args, **numbers | {"num_train": NUM_TRAIN, "num_test": NUM_OTHERS})


if __name__ == "__main__":
    shrink_all()
    sys.exit(main())
