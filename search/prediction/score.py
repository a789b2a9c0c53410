"""Counts how many labels were right, if the images came with labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from data.images import own
from data.lists import list_names
from data.splits import DataError
from search.prediction.inputs import Inputs

MAX_NAMED = 5


def score_lines(inputs: Inputs, predicted: Sequence[str], classes: Sequence[str]) -> list[str]:
    """Returns a line with the share of right labels for each split, or for all images if the input has no splits."""
    if inputs.labels is None:
        return []
    known = [
        (part, label == answer)
        for part, label, answer in zip(inputs.parts or [""] * len(predicted), inputs.labels, predicted, strict=True)
        if label in classes
    ]
    totals, rights = Counter(part for part, _ in known), Counter(part for part, is_right in known if is_right)
    lines = [
        f"{f'{part}: ' if part else ''}{rights[part]:,} of {total:,} right ({rights[part] / total:.1%})"
        for part, total in totals.items()
    ]
    others = Counter(label for label in inputs.labels if label is not None and label not in classes)
    if others:
        lines.append(
            f"{others.total():,} not counted, since the model does not know their class: "
            f"{list_names([*others], MAX_NAMED)}; it knows {list_names(classes, MAX_NAMED)}"
        )
    return lines


def trained_on(source: Path, facts: Mapping[str, object]) -> bool:
    """Returns whether a model was trained on some of these images, by the dataset's fingerprint in its facts."""
    if not str(facts.get("dataset")).startswith("images:"):
        return False
    try:
        return own(source).fingerprint == facts.get("dataset_fingerprint")
    except DataError:  # not every input of a prediction can be trained on
        return False
