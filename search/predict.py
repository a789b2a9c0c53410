"""python -m search.predict: applies a saved model, or the mean of several, to new examples."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

from results.keys import CONFIG_HELP, key, keys_help, parse_into
from search.command_line.command import run_command

USAGE = (
    "usage: python -m search.predict model=FILE input=FILE_OR_FOLDER [output=FILE_OR_FOLDER] [values=FILE] [task=FILE]"
)
HELP = """
Applies a saved model to new examples. The input and the kind of model determine the output:

{forms}

A label is the name of a class, or a digit. ImageId counts from 1, Id from 0. A folder may hold a folder of images for
each class, also in train/, val/ and test/, and an .npz or .csv file may hold labels: then the number of correct labels
is printed too. Arrays of images hold values from 0 to 255, or from 0 to 1 in steps of 1/255. A grey array is
[N, H, W], one in colour [N, 3, H, W] or [N, H, W, 3]. Other arrays are [N, ...], with the shape of the training
examples. Rows have exactly the columns that the model was trained on, in any order, and count from 0.

A model with a module of a task's own needs the task's file, which is run: task=FILE.

A file is replaced only if output= or values= names it, or if it is an unchanged earlier output, as the hidden file
.frugal-outputs beside it records. Other files in a folder are never replaced.

Examples (M stands for the folder models/ of a run):
  python -m search.predict model=M/best.pt input=photos
  python -m search.predict model=M/best.pt input=x.npy output=y.npy
  python -m search.predict model=[M/best.pt,N/best.pt] input=digit-recognizer/test.csv
  python -m search.predict model=M/best.pt input=modified-mnist/test_max_x
  python -m search.predict model=M/best.pt input=documents/test output=cleaned values=submission.csv
  python -m search.predict model=M/best.pt input=patients.parquet task=my_task.py

Keys:"""

Files = str | list[str]


@dataclass
class PredictConfig:
    """The models and examples of a prediction, and the paths of its outputs."""

    model: Files = key("", "model file of a run; several, model=[a,b,c], are averaged", "required")
    input: str = key("", "a folder of images, or an .npy, .npz, .csv, .parquet or pickle file, as above", "required")
    output: str | None = key(None, "file or folder to write", "as above")
    values: str | None = key(None, "also write all pixels as CSV: id (image_row_column, from 1), value 0 to 1")
    task: str | None = key(None, "the task's file, for a model with a module of its own; its code is run")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit code."""
    return run_command("search.predict", arguments, help_text=help_text, parse=parse, work=print_prediction)


def help_text() -> str:
    from search.prediction.forms import describe_forms  # here, since pyarrow and Pillow take a while to import

    forms = "\n".join(f"  {line}".rstrip() for line in describe_forms())
    return "\n".join([USAGE, HELP.format(forms=forms), *keys_help(PredictConfig), CONFIG_HELP])


def parse(arguments: Sequence[str]) -> PredictConfig:
    config = parse_into(PredictConfig, arguments, "python -m search.predict --help")
    for name in ("model", "input"):
        if not getattr(config, name):
            raise ValueError(f"{name}= is missing; {USAGE}")
    return config


def print_prediction(config: PredictConfig) -> int:
    for line in predict(config):
        print(line)
    return 0


def predict(config: PredictConfig) -> list[str]:
    """Writes labels, images or numbers; returns a report, line by line. Raises ValueError as `apply_models` does."""
    from search.prediction.apply import apply_models  # here, since torch takes seconds to import

    models = config.model if isinstance(config.model, list) else [config.model]
    return apply_models(models, config.input, output=config.output, values=config.values, task=config.task)


if __name__ == "__main__":
    sys.exit(main())
