"""What finalists made of the images that they were scored on: predictions.parquet, and samples.npz with pictures."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import pyarrow as pa

from data.files import replacing
from data.npy import check_archive
from data.splits import Split
from results import tables
from results.files import writing
from results.schema import PREDICTIONS

NUM_MISTAKES = 24
ERROR_NAME = "mean squared error"

Arrays = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Answered:
    """A finalist's training with its answers, as trainables/answers.py describes them."""

    row: Mapping[str, Any]
    """Of finalists.parquet."""
    name: str
    arrays: Arrays


def read_answers(path: Path) -> Arrays | None:
    """The arrays of a file; None where it is not there or damaged, which costs the report its pictures alone."""
    try:
        with np.load(path, allow_pickle=False) as held:
            check_archive(held.zip, path.stat().st_size)
            return dict(held)
    except (OSError, ValueError, EOFError, KeyError, BadZipFile, MemoryError, AttributeError):
        return None


def write_answers(answered: Sequence[Answered], split: Split, classes: Sequence[str] | None, folder: Path) -> None:
    """Writes what can be said of the images of `split`, in which the finalists were scored. Raises StorageError.

    The pictures are those of the first finalist.
    """
    if not answered:
        return
    found = predictions(answered, split, classes)
    if len(found):
        path = folder / "predictions.parquet"
        with writing(path):
            tables.write(found, path)
    path = folder / "samples.npz"
    with writing(path), replacing(path, make_folder=True) as file:
        file.write(_npz(_samples(answered, split)))


def predictions(answered: Sequence[Answered], split: Split, classes: Sequence[str] | None) -> pa.Table:
    """A row a finalist, seed and image. Answers of earlier versions that say nothing of single images have none."""
    telling = [one for one in answered if not one.arrays.keys().isdisjoint(("predicted", "image_score"))]
    return pa.concat_tables([PREDICTIONS.empty_table(), *(_of_one(one, split, classes) for one in telling)])


def _of_one(one: Answered, split: Split, classes: Sequence[str] | None) -> pa.Table:
    columns: dict[str, Any] = {"index": np.arange(len(split)), **one.arrays}
    if "predicted" in one.arrays:
        columns["label"] = split.labels
        if classes:
            names = pa.array(classes, pa.string())
            columns |= {f"{name}_name": names.take(pa.array(columns[name])) for name in ("label", "predicted")}
    columns |= {name: pa.repeat(pa.scalar(one.row[name], type_), len(split)) for name, type_ in _same_types(one.row)}
    nothing = pa.nulls(len(split))
    found = {name: pa.array(columns[name]) if name in columns else nothing for name in PREDICTIONS.names}
    return pa.table(found).cast(PREDICTIONS)


def _same_types(row: Mapping[str, Any]) -> list[tuple[str, pa.DataType]]:
    """The columns that say of each row which training it is of."""
    return [(field.name, field.type) for field in PREDICTIONS if field.name in row]


def _samples(answered: Sequence[Answered], split: Split) -> dict[str, np.ndarray]:
    """Of the first finalist: its worst mistakes over all seeds, or the worst and typical images that it makes."""
    first = answered[0]
    facts = {
        "trial": np.array(first.row["trial"]),
        "finalist": np.array(first.name),
        "scored_on": np.array(first.row["scored_on"]),
    }
    if "predicted" in first.arrays:
        assert split.labels is not None
        places = _worst_mistakes([one.arrays for one in answered if one.name == first.name], split.labels)
        images = {f"input_{k}": np.asarray(split.x[place]) for k, place in enumerate(places)}
        return {**facts, "kind": np.array(["worst"] * len(places)), "index": places, **images}
    kinds = [(kind, int(place)) for kind in ("worst", "typical") for place in first.arrays[kind]]
    images = {
        f"{part}_{k}": _without_channel(first.arrays[f"{part}_{place}"])
        for k, (_, place) in enumerate(kinds)
        for part in ("input", "output", "target")
    }
    places = np.array([place for _, place in kinds], dtype=np.int64)
    errors = {"error": first.arrays["error"][places], "error_name": np.array(ERROR_NAME)}
    return {**facts, "kind": np.array([kind for kind, _ in kinds]), "index": places, **errors, **images}


def _worst_mistakes(trainings: Sequence[Arrays], labels: np.ndarray) -> np.ndarray:
    """The images that most trainings got wrong, those first whose own label was held least likely, int64 [K]."""
    wrong = np.mean([arrays["predicted"] != labels for arrays in trainings], axis=0) > 0.5
    likely = np.mean([arrays["label_probability"] for arrays in trainings], axis=0)
    places = np.flatnonzero(wrong)
    return places[np.argsort(likely[places], kind="stable")][:NUM_MISTAKES]


def _without_channel(image_CHW: np.ndarray) -> np.ndarray:
    return image_CHW[0] if len(image_CHW) == 1 else image_CHW


def _npz(arrays: Mapping[str, np.ndarray]) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)  # pyright: ignore[reportArgumentType]
    return file.getvalue()
