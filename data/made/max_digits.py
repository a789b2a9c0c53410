"""Makes max-digit's images: three digits of MNIST on a texture each, in several processes, always the same ones."""

import os
import signal
import threading
import time
from collections.abc import Generator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing import current_process, get_context, parent_process
from multiprocessing.sharedctypes import RawArray
from typing import Any

import numpy as np
from PIL import Image

from data.made.textures import KINDS, texture
from data.splits import Say, Split

FORMAT = 1  # of the images: raise it with every change to a pixel, so that no old cache is taken for new

SIZE = 128
MAX_DEGREES = 25
SCALES = (0.9, 1.05)  # with these, the longer side of 83% of MNIST's digits is 20 to 24 pixels
MAX_OVERLAP = 0.1  # of the smaller one's box: digits may touch, and none hides another
SHEET_SIZE = 256  # pixels: a background is a piece of a sheet
SHEETS_PER_KIND = (32, 8, 8)  # for training, validation and test

PIECE = 250  # images that a worker makes at a time
MIN_IMAGES_PER_WORKER = 8_000  # to start one takes as long as to make several thousand images
SAY_SECONDS = 3.0

Piece = tuple[np.ndarray, np.ndarray]
"""Some images, uint8 [n, 128, 128], and their labels, int64 [n]."""


@dataclass(frozen=True)
class Maker:
    """Makes images from the digits of three splits: training, validation, test."""

    seed: int
    digits: Sequence[Split]

    def piece(self, split: int, start: int, stop: int) -> Piece:
        """Images `start` to `stop` of a split."""
        x = np.empty((stop - start, SIZE, SIZE), np.uint8)
        y = np.empty(stop - start, np.int64)
        for place in range(stop - start):
            x[place], y[place] = self.image(split, start + place)
        return x, y

    def image(self, split: int, number: int) -> tuple[np.ndarray, int]:
        """One image uint8 [128, 128] and its label."""
        rng = np.random.default_rng((self.seed, split, number))
        # Any example, not first a class: the published counts of labels show MNIST's own shares of its classes.
        chosen = rng.integers(len(self.digits[split]), size=3)
        image = _background(self.seed, split, rng)
        inks = [_turned(self.digits[split].x[place], rng) for place in chosen]
        for (top, left), ink in zip(_places([ink.shape for ink in inks], rng), inks, strict=True):
            region = image[top : top + ink.shape[0], left : left + ink.shape[1]]
            region += np.minimum(ink, 255 - region)
        labels = self.digits[split].labels
        assert labels is not None, "digits have labels"
        return image, int(labels[chosen].max())


def _background(seed: int, split: int, rng: np.random.Generator) -> np.ndarray:
    """A piece of one of the split's sheets uint8 [128, 128], turned and mirrored at random."""
    sheet = _sheet(seed, split, int(rng.integers(SHEETS_PER_KIND[split] * len(KINDS))))
    top, left = rng.integers(SHEET_SIZE - SIZE + 1, size=2)
    piece = sheet[top : top + SIZE, left : left + SIZE]
    turns = int(rng.integers(8))
    return np.rot90(piece if turns < 4 else piece.T, turns % 4).copy()


@lru_cache(maxsize=2 * sum(SHEETS_PER_KIND) * len(KINDS))
def _sheet(seed: int, split: int, number: int) -> np.ndarray:
    return texture(list(KINDS)[number % len(KINDS)], (seed, split, number), SHEET_SIZE)


