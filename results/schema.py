"""The schemas of the tables: their columns with types, and the version that is recorded in every file."""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from pathlib import Path

import pyarrow as pa


class Status(StrEnum):
    """How a trial ended, or that it is still running."""

    COMPLETE = "COMPLETE"  # trained to its end: max_epochs, or its recipe's patience
    PRUNED = "PRUNED"  # stopped by ASHA at a rung
    STOPPED = "STOPPED"  # stopped by the time budget or Ctrl-C; a resumed run continues it
    FAILED = "FAILED"  # an exception that remained after max_failures retries, as recorded in `error`
    FAILED_NAN = "FAILED_NAN"  # its loss or metric was not finite
    FAILED_OOM = "FAILED_OOM"  # out of device memory, even when retried alone on a device
    UNAVAILABLE = "UNAVAILABLE"  # a reference that cannot be trained here; `error` has the reason
    RUNNING = "RUNNING"  # not ended yet: a table may be read during a run

    @property
    def is_failure(self) -> bool:
        """Whether the trial ended by a failure of its own."""
        return self in (Status.FAILED, Status.FAILED_NAN, Status.FAILED_OOM)

    @property
    def is_retryable(self) -> bool:
        """Whether the machine may have caused the ending, so that a resumed run retrains the candidate.

        FAILED_NAN is not retryable, since the same candidate and seed would fail again. FAILED_OOM is: another machine
        may have more memory, or the run fewer trials in parallel.
        """
        return self in (Status.FAILED, Status.FAILED_OOM, Status.UNAVAILABLE)


# The rule for versions. A reader accepts every version up to its own, and returns null for a column that the file
# lacks. So a new column, or one that will be empty from now on, does not raise the version. Raise a table's number if
# an older Frugal would misread the new file: if a column's name, type, unit or meaning changes, or the meaning of a
# row. In the same commit, make `upgrade` convert older columns to the new ones.
VERSION_KEY = b"frugal.schema"
_UTC = pa.timestamp("us", tz="UTC")
_CONDITIONS = [  # with the task, they decide whether the scores of two rows compare: see results/conditions.py
    ("dataset", pa.string()),  # the dataset's name
    ("dataset_origin", pa.string()),  # original or made; results on made data say nothing about the original
    ("dataset_fingerprint", pa.string()),  # a hash of all examples
    ("goal", pa.string()),  # the training goal with its settings: classify, denoise sigma=0.3
    ("max_epochs", pa.int64()),  # the length of a whole trial
    ("train_examples", pa.int64()),  # number of examples that the search trained on
    ("val_examples", pa.int64()),  # number of examples that the search validated on
]

LEADERBOARD = pa.schema(
    [
        ("run", pa.string()),  # the run's name, which is that of its folder
        ("task", pa.string()),  # the task's name
        ("trial", pa.int64()),  # its number in the run, from 0
        ("rank", pa.int64()),  # by score, then by validation loss, from 1; null for a trial without a score
        ("pareto", pa.bool_()),  # whether no other completed trial is as good and as small, and better in one
        ("status", pa.string()),  # a Status
        ("score", pa.float64()),  # the objective at the latest report, by which trials are ranked
        ("val_loss", pa.float64()),  # the mean validation loss at the latest report, which decides between equal scores
        ("best_score", pa.float64()),  # the best score of its curve
        ("best_epoch", pa.float64()),  # the epoch of best_score
        ("epochs", pa.float64()),  # epochs trained; a fraction if trials report parts of an epoch
        ("stop_rung", pa.float64()),  # the rung at which ASHA stopped it, in epochs
        ("num_params", pa.int64()),  # number of parameters, without running statistics
        ("num_trainable", pa.int64()),  # number of parameters that are trained, not frozen
        ("num_macs", pa.int64()),  # multiply-accumulate operations for an example
        ("code_size", pa.int64()),  # values in the narrowest layer of a network that makes images; null for others
        ("train_seconds", pa.float64()),  # time in training and validation, without waiting
        ("images_per_second", pa.float64()),  # training examples per second of train_seconds
        ("seed", pa.int64()),  # the seed of its training
        ("origin", pa.string()),  # where the candidate comes from: the sampler's name, reference, warm or known
        ("reference", pa.string()),  # the published network's name, for a reference
        ("repeats", pa.int64()),  # the failed trial that this one retrained, with its candidate and seed
        ("repeated_by", pa.int64()),  # for a failed trial: the later trial that retrained it
        ("device", pa.string()),  # the GPU's name, or cpu
        ("node", pa.string()),  # the host name of its last report
        ("error", pa.string()),  # why it failed or is unavailable
        ("started_at", _UTC),  # when its training started
        ("ended_at", _UTC),  # when its training ended
        *_CONDITIONS,
        ("candidate_json", pa.string()),  # the network and its recipe
    ],
    metadata={VERSION_KEY: b"leaderboard/2"},
)

