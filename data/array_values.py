"""Converts the values of a user's own arrays: pixels to 0 to 255, and labels to numbers or text."""

from collections.abc import Sequence

import numpy as np

NUM_AT_ONCE = 1000  # images; a float64 copy of all might not fit into memory
EXACT = float(np.finfo(np.float32).eps)
AS_BYTES = "(x * 255).round().astype(np.uint8)"


def brightest(x: np.ndarray) -> float:
    """Returns the largest value of images in floats, else 0. It tells a scale of 0 to 1 from one of 0 to 255."""
    return float(x.max(initial=0)) if x.dtype.kind == "f" else 0.0


def as_pixels(x: np.ndarray, top: float | None = None) -> np.ndarray:
    """Converts values to uint8 from 0 to 255, of the same shape, if nothing is lost.

    Accepts whole numbers from 0 to 255 of any type; bool, with True as 255; and floats from 0 to 1 that are multiples
    of 1/255. `top` is the brightest value of all arrays that x belongs to. Raises ValueError for all others, with what
    was found and how to convert it.
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
        pixels[start : start + NUM_AT_ONCE] = _convert(x[start : start + NUM_AT_ONCE], is_unit)
    return pixels


def _convert(x: np.ndarray, is_unit: bool) -> np.ndarray:
    if not x.size:
        return x
    low, high = x.min(), x.max()  # both are NaN if any value is
    if not (low >= 0 and high <= 255):
        raise ValueError(f"expected values from 0 to 255, found {x.dtype} from {low:g} to {high:g}{_advice(low, high)}")
    if x.dtype.kind != "f":
        return x
    wide = x.astype(np.float64)
    pixels = np.rint(wide * 255 if is_unit else wide)
    exact = max(EXACT, float(np.finfo(x.dtype).eps))
    if is_unit and (np.abs(wide - pixels / 255) > exact).any():
        raise ValueError(
            f"found {x.dtype} from 0 to 1 that are not multiples of 1/255; expected uint8, 0 to 255: {AS_BYTES}"
        )
    if not is_unit and (wide != pixels).any():
        raise ValueError(f"found {x.dtype} with fractions; expected whole numbers from 0 to 255: x.round()")
    return pixels


def _advice(low: float, high: float) -> str:
    if -1 <= low < 0 and high <= 1:
        return "; convert -1 to 1 by ((x + 1) * 127.5).round().astype(np.uint8)"
    if low >= 0 and high <= 65_535:
        return "; convert 16 bits by (x // 257).astype(np.uint8)"
    return "; scale them to 0 to 255"


def layout_advice(shape: Sequence[int]) -> str:
    """Returns how an array of this shape becomes images, to append to a message; empty if that is not known."""
    if len(shape) == 4 and 4 in (shape[1], shape[3]):
        return f"; take three channels of RGBA: {'x[..., :3]' if shape[3] == 4 else 'x[:, :3]'}"
    if len(shape) == 4 and 2 in (shape[1], shape[3]):
        return f"; take the first channel of grey and alpha: {'x[..., 0]' if shape[3] == 2 else 'x[:, 0]'}"
    if len(shape) == 2:
        side = round(shape[1] ** 0.5)
        sides = f"{side}, {side}" if side**2 == shape[1] else "H, W"
        return f"; rows of pixels become images by x.reshape(-1, {sides}), one image by x[None]"
    return ""


def label_values(y: np.ndarray) -> np.ndarray:
    """Returns the labels [N] as whole numbers or as text; np.unique sorts them as the classes are numbered.

    Accepts whole numbers of any type, bool (as the text False and True) and text, [N] or [N, 1]; and [N, C] with a
    single 1 in each row, whose labels are the column numbers. Raises ValueError for all others, with what was found.
    """
    found = f"{y.dtype} {list(y.shape)}"
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim == 2 and y.dtype.kind in "biuf":
        return _column_numbers(y, found)
    if y.ndim != 1 or y.dtype.kind not in "biufSU":
        raise ValueError(f"expected whole numbers or text, [N] or [N, 1], found {found}")
    if y.dtype.kind == "b":
        return np.where(y, "True", "False")
    if y.dtype.kind == "f":
        if not (np.isfinite(y) & (y == np.rint(y)) & (np.abs(y) < 2**53)).all():
            raise ValueError(f"expected whole numbers or text, found {found} with fractions")
        return y.astype(np.int64)
    return y if y.dtype.kind in "iu" else _decode(y)


def _column_numbers(y: np.ndarray, found: str) -> np.ndarray:
    is_one_hot = ((y == 0) | (y == 1)).all() and ((y == 1).sum(1) == 1).all()
    if not is_one_hot:
        raise ValueError(f"expected one label an image, found {found} without exactly one 1 in each row")
    return y.argmax(1)


def _decode(y: np.ndarray) -> np.ndarray:
    """Returns text as str. Raises ValueError for text that is not UTF-8, which cannot be written into a table."""
    try:
        texts = np.char.decode(y, "utf-8") if y.dtype.kind == "S" else y
        "".join(np.unique(texts)).encode()
    except UnicodeError:
        raise ValueError("expected text in UTF-8, found other bytes") from None
    return texts
