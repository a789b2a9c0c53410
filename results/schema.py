"""What the tables hold: the columns, their types and the version that stands in every file."""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from pathlib import Path

import pyarrow as pa


class Status(StrEnum):
    """How a trial ended, or that it has not."""

    COMPLETE = "COMPLETE"  # trained to its end: max_epochs, or its recipe's patience
    PRUNED = "PRUNED"  # stopped by ASHA at a rung
    STOPPED = "STOPPED"  # by the time budget or Ctrl-C; a resumed run goes on with it
    FAILED = "FAILED"  # an exception, still there after max_failures retries; `error` tells it
    FAILED_NAN = "FAILED_NAN"  # its loss or metric was not finite
    FAILED_OOM = "FAILED_OOM"  # out of device memory, after a retry alone on a device
    UNAVAILABLE = "UNAVAILABLE"  # a reference that cannot be trained here; `error` tells why
    RUNNING = "RUNNING"  # not ended yet: a table may be read while the run goes on

    @property
    def is_failure(self) -> bool:
        """Whether the trial's own fault ended it."""
        return self in (Status.FAILED, Status.FAILED_NAN, Status.FAILED_OOM)

    @property
    def is_retryable(self) -> bool:
        """Whether a fault of the machine may have ended the trial: a run that goes on trains its candidate again.

        Not so for FAILED_NAN, which the same candidate and seed would come to again. Memory is the machine's: another
        one has more, or this one with fewer trials side by side.
        """
        return self in (Status.FAILED, Status.FAILED_OOM, Status.UNAVAILABLE)


# The rule for versions. A reader takes every version up to its own, and gives null for a column that the file does not
# have. So a new column, or one that stays empty from now on, does not raise the version. Raise a table's number where
# an older Frugal would read the new file wrongly: where a column changes its name, type, unit or meaning, or where rows
# mean something else. In the same commit, let `brought_up` turn older columns into the new ones.
VERSION_KEY = b"frugal.schema"
_UTC = pa.timestamp("us", tz="UTC")
_CONDITIONS = [  # of the run; with the task, they say whether two rows' scores compare: see results/conditions.py
    ("dataset", pa.string()),
    ("dataset_origin", pa.string()),  # original, or made: a stand-in, whose results are no results on the original
    ("dataset_fingerprint", pa.string()),
    ("goal", pa.string()),  # what networks are trained for, with its settings: classify, denoise sigma=0.3
    ("max_epochs", pa.int64()),  # of a whole trial
    ("train_examples", pa.int64()),  # images that the search trained on, and those that it validated on
    ("val_examples", pa.int64()),
]

LEADERBOARD = pa.schema(
    [
        ("run", pa.string()),
        ("task", pa.string()),
        ("trial", pa.int64()),
        ("rank", pa.int64()),  # from 1; null without a score to rank by
        ("pareto", pa.bool_()),  # no other completed trial is at least as good and as small, and better in one
        ("status", pa.string()),  # a Status
        ("score", pa.float64()),  # the objective where the trial ended or stands; what ranks go by
        ("best_score", pa.float64()),  # the best of its curve
        ("best_epoch", pa.float64()),
        ("epochs", pa.float64()),  # trained; a float, since trials may report parts of an epoch
        ("stop_rung", pa.float64()),  # epochs at the rung where ASHA stopped it
        ("num_params", pa.int64()),
        ("num_trainable", pa.int64()),
        ("num_macs", pa.int64()),
        ("code_size", pa.int64()),  # values at the narrowest place of a network that makes images; null for others
        ("train_seconds", pa.float64()),
        ("images_per_second", pa.float64()),
        ("seed", pa.int64()),
        ("origin", pa.string()),
        ("reference", pa.string()),  # the published network's name, for a reference
        ("repeats", pa.int64()),  # the failed trial whose candidate and seed this one trained again
        ("repeated_by", pa.int64()),  # of such a failed trial: the one that did
        ("device", pa.string()),
        ("node", pa.string()),
        ("error", pa.string()),
        ("started_at", _UTC),
        ("ended_at", _UTC),
        *_CONDITIONS,
        ("candidate_json", pa.string()),
    ],
    metadata={VERSION_KEY: b"leaderboard/2"},
)

