"""The files and folders that `search.predict` writes to, checked before anything is read or written."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from data.folders import check_utf8
from data.image_files import image_suffixes
from results.own_files import check_output
from search.prediction.ensemble import Ensemble
from search.prediction.forms import Form
from search.prediction.record import Outputs


@dataclass(frozen=True)
class Target:
    """A path to write to, and the key that names it."""

    key: str
    path: Path
    default: str
    """A name of the right kind, for messages."""
    is_named: bool
    """Whether the user named the path, which allows its file to be replaced."""

    @property
    def is_file(self) -> bool:
        return bool(Path(self.default).suffix)


def choose_targets(
    ensemble: Ensemble, form: Form, source: Path, output: Path | None, values: Path | None, outputs: Outputs
) -> tuple[Path, Path | None]:
    """Returns where labels or images go, and where pixel values go, if anywhere.

    Raises ValueError for a path of the wrong kind, an input, a run's own file, or a foreign file that no key names.
    """
    default = form.images if ensemble.gives_images else form.labels
    if default is None:
        raise ValueError(
            f"input={source}: this kind of file is for classifiers, and {next(iter(ensemble.models))} returns images; "
            "expected a folder of images or an .npy file"
        )
    targets = [Target("output", output or Path(default), default, is_named=output is not None)]
    if values:
        if not ensemble.gives_images or ensemble.first.output_shape[0] != 1:
            raise ValueError(f"values={values}: only a model that returns grey images has pixel values; leave it out")
        targets.append(Target("values", values, "submission.csv", is_named=True))
    for target in targets:
        _check_kind(target)
    for target in targets:
        _check_is_free(target, [source, *ensemble.models])
        check_output(target.key, target.path, runs=[model.resolve().parent.parent for model in ensemble.models])
        if target.is_file:
            outputs.check_file(target.key, target.path, is_named=target.is_named)
    return targets[0].path, values


def _check_kind(target: Target) -> None:
    key, path = target.key, target.path
    suffix = path.suffix.lower()
    if target.is_file and (suffix != Path(target.default).suffix or path.is_dir()):
        kind = Path(target.default).suffix
        raise ValueError(f"{key}={path}: expected the name of a {kind} file, such as {key}={target.default}")
    if not target.is_file and (suffix in (".csv", ".npy", ".npz", *image_suffixes()) or path.is_file()):
        raise ValueError(f"{key}={path}: expected the name of a folder for the images, such as {key}={target.default}")


def _check_is_free(target: Target, inputs: list[Path]) -> None:
    check_utf8(target.path)
    if any(_is_same(target.path, other) for other in inputs):
        raise ValueError(
            f"{target.key}={target.path}: is an input, and would be overwritten; choose another path for the output"
        )


def _is_same(path: Path, other: Path) -> bool:
    """Returns whether both paths lead to one file or folder, through links of any kind too."""
    return path.resolve() == other.resolve() or (path.exists() and other.exists() and path.samefile(other))
