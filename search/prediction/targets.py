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
    suffixes: tuple[str, ...]
    """The suffixes of the right kind; none for a folder."""
    is_named: bool
    """Whether the user named the path, which allows its file to be replaced."""

    @classmethod
    def of(cls, key: str, path: Path | None, default: str, *further: str) -> Target:
        """Returns a target with the path that the user named, or the default."""
        suffix = Path(default).suffix
        return cls(key, path or Path(default), default, (suffix, *further) if suffix else (), is_named=path is not None)

    @property
    def is_file(self) -> bool:
        return bool(self.suffixes)


def choose_targets(
    ensemble: Ensemble, form: Form, source: Path, output: Path | None, values: Path | None, outputs: Outputs
) -> tuple[Path, Path | None]:
    """Returns where outputs go, and where pixel values go, if anywhere.

    Raises ValueError for a path of the wrong kind, an input, a run's own file, or a foreign file that no key names.
    """
    targets = [_output(ensemble, form, source, output)]
    if values:
        if not ensemble.gives_images or ensemble.first.output_shape[0] != 1:
            raise ValueError(f"values={values}: only a model that returns grey images has pixel values; leave it out")
        targets.append(Target.of("values", values, "submission.csv"))
    for target in targets:
        _check_kind(target)
    for target in targets:
        _check_is_free(target, [source, *ensemble.models])
        check_output(target.key, target.path, runs=[model.resolve().parent.parent for model in ensemble.models])
        if target.is_file:
            outputs.check_file(target.key, target.path, is_named=target.is_named)
    return targets[0].path, values


def _output(ensemble: Ensemble, form: Form, source: Path, output: Path | None) -> Target:
    """Returns where the outputs go. Raises ValueError for a form of input from which a model makes no outputs."""
    match ensemble.kind:
        case "classes":
            return Target.of("output", output, form.labels)
        case "labels":
            return Target.of("output", output, "labels.csv")
        case "values":
            is_table = len(ensemble.first.output_shape) == 1
            return Target.of("output", output, "values.csv", ".npy") if is_table else _array(output)
    default, made = (form.images, "images") if ensemble.kind == "images" else (form.maps, "class maps")
    if default is None:
        raise ValueError(
            f"input={source}: this kind of file is for classifiers, and {next(iter(ensemble.models))} returns {made}; "
            "expected a folder of images or an .npy file"
        )
    return Target.of("output", output, default)


def _array(output: Path | None) -> Target:
    return Target.of("output", output, "values.npy")


def _check_kind(target: Target) -> None:
    key, path = target.key, target.path
    suffix = path.suffix.lower()
    if target.is_file and (suffix not in target.suffixes or path.is_dir()):
        kind = " or ".join(target.suffixes)
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
