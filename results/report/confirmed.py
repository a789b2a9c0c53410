"""The report's sections on what came out: the verdict, the confirmed finalists, mistakes and pictures."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup

from results import analysis, plots
from results.analysis.columns import distinct, has_any, has_value, records, trial_name
from results.analysis.confirmed import describe_coverage, describe_sample
from results.analysis.readings import describe_choice, describe_readings, mark_name
from results.analysis.statistics import Mean
from results.report.page import Column, Section, figure, heading, join_parts, missing, paragraph, part, picture, table
from results.report.run_record import RunRecord
from results.schema import Status
from results.values import echoed
from results.wording import count, number

_DIGIT_WIDTH = 112  # CSS pixels of a small image
_MOST_CLASSES, _MOST_OF_NAME = 100, 60  # labels of a confusion matrix, and characters of a class's name


def head(run: RunRecord) -> Markup:
    """The page's title: which network, how good, how large, and the command that uses it."""
    title, told, command = _verdict(run)
    kicker = f"Frugal: run {run.name} of task {run.task}, goal {run.goal}"
    html = part("header", kicker=kicker, title=title, sentences=told, command=command)
    return html + stand_in_notice(run)


def stand_in_notice(run: RunRecord) -> Markup:
    if run.first("dataset_origin") != "made":
        return join_parts([])
    return paragraph(
        f"These are results on {run.first('dataset')}, a stand-in that was made here, and not on the original data: no "
        f"score on this page is one on the data that {run.task} is named for.",
        "notice",
    )


def finalists(run: RunRecord) -> Section:
    title = "Confirmed finalists"
    if not run.confirmed.means:
        why = "Nothing is confirmed: no finalist was trained again over several seeds and scored on test images. "
        if run.best is None:
            return Section("finalists", title, missing(f"{why}No trial is complete yet, so there is none to confirm."))
        return Section("finalists", title, missing(f"{why}To do that:", run.command("search.confirm")))
    names = ("mean", "95% interval", "sd", "seeds", "in the search", "parameters", "MACs")
    columns = [Column("finalist", is_number=False), *(Column(name) for name in names)]
    columns += [Column("against the first", is_number=False), Column("difference, 95% interval")]
    means = run.confirmed.means
    cells = [_finalist_row(run, name, stats) for name, stats in means.items()]
    axis = run.test_score_name
    caption = f"{axis.capitalize()}, mean over seeds, in the order of the search's validation scores"
    seen = "; ".join(f"{name} {interval(stats)}" for name, stats in means.items())
    assert run.finalists is not None
    drawn = plots.finalists(run.finalists, run.predictions, score_name=axis, direction=run.direction)
    return Section(
        "finalists",
        title,
        figure(drawn, "finalists-plot", f"{axis.capitalize()}, a dot a seed, diamonds for means: {seen}.")
        + table(columns, cells, caption, name="finalists-table")
        + paragraph(_how_scored(run), "quiet"),
    )


def mistakes(run: RunRecord) -> Section | None:
    """For classifiers: which labels are taken for which, and the worst images. None for networks that make images."""
    if _makes_images(run):
        return None
    title = "What it gets wrong"
    predictions = _predictions(run)
    if predictions is None:
        why = "The predictions of a finalist are kept when it is confirmed, and there are none here. To have them:"
        return Section("mistakes", title, missing(why, run.command("search.confirm")))
    name = trial_name(predictions.iloc[0].to_dict())
    counts = analysis.confusion(analysis.select_most_mistaken(predictions, _MOST_CLASSES))
    html = figure(plots.confusion(counts), "confusion", _confusion_seen(counts, predictions, name))
    return Section("mistakes", title, html + heading("Worst mistakes") + _worst(run, predictions, name))


def pictures(run: RunRecord) -> Section | None:
    """For networks that make images: input, output and truth side by side. None for classifiers."""
    if not _makes_images(run):
        return None
    title = "Images side by side"
    samples = run.samples
    if samples is None or "output_0" not in samples:
        why = "Images are kept when a finalist is confirmed, and there are none here. To have them:"
        return Section("pictures", title, missing(why, run.command("search.confirm")))
    error_name = str(samples.get("error_name", "error"))
    html = join_parts([])
    for kind, name in (("worst", "Worst"), ("typical", "Typical")):
        places = np.flatnonzero(samples["kind"] == kind)
        if len(places):
            html += heading(name) + join_parts(_triple(run, int(place), error_name) for place in places)
    told = (
        f"Of {samples.get('finalist', 'the best finalist')}, on {samples.get('scored_on', 'test')} images: the "
        f"largest errors, and errors around the median ({error_name})."
    )
    return Section("pictures", title, paragraph(told) + html)


def interval(stats: Mean) -> str:
    """A mean with its interval, as text."""
    if not stats.has_interval:
        return f"{number(stats.value)} (one seed, no interval)"
    of = describe_sample(stats)
    return f"{number(stats.value)} (95% interval {number(stats.low)} to {number(stats.high)}, {of})"


