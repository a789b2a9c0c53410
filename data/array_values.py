"""What the values of a user's own arrays mean: pixels from 0 to 255, and labels as numbers or text."""

import numpy as np

NUM_AT_ONCE = 1000  # images; a float64 copy of all may not fit into memory
EXACT = float(np.finfo(np.float32).eps)
AS_BYTES = "(x * 255).round().astype(np.uint8)"


def brightest(x: np.ndarray) -> float:
    """The largest value of an array of images, 0 of none; it tells floats from 0 to 1 from floats from 0 to 255."""
    return float(x.max(initial=0)) if x.dtype.kind == "f" else 0.0


def as_pixels(x: np.ndarray, top: float | None = None) -> np.ndarray:
    """Values from 0 to 255 as uint8 of the same shape, where nothing is lost.

    Taken are whole numbers from 0 to 255 of any type; bool, of which True is 255; and floats from 0 to 1 that are
    255ths. `top` is the brightest value of all arrays that x belongs to. Raises ValueError, with what was found and
    how it is converted, for all others.
    """
    if x.ndim == 0:
        raise ValueError("expected an array of images, found a single value")
    if x.dtype == np.uint8:
        return x
    if x.dtype == np.bool_:
        return x.astype(np.uint8) * np.uint8(255)
    if x.dtype.kind not in "iuf":
        raise ValueError(f"expected numbers from 0 to 255, found {x.dtype}")
    is_unit = x.dtype.kind == "f" and (brightest(x) if top is None else top) <= 1
    pixels = np.empty(x.shape, np.uint8)
    for start in range(0, len(x), NUM_AT_ONCE):
        pixels[start : start + NUM_AT_ONCE] = _checked(x[start : start + NUM_AT_ONCE], is_unit)
    return pixels


def _checked(x: np.ndarray, is_unit: bool) -> np.ndarray:
    if not x.size:
        return x
    low, high = x.min(), x.max()  # not a number where one of them is none
    if not (low >= 0 and high <= 255):
        raise ValueError(f"expected values from 0 to 255, found {x.dtype} from {low:g} to {high:g}{_advice(low, high)}")
    if x.dtype.kind != "f":
        return x
    wide = x.astype(np.float64)
    pixels = np.rint(wide * 255 if is_unit else wide)
    exact = max(EXACT, float(np.finfo(x.dtype).eps))
    if is_unit and (np.abs(wide - pixels / 255) > exact).any():
        raise ValueError(f"found {x.dtype} from 0 to 1 that are no 255ths; expected uint8, 0 to 255: {AS_BYTES}")
    if not is_unit and (wide != pixels).any():
        raise ValueError(f"found {x.dtype} with fractions; expected whole numbers from 0 to 255: x.round()")
    return pixels


def _advice(low: float, high: float) -> str:
    if -1 <= low < 0 and high <= 1:
        return "; from -1 to 1 they become ((x + 1) * 127.5).round().astype(np.uint8)"
    if low >= 0 and high <= 65_535:
        return "; of 16 bits they become (x // 257).astype(np.uint8)"
    return "; scale them to 0 to 255"


def label_values(y: np.ndarray) -> np.ndarray:
    """The labels [N] as whole numbers or as text, sorted by np.unique as they should be.

    Taken are whole numbers of any type, bool (as False and True) and text, [N] or [N, 1]; and [N, C] with a single 1
    in each row, whose labels are the columns' numbers. Raises ValueError, with what was found, for all others.
    """
    found = f"{y.dtype} {list(y.shape)}"
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim == 2 and y.dtype.kind in "biuf":
        return _columns(y, found)
    if y.ndim != 1 or y.dtype.kind not in "biufSU":
        raise ValueError(f"expected whole numbers or text, [N] or [N, 1], found {found}")
    if y.dtype.kind == "b":
        return np.where(y, "True", "False")
    if y.dtype.kind == "f":
        if not (np.isfinite(y) & (y == np.rint(y)) & (np.abs(y) < 2**53)).all():
            raise ValueError(f"expected whole numbers or text, found {found} with fractions")
        return y.astype(np.int64)
    return y if y.dtype.kind in "iu" else _texts(y)


def _columns(y: np.ndarray, found: str) -> np.ndarray:
    is_one_hot = ((y == 0) | (y == 1)).all() and ((y == 1).sum(1) == 1).all()
    if not is_one_hot:
        raise ValueError(f"expected one label an image, found {found}, which has not a single 1 in each row")
    return y.argmax(1)


def _texts(y: np.ndarray) -> np.ndarray:
    """As str, if it can be written into a table."""
    try:
        texts = np.char.decode(y, "utf-8") if y.dtype.kind == "S" else y
        "".join(np.unique(texts)).encode()
    except UnicodeError:
        raise ValueError("expected text in UTF-8, found other bytes") from None
    return texts
