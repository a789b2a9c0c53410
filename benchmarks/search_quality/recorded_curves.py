"""Learning curves of random candidates that were trained in one or more runs, in one Parquet file.

    python -m search.run task=tiny10k sampler=random num_trials=160 grace_epochs=18 reports_per_epoch=4 \\
        references=false confirm.top_k=0 run=curves
    python -m benchmarks.search_quality.played record=results/runs/curves

The first command trains for hours; the second adds that run's curves to the file. A run with another seed adds further
candidates.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import yaml
from numpy.typing import NDArray

import results
from data.files import replacing
from results.schema import Status
from search import tasks
from search.tasks import Task
from spaces.recipe import Candidate
from spaces.space import Params

Array = NDArray[np.float64]

FACTS = b"frugal.recorded_curves"
"""The key of the file's metadata that holds, as JSON, the facts about all curves and about those of each run."""
OF_ALL = ("task", "max_epochs", "reports_per_epoch", "max_params", "max_macs", "dataset")
OF_RUN = ("seed", "versions", "git_commit")
LISTS = ("train_loss", "val_loss", "val_score", "seconds")


@dataclass(frozen=True)
class RecordedCurves:
    """The recorded candidates of a task: N complete trials with S reports each."""

    facts: dict[str, Any]
    params: list[Params]
    candidates: list[Candidate]
    scores_NS: Array
    seconds_NS: Array
    """The seconds of each part of an epoch with its validation, scaled to the machine of the first run."""

    @property
    def task(self) -> Task:
        return tasks.find(self.facts["task"])

    @property
    def reports_per_epoch(self) -> int:
        return self.facts["reports_per_epoch"]

    @property
    def max_epochs(self) -> int:
        return self.facts["max_epochs"]

    @property
    def best(self) -> float:
        """Returns the best score at the end of a curve."""
        return float(self.scores_NS[:, -1].max())


def pack(run: Path, path: Path) -> int:
    """Adds the complete curves of a run's drawn trials to a file, and returns the number of curves in the file.

    They replace those of a run with the same seed. Raises ValueError if there is no such run, if none of its trials is
    complete, or if its task, budget, length or dataset differ from the file's.
    """
    table, devices = _curves_of(run)
    config: dict[str, Any] = yaml.safe_load((run / "config.yaml").read_bytes())
    table = table.append_column("run_seed", pa.array([config["seed"]] * len(table)))
    facts = {name: config[name] for name in OF_ALL} | {"runs": []}
    if path.exists():
        earlier, facts_there = _open(path)
        if differing := [name for name in OF_ALL if facts_there[name] != facts[name]]:
            there = ", ".join(f"{name}={facts_there[name]}" for name in differing)
            raise ValueError(f"record={run}: the curves in {path} are of {there}; name another file with curves=")
        facts = facts_there
        facts["runs"] = [each for each in facts["runs"] if each["seed"] != config["seed"]]
        earlier = earlier.filter(pc.not_equal(earlier["run_seed"], config["seed"]))
        table = pa.concat_tables([earlier, table], promote_options="default")
    facts["runs"].append({name: config[name] for name in OF_RUN} | {"devices": devices, "cpu": _cpu()})
    with replacing(path) as file:
        described = table.replace_schema_metadata({FACTS: json.dumps(facts).encode()})
        pq.write_table(described, file, compression="zstd", compression_level=19)
    return len(table)


def _curves_of(run: Path) -> tuple[pa.Table, list[str]]:
    """Returns one row for each complete trial, and the devices on which these were trained."""
    board = results.load(None, run).sort_values("trial")
    whole = board[(board["status"] == Status.COMPLETE) & board["reference"].isna()]
    if not len(whole):
        raise ValueError(f"record={run}: no trial of this run is complete yet")
    names = ["trial", "seed", *(name for name in whole if name.startswith("param_")), "candidate_json"]
    table = pa.Table.from_pandas(whole[names], preserve_index=False)
    reports = results.load(None, run, table="curves").sort_values(["trial", "step"])
    lists = reports.groupby("trial")[list(LISTS)].agg(list).loc[whole["trial"]]
    for name in LISTS:
        table = table.append_column(name, pa.array(lists[name].to_list(), pa.list_(pa.float32())))
    return table.replace_schema_metadata(None), sorted(set(whole["device"]))


def _cpu() -> str:
    """Returns the name of this machine's CPU, which a run's tables do not have."""
    import torch  # imported here, because reading curves does not need it

    from trainables.machine import describe

    return describe(torch.device("cpu"))["cpu"]


def read(path: Path) -> RecordedCurves:
    """Reads the curves of a file. Raises ValueError if there is no such file, or if it is not a file of curves."""
    table, facts = _open(path)
    num_reports = facts["max_epochs"] * facts["reports_per_epoch"]
    # Shorter curves were ended by their recipe's patience
    rows = [row for row in table.to_pylist() if len(row["val_score"]) == num_reports]
    return RecordedCurves(
        facts,
        [_params(row) for row in rows],
        [Candidate.from_json(row["candidate_json"]) for row in rows],
        np.array([row["val_score"] for row in rows], np.float64),
        _as_in_first_run(np.array([row["seconds"] for row in rows], np.float64), [row["run_seed"] for row in rows]),
    )


def _open(path: Path) -> tuple[pa.Table, dict[str, Any]]:
    try:
        table = pq.ParquetFile(path).read(use_threads=False)
        return table, json.loads((table.schema.metadata or {})[FACTS])
    except FileNotFoundError:
        raise ValueError(f"curves={path}: there is no such file; record=RUN makes one from a run") from None
    except (pa.ArrowException, KeyError) as error:
        raise ValueError(f"curves={path}: not a file of recorded curves ({error}); record=RUN makes one") from None


def _as_in_first_run(seconds_NS: Array, runs: list[int]) -> Array:
    """Scales seconds so that the median candidate of each run costs the same; all runs draw from one distribution."""
    runs_N, medians_N = np.array(runs), np.median(seconds_NS, axis=1)
    factors = {run: np.median(medians_N[runs_N == runs[0]]) / np.median(medians_N[runs_N == run]) for run in {*runs}}
    return seconds_NS * np.array([factors[run] for run in runs])[:, None]


def _params(row: dict[str, Any]) -> Params:
    prefix = "param_"
    return {name[len(prefix) :]: v for name, v in row.items() if name.startswith(prefix) and v is not None}
