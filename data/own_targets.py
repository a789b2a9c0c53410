"""Checks a user's own y, and converts it to labels, several labels, class maps, images or other targets."""

from collections.abc import Mapping

import numpy as np

from data.array_values import label_values
from data.chunks import chunks
from data.lists import list_names
from data.own_inputs import as_numbers, examples_of
from data.splits import DataError, Images

TEXT, BOOLS, INTEGERS = "text", "bool", "integers"
SEVERAL, MAPS, PIXELS, FLOATS = "several labels an example", "class maps", "uint8", "floats"
LABELS = (TEXT, BOOLS, INTEGERS)

MAX_CLASSES = 1000
"""The maximum number of classes of class maps; more are rather numbers than classes."""

Classes = tuple[str, ...] | None
Named = Mapping[str, Images]
"""The y of each split, by what messages call it; that of training is the first."""


def as_targets(given: Named, classes: Classes) -> tuple[list[Images], Classes]:
    """Returns y of each split, and the names of the labels, as `Splits.of` describes.

    Raises DataError for y of other types, NaN or infinity, missing text, and for classes that do not fit.
    """
    typed = {where: _typed(y, where) for where, y in given.items()}
    kinds = {where: _kind(y, where) for where, y in typed.items()}
    (first, kind), *others = kinds.items()
    for where, other in others:
        if other != kind:
            raise DataError(f"{where} holds {other}, and {first} {kind}; expected the same in each split")
    if kind in LABELS:
        return _as_labels({where: _values(y, where) for where, y in typed.items()}, kind, classes)
    if classes is not None:
        _check_named(typed, kind, classes)
    converted = {where: _convert(y, kind, where) for where, y in typed.items()}
    if kind == MAPS or (kind == PIXELS and classes is not None):
        _check_maps(converted, classes)
    return [*converted.values()], classes


def _typed(y: Images, where: str) -> Images:
    """Returns y with objects as what they are: text, bool, integers or floats."""
    if isinstance(y, list) or y.dtype.kind != "O":
        return y
    values = y.reshape(-1).tolist()
    missing = [place for place, value in enumerate(values) if _is_missing(value)]
    if missing:
        example = missing[0] * len(y) // len(values)
        raise DataError(
            f"{where}: found {len(missing):,} missing values, the first in example {example} ({values[missing[0]]}); "
            "expected none: leave such examples out, or name a class for them"
        )
    for kind, dtype in ((str, object), (bool | np.bool_, bool), (int | np.integer, np.int64)):
        if all(isinstance(value, kind) and (kind is not int or type(value) is not bool) for value in values):
            return y.astype(dtype)
    if all(isinstance(value, int | float | np.number) and not isinstance(value, bool) for value in values):
        return y.astype(np.float64)
    kinds = sorted({type(value).__name__ for value in values})
    raise DataError(
        f"{where}: found objects of {list_names(kinds)}; expected one of text, numbers or bool: .astype(str)"
    )


def _is_missing(value: object) -> bool:
    return (
        value is None or type(value).__name__ in ("NAType", "NaTType") or (isinstance(value, float) and value != value)
    )


def _kind(y: Images, where: str) -> str:
    """Returns what y holds. Raises DataError for other types and shapes."""
    arrays = [array for _, array in examples_of(y)]
    if empty := [index for index, array in enumerate(arrays) if not array.size]:
        raise DataError(f"{where}: found targets without values, shape {list(arrays[empty[0]].shape)}")
    codes = {array.dtype.kind for array in arrays}
    if not codes <= set("biufOSU") or (len(codes) > 1 and not codes <= set("biu")):
        dtypes = ", ".join(sorted({str(array.dtype) for array in arrays}))
        raise DataError(f"{where}: found {dtypes}; expected labels as text, bool or integers, or targets as floats")
    if codes == {"f"}:
        return FLOATS
    is_labels = isinstance(y, np.ndarray) and (y.ndim == 1 or (y.ndim == 2 and y.shape[1] == 1))
    if is_labels or codes & set("OSU"):
        if not is_labels:
            raise DataError(f"{where}: found text of shape {list(arrays[0].shape)}; expected one label an example, [N]")
        return {"b": BOOLS, "i": INTEGERS, "u": INTEGERS}.get(arrays[0].dtype.kind, TEXT)
    if isinstance(y, np.ndarray) and y.ndim == 2:
        if wrong := np.argwhere((y != 0) & (y != 1))[:1].tolist():
            raise DataError(
                f"{where}: found {y.dtype} {list(y.shape)} with {y[tuple(wrong[0])]} in example {wrong[0][0]}; "
                "expected 0 or 1 for several labels an example, one integer an example for labels [N], or floats for "
                "regression: .astype(np.float32)"
            )
        return SEVERAL
    return PIXELS if all(array.dtype == np.uint8 for array in arrays) else MAPS


