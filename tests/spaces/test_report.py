"""A report survives JSON, which has neither NaN nor infinity."""

import json
import math
from dataclasses import replace

import pytest

from spaces.report import Report

REPORT = Report(
    step=2,
    epoch=0.5,
    train_loss=0.25,
    val_loss=0.5,
    val_score=0.75,
    learning_rate=0.1,
    seconds=1.5,
    num_images=100,
    finished=False,
    metrics={"psnr": 20.0},
    device="cpu",
    threads="1",
)


def through_json(report: Report) -> Report:
    return Report.from_json(json.loads(json.dumps(report.to_json(), allow_nan=False)))


def test_a_report_comes_back_from_json_as_it_was():
    assert through_json(REPORT) == REPORT


@pytest.mark.parametrize("name", ["train_loss", "val_loss", "val_score"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_not_finite_comes_back_as_nan_and_the_others_as_they_were(name: str, value: float):
    report = replace(REPORT, **{name: value})
    again = through_json(report)
    assert math.isnan(getattr(again, name))
    assert (report.is_finite, again.is_finite) == (False, False)
    assert replace(again, **{name: 0.0}) == replace(REPORT, **{name: 0.0})


def test_so_does_a_metric():
    again = through_json(replace(REPORT, metrics={"psnr": math.inf, "mse": 0.5}))
    assert math.isnan(again.metrics["psnr"])
    assert again.metrics["mse"] == 0.5
    assert again.is_finite


def test_a_report_of_an_earlier_version_may_lack_the_machine_and_have_a_field_that_is_no_more():
    data = {name: value for name, value in REPORT.to_json().items() if name not in ("device", "threads")}
    assert Report.from_json(data | {"loss": 0.5}) == replace(REPORT, device=None, threads=None)


def test_without_a_number_it_is_no_report():
    data = {name: value for name, value in REPORT.to_json().items() if name != "val_score"}
    with pytest.raises(TypeError, match="val_score"):
        Report.from_json(data)