def _verdict(run: RunRecord) -> tuple[str, list[str], str]:
    """The title, sentences, and a command."""
    if run.confirmed.means:
        return _confirmed_verdict(run)
    best = run.best
    if best is None:
        return f"{run.task}: no trial is complete yet", [f"There is no best network: {_so_far(run)}."], ""
    title = f"{run.task}: trial {best['trial']}, {best['num_params']:,} parameters, {run.score_name} "
    title += number(best["score"])
    told = [
        f"The best of the search so far is trial {best['trial']}, with {_size(best)}. It is not confirmed: its score "
        "is that of one training, on the images by which it was chosen, so it is likely too good.",
    ]
    if reference := _better_reference(run, best):
        told.append(reference)
    model = run.folder / "models" / "best.pt"
    return title, told, run.predict_command("models/best.pt") if model.is_file() else ""


def _so_far(run: RunRecord) -> str:
    """How many trials there are, and why those that failed did."""
    trials = run.leaderboard
    failed = trials.loc[[Status(status).is_failure for status in trials["status"]]]
    if failed.empty:
        return f"{count(len(trials), 'trial')} so far" if len(trials) else "none has started"
    told = f"{len(failed)} of {count(len(trials), 'trial')} failed"
    lines = str(failed["error"].dropna().iloc[0]).strip().splitlines() if has_any(failed, "error") else []
    return f"{told}, the first of them with: {echoed(lines[-1], 300).rstrip('.')}" if lines else told


def _confirmed_verdict(run: RunRecord) -> tuple[str, list[str], str]:
    (name, stats), scored = _winner(run), run.test_score_name
    row = run.confirmed_row(name)
    title = f"{run.task}: {name}, {row['num_params']:,} parameters, {scored} {number(stats.value)}"
    how = describe_choice(_confirmed_rows(run), name)
    if run.scored_on != "test":
        how = "The search has chosen it by these very images, so that the score is biased upwards"
    told = f"The network that validation put first, {name}, has {_size(row)}. Its mean {scored} is {interval(stats)}. "
    return (
        title,
        [f"{told}{how}. {describe_coverage({name: stats}, run.scored_on)}", *_others(run, name)],
        run.predict_command(row["model_path"]) if has_value(row["model_path"]) else "",
    )


def _others(run: RunRecord, first: str) -> list[str]:
    """A sentence on which of the other finalists can be told apart from the first."""
    gaps = {name: run.confirmed.gap(first, name) for name in run.confirmed.means if name != first}
    apart = [f"{name} (by {gap.value:+.2g})" for name, gap in gaps.items() if gap and gap.is_apart_from_zero]
    alike = [name for name, gap in gaps.items() if gap and not gap.is_apart_from_zero]
    told = [f"apart from {', '.join(apart)}"] if apart else []
    told += [f"not distinguishable from {', '.join(alike)}"] if alike else []
    return [f"Over pairs of equal seeds it is {', and '.join(told)}."] if told else []


def _winner(run: RunRecord) -> tuple[str, Mean]:
    winner = run.winner()
    assert winner is not None
    return winner


def _size(row: dict[str, Any]) -> str:
    macs = f" and {row['num_macs']:,} multiply-accumulates an image" if has_value(row["num_macs"]) else ""
    return f"{row['num_params']:,} parameters{macs}"


def _better_reference(run: RunRecord, best: dict[str, Any]) -> str:
    ahead = run.leaderboard.dropna(subset=["reference", "rank"])
    ahead = ahead.loc[(ahead["rank"] < best["rank"]).to_numpy()].sort_values(by="rank")
    if ahead.empty:
        return ""
    first, model = ahead.iloc[0], run.folder / "models" / "best.pt"
    return (
        f"The published network {first['reference']} did better in this search: {number(first['score'])} with "
        f"{first['num_params']:,} parameters." + (" The model file holds that one." if model.is_file() else "")
    )


def _finalist_row(run: RunRecord, name: str, stats: Mean) -> list[Any]:
    row, first = run.confirmed_row(name), next(iter(run.confirmed.means))
    return [
        mark_name(_confirmed_rows(run), name),
        number(stats.value),
        f"{number(stats.low)} to {number(stats.high)}" if stats.has_interval else "one seed",
        f"{stats.sd:.2g}" if stats.n > 1 else None,
        str(stats.n),
        number(row["val_score"]) if has_value(row["val_score"]) else None,
        f"{row['num_params']:,}",
        f"{row['num_macs']:,}" if has_value(row["num_macs"]) else None,
        *(("", None) if name == first else _against(run.confirmed.gap(first, name))),
    ]


def _against(gap: Mean | None) -> tuple[str, str | None]:
    """Whether another finalist is apart from the first, and the first minus the other."""
    if gap is None:
        return "too few common seeds", None
    verdict = "apart" if gap.is_apart_from_zero else "not distinguishable"
    return verdict, f"{gap.value:+.2g} ({gap.low:+.2g} to {gap.high:+.2g})"


