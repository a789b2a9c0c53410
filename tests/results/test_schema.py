"""The schemas have the columns that are listed here, and a file of another version is refused by name."""

import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from results import tables
from results.conditions import CONDITIONS
from results.schema import CURVES, LEADERBOARD, SCHEMAS, VERSION_KEY, Status, curves_schema, leaderboard_schema

COLUMNS = [
    "run",
    "task",
    "trial",
    "rank",
    "pareto",
    "status",
    "score",
    "val_loss",
    "best_score",
    "best_epoch",
    "epochs",
    "stop_rung",
    "num_params",
    "num_trainable",
    "num_macs",
    "code_size",
    "train_seconds",
    "images_per_second",
    "seed",
    "origin",
    "reference",
    "repeats",
    "repeated_by",
    "device",
    "node",
    "error",
    "started_at",
    "ended_at",
    "dataset",
    "dataset_origin",
    "dataset_fingerprint",
    "goal",
    "max_epochs",
    "train_examples",
    "val_examples",
    "candidate_json",
]


def test_columns_stand_in_their_order():
    assert LEADERBOARD.names == COLUMNS
    params = {"padding": pa.string(), "filters": pa.int64()}
    assert leaderboard_schema(params).names == [*COLUMNS[:-1], "param_padding", "param_filters", "candidate_json"]
    both = ["metric_psnr", "param_padding", "param_filters"]
    assert leaderboard_schema(params, ["psnr"]).names == [*COLUMNS[:-1], *both, "candidate_json"]
    assert curves_schema(["val_rmse"]).names == [*CURVES.names, "val_rmse"]


VERSIONS = {"leaderboard": 2, "curves": 2, "finalists": 1, "predictions": 1, "ablation": 1}


def test_every_column_may_be_null_and_every_schema_has_its_version():
    for name, schema in SCHEMAS.items():
        assert all(field.nullable for field in schema)
        assert schema.metadata[VERSION_KEY] == f"{name}/{VERSIONS[name]}".encode()
    assert leaderboard_schema({"x": pa.bool_()}).metadata == LEADERBOARD.metadata
    assert curves_schema(["x"]).metadata == CURVES.metadata


def test_every_table_says_whether_its_scores_compare():
    for schema in SCHEMAS.values():
        assert set(CONDITIONS) <= set(schema.names)


def test_status_is_the_string_that_the_table_holds():
    assert [str(status) for status in Status] == [status.name for status in Status]


@pytest.mark.parametrize("names", [["val_loss"], ["rmse", "rmse"]])
def test_a_metric_needs_a_name_of_its_own(names):
    with pytest.raises(ValueError, match=names[0]):
        curves_schema(names)


@pytest.mark.parametrize("metadata", [{VERSION_KEY: b"leaderboard/7"}, {VERSION_KEY: b"curves/2"}, None])
def test_another_version_is_refused_with_both_versions(tmp_path, metadata):
    path = tmp_path / "leaderboard.parquet"
    pq.write_table(LEADERBOARD.with_metadata(metadata).empty_table(), path)
    found = metadata[VERSION_KEY].decode() if metadata else "no version"
    with pytest.raises(ValueError, match=rf"leaderboard\.parquet holds {found}, .* reads leaderboard/2"):
        tables.read(path, "leaderboard")


@pytest.mark.parametrize("content", [b"", b"run,task\n", b"PAR1 half a file"])
def test_what_is_not_parquet_is_refused_by_name(tmp_path, content):
    path = tmp_path / "leaderboard.parquet"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"leaderboard\.parquet is not a Parquet file"):
        tables.read(path, "leaderboard")


def test_results_opens_without_torch_and_ray():
    code = "import sys, results, results.plots; assert not {'torch', 'ray', 'optuna'} & set(sys.modules), 'too much'"
    subprocess.run([sys.executable, "-c", code], check=True)
