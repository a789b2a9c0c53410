"""The report's sections of images: a classifier's mistakes, and the pictures of a network that makes images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup

from results import analysis, plots
from results.analysis.columns import distinct, has_any, has_value, records, trial_name
from results.analysis.confirmed import finalist_rows
from results.class_colours import class_colour
from results.report.page import Column, Section, figure, heading, join_parts, missing, paragraph, part, picture, table
from results.report.run_record import RunRecord
from results.report.run_samples import Samples
from results.values import echoed
from results.wording import count

_DIGIT_WIDTH = 112  # CSS pixels of a small image
_NUM_WORST = 24  # mistakes in a table
_MAX_CLASSES, _MAX_NAME_LENGTH = 100, 60  # labels of a confusion matrix, and characters of a class's name


def mistakes(run: RunRecord) -> Section | None:
    """Makes a classifier's section of its confusion matrix and worst mistakes; None for networks of other goals."""
    if _makes_images(run):
        return None
    title = "Mistakes"
    predictions = _predictions(run)
    if predictions is None and run.goal_kind not in ("classify", "unknown"):
        return None
    if predictions is None:
        why = "Predictions are stored when a finalist is confirmed, and there are none yet. To confirm:"
        return Section("mistakes", title, missing(why, run.command("search.confirm")))
    name = trial_name(predictions.iloc[0].to_dict())
    counts = analysis.confusion(analysis.select_most_mistaken(predictions, _MAX_CLASSES))
    html = figure(plots.confusion(counts), "confusion", _describe_confusion(counts, predictions, name))
    return Section("mistakes", title, html + heading("Worst mistakes") + _worst(run, predictions, name))


def pictures(run: RunRecord) -> Section | None:
    """Makes the section of inputs, outputs and targets of a network that makes images; None for classifiers."""
    if not _makes_images(run):
        return None
    title = "Images side by side"
    samples = run.samples
    if samples is None or "output_0" not in samples:
        why = "Images are stored when a finalist is confirmed, and there are none yet. To confirm:"
        return Section("pictures", title, missing(why, run.command("search.confirm")))
    error_name = str(samples.get("error_name", "error"))
    html = join_parts([])
    for kind, name in (("worst", "Worst"), ("typical", "Typical")):
        places = np.flatnonzero(samples["kind"] == kind)
        if len(places):
            html += heading(name) + join_parts(_triple(run, int(place), error_name) for place in places)
    if "classes" in samples:
        html = _legend(samples) + html
    lead = (
        f"Images of {samples.get('finalist', 'the best finalist')} on {samples.get('scored_on', 'test')} images: those "
        f"with the largest errors, and those with errors around the median ({error_name})."
    )
    return Section("pictures", title, paragraph(lead) + html)


def _makes_images(run: RunRecord) -> bool:
    """Returns whether the networks make images: only they have a code size, and samples with outputs."""
    return has_any(run.leaderboard, "code_size") or (run.samples is not None and "output_0" in run.samples)


def _predictions(run: RunRecord) -> pd.DataFrame | None:
    """Returns the predictions of the finalist with the best validation score, if there are any."""
    return None if run.predictions is None else finalist_rows(run.predictions, "label", "predicted")


def _describe_confusion(counts: pd.DataFrame, predictions: pd.DataFrame, name: str) -> str:
    wrong = counts.to_numpy(copy=True)
    examples = predictions["index"].nunique()
    np.fill_diagonal(wrong, 0.0)
    is_wrong = (predictions["label"] != predictions["predicted"]).to_numpy(dtype=bool)
    num_wrong = np.count_nonzero(is_wrong) / len(distinct(predictions, "seed"))
    scored_on, seeds = predictions["scored_on"].iloc[0], len(distinct(predictions, "seed"))
    text = (
        f"{name} on {examples:,} {scored_on} examples, mean over {count(seeds, 'seed')}: {_mean(num_wrong)} are wrong "
        f"({num_wrong / max(examples, 1):.2%}). "
    )
    if (num_labels := len(distinct(predictions, "label"))) > _MAX_CLASSES:
        text += f"Of {num_labels:,} labels, the most confused ones are shown. "
    worst = [divmod(int(place), len(counts)) for place in np.argsort(-wrong, axis=None)[:3]]
    names = [echoed(name, _MAX_NAME_LENGTH) for name in counts.index]
    pairs = [f"{names[i]} taken for {names[j]} ({_mean(wrong[i, j])})" for i, j in worst if wrong[i, j]]
    return text + (f"Most often: {', '.join(pairs)}." if pairs else "")


