"""The finalists' answers to the examples that they were scored on: predictions.parquet, and samples.npz."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
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

NUM_WORST = 24
ERROR_NAME, MAP_ERROR_NAME = "mean squared error", "share of wrong pixels"
NUM_CLASSES = 256
"""The maximum number of classes in a class map that is kept as a picture."""

PARTS = ("input", "output", "target")

Arrays = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Answers:
    """The answers of a finalist's training, as trainables/answers.py describes them."""

    row: Mapping[str, object]
    """The training's row of finalists.parquet."""
    name: str
    """The finalist's name."""
    arrays: Arrays

    @property
    def goal(self) -> str:
        """The kind of the goal: classify, regress, multi-label, segment ..."""
        return str(self.row.get("goal") or "").split(" ")[0]

    def with_labels(self, split: Split) -> Answers:
        """Returns the answers with the predicted labels, if the outputs are one for each class of the split.

        The outputs of a user's own goal may be that. They have no probabilities.
        """
        value, labels = self.arrays.get("value"), split.labels
        if value is None or value.ndim != 2 or labels is None or not labels.max(initial=1) < value.shape[1]:
            return self
        return replace(self, arrays={**self.arrays, "predicted": value.argmax(1)})

    @property
    def numbers(self) -> np.ndarray | None:
        """The predicted numbers [N] if there is one for each example."""
        value = self.arrays.get("value")
        return None if value is None or value.size != len(value) else value.reshape(-1).astype(np.float64)


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

    The samples are those of the first finalist.
    """
    if not answered:
        return
    answered = [one.with_labels(split) for one in answered]
    found = predictions(answered, split, classes)
    if len(found):
        path = folder / "predictions.parquet"
        with writing(path):
            tables.write(found, path)
    path = folder / "samples.npz"
    with writing(path), replacing(path, make_folder=True) as file:
        file.write(_npz(_samples(answered, split, classes)))


def predictions(answered: Sequence[Answers], split: Split, classes: Sequence[str] | None) -> pa.Table:
    """Makes a row for each finalist, seed and example. Answers of earlier versions may lack single examples."""
    detailed = [
        one.with_labels(split) for one in answered if not one.arrays.keys().isdisjoint(("predicted", "image_score"))
    ]
    return pa.concat_tables([PREDICTIONS.empty_table(), *(_rows_of(one, split, classes) for one in detailed)])


def _rows_of(one: Answers, split: Split, classes: Sequence[str] | None) -> pa.Table:
    columns: dict[str, np.ndarray | pa.Array | None] = {"index": np.arange(len(split)), **one.arrays}
    columns |= {"value": one.numbers, "target": None if one.numbers is None else _single_targets(split)}
    if "predicted" in one.arrays:
        columns["label"] = split.labels
        if classes:
            names = pa.array(classes, pa.string())
            columns |= {f"{name}_name": names.take(pa.array(columns[name])) for name in ("label", "predicted")}
    columns |= {
        name: pa.repeat(pa.scalar(one.row[name], type_), len(split)) for name, type_ in _shared_columns(one.row)
    }
    nulls = pa.nulls(len(split))
    found = {name: nulls if columns.get(name) is None else pa.array(columns[name]) for name in PREDICTIONS.names}
    return pa.table(found).cast(PREDICTIONS)


def _shared_columns(row: Mapping[str, object]) -> list[tuple[str, pa.DataType]]:
    """Returns the columns, with their types, that are the same for all examples of a training."""
    return [(field.name, field.type) for field in PREDICTIONS if field.name in row]


def _single_targets(split: Split) -> np.ndarray | None:
    """Returns the targets [N] if each is a single number."""
    y = split.y
    is_single = isinstance(y, np.ndarray) and y.size == len(y) and y.dtype.kind in "fiu"
    return y.reshape(-1).astype(np.float64) if is_single else None  # type: ignore[union-attr]


def _samples(answered: Sequence[Answers], split: Split, classes: Sequence[str] | None) -> dict[str, np.ndarray]:
    """Returns the first finalist's pictures, and its scores by label if an example has several labels.

    The pictures are the inputs of the worst mistakes or errors over all seeds, or the worst and typical images that the
    network makes. Examples that are not images have none.
    """
    first = answered[0]
    trainings = [one for one in answered if one.name == first.name]
    facts = {
        "trial": np.array(first.row["trial"]),
        "finalist": np.array(first.name),
        "scored_on": np.array(first.row["scored_on"]),
    }
    if "worst" in first.arrays:
        return {**facts, **_made_images(first, classes)}
    if first.goal == "multi-label":
        facts |= _by_label(trainings, split, classes)
    return {**facts, **_inputs(_worst(trainings, split), split)}


def _inputs(indices: np.ndarray, split: Split) -> dict[str, np.ndarray]:
    """Returns the inputs with these indices as pictures, or none if the examples are not images."""
    images = [(index, _input_picture(np.asarray(split.x[index]))) for index in indices]
    shown = [(index, image) for index, image in images if image is not None]
    pictures = {f"input_{k}": image for k, (_, image) in enumerate(shown)}
    kinds = np.array(["worst"] * len(shown), dtype="U7")
    return {"kind": kinds, "index": np.array([index for index, _ in shown], dtype=np.int64), **pictures}


def _made_images(one: Answers, classes: Sequence[str] | None) -> dict[str, np.ndarray]:
    """Returns inputs, outputs and targets as pictures; of class maps, also the names of the classes."""
    is_map = one.goal == "segment"
    shown: list[tuple[str, int]] = []
    pictures: dict[str, np.ndarray] = {}
    for kind, index in [(name, int(each)) for name in ("worst", "typical") for each in one.arrays[name]]:
        made = {part: _as_picture(one.arrays[f"{part}_{index}"], is_map and part != "input") for part in PARTS}
        images = {f"{part}_{len(shown)}": image for part, image in made.items() if image is not None}
        if len(images) == len(PARTS):
            pictures |= images
            shown.append((kind, index))
    indices = np.array([index for _, index in shown], dtype=np.int64)
    facts = {"kind": np.array([kind for kind, _ in shown], dtype="U7"), "index": indices}
    facts |= {"error": one.arrays["error"][indices], "error_name": np.array(MAP_ERROR_NAME if is_map else ERROR_NAME)}
    if is_map:
        facts["classes"] = np.array(classes or [str(number) for number in range(_num_classes(pictures))])
    return {**facts, **pictures}


def _num_classes(pictures: Mapping[str, np.ndarray]) -> int:
    """Returns one more than the largest number in the class maps."""
    return 1 + max((int(image.max()) for name, image in pictures.items() if not name.startswith("input")), default=0)


def _by_label(trainings: Sequence[Answers], split: Split, classes: Sequence[str] | None) -> dict[str, np.ndarray]:
    """Returns for each of K labels its name, its number of examples, and its F1, mean over the seeds."""
    true = np.asarray(split.y) == 1
    scores = [_f1(one.arrays["value"] >= 0, true) for one in trainings if "value" in one.arrays]
    if not scores:
        return {}
    names = classes or [str(number) for number in range(true.shape[1])]
    return {"label_name": np.array(names), "label_count": true.sum(axis=0), "label_f1": np.mean(scores, axis=0)}


def _f1(predicted: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Returns the F1 of each label [K] for answers [N, K]; NaN for one that is neither right nor predicted anywhere."""
    total = predicted.sum(axis=0) + true.sum(axis=0)
    return np.divide(2 * (predicted & true).sum(axis=0), total, out=np.full(len(total), np.nan), where=total > 0)


