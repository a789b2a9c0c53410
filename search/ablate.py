"""python -m search.ablate: one choice varied around a base, over several seeds: what does it matter?"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from textwrap import fill
from typing import TYPE_CHECKING, Any

import pandas as pd

from results.analysis.ablation import Effect, describe_gap, effects
from results.analysis.statistics import bounds_of, mean, mean_cells
from results.keys import entries_of, key, keys_help, parse_into, read_fields
from results.locations import user_facing_path, working_folder
from results.run_config import parse_config
from results.wording import count
from search import tasks
from search.command_line.command import FAILED, run_command
from search.command_line.terminal import Column, Table, Terminal
from search.planning.config import RunConfig, new_name
from search.planning.config import parse as parse_run
from search.planning.keys import MAX_SEEDS, RunKeys
from search.planning.resume import ablate_command, earlier
from spaces import variants
from spaces.goal import Metric

if TYPE_CHECKING:
    from search.retraining.ablation import Ablation
    from search.session.session import Session

USAGE = "python -m search.ablate task=TASK base=BASE vary=NAME values=[a,b,...]"
PROMISE = f"""
Trains a base and its variants, each with one choice changed and all else as it was, over the same seeds, as a run of
its own: on the training images, scored on the validation images; the test images are not touched. The table has the
means with 95% intervals over the seeds, and the difference from the base in pairs of equal seeds.

A base is a published network of the task (bertoldi), a trial of a run (NAME/17), or a run (NAME) for its best trial.
Of a trial, each of its task's parameters can be varied; of any base
{fill(", ".join(variants.names()), 118, initial_indent="  ", subsequent_indent="  ")}
Several are varied in turn, not together: vary=[dropout,pooling] values.dropout=[0,0.1] values.pooling=[max,average];
without values, a parameter has all that the space has, where these are names.

