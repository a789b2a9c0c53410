"""Applies saved models to new examples, and writes labels, images, class maps or numbers."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from results.locations import is_remote
from results.wording import count
from search.prediction.ensemble import Ensemble, load_ensemble
from search.prediction.forms import form_for, form_of
from search.prediction.inputs import Inputs
from search.prediction.outputs import write_images, write_labels, write_maps, write_several_labels, write_values
from search.prediction.record import Outputs
from search.prediction.score import score_lines, trained_on
from search.prediction.targets import choose_targets


def apply_models(
    files: Sequence[str], source: str, *, output: str | None, values: str | None, task: str | None = None
) -> list[str]:
    """Applies the models of these files to the examples of `source`. Returns a report, line by line.

    Raises ValueError, before anything is written, for files that cannot be read, averaged, used together or written.
    """
    input_path = Path(os.path.expanduser(source))
    form_of(input_path)  # raises ValueError for a missing file before models are loaded
    ensemble = load_ensemble(files, task)
    takes = ensemble.takes
    form = form_for(input_path, takes)
    outputs = Outputs()
    target, values_target = choose_targets(
        ensemble, form, input_path, _local_path("output", output), _local_path("values", values), outputs
    )
    inputs = form.read(input_path, takes)
    header = form.header if takes.are_images or form.header[0] != "image" else ("example", *form.header[1:])
    done = partial(_describe, count(len(inputs.names), takes.noun), outputs, [target, values_target])
    match ensemble.kind:
        case "images":
            ensemble.check_sizes(input_path, inputs)
            pixels = ensemble.apply(inputs.images)
            write_images(outputs, pixels, inputs, source=input_path, target=target, values=values_target)
            return [done("written")]
        case "maps":
            ensemble.check_sizes(input_path, inputs)
            maps = (each.argmax(0) for each in ensemble.apply(inputs.images))
            num_classes = ensemble.first.output_shape[0]
            write_maps(outputs, maps, inputs, source=input_path, target=target, num_classes=num_classes)
            return [done("written")]
        case "values":
            numbers = ensemble.apply_to_all(inputs.images)
            write_values(outputs, target, header[0], inputs.names, numbers, ensemble.value_names)
            return [done("predicted")]
        case "labels":
            probabilities = ensemble.apply_to_all(inputs.images)
            write_several_labels(outputs, target, header[0], inputs.names, ensemble.label_names, probabilities)
            return [done("labelled")]
        case "classes":
            probabilities = ensemble.apply_to_all(inputs.images)
            labels = [ensemble.label_names[label] for label in probabilities.argmax(1)]
            write_labels(outputs, target, header, inputs.names, labels, probabilities.max(1, initial=0))
            return [done("labelled"), *_score(ensemble, input_path, inputs, labels)]


def _describe(examples: str, outputs: Outputs, paths: Sequence[Path | None], verb: str) -> str:
    return f"{examples} {verb}: {', '.join(outputs.describe(path) for path in paths if path)}"


def _score(ensemble: Ensemble, source: Path, inputs: Inputs, labels: list[str]) -> list[str]:
    lines = score_lines(inputs, labels, ensemble.label_names)
    if lines and any(trained_on(source, model.facts) for model in ensemble.models.values()):
        lines.append("the model was trained on some of these images, so this score says little about new ones")
    return lines


def _local_path(key: str, text: str | None) -> Path | None:
    if text and is_remote(text):
        raise ValueError(f"{key}={text}: expected a path on this machine")
    return Path(os.path.expanduser(text)) if text else None