CURVES = pa.schema(
    [
        ("run", pa.string()),
        ("task", pa.string()),
        ("trial", pa.int64()),
        ("step", pa.int64()),
        ("epoch", pa.float64()),
        ("train_loss", pa.float64()),
        ("val_loss", pa.float64()),
        ("val_score", pa.float64()),
        ("learning_rate", pa.float64()),
        ("seconds", pa.float64()),
        *_CONDITIONS,
    ],
    metadata={VERSION_KEY: b"curves/2"},
)

FINALISTS = pa.schema(
    [
        ("run", pa.string()),
        ("task", pa.string()),
        ("trial", pa.int64()),  # of the search that it comes from
        ("reference", pa.string()),  # the published network's name, for a reference
        ("place", pa.int64()),  # from 1, by the search's validation score; a reference has none
        ("seed", pa.int64()),  # 0, 1, ...: finalists of one seed number were trained with the same random numbers
        ("num_params", pa.int64()),
        ("num_macs", pa.int64()),
        ("epochs", pa.float64()),
        ("val_score", pa.float64()),  # the search's, by which the finalist was chosen; not of this training
        ("test_score", pa.float64()),  # of this training, at its end
        ("test_loss", pa.float64()),
        ("scored_on", pa.string()),  # test; or validation, where the dataset has no test images with answers
        ("round", pa.int64()),  # from 1: of the run's confirmations, the one that asked for this training
        ("test_read", pa.int64()),  # from 1: which reading of the test images for this run this training's was
        ("chosen_after_test", pa.bool_()),  # whether they had been read for this run when the finalist was chosen
        ("train_seconds", pa.float64()),
        ("model_path", pa.string()),  # from the run's folder
        *_CONDITIONS,
        ("candidate_json", pa.string()),
    ],
    metadata={VERSION_KEY: b"finalists/1"},
)

PREDICTIONS = pa.schema(
    [
        ("run", pa.string()),
        ("task", pa.string()),
        ("trial", pa.int64()),  # trial, reference, place and seed say of which row of finalists.parquet
        ("reference", pa.string()),
        ("place", pa.int64()),
        ("seed", pa.int64()),
        ("index", pa.int64()),  # the image's place in the split that was scored, from 0
        ("label", pa.int64()),  # like all that follows up to label_probability, null for networks that make images
        ("predicted", pa.int64()),
        ("label_name", pa.string()),  # null where the labels are the digits themselves
        ("predicted_name", pa.string()),
        ("probability", pa.float32()),  # of what was predicted
        ("label_probability", pa.float32()),  # of what would have been right
        # What the image contributes to the training's test_score, which is the mean of these: of a classifier 1 or 0,
        # of what makes images its own error; of a root mean squared error, where a mean of roots is another, the root's
        # linear part around the score (the delta method). Null in tables of earlier versions.
        ("image_score", pa.float64()),
        ("scored_on", pa.string()),
        *_CONDITIONS,
    ],
    metadata={VERSION_KEY: b"predictions/1"},
)

ABLATION = pa.schema(
    [
        ("run", pa.string()),
        ("task", pa.string()),
        ("base", pa.string()),  # what is varied: a published network's name, or RUN/TRIAL
        ("parameter", pa.string()),  # the choice that is varied, all else being the base's
        ("value", pa.string()),  # null for the base itself, where none of the values is its own
        ("is_base", pa.bool_()),
        ("seed", pa.int64()),  # 0, 1, ...: trainings of one seed number had the same random numbers
        ("score", pa.float64()),  # the task's objective on the validation images, at the training's end
        ("train_loss", pa.float64()),
        ("val_loss", pa.float64()),
        ("epochs", pa.float64()),
        ("num_params", pa.int64()),
        ("num_macs", pa.int64()),
        ("train_seconds", pa.float64()),
        ("trial", pa.int64()),  # in the run's journal; a base that has a value in several parameters was trained once
        *_CONDITIONS,
        ("candidate_json", pa.string()),
    ],
    metadata={VERSION_KEY: b"ablation/1"},
)

SCHEMAS = {
    "leaderboard": LEADERBOARD,
    "curves": CURVES,
    "finalists": FINALISTS,
    "predictions": PREDICTIONS,
    "ablation": ABLATION,
}