def _values(y: Images, where: str) -> np.ndarray:
    """Returns labels [N] as int64, or as text in an array of objects."""
    assert isinstance(y, np.ndarray)
    y = y[:, 0] if y.ndim == 2 else y
    if y.dtype.kind == "b":
        return y.astype(np.int64)
    if y.dtype.kind in "SU":
        try:
            return label_values(y).astype(object)
        except ValueError as error:
            raise DataError(f"{where}: {error}") from None
    return y


def _as_labels(values: Mapping[str, np.ndarray], kind: str, classes: Classes) -> tuple[list[Images], Classes]:
    where, train = next(iter(values.items()))
    if classes is None:
        found = np.unique(train)
        is_numbered = kind == INTEGERS and np.array_equal(found, np.arange(len(found)))
        texts = ("False", "True") if kind == BOOLS else tuple(str(value) for value in found)
        names = None if is_numbered else texts
    else:
        found = np.array(classes, object) if kind == TEXT else np.arange(len(classes))
        names = classes
    if len(found) < 2:
        raise DataError(f"{where}: found one class only, {found[0]}; expected at least two")
    numbered = [_number(y, found, name, where) for name, y in values.items()]
    if lacking := np.flatnonzero(np.bincount(numbered[0], minlength=len(found)) == 0).tolist():
        name = found[lacking[0]] if names is None else names[lacking[0]]
        raise DataError(f"{where}: found no example of class {name}; expected some of each in training")
    return [*numbered], names


def _number(y: np.ndarray, found: np.ndarray, where: str, train: str) -> np.ndarray:
    """Returns the index of each label in the values found. Raises DataError for others."""
    order = np.argsort(found)
    places = order[np.searchsorted(found, y, sorter=order).clip(max=len(found) - 1)]
    unknown = np.flatnonzero(found[places] != y)
    if len(unknown):
        known = list_names([str(value) for value in found])
        why = "" if where == train else f" of {train}, the training labels"
        raise DataError(
            f"{where}: found class {y[unknown[0]]} in example {unknown[0]}; expected one of the classes{why}: {known}"
        )
    return places.astype(np.int64)


def _check_named(typed: Named, kind: str, classes: tuple[str, ...]) -> None:
    """Raises DataError if there are more or fewer names than labels."""
    where, y = next(iter(typed.items()))
    if kind == FLOATS:
        raise DataError(f"{where} holds floats, and classes= names labels; expected one of them: drop classes=")
    if kind == SEVERAL and isinstance(y, np.ndarray) and y.shape[1] != len(classes):
        raise DataError(f"{where}: {y.shape[1]} labels an example; classes= has {len(classes)} names")


def _convert(y: Images, kind: str, where: str) -> Images:
    if kind == FLOATS:
        return as_numbers(y, where)
    if kind == PIXELS:
        return y
    dtype = np.uint8 if kind == SEVERAL else np.int64
    return [array.astype(dtype) for array in y] if isinstance(y, list) else y.astype(dtype)


def _check_maps(maps: Named, classes: Classes) -> None:
    """Raises DataError for numbers other than those of `classes`; or, without it, than those of training, 0 to K-1."""
    end = MAX_CLASSES if classes is None else len(classes)
    seen = {where: _seen(y, where, end) for where, y in maps.items()}
    if classes is not None:
        return
    (first, train), *others = seen.items()
    if len(train) < 2:
        raise DataError(f"{first}: found one class only, {max(train)}; expected at least two")
    if gaps := sorted(set(range(max(train))) - train):
        raise DataError(
            f"{first}: found classes up to {max(train)}, and no {list_names([str(gap) for gap in gaps])}; expected "
            "classes from 0 without gaps, or classes= with the name of each; np.unique(y, return_inverse=True)[1]"
            ".reshape(y.shape) leaves no gaps"
        )
    for where, found in others:
        if unknown := sorted(found - train):
            raise DataError(f"{where}: found class {unknown[0]}, which {first} lacks; expected 0 to {max(train)}")


def _seen(maps: Images, where: str, end: int) -> set[int]:
    """Returns the numbers of the classes. Raises DataError for those that are not from 0 to below `end`."""
    is_seen = np.zeros(end, bool)
    for index, array in examples_of(maps):
        for part in chunks(array):
            numbers = array[part].reshape(-1)
            if (bad := numbers[(numbers < 0) | (numbers >= end)]).size:
                row = part.start + int(np.argwhere(array[part] == bad[0])[0][0])
                raise DataError(
                    f"{where}: found class {bad[0]} in example {row if index is None else index}; "
                    f"expected 0 to {end - 1}"
                )
            is_seen |= np.bincount(numbers, minlength=end) > 0
    return set(np.flatnonzero(is_seen).tolist())
