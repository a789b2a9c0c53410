"""Tests the description of a machine, and the preparation of a process for training."""

import platform
import subprocess
import sys

import pytest
import torch

from trainables.machine import describe, fastest_precision, prepare_process

CPU = torch.device("cpu")


def test_a_cpu_is_described_by_all_that_bits_may_depend_on():
    described = describe(CPU)
    assert described["cpu"].strip()
    assert described == {
        "device": "cpu",
        "node": platform.node(),
        "cpu": described["cpu"],
        "torch": torch.__version__,
        "threads": str(torch.get_num_threads()),
    }
    assert describe(CPU) == described


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_a_gpu_is_described_by_its_name():
    assert describe(torch.device("cuda"))["device"] == torch.cuda.get_device_name()


def test_the_description_is_plain_text_for_the_journal():
    assert {type(value) for value in describe(CPU).values()} == {str}


def test_a_cpu_computes_in_what_its_instructions_are_for():
    has_instructions = torch.cpu._is_avx512_bf16_supported()
    assert fastest_precision(CPU) == (torch.bfloat16 if has_instructions else torch.float32)


def test_a_process_is_set_to_one_thread_and_may_be_set_twice():
    for _ in range(2):
        torch.set_num_threads(2)
        prepare_process()
        assert torch.get_num_threads() == 1


TRAINS = """
import sys, numpy, torch
from search.tasks.tiny10k import BERTOLDI
from trainables.goals import DeviceSplit
from trainables.machine import prepare_process
from trainables.training import Training
x = numpy.random.default_rng(0).integers(0, 256, (1000, 28, 28), dtype=numpy.uint8)
digits = DeviceSplit.of(x, (x[:, 0, 0] % 10).astype(numpy.int64), torch.device("cpu"))
prepare_process()
first = Training(BERTOLDI, digits, digits, seed=0, epochs=2)
first.advance()
second = Training(BERTOLDI, digits, digits, seed=0, epochs=2)
second.load(first.save())
print(second.advance().val_loss, not {"torch._dynamo", "sympy"} & set(sys.modules))
"""


def test_a_process_that_trains_does_without_compiler_and_sympy_and_trains_the_same():
    with_it, without = (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
        for code in (TRAINS.replace("prepare_process()\n", "torch.set_num_threads(1)\n"), TRAINS)
    )
    assert without == [with_it[0], "True"]


IN_GAPS = """
from pathlib import Path
from trainables.machine import prepare_process, release_memory

def held():
    [line] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("RssAnon")]
    return int(line.split()[1]) / 1000

prepare_process()
blocks = [bytearray(4096) for _ in range(50_000)]
full = held()
last = blocks[-1]
del blocks
kept = held()
release_memory()
print(full - kept, full - held())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")
def test_freed_memory_is_kept_within_a_trial_and_given_back_after_it():
    done = subprocess.run([sys.executable, "-c", IN_GAPS], capture_output=True, text=True, check=True)
    by_itself, when_released = map(float, done.stdout.split())
    assert by_itself < 20  # MB, of 200
    assert when_released > 150
