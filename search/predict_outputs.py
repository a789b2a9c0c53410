"""What `search.predict` writes: labels, images and values of pixels, each file whole or not at all."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from data.cache import atomic_write
from search.predict_inputs import refuse
from spaces.layers import Shape

if TYPE_CHECKING:
    import pyarrow as pa

NOT_IN_IDS = ',"\r\n'  # what would break the lines of an id,value file
VALUE_DECIMALS = 5


def write_labels(
    path: Path, header: Sequence[str], names: list[str], probabilities: np.ndarray, classes: list[str] | None
) -> None:
    """A CSV file of these columns, with a line for each image: its most probable label of probabilities [N, classes].

    Labels have their classes' names, but not in a submission, which has no column of probabilities. ValueError if the
    file cannot be written.
    """
    is_submission = "probability" not in header
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    for name, row in zip(names, probabilities, strict=True):
        label = int(row.argmax())
        shown = classes[label] if classes and not is_submission else label
        writer.writerow([name, shown, f"{row.max():.4f}"][: len(header)])
    with _whole("output", path) as file:
        file.write(text.getvalue().encode("utf-8", "surrogateescape"))


def write_images(
    outputs: Iterable[np.ndarray],
    names: Sequence[str],
    *,
    source: Path,
    target: Path,
    shape: Shape | None,
    values: Path | None,
) -> None:
    """Images [C, H, W], 0 to 1, each as it is done: PNGs in the folder `target`, with the names of the source's images.

    Given a `shape`, one array of this shape instead; and a file of `values`, if any. These two appear at the end.
    ValueError for names that do not fit, and for what cannot be written.
    """
    stems = [Path(name).stem for name in names]
    _check_stems(source, names, stems, with_values=values is not None)
    writer = _array_writer(target, shape) if shape is not None else _folder_writer(target)
    with _values_writer(values) as write_values, writer as write:
        for stem, image in zip(stems, outputs, strict=True):
            write(stem, np.rint(image * 255).astype(np.uint8))
            write_values(stem, image)


def _check_stems(source: Path, names: Sequence[str], stems: Sequence[str], with_values: bool) -> None:
    """Raises ValueError for images whose outputs would have one name, or a name that an id,value file cannot hold."""
    name_of: dict[str, str] = {}
    faults = []
    for name, stem in zip(names, stems, strict=True):
        if name_of.setdefault(stem, name) != name:
            faults.append(f"{name}: expected another name than that of {name_of[stem]}; both would become {stem}.png")
        if with_values and any(character in stem for character in NOT_IN_IDS):
            faults.append(f"{name!r}: expected a name without commas, quotes and line ends, for values=")
    refuse(source, faults)


Writer = Callable[[str, np.ndarray], object]
"""Takes an image's name, without suffix, and its pixels [C, H, W]."""


@contextmanager
def _folder_writer(folder: Path) -> Generator[Writer, None, None]:
    from PIL import Image

    def write(stem: str, pixels_CHW: np.ndarray) -> None:
        image = Image.fromarray(pixels_CHW[0] if len(pixels_CHW) == 1 else pixels_CHW.transpose(1, 2, 0))
        with _whole("output", folder / f"{stem}.png") as file:
            image.save(file, "PNG")

    yield write


@contextmanager
def _array_writer(path: Path, shape: Shape) -> Generator[Writer, None, None]:
    with _whole("output", path) as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
        yield lambda stem, pixels_CHW: file.write(pixels_CHW.tobytes())


@contextmanager
def _values_writer(path: Path | None) -> Generator[Writer, None, None]:
    if path is None:
        yield lambda stem, values_CHW: None
        return
    with _whole("values", path) as file:
        file.write(b"id,value\n")
        yield lambda stem, values_CHW: file.write(_lines(stem, values_CHW[0]))


def _lines(stem: str, values_HW: np.ndarray) -> pa.Buffer:
    """A line for each pixel, row by row: image_row_column, from 1, and its value."""
    import pyarrow as pa
    from pyarrow import compute, csv

    rows, columns = (pa.array(places.ravel() + 1).cast(pa.string()) for places in np.indices(values_HW.shape))
    ids = compute.binary_join_element_wise(stem, rows, columns, "_")  # type: ignore[attr-defined]
    table = pa.table({"id": ids, "value": values_HW.ravel().astype(np.float64).round(VALUE_DECIMALS)})
    lines = pa.BufferOutputStream()
    csv.write_csv(table, lines, csv.WriteOptions(include_header=False, quoting_style="none"))
    return lines.getvalue()


@contextmanager
def _whole(name: str, path: Path) -> Generator[BinaryIO, None, None]:
    """A file that appears whole or not at all. Raises ValueError, naming the key, where it cannot be written."""
    try:
        with atomic_write(path) as file:
            yield file
    except OSError as error:
        raise ValueError(f"{name}={path}: cannot be written: {error}") from None