NEEDED = {
    "leaderboard": ("run", "task", "trial", "status"),
    "curves": ("run", "task", "trial", "step"),
    "finalists": ("run", "task", "trial", "seed"),
    "predictions": ("run", "task", "trial", "seed", "index"),
    "ablation": ("run", "task", "parameter", "seed"),
}
"""Columns that a table of any version must have to be read."""
_WAYS_OUT = (
    "Read it with the version of Frugal that wrote it (the run's config.yaml names the commit), or resume the run, "
    "which writes its tables anew"
)


def leaderboard_schema(param_types: Mapping[str, pa.DataType], metric_names: Iterable[str] = ()) -> pa.Schema:
    """LEADERBOARD with columns `metric_NAME` for a task's further metrics and `param_NAME` for a space's parameters.

    They stand ahead of candidate_json.
    """
    params = [pa.field(f"param_{name}", type_) for name, type_ in param_types.items()]
    return _with_columns(LEADERBOARD, [*_metric_fields(metric_names), *params])


def finalists_schema(metric_names: Iterable[str] = ()) -> pa.Schema:
    """FINALISTS with columns `metric_NAME` for a task's further metrics, ahead of candidate_json."""
    return _with_columns(FINALISTS, _metric_fields(metric_names))


def curves_schema(metric_names: Iterable[str]) -> pa.Schema:
    """CURVES with a float64 column for each of a task's further metrics.

    Raises ValueError if a metric has the name of a column that is there already.
    """
    names = list(metric_names)
    taken = set(names) & set(CURVES.names)
    if taken or len(set(names)) < len(names):
        raise ValueError(
            f"further metrics {names}: each needs a name of its own, other than {', '.join(CURVES.names)}; "
            f"rename {', '.join(sorted(taken)) or 'the one given twice'}"
        )
    return pa.schema([*CURVES, *(pa.field(name, pa.float64()) for name in names)], metadata=CURVES.metadata)


def _metric_fields(names: Iterable[str]) -> list[pa.Field]:
    return [pa.field(f"metric_{name}", pa.float64()) for name in names]


def _with_columns(schema: pa.Schema, columns: list[pa.Field]) -> pa.Schema:
    *fields, last = schema
    return pa.schema([*fields, *columns, last], metadata=schema.metadata)


def upgrade(found: pa.Table, table: str, path: Path | str) -> pa.Table:
    """A table read from `path`, of this version or an older one, with all columns of its schema in their types.

    A column that the file does not have is null. Raises ValueError if the file is of a newer version, of another
    table, without a column that nothing can be done without, or with values that do not fit a column's type.
    """
    _check_version(found.schema, table, path)
    if len(set(found.column_names)) < len(found.column_names):
        raise ValueError(f"{path} has two columns of one name. {_WAYS_OUT}")
    if missing := [name for name in NEEDED[table] if name not in found.column_names]:
        raise ValueError(f"{path} has no column {' or '.join(missing)}: it is of too old a version. {_WAYS_OUT}")
    schema = SCHEMAS[table]
    columns = {name: _column(found, schema.field(name), path) for name in schema.names}
    columns |= {name: found[name] for name in found.column_names if name not in columns}
    if "candidate_json" in columns:
        columns["candidate_json"] = columns.pop("candidate_json")  # the last, as it is the longest to look at
    return pa.table(columns).replace_schema_metadata(schema.metadata)


def _check_version(found: pa.Schema, table: str, path: Path | str) -> None:
    expected = SCHEMAS[table].metadata[VERSION_KEY].decode()
    version = (found.metadata or {}).get(VERSION_KEY, b"no version").decode(errors="replace")
    name, _, number = version.partition("/")
    if name != table or not number.isdecimal() or int(number) > int(expected.partition("/")[2]):
        raise ValueError(f"{path} holds {version}, and this version of Frugal reads {expected}. {_WAYS_OUT}")


def _column(found: pa.Table, field: pa.Field, path: Path | str) -> pa.ChunkedArray | pa.Array:
    if field.name not in found.column_names:
        return pa.nulls(len(found), field.type)
    try:
        return found[field.name].cast(field.type)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        reason = str(error).partition("\n")[0]
        raise ValueError(f"{path}: column {field.name} should hold {field.type}: {reason}. {_WAYS_OUT}") from error
