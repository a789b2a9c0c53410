"""python -m search.report: writes one page about a run, or one that compares several; it needs no network."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from results.bucket import upload
from results.fetch import fetch_run
from results.files import StorageError
from results.keys import CONFIG_HELP, check_name, key, keys_help, parse_into
from results.locations import is_remote, user_facing_path
from results.own_files import check_output
from results.report.compare import comparison
from results.report.pages import REPORT, comparison_name, write_page, write_report
from results.report.run_record import RunRecord, read_run
from results.runs_at import RULE, runs_at
from search.command_line.command import run_command

USAGE = "python -m search.report run=NAME"
HELP = """
Writes a run's report, RUN/report.html, from its current tables, journal and pictures, even during the run. Several
runs, run=[A,B], are compared on one page, each only with those of the same task, goal, dataset, epochs and numbers of
examples. A page is one file, needs no network, and follows the system's light or dark setting."""


@dataclass
class ReportConfig:
    """The runs to report, and the file to write."""

    run: str | list[str] = key("", "name of the run; several, run=[a,b], are compared", "required")
    runs_dir: str = key("", "folder of all runs", RULE)
    output: str | None = key(
        None,
        "file to write; replaces an existing file unless it is a run's own",
        "report.html in the run's folder; report-A-B.html in runs_dir",
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Reports the runs that the command line names, and returns the exit code."""
    return run_command("search.report", arguments, help_text=help_text, parse=parse, work=report)


def help_text() -> str:
    return "\n".join([f"usage: {USAGE}", HELP, "", "Keys:", *keys_help(ReportConfig), CONFIG_HELP])


def parse(arguments: Sequence[str]) -> ReportConfig:
    config = parse_into(ReportConfig, arguments, "python -m search.report --help")
    names = config.run if isinstance(config.run, list) else [config.run]
    if not any(names):
        raise ValueError(f"run= is needed; usage: {USAGE}")
    for name in names:
        check_name("run", name)
    return replace(config, run=list(dict.fromkeys(names)), runs_dir=runs_at(config.runs_dir))


def report(config: ReportConfig) -> int:
    """Writes the page and prints its path."""
    try:
        path = _write(config)
        if is_remote(config.runs_dir) and not config.output:
            upload(config.runs_dir, path)
            print(user_facing_path(path), flush=True)
        else:
            print(path, flush=True)
    except OSError as error:
        raise StorageError(f"{error.filename or config.runs_dir}: {error.strerror or error}") from error
    return 0


def _write(config: ReportConfig) -> Path:
    folders = [fetch_run(config.runs_dir, name) for name in config.run]
    output = Path(config.output).expanduser() if config.output else None
    if output:
        check_output("output", output, runs=folders, allowed=[REPORT])
    if len(folders) == 1:
        return write_report(folders[0], output)
    content = comparison(_read_runs(folders))
    return write_page(content, output or folders[0].parent / comparison_name(config.run))


def _read_runs(folders: Sequence[Path]) -> list[RunRecord]:
    """Returns the runs whose tables can be read, and prints a notice about each other one.

    Raises ValueError if none can be read, or if a folder has no search.
    """
    found: list[RunRecord] = []
    faults: list[ValueError] = []
    for folder in folders:
        try:
            found.append(read_run(folder))
        except ValueError as fault:
            if not (folder / "leaderboard.parquet").is_file():
                raise
            faults.append(fault)
    if not found:
        raise faults[0]
    for fault in faults:
        print(f"NOTICE: left out of the comparison: {fault}", file=sys.stderr, flush=True)
    return found


if __name__ == "__main__":
    sys.exit(main())
