"""Runs an ablation: trains a base and its variants over the same seeds, and prints how they differ."""

from __future__ import annotations

import dataclasses

from results.locations import user_facing_path
from results.wording import count
from search import tasks
from search.command_line.signals import Stop
from search.planning.known_candidates import find_base
from search.planning.plan import Plan
from search.planning.resume import ablate_command
from search.retraining.ablate_config import AblateConfig, AblateKeys
from search.retraining.ablation import Ablation
from search.retraining.ablation_table import print_ablation
from search.retraining.retrain import describe_retryable
from search.session.session import Ending, open_session
from spaces.space import Params


def ablate_run(config: AblateConfig, stop: Stop | None = None) -> Ending:
    """Trains a base and its variants, as a run of its own. Raises ValueError for an unknown base or value."""
    keys = config.keys
    plan = dataclasses.replace(Plan.of(config.run), more={"ablation": dataclasses.asdict(keys)})
    base = find_base(keys.base, plan.task, config.run.weights.value, config.run.runs_dir)
    ablation = Ablation.of(plan, base, _values(keys, config.run.task, base.params), keys.seeds)
    command = ablate_command(config.run)
    with open_session(plan, open_study=ablation.open_study, resume_with=command, stop=stop) as session:
        job = ablation.job(session.splits)
        session.terminal.say(
            ("ablation", "bold"),
            f": {keys.base} and {count(len(job.given) // keys.seeds - 1, 'variant')}, "
            f"{count(keys.seeds, 'seed')} each, {count(plan.max_epochs, 'epoch')} on "
            f"{len(session.splits.train):,} examples of {session.splits.name} "
            f"({session.splits.origin}), scored on {len(session.splits.val):,} validation examples\n"
            f"run      {user_facing_path(plan.folder.path)}",
        )
        outcome = session.train(job, session.study, session.splits)
        print_ablation(session.terminal, ablation, session)
        if ablation.rows(session.study, session.splits):
            session.write_report()
        failed = describe_retryable(session.study, job.given, command)
        if not outcome.is_whole:
            session.say(f"Not all was trained. Resume with: {command}")
        elif failed:
            session.terminal.say(failed, style="bold yellow")
    is_done = outcome.is_whole and not failed
    return session.ending(None if is_done or outcome.out_of_time else failed or "not all variants were trained")


def _values(keys: AblateKeys, task: str, params: Params) -> dict[str, list[object]]:
    """Returns the values of each varied parameter. Raises ValueError if some are missing, or belong to none of them."""
    names = keys.vary if isinstance(keys.vary, list) else [keys.vary]
    given = keys.values if isinstance(keys.values, dict) else {names[0]: keys.values} if keys.values is not None else {}
    if keys.values is not None and len(names) > 1 and not isinstance(keys.values, dict):
        raise ValueError(f"values: with several parameters, each has its own: values.{names[0]}=[a,b]")
    if surplus := given.keys() - set(names):
        raise ValueError(f"values.{min(surplus)}: not one of the varied parameters, {', '.join(names)}")
    return {name: _listed(name, given[name]) if name in given else _choices(name, task) for name in names}


def _listed(name: str, values: object) -> list[object]:
    if not isinstance(values, list) or not values:
        raise ValueError(f"values={values}: expected a list of values of {name}, as [a,b,c]")
    return values


def _choices(name: str, task: str) -> list[object]:
    """Returns all choices of a categorical parameter. Raises ValueError for another parameter."""
    from optuna.distributions import CategoricalDistribution

    for parameter in tasks.find(task).space.parameters:
        if parameter.name == name and isinstance(parameter.distribution, CategoricalDistribution):
            return list(parameter.distribution.choices)
    raise ValueError(f"values= is needed: which values of {name}, as values=[a,b,c]")
