"""Warm start: tries the best candidates of earlier runs first, and reuses their results where they are valid here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Any

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
"""A search has at most one trial of an earlier run for this number of trials."""
IDENTITY_KEYS = ("dataset_fingerprint", "goal", "max_epochs", "reports_per_epoch", "weights")
"""Settings that an earlier run must share with this one for its curves to be valid here."""

NEEDED_FILES = (JOURNAL, "models/best.pt")
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
    identity: Mapping[str, Any] = field(default_factory=dict)
    model: Path | None = None
    """Its run's models/best.pt, which may hold another trial's network."""


def find_earlier(plan: Plan, say: Say) -> list[Earlier]:
    """The completed candidates at `warm_start`, each run's best first: of a run, a folder of runs, or a leaderboard.

    Raises ValueError if there are none; if the run exists already, it prints a notice instead.
    """
    if plan.config.warm_start is None:
        return []
    try:
        return _found(plan, plan.config.warm_start, say)
    except ValueError as missing:
        if not plan.folder.journal.exists():
            raise
        say(f"NOTICE: {missing}. The run continues without it")
        return []


def start_warm(plan: Plan, study: Study, earlier: Sequence[Earlier], identity: Identity, say: Say) -> list[Warm]:
    """Takes over what is known of the best earlier candidates, and gives those that are still to be trained.

    Known is a curve that training here would give: of the same `identity`, as far as it counts. Candidates that lie
    outside the space or the budget are named and left out. Scores are ranked only where they compare.
    """
    room = max(1, plan.num_trials // TRIALS_PER_WARM) - sum(trial.is_earlier for trial in study.current)
    here = Conditions.of_identity(identity.to_json())
    chosen = _chosen(_in_order(earlier, here), room, plan, study, say)
    if room > 0:
        _tell_apart(earlier, chosen, here, say)
    known = [each for each in chosen if _is_known(each, identity)]
    for each in known:
        study.add_known(each.candidate, each.params, each.seed, each.reports)
    _keep_model([each for each in earlier if _is_known(each, identity)], plan, study, say)
    if chosen:
        say(f"warm     {len(chosen)} of {plan.config.warm_start}, {len(known)} of them reused without training")
    return [(each.candidate, each.params) for each in chosen if each not in known]


def _found(plan: Plan, place: str, say: Say) -> list[Earlier]:
    path = _local(place)
    if not path.exists() and (named := _local(f"{plan.config.runs_dir}/{place}")).is_dir():
        path = named
    found = _of_table(path, plan) if path.is_file() else _of_folder(path, plan, say)
    if not found:
        raise ValueError(
            f"warm_start={place}: no completed candidate of task={plan.task.name} there; expected a run's folder or "
            "name, a folder of runs, or a leaderboard.parquet"
        )
    return found


def _local(place: str) -> Path:
    """The place, or a copy of what is needed of it, where it is in a bucket."""
    return download(place, *NEEDED_FILES) if is_remote(place) else Path(place)


def _of_folder(path: Path, plan: Plan, say: Say) -> list[Earlier]:
    """Of a run, or of all runs of a folder but this one; one of these that is damaged is named and left out."""
    if (path / JOURNAL).exists():
        return _of_run(RunFolder(path), plan)
    own = user_facing_path(plan.folder.path.resolve())
    found: list[Earlier] = []
    for journal in sorted(path.glob(f"*/{JOURNAL}")):
        if user_facing_path(journal.parent.resolve()) == own:
            continue
        try:
            found += _of_run(RunFolder(journal.parent), plan)
        except ValueError as fault:
            say(f"NOTICE: warm start: a run is left out: {fault}")
    return found


def _of_run(folder: RunFolder, plan: Plan) -> list[Earlier]:
    journal = Journal.read(folder.journal)
    if journal.identity.get("task") != plan.task.name or "ablation" in journal.identity:
        return []
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
            model=folder.best_model,
        )
        for entry in completed_entries(journal, plan.task)
    ]


def _of_table(path: Path, plan: Plan) -> list[Earlier]:
    """From a leaderboard, which says too little of a curve to take it over."""
    table = tables.read(path, "leaderboard")
    if (journal := path.with_name(JOURNAL)).exists():  # else the table has been moved by itself
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


def _in_order(earlier: Sequence[Earlier], here: Conditions) -> list[Earlier]:
    """Those whose scores compare with this run's, the best first; then the others in turns, each group's best first.

    Groups are of runs that compare with each other: less noise alone gives a better score, and no better network.
    """
    by_run: dict[tuple[str, Conditions], list[Earlier]] = {}
    for each in earlier:
        by_run.setdefault((each.run, each.conditions), []).append(each)
    own: list[Earlier] = []
    groups: list[tuple[Conditions, list[Earlier]]] = []
    for (_, conditions), found in by_run.items():
        alike = own if not conditions.differences(here) else _alike(groups, conditions)
        alike += found
    turns = zip_longest(*(_best_first(group) for _, group in groups))
    return _best_first(own) + [each for turn in turns for each in turn if each is not None]


def _alike(groups: list[tuple[Conditions, list[Earlier]]], conditions: Conditions) -> list[Earlier]:
    """The group whose scores compare with those under these conditions; a new one where there is none."""
    for theirs, group in groups:
        if not conditions.differences(theirs):
            return group
    groups.append((conditions, []))
    return groups[-1][1]


def _best_first(found: Sequence[Earlier]) -> list[Earlier]:
    return sorted(found, key=lambda each: -each.score)


def _tell_apart(earlier: Sequence[Earlier], chosen: Sequence[Earlier], here: Conditions, say: Say) -> None:
    """Names the runs whose scores do not compare with this run's, and what differs."""
    if apart := find_differences({each.run: each.conditions for each in earlier}.items(), here):
        again = count(sum(each.run in apart for each in chosen), "candidate")
        say(f"warm     {describe_excluded(apart, 'this run')}; {again} to retrain")


def _is_known(each: Earlier, identity: Identity) -> bool:
    return bool(each.reports) and all(each.identity.get(name) == getattr(identity, name) for name in IDENTITY_KEYS)


def _chosen(found: Sequence[Earlier], room: int, plan: Plan, study: Study, say: Say) -> list[Earlier]:
    """The first that the run has room for, of those that are new to it and that it may try."""
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
    """Why a candidate is none of this search's, or None if it is."""
    try:
        plan.space.check_drawn(each.params)
    except ValueError as outside:
        return str(outside)
    candidate, reason = judge(plan.space, plan.budget, each.params)
    if candidate is not None and reason is None and candidate != each.candidate:
        return "its parameters give another candidate in this version's space"
    return reason


def _keep_model(known: Sequence[Earlier], plan: Plan, study: Study, say: Say) -> None:
    """Copies the model of a best trial that was taken over, if a file of its run holds that trial's network.

    Where none does, an earlier best trial's model is set aside: it is the best one's no more. Raises StorageError.
    """
    best, target = study.best, plan.folder.best_model
    if best is None or best.origin != KNOWN or holds(target, best):
        return
    models = [each.model for each in known if each.model and each.candidate == best.candidate]
    if source := next((model for model in models if holds(model, best)), None):
        copy_model(source, target)
    else:
        set_aside(target, say)
