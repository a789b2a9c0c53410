"""The preview of dry_run=true: the space, the rejections and a predicted time. Also the checks before a search."""

from __future__ import annotations

import os

from data.splits import Splits
from results.wording import count
from search.command_line.terminal import Column, Table, Terminal
from search.planning.plan import Plan
from search.planning.survey import Survey, predict_epochs, survey, time_epoch
from spaces.network import short_number
from spaces.recipe import Candidate
from spaces.space import Space, describe


def check_feasible(plan: Plan) -> None:
    """Raises ValueError, with the rejection rate and the smallest network seen, if no network is within the budget."""
    if survey(plan.space, plan.budget, plan.config.seed, num_draws=20).feasible:
        return  # the usual case; the full survey takes a second
    seen = survey(plan.space, plan.budget, plan.config.seed)
    if seen.feasible:
        return
    smallest = seen.smallest()
    hint = f"; the smallest network seen has {_size(smallest)}" if smallest else ""
    hint += f"; one that cannot be built: {seen.misfit}" if seen.misfit else ""
    raise ValueError(
        f"max_params={plan.budget.max_params} max_macs={plan.budget.max_macs}: nothing in the space fits; "
        f"100% of {seen.num_draws} draws were rejected ({seen.rates()}){hint}"
    )


def check_reports(plan: Plan, splits: Splits) -> None:
    """Raises ValueError if a candidate's epoch has fewer batches than `reports_per_epoch`."""
    asked = plan.config.reports_per_epoch
    if asked == 1:
        return
    num_examples = plan.goal.num_examples([image.shape for image in splits.train.x])
    drawn = survey(plan.space, plan.budget, plan.config.seed, num_draws=100).feasible
    for candidate in [*plan.references().values(), *drawn]:
        size = min(candidate.recipe.batch_size, num_examples)
        if asked > (num_batches := num_examples // size):
            raise ValueError(
                f"reports_per_epoch={asked}: an epoch of {splits.name} has only {num_batches} "
                f"{'batch' if num_batches == 1 else 'batches'} of {count(size, 'example')}"
            )


def print_preview(plan: Plan, terminal: Terminal) -> None:
    """Prints the space, the rejections and the predicted time. Trains only a few batches, to time them."""
    terminal.say((plan.task.name, "bold"), f": {plan.task.sentence}")
    terminal.show(space_table(plan.space))
    check_feasible(plan)
    seen = survey(plan.space, plan.budget, plan.config.seed)
    for line in [*_budget_lines(seen), _time_line(plan, seen)]:
        terminal.say(line)


def space_table(space: Space) -> Table:
    """Returns a table of the space: each parameter with its values."""
    table = Table((Column("parameter", is_text=True), Column("values", is_text=True, wraps=True)), title="space")
    for parameter in space.parameters:
        table.add(parameter.name, describe(parameter.distribution) + (" (if it applies)" if parameter.when else ""))
    return table


def _budget_lines(seen: Survey) -> list[str]:
    smallest = min(seen.feasible, key=lambda candidate: candidate.network.num_params)
    rates = f": {seen.rates()}" if seen.rejected else ""
    return [
        f"budget: {1 - seen.acceptance:.1%} of {seen.num_draws} random draws rejected{rates}",
        f"smallest feasible network seen: {_size(smallest)}",
        f"largest feasible network seen: {_size(seen.largest())}",
    ]


def _time_line(plan: Plan, seen: Survey) -> str:
    splits = plan.load_data(lambda text: None)
    epochs = predict_epochs(
        plan.pruner(),
        num_trials=plan.num_trials,
        max_epochs=plan.max_epochs,
        reports_per_epoch=plan.config.reports_per_epoch,
        seed=plan.config.seed,
    )
    epochs += len(plan.references()) * plan.max_epochs
    seconds = time_epoch(seen.feasible, plan.goal, splits, plan.config.seed, plan.task.code)
    slots = plan.config.concurrency or max(1, int((os.cpu_count() or 1) / plan.config.cpus_per_trial))
    total = epochs * seconds / slots
    return (
        f"predicted time: {count(round(total / 60), 'minute')} on {count(slots, 'slot')} of this machine's CPU: about "
        f"{count(round(epochs), 'epoch')} of {seconds:.1f} s on {splits.name} ({len(splits.train):,} examples), timed "
        "on a few batches, assuming random scores"
    )


def _size(candidate: Candidate | None) -> str:
    assert candidate is not None
    return f"{candidate.network.num_params:,} parameters and {short_number(candidate.network.num_macs)} MACs"
