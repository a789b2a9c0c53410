"""Writes labels, numbers, images, class maps and pixel values, each file whole or not at all."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from results.class_colours import class_colour
from search.prediction.inputs import Inputs, refuse
from search.prediction.record import Outputs

if TYPE_CHECKING:
    import pyarrow as pa

NOT_IN_IDS = ',"\r\n'
"""Characters that would break the lines of a file of id,value."""
VALUE_DECIMALS = 5
MAX_PNG_CLASSES = 256


def write_labels(
    outputs: Outputs,
    path: Path,
    header: Sequence[str],
    names: list[str],
    labels: list[str],
    probabilities: np.ndarray,
) -> None:
    """Writes a CSV file with these columns and a line for each example: its name, its label and the probability [N].

    The probability is left out if the header has only two columns. Raises ValueError if the file cannot be written.
    """
    found = zip(names, labels, probabilities, strict=True)
    rows = [[name, label, f"{probability:.4f}"][: len(header)] for name, label, probability in found]
    _write_table(outputs, path, header, rows)


def write_several_labels(
    outputs: Outputs, path: Path, first: str, names: list[str], labels: Sequence[str], probabilities_NK: np.ndarray
) -> None:
    """Writes a CSV file with each of K labels as 0 or 1, then the probability of each. Raises ValueError as above."""
    header = [first, *labels, *(f"{label} probability" for label in labels)]
    rows = [
        [name, *(int(each >= 0.5) for each in row), *(f"{each:.4f}" for each in row)]
        for name, row in zip(names, probabilities_NK.tolist(), strict=True)
    ]
    _write_table(outputs, path, header, rows)


def write_values(
    outputs: Outputs, path: Path, first: str, names: list[str], values: np.ndarray, columns: Sequence[str]
) -> None:
    """Writes numbers [N, ...] as a CSV file with these columns, or as an .npy file, [N] if there is one an example.

    Raises ValueError if the file cannot be written.
    """
    if path.suffix.lower() == ".npy":
        with outputs.writing("output", path) as file:
            np.save(file, values[:, 0] if values.shape[1:] == (1,) else values)
        return
    rows = [[name, *(f"{each:.7g}" for each in row)] for name, row in zip(names, values.tolist(), strict=True)]
    _write_table(outputs, path, [first, *columns], rows)


def write_maps(
    outputs: Outputs, maps: Iterable[np.ndarray], inputs: Inputs, *, source: Path, target: Path, num_classes: int
) -> None:
    """Writes class maps [H, W] as PNGs that hold class numbers and show them in colours, or as one .npy file [N, H, W].

    Raises ValueError as `write_images` does, and for more classes than a PNG holds.
    """
    dtype = np.uint8 if num_classes <= MAX_PNG_CLASSES else np.int64
    if target.suffix.lower() == ".npy":
        with outputs.writing("output", target) as file:
            shape = np.asarray(inputs.images).shape
            np.save(file, np.array([*maps], dtype).reshape(shape[0], *shape[-2:]))
        return
    if num_classes > MAX_PNG_CLASSES:
        raise ValueError(
            f"output={target}: a PNG holds at most {MAX_PNG_CLASSES} classes, and the model has {num_classes:,}; "
            "expected the images as an .npy file"
        )
    stems = _stems(inputs)
    _check_stems(source, inputs.names, stems, with_values=False)
    outputs.check_folder(target, [f"{stem}.png" for stem in stems])
    palette = [share for number in range(num_classes) for share in class_colour(number)]
    for stem, classes in zip(stems, maps, strict=True):
        image = Image.fromarray(classes.astype(np.uint8))
        image.putpalette(palette)
        with outputs.writing("output", target / f"{stem}.png") as file:
            image.save(file, "PNG")


def _write_table(outputs: Outputs, path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows([header, *rows])
    with outputs.writing("output", path) as file:
        file.write(text.getvalue().encode())


def _stems(inputs: Inputs) -> list[str]:
    """Returns the examples' names without suffix."""
    return [str(PurePosixPath(name).with_suffix("")) for name in inputs.names]