def _worst(run: RunRecord, predictions: pd.DataFrame, name: str) -> Markup:
    samples = run.samples
    if samples is None:
        return missing("No images of mistakes are stored. To confirm again:", run.command("search.confirm"))
    answers = dict(iter(predictions.groupby("index")))
    if not len(samples["kind"]):
        return _worst_table(answers, name)
    shown = [
        _mistake(samples[f"input_{place}"], answers[index])
        for place, (kind, index) in enumerate(zip(samples["kind"], samples["index"], strict=True))
        if kind == "worst" and index in answers
    ]
    lead = f"The images whose label has the lowest probability, mean over the seeds of {name}."
    return paragraph(lead) + part("mistakes", figures=shown)


def _worst_table(answers: Mapping[Any, pd.DataFrame], name: str) -> Markup:
    """Makes a table of the mistakes on examples that are not images: those that most seeds made."""
    wrong = {index: sum(row["predicted"] != row["label"] for row in records(rows)) for index, rows in answers.items()}
    worst = sorted((index for index, n in wrong.items() if n), key=lambda index: (-wrong[index], index))[:_NUM_WORST]
    cells = [[f"{index}", *_names_and_counts(answers[index])] for index in worst]
    columns = [Column("example"), *(Column(each, is_number=False) for each in ("label", "predicted", "seeds"))]
    caption = (
        f"The mistakes that most seeds of {name} made. Examples count from 0, in the order of the split."
        if worst
        else "No example was mistaken."
    )
    return table(columns, cells, caption, name="worst-mistakes") if worst else paragraph(caption)


def _mistake(image: np.ndarray, answers: pd.DataFrame) -> Markup:
    label, predicted, counts = _names_and_counts(answers)
    alt = f"image {answers.iloc[0]['index']}: a {label} taken for a {predicted}"
    return part("mistake", image=picture(image, alt, _DIGIT_WIDTH), counts=counts, label=label, predicted=predicted)


def _names_and_counts(answers: pd.DataFrame) -> tuple[str, str, str]:
    """Returns the label of an example, what most seeds that were wrong took it for, and how many these were."""
    first = answers.iloc[0]
    label = first["label_name"] if has_value(first["label_name"]) else first["label"]
    answered = records(answers)
    wrong = [row for row in answered if row["predicted"] != row["label"]]
    predicted = Counter(_answer(row) for row in wrong or answered).most_common(1)[0][0]
    sure = [row["probability"] for row in answered if _answer(row) == predicted and has_value(row["probability"])]
    counts = (f"{np.mean(sure):.0%} sure, " if sure else "") + f"{len(wrong)} of {count(len(answers), 'seed')} wrong"
    return echoed(label, _MAX_NAME_LENGTH), echoed(predicted, _MAX_NAME_LENGTH), counts


def _answer(row: dict[str, Any]) -> str:
    return str(row["predicted_name"] if has_value(row["predicted_name"]) else row["predicted"])


def _legend(samples: Samples) -> Markup:
    """Makes a legend of the classes that occur in the class maps."""
    maps = [image for name, image in samples.items() if name.startswith(("output_", "target_"))]
    numbers = sorted({int(number) for each in maps for number in np.unique(each)})
    names = samples["classes"].tolist()
    shown = [echoed(names[number], _MAX_NAME_LENGTH) if number < len(names) else str(number) for number in numbers]
    colours = [f"#{bytes(class_colour(number)).hex()}" for number in numbers]
    return part("legend", entries=list(zip(colours, shown, strict=True)))


def _coloured(classes_HW: np.ndarray) -> np.ndarray:
    """Returns a class map as a picture, uint8 [3, H, W]."""
    palette = np.array([class_colour(number) for number in range(int(classes_HW.max()) + 1)], np.uint8)
    return palette[classes_HW].transpose(2, 0, 1)


def _triple(run: RunRecord, place: int, error_name: str) -> Markup:
    assert run.samples is not None
    given, made, true = (run.samples[f"{what}_{place}"] for what in ("input", "output", "target"))
    index = int(run.samples["index"][place])
    is_same = given.shape == true.shape and np.array_equal(given, true)  # an autoencoder's
    names = ("input", "output", "target") if is_same else ("noisy", "cleaned", "target")
    if "classes" in run.samples:
        is_same, names = False, ("input", "predicted classes", "target")
        made, true = _coloured(made), _coloured(true)
    elif run.goal_kind == "custom":
        names = ("input", "output", "target")
    images = [
        (picture(image, f"image {index}, {what}"), what)
        for what, image in zip(names, (given, made, true), strict=True)
        if not (is_same and what == "target")
    ]
    error = f"{error_name} {float(run.samples['error'][place]):.4g}" if "error" in run.samples else ""
    return part("triple", images=images, caption=f"image {index}: {error}", is_small=given.shape[-1] < 128)


def _mean(number: float) -> str:
    """Returns a mean of whole numbers: 552, 12.5."""
    return f"{number:,.1f}".removesuffix(".0")
