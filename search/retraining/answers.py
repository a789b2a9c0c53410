"""The finalists' answers to the images that they were scored on: predictions.parquet, and samples.npz with pictures."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
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
class Answers:
    """The answers of a finalist's training, as trainables/answers.py describes them."""

    row: Mapping[str, object]
    """The training's row of finalists.parquet."""
    name: str
    """The finalist's name."""
    arrays: Arrays


def read_answers(path: Path) -> Arrays | None:
    """Returns the arrays of a file; None if it is missing or damaged, which costs the report only its pictures."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            check_archive(archive.zip, path.stat().st_size)
            return dict(archive)
    except (OSError, ValueError, EOFError, KeyError, BadZipFile, MemoryError, AttributeError):
        return None


def write_answers(answered: Sequence[Answers], split: Split, classes: Sequence[str] | None, folder: Path) -> None:
    """Writes predictions.parquet and samples.npz for `split`, on which the finalists were scored. Raises StorageError.

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


def predictions(answered: Sequence[Answers], split: Split, classes: Sequence[str] | None) -> pa.Table:
    """Makes a row for each finalist, seed and image. Answers of earlier versions that lack single images have none."""
    detailed = [one for one in answered if not one.arrays.keys().isdisjoint(("predicted", "image_score"))]
    return pa.concat_tables([PREDICTIONS.empty_table(), *(_rows_of(one, split, classes) for one in detailed)])


def _rows_of(one: Answers, split: Split, classes: Sequence[str] | None) -> pa.Table:
    columns: dict[str, np.ndarray | pa.Array | None] = {"index": np.arange(len(split)), **one.arrays}
    if "predicted" in one.arrays:
        columns["label"] = split.labels
        if classes:
            names = pa.array(classes, pa.string())
            columns |= {f"{name}_name": names.take(pa.array(columns[name])) for name in ("label", "predicted")}
    columns |= {
        name: pa.repeat(pa.scalar(one.row[name], type_), len(split)) for name, type_ in _shared_columns(one.row)
    }
    nulls = pa.nulls(len(split))
    found = {name: pa.array(columns[name]) if name in columns else nulls for name in PREDICTIONS.names}
    return pa.table(found).cast(PREDICTIONS)


def _shared_columns(row: Mapping[str, object]) -> list[tuple[str, pa.DataType]]:
    """Returns the columns, with their types, that are the same for all images of a training."""
    return [(field.name, field.type) for field in PREDICTIONS if field.name in row]


def _samples(answered: Sequence[Answers], split: Split) -> dict[str, np.ndarray]:
    """Returns the first finalist's worst mistakes over all seeds, or the worst and typical images that it makes."""
    first = answered[0]
    facts = {
        "trial": np.array(first.row["trial"]),
        "finalist": np.array(first.name),
        "scored_on": np.array(first.row["scored_on"]),
    }
    if "predicted" in first.arrays:
        assert split.labels is not None
        indices = _worst_mistakes([one.arrays for one in answered if one.name == first.name], split.labels)
        images = {f"input_{k}": np.asarray(split.x[index]) for k, index in enumerate(indices)}
        return {**facts, "kind": np.array(["worst"] * len(indices)), "index": indices, **images}
    kinds = [(kind, int(index)) for kind in ("worst", "typical") for index in first.arrays[kind]]
    images = {
        f"{part}_{k}": _without_channel(first.arrays[f"{part}_{index}"])
        for k, (_, index) in enumerate(kinds)
        for part in ("input", "output", "target")
    }
    indices = np.array([index for _, index in kinds], dtype=np.int64)
    errors = {"error": first.arrays["error"][indices], "error_name": np.array(ERROR_NAME)}
    return {**facts, "kind": np.array([kind for kind, _ in kinds]), "index": indices, **errors, **images}


def _worst_mistakes(trainings: Sequence[Arrays], labels: np.ndarray) -> np.ndarray:
    """Returns the images that most trainings got wrong, int64 [K], the least probable labels first."""
    wrong = np.mean([arrays["predicted"] != labels for arrays in trainings], axis=0) > 0.5
    likely = np.mean([arrays["label_probability"] for arrays in trainings], axis=0)
    indices = np.flatnonzero(wrong)
    return indices[np.argsort(likely[indices], kind="stable")][:NUM_MISTAKES]


def _without_channel(image_CHW: np.ndarray) -> np.ndarray:
    return image_CHW[0] if len(image_CHW) == 1 else image_CHW


def _npz(arrays: Mapping[str, np.ndarray]) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)  # pyright: ignore[reportArgumentType]
    return file.getvalue()