def write_images(
    outputs: Outputs, pixels: Iterable[np.ndarray], inputs: Inputs, *, source: Path, target: Path, values: Path | None
) -> None:
    """Writes images [C, H, W] from 0 to 1 as PNGs into the folder `target`, named like the source's images.

    If `target` is an .npy file, writes one array of the source's shape instead. Writes all pixels to the CSV file
    `values`, if given. PNGs appear one by one, the two other files at the end. Raises ValueError for names that do not
    fit, for files that must not be replaced, and for files that cannot be written.
    """
    stems = _stems(inputs)
    _check_stems(source, inputs.names, stems, with_values=values is not None)
    is_array = target.suffix.lower() == ".npy"
    if not is_array:
        outputs.check_folder(target, [f"{stem}.png" for stem in stems])
    writer = _array_writer(outputs, target, inputs) if is_array else _folder_writer(outputs, target)
    with _values_writer(outputs, values) as write_values, writer as write:
        for stem, image in zip(stems, pixels, strict=True):
            write(stem, np.rint(image * 255).astype(np.uint8))
            write_values(stem, image)


def _check_stems(source: Path, names: Sequence[str], stems: Sequence[str], with_values: bool) -> None:
    """Raises ValueError if two outputs would have one name, or if a name cannot be in a file of id,value."""
    name_of: dict[str, str] = {}
    faults = []
    for name, stem in zip(names, stems, strict=True):
        if name_of.setdefault(stem, name) != name:
            faults.append(f"{name}: expected another name than that of {name_of[stem]}; both would become {stem}.png")
        if with_values and any(character in stem for character in NOT_IN_IDS):
            faults.append(f"{name!r}: expected a name without commas, quotes and line ends, for values=")
    refuse(source, faults)


Writer = Callable[[str, np.ndarray], object]
"""Takes an image's name without suffix, and its pixels [C, H, W]."""


@contextmanager
def _folder_writer(outputs: Outputs, folder: Path) -> Generator[Writer, None, None]:
    def write(stem: str, pixels_CHW: np.ndarray) -> None:
        image = Image.fromarray(pixels_CHW[0] if len(pixels_CHW) == 1 else pixels_CHW.transpose(1, 2, 0))
        with outputs.writing("output", folder / f"{stem}.png") as file:
            image.save(file, "PNG")

    yield write


@contextmanager
def _array_writer(outputs: Outputs, path: Path, inputs: Inputs) -> Generator[Writer, None, None]:
    assert inputs.array_shape is not None
    axes = (1, 2, 0) if inputs.is_channels_last else (0, 1, 2)
    with outputs.writing("output", path) as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": inputs.array_shape}
        np.lib.format.write_array_header_1_0(file, header)
        yield lambda stem, pixels_CHW: file.write(pixels_CHW.transpose(axes).tobytes())


@contextmanager
def _values_writer(outputs: Outputs, path: Path | None) -> Generator[Writer, None, None]:
    if path is None:
        yield lambda stem, values_CHW: None
        return
    with outputs.writing("values", path) as file:
        file.write(b"id,value\n")
        yield lambda stem, values_CHW: file.write(_lines(stem, values_CHW[0]))


def _lines(stem: str, values_HW: np.ndarray) -> pa.Buffer:
    """Returns a line for each pixel, row by row: NAME_ROW_COLUMN, both from 1, and its value."""
    import pyarrow as pa
    from pyarrow import compute, csv

    rows, columns = (pa.array(indices.ravel() + 1).cast(pa.string()) for indices in np.indices(values_HW.shape))
    ids = compute.binary_join_element_wise(stem, rows, columns, "_")  # type: ignore[attr-defined]
    table = pa.table({"id": ids, "value": values_HW.ravel().astype(np.float64).round(VALUE_DECIMALS)})
    lines = pa.BufferOutputStream()
    csv.write_csv(table, lines, csv.WriteOptions(include_header=False, quoting_style="none"))
    return lines.getvalue()
