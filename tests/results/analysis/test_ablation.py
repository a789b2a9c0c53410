"""The effect of a choice: means, paired differences of equal seeds, and the page that shows them."""

import math
from pathlib import Path

import numpy as np
import pytest

from results import tables
from results.analysis.ablation import describe_gap, effects
from results.analysis.statistics import mean
from results.plots.variants import ablation
from results.schema import ABLATION
from search.report import main, write_report
from tests.results.report.test_report import read

SCORES = {
    ("dropout", "0", False): [0.95, 0.96, 0.97],
    ("dropout", "0.1", True): [0.94, 0.95, 0.96],
    ("pooling", None, True): [0.94, 0.95, 0.96],
    ("pooling", "average", False): [0.90, 0.96, 0.99],
}


def write_ablation(folder: Path, scores: dict = SCORES, **facts: object) -> Path:
    """Writes an ablation of bertoldi with scores by parameter, value and whether it is the base. Returns its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    same = {"run": folder.name, "task": "tiny10k", "base": "bertoldi", "epochs": 10.0, "num_params": 9_682}
    same |= {"dataset": "mnist", "dataset_origin": "original"} | facts
    rows = [
        {**same, "parameter": parameter, "value": value, "is_base": is_base, "seed": seed, "score": score}
        for (parameter, value, is_base), by_seed in scores.items()
        for seed, score in enumerate(by_seed)
    ]
    tables.write(tables.from_rows(rows, ABLATION), folder / "ablation.parquet")
    return folder


def of(folder: Path, parameter: str):
    found = tables.frame(tables.read(folder / "ablation.parquet", "ablation"))
    return found[found["parameter"] == parameter]


def test_differences_are_taken_in_pairs_of_equal_seeds(tmp_path):
    write_ablation(tmp_path)
    zero, base = effects(of(tmp_path, "dropout"))
    assert (zero.value, base.value, base.is_base, base.gap) == ("0", "0.1", True, None)
    assert zero.gap.value == pytest.approx(0.01)
    assert zero.gap.sd == pytest.approx(0, abs=1e-12)  # though the scores themselves differ by more than that
    assert describe_gap(zero.gap) == "+0.01 (+0.01 to +0.01), apart"
    base, average = effects(of(tmp_path, "pooling"))
    assert base.value == "as the base"
    assert average.gap == mean([0.90 - 0.94, 0.96 - 0.95, 0.99 - 0.96])
    assert describe_gap(average.gap).endswith("not distinguishable")


def test_what_is_not_paired_yet_is_not_compared(tmp_path):
    write_ablation(tmp_path, {("dropout", "0", False): [0.9, 0.8], ("dropout", "0.1", True): [0.7]})
    zero, _ = effects(of(tmp_path, "dropout"))
    assert zero.gap.n == 1
    assert math.isnan(zero.gap.low)
    assert describe_gap(zero.gap) == "+0.2, one pair"
    write_ablation(tmp_path, {("dropout", "0", False): [0.9]})
    assert effects(of(tmp_path, "dropout"))[0].gap is None


def test_the_figure_has_each_seed_and_the_mean_with_its_interval(tmp_path):
    drawn = ablation(of(write_ablation(tmp_path), "pooling"))
    base, seeds, average = drawn.data
    assert list(seeds.y) == pytest.approx([-0.04, 0.01, 0.03])
    expected = mean(list(seeds.y))
    assert average.y[0] == pytest.approx(expected.value)
    assert average.error_y.array[0] == pytest.approx(expected.high - expected.value)
    assert base.y[0] == 0
    assert np.all(np.array(drawn.layout.xaxis.categoryarray) == ["as the base", "average"])
    assert (
        "No training has finished" in ablation(of(write_ablation(tmp_path, {}), "pooling")).layout.annotations[0].text
    )


def test_the_page_shows_each_choice_and_says_what_it_does_not_mean(tmp_path):
    page = read(write_report(write_ablation(tmp_path / "a")))
    assert "bertoldi, one choice varied at a time" in page.text
    assert "test examples were not read" in page.text
    assert [attrs["id"] for _, attrs in page.elements if attrs.get("class") == "plot"] == [
        "choice-0-plot",
        "choice-1-plot",
    ]
    assert "0: +0.01 (+0.01 to +0.01), apart" in page.text
    assert "stand-in" not in page.text
    made = read(write_report(write_ablation(tmp_path / "b", dataset="sklearn-digits", dataset_origin="made")))
    assert "These results are on sklearn-digits, a made stand-in" in made.text


def test_it_is_not_compared_with_searches(tmp_path, capsys):
    write_ablation(tmp_path / "a")
    assert main(["run=[a,b]", f"runs_dir={tmp_path}"]) == 2
    assert f"{tmp_path / 'a'} has an ablation, which cannot be compared" in capsys.readouterr().err


def test_an_ablation_without_an_ended_training_says_so(tmp_path):
    with pytest.raises(ValueError, match="no training of this ablation has finished yet"):
        write_report(write_ablation(tmp_path, {}))
