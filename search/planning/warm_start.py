"""Warm start: tries the best candidates of earlier runs first, and reuses their results if they are valid here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path

from results import tables
from results.analysis.comparable import describe_excluded, find_differences
from results.conditions import Conditions
from results.fetch import download
from results.locations import is_remote, user_facing_path
from results.own_files import JOURNAL
from results.schema import Status
from results.wording import count
from search.planning.identity import Identity
from search.planning.known_candidates import completed_entries
from search.planning.plan import Plan
from search.planning.task_text import is_same_code, read_text
from search.runs.folder import RunFolder
from search.runs.model_files import copy_model, holds, set_aside
from search.study.budget import judge
from search.study.journal import Journal
from search.study.study import Study
from search.study.trial import KNOWN
from spaces.recipe import Candidate
from spaces.report import Report
from spaces.space import Params

TRIALS_PER_WARM = 4
"""One trial in this number may come from an earlier run."""
IDENTITY_KEYS = ("dataset_fingerprint", "goal", "max_epochs", "reports_per_epoch", "weights")
"""Settings that an earlier run must share with this one for its curves to be valid here."""

NEEDED_FILES = (JOURNAL, "models/best.pt", "task.py")
"""Files of an earlier run that a warm start reads."""

Say = Callable[[str], None]
Warm = tuple[Candidate, Params]


@dataclass(frozen=True)
class Earlier:
    """A completed trial of an earlier run."""

    run: str
    name: str
    candidate: Candidate
    params: Params
    score: float
    """Larger is better."""
    conditions: Conditions
    """The conditions of the score."""
    seed: int = 0
    reports: Sequence[Report] = ()
    """Its curve, empty if it is unknown."""
    identity: Mapping[str, object] = field(default_factory=dict)
    is_same_code: bool = True
    """Whether its task's code is this run's, if the task is a user's own."""
    model: Path | None = None
    """Its run's models/best.pt, which may hold another trial's network."""


def find_earlier(plan: Plan, say: Say) -> list[Earlier]:
    """Returns the completed candidates of `warm_start` (a run, a folder of runs or a leaderboard), best first in a run.

    Raises ValueError if there are none, or only prints a notice if the run already exists.
    """
    if plan.config.warm_start is None:
        return []
    try:
        return _read(plan, plan.config.warm_start, say)
    except ValueError as missing:
        if not plan.folder.journal.exists():
            raise
        say(f"NOTICE: {missing}. The run continues without it")
        return []