def _how_scored(run: RunRecord) -> str:
    told = (
        f"{describe_coverage(run.confirmed.means, run.scored_on)} Differences are the first minus the other, paired by "
        "seed and image, so that effects common to both cancel out. "
    )
    if run.scored_on == "test":
        return told + (
            describe_readings(_confirmed_rows(run)) or "Each training was scored on the test images once, at its end."
        )
    return told + f"Scored on {run.scored_on} images, by which the search has chosen: these scores are biased upwards."


def _confirmed_rows(run: RunRecord) -> list[dict[str, Any]]:
    assert run.finalists is not None
    return records(run.finalists)


def _makes_images(run: RunRecord) -> bool:
    """Whether the networks give images: they alone have a code, and samples with outputs."""
    return has_any(run.leaderboard, "code_size") or (run.samples is not None and "output_0" in run.samples)


def _predictions(run: RunRecord) -> pd.DataFrame | None:
    """Those of the finalist that validation put first."""
    if run.predictions is None:
        return None
    table = run.predictions.dropna(subset=["label", "predicted"])
    if table.empty:
        return None
    table = table.sort_values(by=["place", "trial"], na_position="last", kind="stable")
    return table.loc[(table["trial"] == table["trial"].iloc[0]).to_numpy()]


def _confusion_seen(counts: pd.DataFrame, predictions: pd.DataFrame, name: str) -> str:
    wrong = counts.to_numpy(copy=True)
    images = predictions["index"].nunique()
    np.fill_diagonal(wrong, 0.0)
    is_wrong = (predictions["label"] != predictions["predicted"]).to_numpy(dtype=bool)
    num_wrong = np.count_nonzero(is_wrong) / len(distinct(predictions, "seed"))
    scored_on, seeds = predictions["scored_on"].iloc[0], predictions["seed"].nunique()
    told = (
        f"{name} on {images:,} {scored_on} images, mean over {seeds} seeds: {num_wrong:,.1f} are wrong "
        f"({num_wrong / max(images, 1):.2%}). "
    )
    if (num_labels := len(distinct(predictions, "label"))) > _MOST_CLASSES:
        told += f"Of {num_labels:,} labels, those that are mistaken most often. "
    worst = [divmod(int(place), len(counts)) for place in np.argsort(-wrong, axis=None)[:3]]
    names = [echoed(name, _MOST_OF_NAME) for name in counts.index]
    pairs = [f"{names[i]} taken for {names[j]} ({wrong[i, j]:.1f})" for i, j in worst if wrong[i, j]]
    return told + (f"Most often: {', '.join(pairs)}." if pairs else "")


def _worst(run: RunRecord, predictions: pd.DataFrame, name: str) -> Markup:
    samples = run.samples
    if samples is None or not len(samples["kind"]):
        return missing("No images of mistakes were kept. To have them:", run.command("search.confirm"))
    answers = dict(iter(predictions.groupby("index")))
    shown = [
        _mistake(samples[f"input_{place}"], answers[index])
        for place, (kind, index) in enumerate(zip(samples["kind"], samples["index"], strict=True))
        if kind == "worst" and index in answers
    ]
    lead = f"The images with the least probability for their label, mean over the seeds of {name}."
    return paragraph(lead) + part("mistakes", figures=shown)


def _mistake(image: np.ndarray, answers: pd.DataFrame) -> Markup:
    first = answers.iloc[0]
    label = first["label_name"] if has_value(first["label_name"]) else first["label"]
    answered = records(answers)
    wrong = [row for row in answered if row["predicted"] != row["label"]]
    taken = Counter(_answer(row) for row in wrong or answered).most_common(1)[0][0]
    sure = [row["probability"] for row in answered if _answer(row) == taken and has_value(row["probability"])]
    told = (f"{np.mean(sure):.0%} sure, " if sure else "") + f"{len(wrong)} of {len(answers)} seeds wrong"
    alt = f"image {first['index']}: a {label} taken for a {taken}"
    names = {"label": echoed(label, _MOST_OF_NAME), "taken": echoed(taken, _MOST_OF_NAME)}
    return part("mistake", image=picture(image, alt, _DIGIT_WIDTH), told=told, **names)


def _answer(row: dict[str, Any]) -> str:
    return str(row["predicted_name"] if has_value(row["predicted_name"]) else row["predicted"])


def _triple(run: RunRecord, place: int, error_name: str) -> Markup:
    assert run.samples is not None
    given, made, true = (run.samples[f"{what}_{place}"] for what in ("input", "output", "target"))
    index = int(run.samples["index"][place])
    is_same = given.shape == true.shape and np.array_equal(given, true)  # an autoencoder's
    names = ("given", "made", "true") if is_same else ("noisy", "cleaned", "true")
    images = [
        (picture(image, f"image {index}, {what}"), what)
        for what, image in zip(names, (given, made, true), strict=True)
        if not (is_same and what == "true")
    ]
    error = f"{error_name} {float(run.samples['error'][place]):.4g}" if "error" in run.samples else ""
    return part("triple", images=images, caption=f"image {index}: {error}", is_small=given.shape[-1] < 128)