CURVES = pa.schema(
    [
        ("run", pa.string()),  # the run's name, which is that of its folder
        ("task", pa.string()),  # the task's name
        ("trial", pa.int64()),  # its number in the run, from 0
        ("step", pa.int64()),  # the report's number in the trial, from 1
        ("epoch", pa.float64()),  # epochs trained at this report
        ("train_loss", pa.float64()),  # mean loss on the training examples since the last report
        ("val_loss", pa.float64()),  # mean loss on the validation examples
        ("val_score", pa.float64()),  # the objective on the validation examples
        ("learning_rate", pa.float64()),  # the optimizer's learning rate at this report
        ("seconds", pa.float64()),  # time in training and validation since the last report
        *_CONDITIONS,
    ],
    metadata={VERSION_KEY: b"curves/2"},
)

FINALISTS = pa.schema(
    [
        ("run", pa.string()),  # the run's name, which is that of its folder
        ("task", pa.string()),  # the task's name
        ("trial", pa.int64()),  # the number of its trial in the search
        ("reference", pa.string()),  # the published network's name, for a reference
        ("place", pa.int64()),  # its rank by the search's validation score, from 1; null for a reference
        ("seed", pa.int64()),  # 0, 1, ...: trainings with the same number used the same random numbers
        ("num_params", pa.int64()),  # number of parameters, without running statistics
        ("num_macs", pa.int64()),  # multiply-accumulate operations for an example
        ("epochs", pa.float64()),  # epochs of this training
        ("val_score", pa.float64()),  # the search's score, by which the finalist was chosen, not this training's
        ("test_score", pa.float64()),  # the objective on the scored examples, after this training
        ("test_loss", pa.float64()),  # mean loss on the scored examples, after this training
        ("scored_on", pa.string()),  # test, or validation if the dataset has no test examples with targets
        ("round", pa.int64()),  # which of the run's confirmations asked for this training, from 1
        ("test_read", pa.int64()),  # which reading of the test examples in this run this was, from 1
        ("chosen_after_test", pa.bool_()),  # whether test examples had been read before the finalist was chosen
        ("train_seconds", pa.float64()),  # time in training and validation, without waiting
        ("model_path", pa.string()),  # the model's file, relative to the run's folder
        *_CONDITIONS,
        ("candidate_json", pa.string()),  # the network and its recipe
    ],
    metadata={VERSION_KEY: b"finalists/1"},
)

PREDICTIONS = pa.schema(
    [
        ("run", pa.string()),  # the run's name, which is that of its folder
        ("task", pa.string()),  # the task's name
        ("trial", pa.int64()),  # trial, reference, place and seed identify a row of finalists.parquet
        ("reference", pa.string()),  # see trial
        ("place", pa.int64()),  # see trial
        ("seed", pa.int64()),  # see trial
        ("index", pa.int64()),  # the example's index in the scored split, from 0
        ("label", pa.int64()),  # the right class; null for networks that do not classify, as the next five columns
        ("predicted", pa.int64()),  # the predicted class
        ("label_name", pa.string()),  # the right class's name; null if labels are digits
        ("predicted_name", pa.string()),  # the predicted class's name; null if labels are digits
        ("probability", pa.float32()),  # the probability of the predicted class
        ("label_probability", pa.float32()),  # the probability of the right class
        ("target", pa.float64()),  # the right number, if an example has one number; null otherwise, as `value`
        ("value", pa.float64()),  # the predicted number
        # The example's contribution to the training's test_score, which is the mean of these: 1 or 0 for a classifier,
        # the image's own error for a network that makes images. For a score that is no mean over examples, such as a
        # root mean squared error, it is the score's linear part (the delta method). Null in earlier versions.
        ("image_score", pa.float64()),
        ("scored_on", pa.string()),  # test or validation, as in finalists.parquet
        *_CONDITIONS,
    ],
    metadata={VERSION_KEY: b"predictions/1"},
)

