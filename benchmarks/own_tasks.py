"""Claim: within 10 minutes on 2 cores, each task of one's own in examples/ gets a network that beats its baselines.

    python -m benchmarks.own_tasks data_dir=FOLDER examples=[chirps,breast_cancer]

It runs the command in each example's docstring, kills the search with SIGKILL after its first complete trial, and
resumes it to its confirmation and ONNX files. The baselines are the example's reference, a linear model, and an
estimator of scikit-learn that learns from the examples that the confirmed models learn from.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score, jaccard_score, mean_absolute_error
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

import results
from benchmarks.command_line import read_settings
from benchmarks.runs import RunSettings
from data.splits import Split
from results.analysis.statistics import Mean
from results.keys import key
from results.report.run_record import read_run
from results.wording import number
from search.planning.keys import find_data_dir

CLAIM = "Claim: within 10 minutes on 2 cores, each task in examples/ gets a network that beats its baselines."
EXAMPLES = Path(__file__).parents[1] / "examples"
COMMAND = "python -m search.run "
NEIGHBOURS = 9
"""The side of the square of pixels from which scikit-learn's classifier predicts the class of its middle."""
PIXELS_OF_PAGE = 1_000


@dataclass
class Settings(RunSettings):
    examples: list[str] = key([], "examples to run", "all of them")


def main() -> None:
    settings = read_settings(Settings, "own_tasks", CLAIM)
    os.environ["FRUGAL_DATA_DIR"] = find_data_dir(settings.data_dir)
    print("| example | validation | test | parameters | reference | its parameters | scikit-learn | trials | minutes |")
    print("|---|---|---|---|---|---|---|---|---|", flush=True)
    for name in settings.examples or [*SCIKIT_LEARN]:
        search(settings, name)
        print("| " + " | ".join(row(settings, name)) + " |", flush=True)


def search(settings: Settings, name: str) -> None:
    """Runs the example's command, killed once and resumed, to its confirmation and ONNX files."""
    folder = settings.folder(name)
    words = [*command(EXAMPLES / f"{name}.py"), f"run={folder.name}", f"runs_dir={folder.parent}", "export=onnx"]
    folder.parent.mkdir(parents=True, exist_ok=True)
    with Path(f"{folder}.log").open("a") as log:
        if not has_complete_trial(name, folder):
            with subprocess.Popen([*words, *settings.extra], stdout=log, stderr=log) as process:
                while process.poll() is None and not has_complete_trial(name, folder):
                    time.sleep(1)
                process.kill()
        subprocess.run([*words, *settings.extra], stdout=log, stderr=log, check=True)
        shared = [each for each in settings.extra if each.startswith(("address=", "concurrency="))]
        confirm = [sys.executable, "-m", "search.confirm", *words[-3:-1], *shared]
        subprocess.run(confirm, stdout=log, stderr=log, check=True)  # repeats nothing; a time budget may have ended it


def command(example: Path) -> list[str]:
    """Returns the command in an example's docstring, with this Python."""
    line = next(line for line in example.read_text().splitlines() if line.startswith(COMMAND))
    return [sys.executable, "-m", "search.run", *shlex.split(line.removeprefix(COMMAND).rstrip('"'))]


def has_complete_trial(name: str, folder: Path) -> bool:
    if not (folder / "leaderboard.parquet").exists():
        return False
    return bool((results.load(name, folder)["status"] == "COMPLETE").any())


def row(settings: Settings, name: str) -> list[str]:
    record = read_run(settings.folder(name))
    (winner, mean), *others = record.confirmed.means.items()
    reference, reference_mean = others[-1]
    found, trials = record.confirmed_row(winner), record.leaderboard
    minutes = (trials["ended_at"].max() - trials["started_at"].min()).total_seconds() / 60
    return [
        name,
        number(found["val_score"]),
        with_interval(mean),
        f"{found['num_params']:,}",
        f"{reference} {with_interval(reference_mean)}",
        f"{record.confirmed_row(reference)['num_params']:,}",
        scikit_learn(settings, name),
        str(len(trials)),
        f"{minutes:.1f}",
    ]


def with_interval(mean: Mean) -> str:
    return f"{number(mean.value)} ({number(mean.low)} to {number(mean.high)})"


def scikit_learn(settings: Settings, name: str) -> str:
    """Returns the name and the test score of scikit-learn's estimator, trained on the same examples."""
    splits = settings.plan(name).load_data(lambda line: None)
    estimator, arrays, score = SCIKIT_LEARN[name]
    train, val, test = (arrays(split) for split in (splits.train, splits.val, splits.test))
    last = estimator[-1] if isinstance(estimator, Pipeline) else estimator
    estimator.fit(*(np.concatenate(parts) for parts in zip(train, val, strict=True)))
    return f"{type(last).__name__} {number(float(score(test[1], estimator.predict(test[0]))))}"


def rows(split: Split) -> tuple[np.ndarray, np.ndarray]:
    """Returns the examples as rows of numbers, and their targets."""
    return np.asarray(split.x).reshape(len(split), -1), np.asarray(split.y)


def pixels(split: Split) -> tuple[np.ndarray, np.ndarray]:
    """Returns the squares around pixels as rows, and the pixels' classes: of a sample of each page."""
    windows, classes = [], []
    rng = np.random.default_rng(0)
    for page, text in zip(split.x, split.y, strict=True):
        padded = np.pad(page, NEIGHBOURS // 2, mode="edge")
        found = np.lib.stride_tricks.sliding_window_view(padded, (NEIGHBOURS, NEIGHBOURS))
        chosen = rng.integers(page.size, size=PIXELS_OF_PAGE)
        windows.append(found.reshape(page.size, NEIGHBOURS, NEIGHBOURS)[chosen].reshape(len(chosen), -1))
        classes.append(text.reshape(-1)[chosen])
    return np.concatenate(windows), np.concatenate(classes)


def mean_iou(targets: np.ndarray, predicted: np.ndarray) -> float:
    return float(jaccard_score(targets, predicted, average="macro"))


def macro_f1(targets: np.ndarray, predicted: np.ndarray) -> float:
    return float(f1_score(targets, predicted, average="macro"))


SCIKIT_LEARN = {
    "text_on_pages": (HistGradientBoostingClassifier(), pixels, mean_iou),
    "turned_digits": (HistGradientBoostingRegressor(loss="absolute_error"), rows, mean_absolute_error),
    "chirps": (SVC(), rows, accuracy_score),
    "breast_cancer": (make_pipeline(StandardScaler(), LogisticRegression()), rows, accuracy_score),
    "even_digits": (SVC(), rows, macro_f1),
}
"""An estimator of scikit-learn for each example, with its default settings, its examples and its score."""


if __name__ == "__main__":
    main()
