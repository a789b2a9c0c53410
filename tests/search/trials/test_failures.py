"""Errors: lack of memory, the cause in one line, and failures that stop a run."""

from dataclasses import replace

import pytest
import torch
from ray.exceptions import RayActorError, RayTaskError

from results.schema import Status
from search.study.trial import TrialRecord
from search.trials.failures import FirstFailures, failed_as_before, in_full, in_one_line, is_out_of_memory
from tests.search.toy import toy_candidate

LOST = RayActorError(
    error_msg="The actor died unexpectedly before finishing this task.\n\tclass_name: Worker\n\tpid: 4711\n"
    "Its worker process has died: connection error code 2. End of file. Some common causes include: (1) the system"
)


def task_error(cause: Exception) -> RayTaskError:
    return RayTaskError("step", "\x1b[36mray::step()\x1b[39m\n  a long stack", cause)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB"),
        RuntimeError("CUDA error: out of memory\nmore"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:124] . DefaultCPUAllocator: not enough memory"),
        OSError("[Errno 12] Cannot allocate memory"),
        MemoryError(),
        task_error(MemoryError()),
    ],
)
def test_errors_that_name_memory_are_out_of_memory(error: Exception):
    assert is_out_of_memory(error)


@pytest.mark.parametrize("error", [None, LOST, RuntimeError("shape mismatch"), task_error(KeyError("memory"))])
def test_other_errors_are_not_out_of_memory(error: Exception | None):
    assert not is_out_of_memory(error)


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (None, "the worker was lost"),
        (KeyError("broken"), "KeyError: 'broken'"),
        (task_error(RuntimeError("first\nsecond")), "RuntimeError: first"),
        (MemoryError(), "MemoryError: "),
        (
            LOST,
            "The actor died unexpectedly before finishing this task. "
            "Its worker process has died: connection error code 2. End of file.",
        ),
    ],
)
def test_a_table_has_the_cause_in_one_line(error: Exception | None, line: str):
    assert in_one_line(error) == line


def test_the_terminal_has_all_of_it_without_colours():
    assert in_full(task_error(KeyError("broken"))) == "ray::step()\n  a long stack"
    assert in_full(None) == "the loss or the score was not finite"


def ended(*endings: tuple[Status, str | None]) -> FirstFailures:
    """Returns the record after trials with these endings."""
    failures = FirstFailures(3)
    candidate = toy_candidate({"filters": 1, "optimizer": "adam"})
    for number, (status, error) in enumerate(endings):
        trial = TrialRecord(number=number, candidate=candidate, seed=0, origin="tpe", status=status, error=error)
        failures.count(trial)
    return failures


SAME = (Status.FAILED, "KeyError: 'broken'")


def test_failures_that_are_all_the_same_are_known_at_the_limit():
    assert [ended(*[SAME] * count).are_all_the_same for count in (0, 2, 3, 4)] == [False, False, True, True]


def test_numbers_in_an_error_make_no_difference():
    sizes = [(Status.FAILED_OOM, f"tried to allocate {size} MiB in process {7 * size}") for size in (9, 20, 1024)]
    assert ended(*sizes).are_all_the_same


@pytest.mark.parametrize(
    "other",
    [
        (Status.COMPLETE, None),
        (Status.PRUNED, None),
        (Status.FAILED_OOM, "KeyError: 'broken'"),
        (Status.FAILED, "KeyError: 'other'"),
        (Status.FAILED_NAN, None),
    ],
)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_one_other_ending_among_the_first_makes_failures_accidents_for_good(other, place: int):
    endings = [SAME] * 9
    endings[place] = other
    assert not ended(*endings).are_all_the_same


def test_references_whose_weights_are_unavailable_say_nothing_of_the_others():
    gone = (Status.UNAVAILABLE, "the ImageNet weights of vgg16 are unavailable")
    assert not ended(*[gone] * 9).are_all_the_same
    assert not ended(gone, SAME, gone, SAME).are_all_the_same
    assert ended(gone, SAME, gone, SAME, SAME).are_all_the_same


def test_a_lost_workers_line_is_printed_once():
    assert in_one_line(RayActorError(error_msg="The actor is unavailable: socket closed.")).count("unavailable") == 1


def failing_twice(second: str, *others: Status) -> bool:
    """Returns whether a repeated trial counts as failed as before, given other endings."""
    candidate = toy_candidate({"filters": 1, "optimizer": "adam"})
    one = TrialRecord(number=0, candidate=candidate, seed=0, origin="tpe", status=Status.FAILED, error="killed by 17")
    rest = [replace(one, number=1 + n, status=status) for n, status in enumerate(others)]
    again = replace(one, number=1 + len(rest), repeats=0, error=second)
    return failed_as_before(again, [one, *rest, again])


def test_a_candidate_that_fails_twice_alike_says_nothing_of_the_others_where_some_did_well():
    """Otherwise a run with several such candidates could never be extended."""
    assert failing_twice("killed by 23", Status.FAILED, Status.COMPLETE)
    assert failing_twice("killed by 23", Status.PRUNED)
    assert not failing_twice("killed by 23", Status.FAILED), "a fault that was not mended stops the run again"
    assert not failing_twice("another error", Status.COMPLETE)
