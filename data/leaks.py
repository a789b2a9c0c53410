"""Finds examples that are in more than one split, which make scores better than they are."""

import hashlib
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from data.splits import Splits

NUM_NAMED = 5


@dataclass(frozen=True)
class Leak:
    """Examples of one split whose x equals that of an example of another, to the last bit."""

    split: str
    other: str
    num_examples: int
    """The number of examples of `split` that `other` also has."""
    indices: tuple[tuple[int, int], ...]
    """The first five, by their index in `split`, and the first index of their equals in `other`."""

    def __str__(self) -> str:
        pairs = ", ".join(f"{first} (equals {second})" for first, second in self.indices)
        more = ", ..." if self.num_examples > len(self.indices) else ""
        return f"{self.num_examples:,} examples of {self.split} are also in {self.other}: {pairs}{more}"


def find_leaks(splits: Splits) -> list[Leak]:
    """Returns the leaks of validation into training, of test into training, and of test into validation, if any."""
    digests = _digests(splits)
    first_index = {part: _first_indices(keys) for part, keys in digests.items()}
    leaks = []
    for other, part in combinations(digests, 2):
        known = first_index[other]
        pairs = [(index, known[key]) for index, key in enumerate(digests[part]) if key in known]
        if pairs:
            leaks.append(Leak(part, other, len(pairs), tuple(pairs[:NUM_NAMED])))
    return leaks


def count_duplicates(splits: Splits) -> dict[str, int]:
    """Returns the number of examples that equal an earlier one of the same split, by split. They are no leak."""
    return {part: len(keys) - len(set(keys)) for part, keys in _digests(splits).items()}


def _digests(splits: Splits) -> dict[str, list[bytes]]:
    """Returns 16 bytes for each example, which depend on its shape, type and values, by split."""
    parts = {"train": splits.train, "val": splits.val, "test": splits.test}
    return {part: [_digest(example) for example in split.x] for part, split in parts.items()}


def _digest(example: np.ndarray) -> bytes:
    digest = hashlib.blake2b(f"{example.shape} {example.dtype.str}".encode(), digest_size=16)
    digest.update(np.ascontiguousarray(example).data)
    return digest.digest()


def _first_indices(keys: list[bytes]) -> dict[bytes, int]:
    return {key: index for index, key in reversed([*enumerate(keys)])}
