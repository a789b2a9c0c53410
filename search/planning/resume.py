"""Resuming a run: its earlier keys, and the commands that resume it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from results.fetch import fetch_run
from results.keys import read_fields
from results.run_config import GIVEN_IN_PYTHON, parse_config
from results.runs_at import is_default
from results.shell import argument_of, command_line
from search.planning.keys import RunKeys

if TYPE_CHECKING:
    from search.planning.config import RunConfig

SESSION_KEYS = ("run", "runs_dir", "time_budget_seconds", "address", "dry_run")
"""Keys of one session, which a resumed run does not take from its earlier sessions."""


def earlier(runs_dir: str, run: str) -> RunKeys | None:
    """Returns the keys of a run's earlier sessions, or None if it has none. Raises ValueError if they are damaged."""
    path = fetch_run(runs_dir, run) / "config.yaml"
    try:
        content = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise ValueError(f"{path}: cannot be read: {error.strerror}; name others with runs_dir= and run=") from None
    try:
        found = parse_config(content)
        if not isinstance(found, dict) or "task" not in found:
            raise ValueError("it names no task")
        return read_fields(RunKeys, {name: value for name, value in found.items() if name not in SESSION_KEYS})
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f"{path}: not the configuration of a run, or damaged: {str(error).rstrip('.')}. "
            "Remove it, and give the run's original settings on the command line"
        ) from None


def resume_command(config: RunConfig) -> str:
    """Returns the command that resumes this search; a call in Python if its task was given there."""
    if config.task.startswith(GIVEN_IN_PYTHON):
        runs_dir = "" if is_default(config.runs_dir) else f", runs_dir={config.runs_dir!r}"
        return f"search.start(task, run={config.run!r}{runs_dir})"
    return _command_for(config, "search.run", task=config.task)


def confirm_command(config: RunConfig) -> str:
    """Returns the command that starts or resumes the confirmation of this run."""
    return _command_for(config, "search.confirm")


def ablate_command(config: RunConfig) -> str:
    """Returns the command that resumes this ablation."""
    return _command_for(config, "search.ablate")


def _command_for(config: RunConfig, module: str, **words: str) -> str:
    words["run"] = config.run
    if not is_default(config.runs_dir):
        words["runs_dir"] = config.runs_dir
    return command_line(module, *(argument_of(name, text) for name, text in words.items()))
