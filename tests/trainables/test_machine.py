"""What a machine says of itself, and how a process is set up for training."""

import platform

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