def _worst(trainings: Sequence[Answers], split: Split) -> np.ndarray:
    """Returns the examples that were mistaken most, int64 [K], the worst first; none if outputs are not single."""
    targets = _single_targets(split)
    if all("predicted" in one.arrays for one in trainings):
        assert split.labels is not None
        return _worst_mistakes([one.arrays for one in trainings], split.labels)
    numbers = [one.numbers for one in trainings]
    if targets is None or any(each is None for each in numbers):
        return np.zeros(0, np.int64)
    errors = np.mean([np.abs(each - targets) for each in numbers if each is not None], axis=0)
    return np.argsort(-errors, kind="stable")[:NUM_WORST]


def _worst_mistakes(trainings: Sequence[Arrays], labels: np.ndarray) -> np.ndarray:
    """Returns the examples that most trainings got wrong, int64 [K], the least probable labels first."""
    wrong = np.mean([arrays["predicted"] != labels for arrays in trainings], axis=0) > 0.5
    indices = np.flatnonzero(wrong)
    if all("label_probability" in arrays for arrays in trainings):
        likely = np.mean([arrays["label_probability"] for arrays in trainings], axis=0)
        indices = indices[np.argsort(likely[indices], kind="stable")]
    return indices[:NUM_WORST]


def _input_picture(x: np.ndarray) -> np.ndarray | None:
    """Returns an input as a picture; None if it is no image, as floats without channels are not."""
    if x.dtype == np.uint8:
        return _as_picture(x)
    if x.ndim != 3 or x.shape[0] not in (1, 3):
        return None
    low, high = float(x.min()), float(x.max())
    return _as_picture(((x - low) / ((high - low) or 1.0) * 255).round().astype(np.uint8))


def _as_picture(image: np.ndarray, is_map: bool = False) -> np.ndarray | None:
    """Returns an image [H, W] or [C, H, W] as uint8 [H, W] or [3, H, W]; None if it is neither that nor a class map."""
    if image.ndim == 3 and len(image) == 1:
        image = image[0]
    if image.ndim == 3 and len(image) != 3 and not is_map:
        image = image.mean(axis=0)
    is_picture = image.ndim == 2 or (image.ndim == 3 and len(image) == 3 and not is_map)
    if not is_picture or (is_map and image.max(initial=0) >= NUM_CLASSES):
        return None
    return image.astype(np.uint8)


def _npz(arrays: Mapping[str, np.ndarray]) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)  # pyright: ignore[reportArgumentType]
    return file.getvalue()