What was cut short goes on with run=NAME alone; more seeds or values add to it."""
SHARED = (
    *("task", "max_epochs", "train_examples", "val_examples", "sigma", "seed", "run", "runs_dir", "data", "data_dir"),
    *(
        "concurrency",
        "cpus_per_trial",
        "gpus_per_trial",
        "max_failures",
        "record_steps",
        "weights",
        "time_budget_seconds",
        "address",
        "report",
    ),
)
"""Keys of a search that an ablation takes too."""
OF_BASE = ("task", "data", "data_dir", "sigma")
"""Those that are taken from the run that a base comes from."""


@dataclass
class AblateKeys:
    """What is varied, around what."""

    base: str = key("", "a published network, RUN/TRIAL, or RUN for its best trial", "needed")
    vary: str | list[str] = key("", "the parameter to vary, or [several, in turn]", "needed")
    values: Any = key(
        None, "[a,b,...]; of several parameters values.NAME=[a,b,...]", "the space's, where they are names"
    )
    seeds: int = key(3, "trainings of each variant", above=0, most=MAX_SEEDS)


@dataclass(frozen=True)
class AblateConfig:
    keys: AblateKeys
    run: RunConfig


def main(arguments: Sequence[str] | None = None) -> int:
    """Trains what the command line says."""
    return run_command("search.ablate", arguments, help_text=help_text, parse=parse, work=run)


def help_text() -> str:
    shared = [line for line in keys_help(RunKeys) if line.split()[0] in SHARED]
    example = "example: python -m search.ablate task=tiny10k base=bertoldi vary=dropout values=[0,0.1,0.2] seeds=3"
    return "\n".join([f"usage: {USAGE}", PROMISE, "", "Keys:", *keys_help(AblateKeys), *shared, "", example])


def parse(arguments: Sequence[str]) -> AblateConfig:
    """What is asked; what the command line leaves open is as it was where the run is there already.

    Raises ValueError that names the key and what it takes.
    """
    own = entries_of(AblateKeys)
    mine = [each for each in arguments if each.partition("=")[0].split(".")[0] in own]
    others = [each for each in arguments if each not in mine]
    for each in others:
        if (name := each.partition("=")[0]) not in SHARED:
            raise ValueError(f"{name}: there is no such key here; python -m search.ablate --help lists them all")
    others = [*_of_base(_given(mine, "base"), others), *others]
    task = _given(others, "task") or RunKeys.task
    config = parse_run([*others, f"run={_given(others, 'run') or new_name(f'{task}-ablation')}"])
    keys = parse_into(_earlier(config) or AblateKeys(), mine, "python -m search.ablate --help")
    if not keys.base or not keys.vary:
        raise ValueError(f"base= and vary= are needed; usage: {USAGE}")
    return AblateConfig(keys, config)


def run(config: AblateConfig) -> int:
    from search.planning.known_candidates import find_base
    from search.planning.plan import Plan
    from search.retraining.ablation import Ablation
    from search.retraining.retrain import again
    from search.session.session import open_session

    keys = config.keys
    plan = dataclasses.replace(Plan.of(config.run), more={"ablation": dataclasses.asdict(keys)})
    base = find_base(keys.base, plan.task, config.run.weights.value, config.run.runs_dir)
    ablation = Ablation.of(plan, base, _values(keys, config.run.task, base.params), keys.seeds)
    with open_session(plan, open_study=ablation.open_study, go_on=ablate_command(config.run)) as session:
        job = ablation.job(session.splits)
        session.terminal.say(
            ("ablation", "bold"),
            f": {keys.base} and {count(len(job.given) // keys.seeds - 1, 'variant')}, "
            f"{count(keys.seeds, 'seed')} each, {count(plan.max_epochs, 'epoch')} on "
            f"{len(session.splits.train):,} images of {session.splits.name} "
            f"({session.splits.origin}), scored on {len(session.splits.val):,} validation images\n"
            f"run      {user_facing_path(plan.folder.path)}",
        )
        outcome = session.train(job, session.study, session.splits)
        print_ablation(session.terminal, ablation, session)
        if ablation.rows(session.study, session.splits):
            session.write_report()
        failed = again(session.study, job.given, ablate_command(config.run))
        if not outcome.is_whole:
            session.say(f"Not all was trained. Resume with: {ablate_command(config.run)}")
        elif failed:
            session.terminal.say(failed, style="bold yellow")
    is_done = outcome.is_whole and not failed
    return session.exit_code(0 if is_done or outcome.out_of_time else FAILED)


def print_ablation(terminal: Terminal, ablation: Ablation, session: Session) -> None:
    """A table for each parameter that was varied, in the order of its values."""
    from search.retraining.retrain import failures

    rows = pd.DataFrame(ablation.rows(session.study, session.splits))
    objective, name = ablation.plan.task.objective, ablation.plan.objective_text
    for parameter, mine in rows.groupby("parameter", sort=False) if len(rows) else ():
        terminal.show(_table(f"{parameter}: {name}, mean over seeds", str(parameter), effects(mine), objective))
    if len(rows):
        terminal.say(
            "The 95% intervals cover the seeds alone: other trainings, scored on these same validation images."
        )
    for line in [*failures(session.study), f"table: {user_facing_path(ablation.plan.folder.path)}/ablation.parquet"]:
        terminal.say(line)


def _table(title: str, parameter: str, found: Sequence[Effect], objective: Metric) -> Table:
    columns = (
        Column(parameter, is_text=True, folds=True),
        Column("mean"),
        Column("95% interval", goes=3),
        Column("seeds", goes=1),
        Column("from the base, in pairs of equal seeds", goes=4, is_text=True, wraps=True),
        Column("parameters", goes=2),
    )
    table = Table(columns, title)
    for each in found:
        value, interval, _, n = mean_cells(mean(list(each.scores.values()), bounds_of(objective.direction)))
        table.add(
            each.value,
            value,
            interval,
            n,
            "the base" if each.is_base else describe_gap(each.gap),
            f"{each.num_params:,}",
            style="cyan" if each.is_base else "",
        )
    return table


def _values(keys: AblateKeys, task: str, params: Mapping[str, Any]) -> dict[str, list[Any]]:
    """The values of each parameter that is varied. Raises ValueError where they are missing, or belong to none."""
    names = keys.vary if isinstance(keys.vary, list) else [keys.vary]
    given = keys.values if isinstance(keys.values, dict) else {names[0]: keys.values} if keys.values is not None else {}
    if keys.values is not None and len(names) > 1 and not isinstance(keys.values, dict):
        raise ValueError(f"values: of several parameters, each has its own: values.{names[0]}=[a,b]")
    if surplus := given.keys() - set(names):
        raise ValueError(f"values.{min(surplus)}: not among what is varied, {', '.join(names)}")
    return {name: _listed(name, given[name]) if name in given else _choices(name, task) for name in names}


def _listed(name: str, values: Any) -> list[Any]:
    if not isinstance(values, list) or not values:
        raise ValueError(f"values={values}: expected a list of values of {name}, as [a,b,c]")
    return values


def _choices(name: str, task: str) -> list[Any]:
    """All that the space has. Raises ValueError for what is no choice between names."""
    from optuna.distributions import CategoricalDistribution

    for parameter in tasks.find(task).space.parameters:
        if parameter.name == name and isinstance(parameter.distribution, CategoricalDistribution):
            return list(parameter.distribution.choices)
    raise ValueError(f"values= is needed: which values of {name}, as values=[a,b,c]")


def _of_base(base: str, typed: Sequence[str]) -> list[str]:
    """Where the base of a new ablation is a run's, the task, data and noise of that run, unless they are typed.

    Raises ValueError that names the run's configuration if it is damaged.
    """
    folder = working_folder(parse_run([each for each in typed if each.startswith("runs_dir=")]).runs_dir)
    run = _given(typed, "run")
    if not base or (run and (folder / run).exists()):
        return []
    begun = earlier(str(folder), base.partition("/")[0])
    values = {name: getattr(begun, name, None) for name in OF_BASE}
    return [f"{name}={value}" for name, value in values.items() if value is not None and not _given(typed, name)]


def _earlier(config: RunConfig) -> AblateKeys | None:
    """What the run was asked for before, if it is there. Raises ValueError if it is a search."""
    path = working_folder(config.runs_dir) / config.run / "config.yaml"
    if not path.is_file():
        return None
    try:
        found = parse_config(path.read_bytes())
    except (OSError, ValueError):
        found = None  # which says what of it is wrong where the run's own keys are read
    if not isinstance(found, dict) or not isinstance(found.get("ablation"), dict):
        raise ValueError(f"run={config.run}: there is a run of that name that is no ablation; name another")
    return read_fields(AblateKeys, found["ablation"])


def _given(arguments: Sequence[str], name: str) -> str:
    """What was typed for a key, the last that was; empty if nothing was."""
    return next((each.partition("=")[2] for each in reversed(arguments) if each.startswith(f"{name}=")), "")


if __name__ == "__main__":
    sys.exit(main())
