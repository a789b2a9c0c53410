"""Applies saved models to new images, and writes labels or images."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from results.locations import is_remote
from results.wording import count
from search.prediction.ensemble import Ensemble, load_ensemble
from search.prediction.forms import form_of
from search.prediction.inputs import Inputs
from search.prediction.outputs import write_images, write_labels
from search.prediction.record import Outputs
from search.prediction.score import score_lines, trained_on
from search.prediction.targets import choose_targets


def apply_models(files: Sequence[str], source: str, *, output: str | None, values: str | None) -> list[str]:
    """Applies the models of these files to the images of `source`. Returns a report, line by line.

    Raises ValueError, before anything is written, for files that cannot be read, averaged, used together or written.
    """
    input_path = Path(os.path.expanduser(source))
    form = form_of(input_path)
    ensemble = load_ensemble(files)
    outputs = Outputs()
    target, values_target = choose_targets(
        ensemble, form, input_path, _local_path("output", output), _local_path("values", values), outputs
    )
    inputs = form.read(input_path, ensemble.input_shape, ensemble.takes_any_size)
    if ensemble.gives_images:
        ensemble.check_sizes(input_path, inputs)
        pixels = ensemble.apply(inputs.images)
        write_images(outputs, pixels, inputs, source=input_path, target=target, values=values_target)
        written = [outputs.describe(path) for path in (target, values_target) if path]
        return [f"{count(len(inputs.names), 'image')} written: {', '.join(written)}"]
    probabilities = ensemble.classify(inputs.images)
    labels = [ensemble.label_names[label] for label in probabilities.argmax(1)]
    write_labels(outputs, target, form.header, inputs.names, labels, probabilities.max(1, initial=0))
    return [
        f"{count(len(labels), 'image')} labelled: {outputs.describe(target)}",
        *_score(ensemble, input_path, inputs, labels),
    ]


def _score(ensemble: Ensemble, source: Path, inputs: Inputs, labels: list[str]) -> list[str]:
    lines = score_lines(inputs, labels, ensemble.label_names)
    if lines and any(trained_on(source, model.facts) for model in ensemble.models.values()):
        lines.append("the model was trained on some of these images, so this score says little about new ones")
    return lines


def _local_path(key: str, text: str | None) -> Path | None:
    if text and is_remote(text):
        raise ValueError(f"{key}={text}: expected a path on this machine")
    return Path(os.path.expanduser(text)) if text else None