def _turned(digit: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A digit [28, 28], rotated and scaled at random, cut to the box of its ink."""
    angle, scale = np.radians(rng.uniform(-MAX_DEGREES, MAX_DEGREES)), rng.uniform(*SCALES)
    cos, sin = np.cos(angle) / scale, np.sin(angle) / scale
    target, middle = 48, 14  # pixels: room for the diagonal of the largest
    offset = middle - target / 2 * (cos + sin), middle - target / 2 * (cos - sin)
    inverse = (cos, sin, offset[0], -sin, cos, offset[1])
    turned = Image.fromarray(digit).transform(
        (target, target), Image.Transform.AFFINE, inverse, Image.Resampling.BICUBIC
    )
    return np.asarray(turned.crop(turned.getbbox()))


def _places(shapes: Sequence[tuple[int, ...]], rng: np.random.Generator) -> list[tuple[int, int]]:
    """Top and left of each box (height, width), all within the image and none much over another."""
    boxes: list[tuple[int, int, int, int]] = []
    for height, width in shapes:
        while True:
            top, left = int(rng.integers(SIZE - height + 1)), int(rng.integers(SIZE - width + 1))
            box = (top, left, top + height, left + width)
            if all(_overlap(box, other) <= MAX_OVERLAP for other in boxes):
                break
        boxes.append(box)
    return [(top, left) for top, left, _, _ in boxes]


def _overlap(a: tuple[int, int, int, int], b: tuple[int, int, int, int]) -> float:
    """The common area of two boxes (top, left, bottom, right) as a share of the smaller one's."""
    height, width = (max(0, min(a[i + 2], b[i + 2]) - max(a[i], b[i])) for i in (0, 1))
    return height * width / min((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b))


# --- In several processes ---


def make_all(maker: Maker, sizes: Sequence[int], say: Say, num_workers: int | None) -> Generator[Piece, None, None]:
    """The images of all splits in order, piece by piece; `say`s every few seconds how far it is."""
    num_images, num_made, said_at = sum(sizes), 0, time.monotonic()
    say(f"max-digit: making {num_images:,} images")
    tasks = [
        (split, start, min(start + PIECE, size)) for split, size in enumerate(sizes) for start in range(0, size, PIECE)
    ]
    if num_workers is None:
        num_workers = 1 if current_process().daemon else min(num_cores(), num_images // MIN_IMAGES_PER_WORKER)
    with closing(_make_tasks(maker, tasks, say, num_workers)) as pieces:
        for x, y in pieces:
            yield x, y
            num_made += len(x)
            if time.monotonic() - said_at > SAY_SECONDS:
                said_at = time.monotonic()
                say(f"max-digit: {num_made:,} of {num_images:,} images made")


Task = tuple[int, int, int]
"""A split, and its images from one number to another."""


def _make_tasks(maker: Maker, tasks: Sequence[Task], say: Say, num_workers: int) -> Generator[Piece, None, None]:
    num_done = 0
    if num_workers > 1:
        try:
            with closing(_make_in_processes(maker, tasks, num_workers)) as pieces:
                for piece in pieces:
                    yield piece
                    num_done += 1
        except BrokenProcessPool:  # killed, or a script without `if __name__ == "__main__"`, whose workers cannot start
            say("max-digit: the processes that make images were lost; this one goes on alone")
    for task in tasks[num_done:]:
        yield maker.piece(*task)


def _make_in_processes(maker: Maker, tasks: Sequence[Task], num_workers: int) -> Generator[Piece, None, None]:
    # "spawn", since the caller may have threads, which a fork does not survive
    shared = [(_Shared.of(np.asarray(split.x)), _Shared.of(np.asarray(split.y))) for split in maker.digits]
    pool = ProcessPoolExecutor(
        num_workers, get_context("spawn"), initializer=_start_worker, initargs=(maker.seed, shared)
    )
    try:
        yield from pool.map(_make_task, tasks)
    finally:
        pool.shutdown(cancel_futures=True)


@dataclass(frozen=True)
class _Shared:
    """An array in memory that processes share; a worker is told only where it is.

    Sent itself it would be more than a pipe holds, and a worker that ends before it has read everything would leave
    the caller waiting for ever.
    """

    memory: Any
    dtype: np.dtype
    shape: tuple[int, ...]

    @classmethod
    def of(cls, array: np.ndarray) -> "_Shared":
        shared = cls(RawArray("B", array.nbytes), array.dtype, array.shape)
        shared.array()[...] = array
        return shared

    def array(self) -> np.ndarray:
        return np.frombuffer(self.memory, self.dtype).reshape(self.shape)


_maker: Maker | None = None  # a worker's own


def _start_worker(seed: int, digits: Sequence[tuple[_Shared, _Shared]]) -> None:
    global _maker
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the caller, who ends the workers
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _maker = Maker(seed, [Split(x.array(), y.array()) for x, y in digits])


def _end_with_parent() -> None:
    """A worker whose caller was killed would wait for ever for its next task."""
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _make_task(task: Task) -> Piece:
    assert _maker is not None
    return _maker.piece(*task)


def num_cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
