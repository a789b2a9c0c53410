"""What benchmarks of whole searches share: the keys of their command lines, and the plan of a run that they made."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from results.keys import key
from search.planning import config
from search.planning.plan import Plan
from search.planning.resume import earlier


@dataclass
class RunSettings:
    """Where a benchmark's searches read and write, and further keys for them."""

    data_dir: str | None = key(None, "folder of data files", "$FRUGAL_DATA_DIR, else a cache in your home")
    runs_dir: str = key("results/runs", "folder of all runs; existing runs are resumed, or only read if complete")
    prefix: str = key("laptop", "beginning of the runs' names, before the name of the task or example")
    extra: list[str] = key([], "further keys for search.run: extra=[num_trials=8,confirm.top_k=1]")

    def folder(self, name: str) -> Path:
        """Returns the folder of the search with this name."""
        return Path(self.runs_dir, f"{self.prefix}-{name}")

    def plan(self, name: str) -> Plan:
        """Returns the plan of the search with this name, which has run."""
        run = self.folder(name).name
        keys = earlier(self.runs_dir, run)
        assert keys is not None
        return Plan.of(config.complete(replace(keys, run=run)))
