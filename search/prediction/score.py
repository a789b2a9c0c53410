"""How many labels were right, where the images came with their own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from data.splits import DataError
from search.prediction.inputs import Inputs

MAX_LISTED = 5


def score_lines(inputs: Inputs, predicted: Sequence[str], classes: Sequence[str]) -> list[str]:
    """What is to be said of the images that have labels: by split, where the input has splits."""
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
            f"{others.total():,} not counted, as their class is none of the model's: {_listed([*others])}; "
            f"it knows {_listed(classes)}"
        )
    return lines


def trained_on(source: Path, facts: Mapping[str, Any]) -> bool:
    """Whether a model was trained on a part of these very images, by their fingerprint."""
    from data.images import own

    if not str(facts.get("dataset")).startswith("images:"):
        return False
    try:
        return own(source).fingerprint == facts.get("dataset_fingerprint")
    except DataError:  # it can be predicted for, but not trained on
        return False


def _listed(names: Sequence[str]) -> str:
    return ", ".join([*names[:MAX_LISTED], *(["..."] if len(names) > MAX_LISTED else [])])
