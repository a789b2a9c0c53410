"""Two functions that compute different things have different texts, and comments make no difference to a digest."""

import runpy
from functools import partial

import numpy as np
import pytest

from search.tasks.own.function_text import digest_of, function_text
from search.tasks.own.parts import OwnTask
from spaces.goal import Custom

LIMIT, WEIGHTS = 3, np.ones(2)


def over(factor):
    def score(outputs, targets):
        return factor * (outputs - targets)

    return score


def by_default(outputs, targets, power=LIMIT):
    return (outputs - targets) ** power


def by_global(outputs, targets):
    return LIMIT * (outputs - targets) @ WEIGHTS


def by_another(outputs, targets):
    return by_global(outputs, targets)


def raised(outputs, targets, power):
    return (outputs - targets) ** power


def by_itself(depth):
    return by_itself(depth - 1)


def data():
    raise AssertionError


def text(**parts):
    return OwnTask(name="mine", data=data, **parts).code().text


def test_what_surrounds_a_function_is_part_of_its_text(monkeypatch):
    first = [function_text("f", each) for each in (over(1), by_default, by_global, by_another)]
    monkeypatch.setitem(globals(), "LIMIT", 4)
    monkeypatch.setattr(by_default, "__defaults__", (4,))
    second = [function_text("f", each) for each in (over(2), by_default, by_global, by_another)]
    assert all(one != other for one, other in zip(first, second, strict=True))


def test_an_array_counts_by_its_values(monkeypatch):
    first = function_text("f", by_global)
    monkeypatch.setitem(globals(), "WEIGHTS", np.zeros(2))
    assert function_text("f", by_global) != first


def test_a_partial_counts_by_its_arguments():
    assert function_text("f", partial(raised, power=1)) != function_text("f", partial(raised, power=2))
    assert function_text("f", partial(raised, power=1)) == function_text("f", partial(raised, power=1))


def test_functions_that_call_themselves_end():
    assert function_text("f", by_itself).count("def by_itself") == 1


def test_the_functions_of_a_goal_are_part_of_the_task():
    def other(outputs, targets):
        return (outputs - targets).abs()

    first, second = (
        text(goal=Custom(loss=loss, score=by_default, direction="minimize")) for loss in (by_global, other)
    )
    assert first != second


def test_references_have_no_addresses():
    one, other = (text(references={"linear": lambda: LIMIT}) for _ in range(2))
    assert one == other
    assert " at 0x" not in one


@pytest.mark.parametrize(("one", "other"), [({"augment": False}, {}), ({"max_params": 1}, {"max_params": 2})])
def test_values_are_part_of_the_task(one, other):
    assert text(**one) != text(**other)


def test_a_digest_leaves_out_comments(tmp_path):
    found = []
    for name, comment in (("first.py", ""), ("second.py", "  # why")):
        path = tmp_path / name
        path.write_text(f"def score(a, b):{comment}\n    return a\n")
        found.append(runpy.run_path(str(path))["score"])
    assert digest_of(found[0]) == digest_of(found[1])
    assert digest_of(by_default) != digest_of(by_global)
