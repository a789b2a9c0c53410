"""The report's sections on predicted numbers: against the right ones, and F1 by label where an example has several."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup

from results import plots
from results.analysis.columns import distinct, floats, records, trial_name
from results.analysis.confirmed import finalist_rows
from results.report.page import Column, Section, figure, heading, missing, picture, table
from results.report.run_record import RunRecord
from results.values import echoed
from results.wording import count, number

_NUM_WORST, _PICTURE_WIDTH, _MAX_NAME_LENGTH = 24, 56, 60


def predicted(run: RunRecord) -> Section | None:
    """Makes the section of predicted numbers against the right ones; None for runs that predict no single numbers."""
    found = None if run.predictions is None else finalist_rows(run.predictions, "target", "value")
    title = "Predicted against true"
    if found is None:
        if run.goal_kind != "regress" or run.predictions is not None:
            return None  # several numbers for each example have no figure
        why = "Predictions are stored when a finalist is confirmed, and there are none yet. To confirm:"
        return Section("predicted", title, missing(why, run.command("search.confirm")))
    examples = _means(found)
    html = figure(plots.predicted(examples), "predicted-plot", _describe(found, examples))
    html += heading("Largest errors") + _worst(run, examples)
    return Section("predicted", title, html)


def labels(run: RunRecord) -> Section | None:
    """Makes the section of F1 by label; None for runs whose examples do not have several labels each."""
    samples = run.samples
    if samples is None or "label_f1" not in samples:
        return None
    names, counts, scores = (samples[f"label_{what}"].tolist() for what in ("name", "count", "f1"))
    cells = [
        [echoed(name, _MAX_NAME_LENGTH), (f"{n:,}", n), None if np.isnan(f1) else (number(f1), f1)]
        for name, n, f1 in sorted(zip(names, counts, scores, strict=True), key=lambda row: (np.isnan(row[2]), row[2]))
    ]
    columns = [Column("label", is_number=False), Column("examples with it"), Column("F1")]
    caption = (
        f"F1 of each label by {samples.get('finalist', 'the best finalist')} on {samples.get('scored_on', 'test')} "
        "examples, mean over seeds, the lowest first. A label that is neither right nor predicted anywhere has none."
    )
    return Section("labels", "F1 by label", table(columns, cells, caption, name="labels-table", is_sortable=True))


def _means(found: pd.DataFrame) -> pd.DataFrame:
    """Returns a row for each example, with means over the seeds: index, target, value and absolute error."""
    target, value = floats(found, "target"), floats(found, "value")
    indices, places = np.unique(floats(found, "index").astype(int), return_inverse=True)
    columns = {"target": target, "value": value, "error": np.abs(value - target)}
    means = {name: np.bincount(places, numbers) / np.bincount(places) for name, numbers in columns.items()}
    return pd.DataFrame({"index": indices, **means})


def _describe(found: pd.DataFrame, examples: pd.DataFrame) -> str:
    errors = floats(examples, "error")
    name, scored_on = trial_name(found.iloc[0].to_dict()), found["scored_on"].iloc[0]
    seeds = count(len(distinct(found, "seed")), "seed")
    half, most = (number(float(np.quantile(errors, share))) for share in (0.5, 0.95))
    return (
        f"{name} on {len(examples):,} {scored_on} examples, mean over {seeds}: half "
        f"of the absolute errors are at most {half}, and 95% at most {most}. A point on the line is right."
    )


def _worst(run: RunRecord, examples: pd.DataFrame) -> Markup:
    pictures = _pictures(run)
    worst = records(examples.sort_values("error", ascending=False, kind="stable").head(_NUM_WORST))
    columns = [Column("example"), Column("true"), Column("predicted"), Column("error")]
    cells: list[list[Any]] = [
        [f"{row['index']}", *((number(row[name]), row[name]) for name in ("target", "value", "error"))] for row in worst
    ]
    if pictures:
        columns.insert(1, Column("picture", is_number=False, sorts=False))
        for row, given in zip(worst, cells, strict=True):
            image = pictures.get(row["index"])
            given.insert(1, None if image is None else picture(image, f"example {row['index']}", _PICTURE_WIDTH))
    caption = "The largest mean absolute errors over the seeds. Examples count from 0, in the order of the split."
    return table(columns, cells, caption, name="largest-errors", is_sortable=True)


def _pictures(run: RunRecord) -> dict[int, np.ndarray]:
    """Returns the stored pictures of inputs by the index of the example."""
    samples = run.samples or {}
    places = enumerate(samples["index"].tolist()) if "index" in samples else ()
    return {index: samples[f"input_{place}"] for place, index in places if "output_0" not in samples}
