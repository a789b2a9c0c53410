"""Makes max-digit's images in several processes; the images do not depend on their number."""

import os
import signal
import threading
from collections.abc import Generator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from dataclasses import dataclass
from multiprocessing import current_process, get_context, parent_process
from multiprocessing.sharedctypes import RawArray
from typing import Any

import numpy as np

from data.made.max_digits import Maker, Piece
from data.progress import Progress
from data.splits import Say, Split

PIECE = 250  # images that a worker makes at a time
MIN_IMAGES_PER_WORKER = 8_000  # starting a worker takes as long as making several thousand images

Task = tuple[int, int, int]
"""A split, and its images from one number to another."""


def make_all(maker: Maker, sizes: Sequence[int], say: Say, num_workers: int | None) -> Generator[Piece, None, None]:
    """Yields the images of all splits in order, piece by piece. Reports progress to `say` every few seconds."""
    num_images = sum(sizes)
    say(f"max-digit: making {num_images:,} images")
    progress = Progress(lambda line: say(f"max-digit: {line}"), num_images, "images made")
    tasks = [
        (split, start, min(start + PIECE, size)) for split, size in enumerate(sizes) for start in range(0, size, PIECE)
    ]
    if num_workers is None:
        num_workers = 1 if current_process().daemon else min(num_cores(), num_images // MIN_IMAGES_PER_WORKER)
    with closing(_make_tasks(maker, tasks, say, num_workers)) as pieces:
        for x, y in pieces:
            yield x, y
            progress.add(len(x))


def num_cores() -> int:
    """Returns the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _make_tasks(maker: Maker, tasks: Sequence[Task], say: Say, num_workers: int) -> Generator[Piece, None, None]:
    num_done = 0
    if num_workers > 1:
        try:
            with closing(_make_in_processes(maker, tasks, num_workers)) as pieces:
                for piece in pieces:
                    yield piece
                    num_done += 1
        except BrokenProcessPool:  # killed, or a script without `if __name__ == "__main__"`, whose workers cannot start
            say("max-digit: the processes that make images were lost; this process makes the others")
    for task in tasks[num_done:]:
        yield maker.piece(*task)


def _make_in_processes(maker: Maker, tasks: Sequence[Task], num_workers: int) -> Generator[Piece, None, None]:
    # "spawn", since a fork does not survive the threads that the caller may have
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
    """An array in memory that processes share, so that a worker receives only its address.

    The array itself would not fit into a pipe, and the caller would wait for ever if a worker ended before it had read
    everything.
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


_maker: Maker | None = None
"""The maker of this worker."""


def _start_worker(seed: int, digits: Sequence[tuple[_Shared, _Shared]]) -> None:
    global _maker
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the caller too, which ends the workers
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _maker = Maker(seed, [Split(x.array(), y.array()) for x, y in digits])


def _end_with_parent() -> None:
    """Ends this worker with its caller, for whose next task it would wait for ever if the caller was killed."""
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _make_task(task: Task) -> Piece:
    assert _maker is not None
    return _maker.piece(*task)
