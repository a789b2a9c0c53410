"""Checks of a task's examples: their sizes, values and classes, and examples in two splits."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from data.leaks import find_leaks
from data.splits import Split, Splits
from results.wording import count, number
from search.checkup.findings import Finding, broken, ok, warn
from spaces.goal import Custom, Goal, Regress

RARE = 0.1
"""A class with less than this share of an equal one is called rare."""
MAX_EXAMPLES = 10_000
"""The number of examples whose values are checked, since an array on disk may be larger than the memory."""
MAX_CLASSES = 10
"""The number of different whole values up to which floats look like classes."""
LARGE = 1_000
"""Targets of a larger mean or deviation, or a deviation below the inverse, are hard to learn without scaling."""


def check_data(splits: Splits, goal: Goal) -> Iterator[Finding]:
    """Yields findings about sizes, values, classes, and examples in two splits."""
    yield from _check_sizes(splits)
    yield from _check_inputs(splits)
    yield from _check_numbers(splits, goal)
    yield from _check_leaks(splits)


def _check_sizes(splits: Splits) -> Iterator[Finding]:
    parts = {"train": splits.train, "val": splits.val, "test": splits.test}
    sizes = ", ".join(f"{len(split):,} {name}" for name, split in parts.items())
    yield ok(
        "data",
        f"{splits.name}: {sizes} examples; x {_describe(splits.train.x)}, y {_describe(splits.train.y)}",
    )
    for name in ("val", "test"):
        if not len(parts[name]):
            cure = "give examples for it, or leave it to Splits.of"
            found = broken if name == "val" else warn
            yield found("data", f"{name} has no examples", cure)
    if splits.train.labels is None or splits.train.labels.dtype.kind not in "iu":
        return
    yield from _check_labels(parts, splits)


def _check_labels(parts: dict[str, Split], splits: Splits) -> Iterator[Finding]:
    names = splits.classes or tuple(str(label) for label in range(splits.num_classes))
    for name, split in parts.items():
        labels = split.labels
        if labels is None or not len(labels):
            continue
        if wrong := [int(label) for label in np.unique(labels) if not 0 <= label < len(names)]:
            cure = f"labels number the classes from 0 to {len(names) - 1}; Splits.of does so for you"
            yield broken("data", f"y of {name} has the label {wrong[0]}, out of range", cure)
            return
    assert splits.train.labels is not None
    counts = np.bincount(splits.train.labels, minlength=len(names))
    missing = [names[label] for label in np.flatnonzero(counts == 0)]
    rare = [names[label] for label in np.flatnonzero((counts > 0) & (counts < RARE * counts.sum() / len(counts)))]
    balance = f"{len(names)} classes of {counts.min():,} to {counts.max():,} training examples"
    if missing:
        yield broken("classes", f"{balance}; none of {missing[0]}", "give training examples of it")
    elif rare:
        cure = "a score that counts classes equally, such as macro F1, says more than accuracy"
        yield warn("classes", f"{balance}; {', '.join(rare[:5])} rare", cure)
    else:
        yield ok("classes", balance)


def _check_inputs(splits: Splits) -> Iterator[Finding]:
    """Warns of features that are constant."""
    x = splits.train.x
    if isinstance(x, list) or x.ndim != 2:
        return
    constant = np.flatnonzero(np.ptp(x[:MAX_EXAMPLES], axis=0) == 0)
    if len(constant):
        names = [splits.features[index] if splits.features else f"number {index}" for index in constant[:5]]
        cause = f"features that are constant in training ({len(constant)} of {x.shape[1]}): {', '.join(names)}"
        yield warn("data", cause, "leave them out, since nothing can be learned from them")


def _check_numbers(splits: Splits, goal: Goal) -> Iterator[Finding]:
    """Reports targets of floats that are constant, look like classes, or are too large for a loss of one's own."""
    y = splits.train.y
    if isinstance(y, list) or y.dtype.kind != "f" or not splits.train.has_targets:
        return
    y = y[:MAX_EXAMPLES].astype(np.float64)
    mean, deviation = y.mean(), y.std()
    if not deviation:
        yield broken("data", f"y is {number(mean)} for all training examples", "give targets that differ")
    elif isinstance(goal, Regress) and math.prod(y.shape[1:]) == 1 and _looks_like_classes(y):
        cause = f"y holds floats of {len(np.unique(y))} whole values, which are regressed"
        yield warn("data", cause, "if they are classes, give integers: y.astype(int)")
    elif isinstance(goal, Custom) and not (max(abs(mean), deviation) <= LARGE and deviation >= 1 / LARGE):
        cause = f"y has mean {number(mean)} and deviation {number(deviation)}, to which outputs are not scaled"
        yield warn("data", cause, "scale it in data(): (y - y.mean()) / y.std()")


def _looks_like_classes(y: np.ndarray) -> bool:
    values = np.unique(y)
    return len(values) <= MAX_CLASSES and bool((values == np.round(values)).all())


def _check_leaks(splits: Splits) -> Iterator[Finding]:
    leaks = find_leaks(splits)
    for leak in leaks:
        cure = "scores on them say nothing about new examples; remove them, or keep equal ones in one split"
        yield broken("leaks", str(leak), cure)
    if not leaks:
        yield ok("leaks", "no example is in two splits")


def _describe(values: np.ndarray | list[np.ndarray]) -> str:
    if isinstance(values, list):
        return f"{values[0].dtype} of {count(len({each.shape for each in values}), 'size')}"
    return f"{values.dtype} {list(values.shape[1:]) or ''}".strip()