def start_warm(plan: Plan, study: Study, earlier: Sequence[Earlier], identity: Identity, say: Say) -> list[Warm]:
    """Imports the curves of the best earlier candidates if they are valid here, and returns the others, to be trained.

    A curve is valid if its run shares `IDENTITY_KEYS` with this one, so that training here would give the same curve.
    Candidates outside the space or the budget are left out with a notice. Only comparable scores are ranked.
    """
    room = max(1, plan.num_trials // TRIALS_PER_WARM) - sum(trial.is_earlier for trial in study.current)
    here = Conditions.of_identity(identity.to_json())
    chosen = _choose(_order(earlier, here), room, plan, study, say)
    if room > 0:
        _print_differences(earlier, chosen, here, say)
    if others := sorted({each.run for each in chosen if not each.is_same_code}):
        say(f"warm     {', '.join(others)}: the task's file was another one; its candidates are retrained")
    known = [each for each in chosen if _is_valid_here(each, identity)]
    for each in known:
        study.add_known(each.candidate, each.params, each.seed, each.reports)
    _keep_model([each for each in earlier if _is_valid_here(each, identity)], plan, study, say)
    if chosen:
        say(f"warm     {len(chosen)} of {plan.config.warm_start}, {len(known)} of them reused without training")
    return [(each.candidate, each.params) for each in chosen if each not in known]


def _read(plan: Plan, path: str, say: Say) -> list[Earlier]:
    local = _local_path(path)
    if not local.exists() and (run := _local_path(f"{plan.config.runs_dir}/{path}")).is_dir():
        local = run
    found = _read_table(local, plan) if local.is_file() else _read_folder(local, plan, say)
    if not found:
        raise ValueError(
            f"warm_start={path}: no completed candidate of task={plan.task.name} there; expected a run's folder or "
            "name, a folder of runs, or a leaderboard.parquet"
        )
    return found


def _local_path(path: str) -> Path:
    """Returns the path, or a local copy of its needed files if it is in a bucket."""
    return download(path, *NEEDED_FILES) if is_remote(path) else Path(path)


def _read_folder(path: Path, plan: Plan, say: Say) -> list[Earlier]:
    """Returns the candidates of a run, or of a folder's other runs. Leaves out damaged ones with a notice."""
    if (path / JOURNAL).exists():
        return _read_run(RunFolder(path), plan)
    own = user_facing_path(plan.folder.path.resolve())
    found: list[Earlier] = []
    for journal in sorted(path.glob(f"*/{JOURNAL}")):
        if user_facing_path(journal.parent.resolve()) == own:
            continue
        try:
            found += _read_run(RunFolder(journal.parent), plan)
        except ValueError as fault:
            say(f"NOTICE: warm start: a run is left out: {fault}")
    return found


def _read_run(folder: RunFolder, plan: Plan) -> list[Earlier]:
    journal = Journal.read(folder.journal)
    if journal.identity.get("task") != plan.task.name or "ablation" in journal.identity:
        return []
    same = plan.task.code is None or (
        folder.task.is_file() and is_same_code(read_text(folder.task), plan.task.code.text)
    )
    return [
        Earlier(
            run=folder.name,
            name=f"trial {entry.trial.number} of {folder.name}",
            candidate=entry.trial.candidate,
            params=entry.trial.params,
            score=plan.task.objective.signed(entry.reports[-1].val_score),
            conditions=Conditions.of_identity(journal.identity),
            seed=entry.trial.seed,
            reports=entry.reports,
            identity=journal.identity,
            is_same_code=same,
            model=folder.best_model,
        )
        for entry in completed_entries(journal, plan.task)
    ]


def _read_table(path: Path, plan: Plan) -> list[Earlier]:
    """Returns the candidates of a leaderboard, without curves, which it does not have."""
    table = tables.read(path, "leaderboard")
    if (journal := path.with_name(JOURNAL)).exists():  # otherwise the table was moved without its run
        table = tables.set_run_name(tables.fill_conditions(table, tables.read_beginning(journal)), path.parent.name)
    rows = [row for row in table.to_pylist() if row["task"] == plan.task.name]
    return [
        Earlier(
            run=row["run"],
            name=f"trial {row['trial']} of {row['run']}",
            candidate=Candidate.from_json(row["candidate_json"]),
            params={n.removeprefix("param_"): v for n, v in row.items() if n.startswith("param_") and v is not None},
            score=plan.task.objective.signed(row["score"]),
            conditions=Conditions.of_row(row),
        )
        for row in rows
        if row["status"] == Status.COMPLETE and not row["reference"]
    ]


def _order(earlier: Sequence[Earlier], here: Conditions) -> list[Earlier]:
    """Orders candidates: first, best first, those whose scores compare with this run's; then the others.

    The others are taken in turns from groups of comparable runs, each group's best first. Their scores are not compared
    across groups, since less noise alone gives a better score without a better network.
    """
    by_run: dict[tuple[str, Conditions], list[Earlier]] = {}
    for each in earlier:
        by_run.setdefault((each.run, each.conditions), []).append(each)
    own: list[Earlier] = []
    groups: list[tuple[Conditions, list[Earlier]]] = []
    for (_, conditions), found in by_run.items():
        group = own if not conditions.differences(here) else _comparable_group(groups, conditions)
        group += found
    turns = zip_longest(*(_best_first(group) for _, group in groups))
    return _best_first(own) + [each for turn in turns for each in turn if each is not None]


def _comparable_group(groups: list[tuple[Conditions, list[Earlier]]], conditions: Conditions) -> list[Earlier]:
    """Returns the group whose scores compare with those under these conditions, or a new group if there is none."""
    for theirs, group in groups:
        if not conditions.differences(theirs):
            return group
    groups.append((conditions, []))
    return groups[-1][1]


def _best_first(found: Sequence[Earlier]) -> list[Earlier]:
    return sorted(found, key=lambda each: -each.score)


def _print_differences(earlier: Sequence[Earlier], chosen: Sequence[Earlier], here: Conditions, say: Say) -> None:
    """Prints the runs whose scores do not compare with this run's, with what differs."""
    if apart := find_differences({each.run: each.conditions for each in earlier}.items(), here):
        again = count(sum(each.run in apart for each in chosen), "candidate")
        say(f"warm     {describe_excluded(apart, 'this run')}; {again} to retrain")


def _is_valid_here(each: Earlier, identity: Identity) -> bool:
    return (
        bool(each.reports)
        and each.is_same_code
        and all(each.identity.get(name) == getattr(identity, name) for name in IDENTITY_KEYS)
    )


def _choose(found: Sequence[Earlier], room: int, plan: Plan, study: Study, say: Say) -> list[Earlier]:
    """Returns the first candidates, as many as the run has room for, that are new to it and that it may try."""
    chosen: dict[str, Earlier] = {}
    for each in found:
        if len(chosen) >= room:
            break
        if study.knows(each.candidate) or each.candidate.to_json() in chosen:
            continue
        if reason := _reason_against(each, plan):
            say(f"warm start: {each.name} left out: {reason}")
        else:
            chosen[each.candidate.to_json()] = each
    return list(chosen.values())


def _reason_against(each: Earlier, plan: Plan) -> str | None:
    """Returns why a candidate cannot be one of this search, or None if it can."""
    try:
        plan.space.check_drawn(each.params)
    except ValueError as outside:
        return str(outside)
    candidate, reason = judge(plan.space, plan.budget, each.params)
    if candidate is not None and reason is None and candidate != each.candidate:
        return "its parameters give another candidate in this version's space"
    return reason


def _keep_model(known: Sequence[Earlier], plan: Plan, study: Study, say: Say) -> None:
    """Copies the best trial's model from its run if that trial was imported and a file there has its network.

    If none has, sets aside the model of the previous best trial, since it is no longer the best. Raises StorageError.
    """
    best, target = study.best, plan.folder.best_model
    if best is None or best.origin != KNOWN or holds(target, best, plan.task.code):
        return
    models = [each.model for each in known if each.model and each.candidate == best.candidate]
    if source := next((model for model in models if holds(model, best, plan.task.code)), None):
        copy_model(source, target)
    else:
        set_aside(target, say)
