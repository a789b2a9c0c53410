"""Learning curves of random candidates, recorded once: trained in one or more runs, kept in one file.

    python -m search.run task=tiny10k sampler=random num_trials=160 grace_epochs=18 reports_per_epoch=4 \\
        references=false confirm.top_k=0 run=curves
    python -m benchmarks.search_quality.played record=results/runs/curves

The first line trains, for hours; the second adds what `results.load` knows of that run to the file. Another run, with
another seed, adds its candidates to those.
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
"""Where a file's metadata has what holds for all of its curves, as JSON, and for those of each run."""
OF_ALL = ("task", "max_epochs", "reports_per_epoch", "max_params", "max_macs", "dataset")
OF_RUN = ("seed", "versions", "git_commit")
LISTS = ("train_loss", "val_loss", "val_score", "seconds")


@dataclass(frozen=True)
class RecordedCurves:
    """The recorded candidates of a task: N whole trials, each with the same S reports."""

    facts: dict[str, Any]
    params: list[Params]
    candidates: list[Candidate]
    scores_NS: Array
    seconds_NS: Array
    """Of each part of an epoch, with its validation, as if all had been recorded in the first run."""

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
        """The best score at the end of a curve."""
        return float(self.scores_NS[:, -1].max())


def pack(run: Path, path: Path) -> int:
    """Adds the whole curves of a run's drawn trials to those of other runs in a file; how many it holds then.

    Those that it had of a run with the same seed give way. Raises ValueError if there is no such run, if nothing in it
    is complete, or if its curves are of another kind than the file's.
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
    """One row for each complete trial, and the devices that these were trained on."""
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
    """This machine's: a run's tables name none."""
    import torch  # here: whoever only reads curves does without it

    from trainables.machine import describe

    return describe(torch.device("cpu"))["cpu"]


def read(path: Path) -> RecordedCurves:
    """The curves of a file. Raises ValueError if it is none."""
    table, facts = _open(path)
    num_reports = facts["max_epochs"] * facts["reports_per_epoch"]
    # Others were ended by their recipe's patience
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
        raise ValueError(f"curves={path}: there is no such file; record=RUN makes one of a run") from None
    except (pa.ArrowException, KeyError) as error:
        raise ValueError(f"curves={path}: not a file of recorded curves ({error}); record=RUN makes one") from None


def _as_in_first_run(seconds_NS: Array, runs: list[int]) -> Array:
    """Machines differ; what two runs' candidates cost in the median does not, since all are drawn alike."""
    runs_N, medians_N = np.array(runs), np.median(seconds_NS, axis=1)
    factors = {run: np.median(medians_N[runs_N == runs[0]]) / np.median(medians_N[runs_N == run]) for run in {*runs}}
    return seconds_NS * np.array([factors[run] for run in runs])[:, None]


def _params(row: dict[str, Any]) -> Params:
    prefix = "param_"
    return {name[len(prefix) :]: v for name, v in row.items() if name.startswith(prefix) and v is not None}
