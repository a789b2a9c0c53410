"""Nothing reads a global random generator: every draw names the generator that it comes from."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted(
    path for name in ("search", "spaces", "trainables", "data", "results") for path in (ROOT / name).rglob("*.py")
)
GLOBAL = re.compile(
    r"np\.random\.(?!default_rng\b|SeedSequence\b|Generator\b)"
    r"|\brandom\.(?!Random\b|default_rng\b|SeedSequence\b)(?:seed|random|randint|choice|shuffle|uniform|sample)\b"
    r"|torch\.(?:manual_seed|seed|set_rng_state)\b"
    r"|torch\.(?:rand|randn|randint|randperm|bernoulli|multinomial|normal)\((?![^\n]*generator=)"
    r"|\.(?:bernoulli|uniform|normal|random)_\((?![^\n]*generator=)"
)

SWAPPED = ("trainables/own_module.py", "set_rng_state(")
"""The file that gives each training of a user's module a state of the global generators of its own, and the call."""


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_global_generator_is_read(path):
    lines = [line for line in path.read_text().splitlines() if "rng." not in line and GLOBAL.search(line)]
    if str(path.relative_to(ROOT)) == SWAPPED[0]:
        lines = [line for line in lines if SWAPPED[1] not in line]
    assert not lines