ABLATION = pa.schema(
    [
        ("run", pa.string()),  # the run's name, which is that of its folder
        ("task", pa.string()),  # the task's name
        ("base", pa.string()),  # the candidate that is varied: a published network's name, or RUN/TRIAL
        ("parameter", pa.string()),  # the choice that is varied, with everything else as in the base
        ("value", pa.string()),  # its value; null for the base itself, if none of the values is its own
        ("is_base", pa.bool_()),  # whether the value is the base's own
        ("seed", pa.int64()),  # 0, 1, ...: trainings with the same number used the same random numbers
        ("score", pa.float64()),  # the objective on the validation examples, after the training
        ("train_loss", pa.float64()),  # mean loss on the training examples since the last report
        ("val_loss", pa.float64()),  # mean loss on the validation examples, after the training
        ("epochs", pa.float64()),  # epochs of this training
        ("num_params", pa.int64()),  # number of parameters, without running statistics
        ("num_macs", pa.int64()),  # multiply-accumulate operations for an example
        ("train_seconds", pa.float64()),  # time in training and validation, without waiting
        ("trial", pa.int64()),  # in the run's journal; one training of the base counts for all parameters
        *_CONDITIONS,
        ("candidate_json", pa.string()),  # the network and its recipe
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
"""The columns without which no version of a table can be read."""
_SOLUTIONS = (
    "Read it with the version of Frugal that wrote it (the run's config.yaml names the commit), or resume the run, "
    "which rewrites its tables"
)


def leaderboard_schema(param_types: Mapping[str, pa.DataType], metric_names: Iterable[str] = ()) -> pa.Schema:
    """Returns LEADERBOARD with columns `metric_NAME` for further metrics and `param_NAME` for a space's parameters.

    The added columns are before candidate_json.
    """
    params = [pa.field(f"param_{name}", type_) for name, type_ in param_types.items()]
    return _with_columns(LEADERBOARD, [*_metric_fields(metric_names), *params])


def finalists_schema(metric_names: Iterable[str] = ()) -> pa.Schema:
    """Returns FINALISTS with columns `metric_NAME` for a task's further metrics, before candidate_json."""
    return _with_columns(FINALISTS, _metric_fields(metric_names))


def curves_schema(metric_names: Iterable[str]) -> pa.Schema:
    """Returns CURVES with a float64 column for each of a task's further metrics.

    Raises ValueError if a metric's name is that of an existing column.
    """
    names = list(metric_names)
    taken = set(names) & set(CURVES.names)
    if taken or len(set(names)) < len(names):
        raise ValueError(
            f"further metrics {names}: each needs a unique name, other than {', '.join(CURVES.names)}; "
            f"rename {', '.join(sorted(taken)) or 'the repeated one'}"
        )
    return pa.schema([*CURVES, *(pa.field(name, pa.float64()) for name in names)], metadata=CURVES.metadata)


def _metric_fields(names: Iterable[str]) -> list[pa.Field]:
    return [pa.field(f"metric_{name}", pa.float64()) for name in names]


def _with_columns(schema: pa.Schema, columns: list[pa.Field]) -> pa.Schema:
    *fields, last = schema
    return pa.schema([*fields, *columns, last], metadata=schema.metadata)


def upgrade(found: pa.Table, table: str, path: Path | str) -> pa.Table:
    """Returns a table read from `path`, of this version or an older one, with all columns and types of its schema.

    A column that the file lacks is null. Raises ValueError if the file is of a newer version or of another table, if it
    lacks a needed column, or if its values do not fit a column's type.
    """
    _check_version(found.schema, table, path)
    if len(set(found.column_names)) < len(found.column_names):
        raise ValueError(f"{path} has two columns with the same name. {_SOLUTIONS}")
    if missing := [name for name in NEEDED[table] if name not in found.column_names]:
        raise ValueError(f"{path} has no column {' or '.join(missing)}: its version is too old. {_SOLUTIONS}")
    schema = SCHEMAS[table]
    columns = {name: _column(found, schema.field(name), path) for name in schema.names}
    columns |= {name: found[name] for name in found.column_names if name not in columns}
    if "candidate_json" in columns:
        columns["candidate_json"] = columns.pop("candidate_json")  # last, since it is the longest
    return pa.table(columns).replace_schema_metadata(schema.metadata)


def _check_version(found: pa.Schema, table: str, path: Path | str) -> None:
    expected = SCHEMAS[table].metadata[VERSION_KEY].decode()
    version = (found.metadata or {}).get(VERSION_KEY, b"no version").decode(errors="replace")
    name, _, number = version.partition("/")
    if name != table or not number.isdecimal() or int(number) > int(expected.partition("/")[2]):
        raise ValueError(f"{path} holds {version}, and this version of Frugal reads {expected}. {_SOLUTIONS}")


def _column(found: pa.Table, field: pa.Field, path: Path | str) -> pa.ChunkedArray | pa.Array:
    if field.name not in found.column_names:
        return pa.nulls(len(found), field.type)
    try:
        return found[field.name].cast(field.type)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        reason = str(error).partition("\n")[0]
        raise ValueError(f"{path}: column {field.name} should hold {field.type}: {reason}. {_SOLUTIONS}") from error
