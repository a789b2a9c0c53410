"""Makes splits of a user's own arrays: checks them, converts them, and draws the splits that are not given."""

from collections.abc import Sequence
from itertools import chain
from typing import Any, Literal

import numpy as np

from data.given import as_arrays
from data.labelled import PARTS, check_enough
from data.lists import list_names
from data.own_inputs import as_inputs, check_one_type
from data.own_targets import as_targets
from data.splits import DataError, Images, Pair, Split, Splits
from data.stratified import draw_parts

DRAW_SEED = 3_729_110_462
"""A seed that nobody takes: people make arrays with a seed of 0, and a draw from equal numbers would follow theirs."""


def make_splits(
    x: object,
    y: object,
    val: Pair | object,
    test: Pair | object,
    name: str,
    classes: Sequence[object] | None,
    origin: Literal["original", "made"],
) -> Splits:
    """Returns the splits that `Splits.of` describes, with the columns of a frame as features."""
    try:
        pairs = {"train": (x, y)}
        pairs |= {part: _pair(given, part, y) for part, given in (("val", val), ("test", test)) if given is not None}
        pairs = {
            part: (_with_columns_of("x", x, own_x, part), _with_columns_of("y", y, own_y, part))
            for part, (own_x, own_y) in pairs.items()
        }
        given, names = _convert(pairs, _check_names(classes))
        splits = given | _draw(given, names)
    except DataError as error:
        raise DataError(f"{name}: {error}") from error.__cause__
    columns = getattr(x, "columns", None)
    features = None if columns is None else tuple(str(column) for column in columns)
    return Splits(name=name, origin=origin, **splits, classes=names, features=features)


def _pair(given: Pair | object, part: str, y: object) -> tuple[object, object]:
    """Returns x and y of a given split; y is None if that of training is."""
    is_pair = isinstance(given, tuple) or (isinstance(given, list) and y is not None)
    if not is_pair and y is None:
        return given, None
    if not isinstance(given, tuple | list) or len(given) != 2:
        raise DataError(f"{part}: found a {type(given).__name__}; expected a pair: {part}=(x_{part}, y_{part})")
    if (given[1] is None) != (y is None):
        raise DataError(f"{part}: only one of {part} and train has y; expected y in both, or in none")
    return given[0], given[1]


def _with_columns_of(letter: str, first: object, frame: Any, part: str) -> object:
    """Returns a split's frame with its columns in the order of training's; anything else as it is."""
    expected, found = ([*getattr(each, "columns", ())] for each in (first, frame))
    if found == expected or not (found and expected):
        return frame
    if len(found) != len(expected) or set(found) != set(expected):
        other = list_names([str(name) for name in (*expected, *found) if (name in expected) != (name in found)])
        raise DataError(f"{_name(letter, part)} has other columns than {letter}: {other}; expected the same names")
    return frame[expected]


def _check_names(classes: Sequence[object] | None) -> tuple[str, ...] | None:
    if classes is None:
        return None
    names = tuple(str(name) for name in classes)
    if isinstance(classes, str) or len(set(names)) < len(names) or len(names) < 2:
        raise DataError(f"classes={classes!r}: expected at least two different names")
    return names


def _convert(
    pairs: dict[str, tuple[object, object]], classes: tuple[str, ...] | None
) -> tuple[dict[str, Split], tuple[str, ...] | None]:
    """Returns the given splits, and the names of their labels."""
    x = _unify({part: as_inputs(x, _name("x", part)) for part, (x, _) in pairs.items()})
    check_one_type(x, "x")
    if pairs["train"][1] is None:
        if classes is not None:
            raise DataError("classes= names labels, and there is no y; expected one of them: drop classes=")
        return {part: Split(values, values) for part, values in x.items()}, None
    y = _unify({part: as_arrays(y, _name("y", part)) for part, (_, y) in pairs.items()})
    for part in pairs:
        if len(x[part]) != len(y[part]):
            raise DataError(
                f"{_name('x', part)} has {len(x[part]):,} examples, and {_name('y', part)} {len(y[part]):,}; expected "
                "as many"
            )
    targets, names = as_targets({_name("y", part): values for part, values in y.items()}, classes)
    y = dict(zip(pairs, targets, strict=True))
    check_one_type(y, "y")
    return {part: Split(x[part], y[part]) for part in pairs}, names


def _name(letter: str, part: str) -> str:
    return letter if part == "train" else f"{letter} of {part}"


def _unify(parts: dict[str, Images]) -> dict[str, Images]:
    """Returns arrays if all examples of all splits have one shape, and else lists if any split is a list."""
    if not any(isinstance(values, list) for values in parts.values()):
        return parts
    lists = {part: [*values] for part, values in parts.items()}
    is_one_shape = len({example.shape for example in chain.from_iterable(lists.values())}) == 1
    return {part: np.stack(values) for part, values in lists.items()} if is_one_shape else {**lists}


def _draw(given: dict[str, Split], names: tuple[str, ...] | None) -> dict[str, Split]:
    """Draws the splits that are not given from that of training, and returns them with what is left of it."""
    wanted = ["train", *(part for part in PARTS if part not in given)]
    if len(wanted) == 1:
        return {}
    whole = given["train"]
    y = whole.labels
    if y is not None:
        _check_enough(names or [str(label) for label in range(int(y.max()) + 1)], y, len(wanted))
    elif len(whole) < len(wanted):
        raise DataError(f"x: found {len(whole)} examples; expected at least {len(wanted)}, one for each split")
    part_of = draw_parts(np.zeros(len(whole), np.int64) if y is None else y, len(wanted), DRAW_SEED)
    order = np.random.default_rng(DRAW_SEED + 1).permutation(len(whole))  # so that later draws do not follow it either
    return {part: whole.take(order[part_of[order] == number]) for number, part in enumerate(wanted)}


def _check_enough(names: Sequence[str], y: np.ndarray, num_parts: int) -> None:
    try:
        check_enough("y", names, y, num_parts, "examples")
    except DataError as error:
        raise DataError(
            f"{error}; give val and test, merge classes or leave them out; a quantity is floats: y.astype(np.float32)"
        ) from None
