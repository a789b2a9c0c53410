"""Helpers of all benchmarks: key=value arguments, MNIST's original files, and means with standard deviations."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn, TypeVar

from data.files import default_data_dir
from data.mnist import MNIST
from data.splits import DataUnavailable, Splits
from results.keys import keys_help, parse_into
from search.command_line.command import USER_ERROR

Settings = TypeVar("Settings")


def read_settings(schema: type[Settings], name: str, claim: str) -> Settings:
    """Reads the settings of `python -m benchmarks.NAME key=value ...`; `--help` prints them and exits.

    An invalid key or value ends the process with a message on stderr.
    """
    command = f"python -m benchmarks.{name}"
    if {"--help", "-h"} & set(sys.argv[1:]):
        print("\n".join([f"usage: {command} [key=value ...]", "", claim, "", "Keys:", *keys_help(schema)]))
        sys.exit(0)
    try:
        settings = parse_into(schema, sys.argv[1:], f"{command} --help")
        for key, value in vars(settings).items():
            if isinstance(value, int) and value < 1:
                raise ValueError(f"{key}={value}: expected at least 1")
        return settings
    except ValueError as error:
        _refuse(error)


def load_mnist(data_dir: str | None) -> tuple[Path, Splits]:
    """Returns the data folder and MNIST's splits; ends the process if MNIST is unavailable.

    Made digits, the fallback of a search, would prove no claim.
    """
    folder = Path(data_dir).expanduser() if data_dir else default_data_dir()
    try:
        return folder, MNIST.load("original", folder, print)
    except (DataUnavailable, ValueError) as error:
        _refuse(error)


def mean_and_sd(values: Sequence[float]) -> str:
    """Formats accuracies (0 to 1) as '98.65 ± 0.08%', with the sample's standard deviation."""
    sd = f"{100 * statistics.stdev(values):.2f}" if len(values) > 1 else "?"
    return f"{100 * statistics.mean(values):.2f} ± {sd}%"


def _refuse(error: Exception) -> NoReturn:
    print(error, file=sys.stderr)
    sys.exit(USER_ERROR)
