"""Standard output and standard error whose failures no command fails for."""

from __future__ import annotations

import codecs
import errno
import io
import os
import select
import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, TextIO

ERRORS = "frugal-output"
"""The name of our handler for characters that the output's encoding lacks."""


@contextmanager
def lasting_output() -> Generator[None, None, None]:
    """Keeps printing from raising errors in the block, whatever happens to standard output and standard error.

    They may be closed from the start, lose their reader, write to a full disk, or have an encoding that lacks a
    character. Lost output is left out; standard error reports it at the end, unless the reader closed the pipe. Streams
    that a test or a notebook has put in their place are left alone.
    """
    _open_closed_files()
    replaced = sys.stdout, sys.stderr
    with open(os.devnull, "w", encoding="utf-8", errors=ERRORS) as nowhere:
        output = _lasting(sys.stdout, sys.__stdout__, nowhere)
        errors = _lasting(sys.stderr, sys.__stderr__, nowhere)
        sys.stdout, sys.stderr = output, errors
        try:
            yield
        finally:
            output.flush()
            if failure := _failure(output):
                print(f"standard output could not be written: {failure.strerror}; some of it is missing", file=errors)
            errors.flush()
            sys.stdout, sys.stderr = replaced


class _LastingFile(io.FileIO):
    """A file descriptor whose writes never fail. It keeps the first error."""

    failure: OSError | None = None

    def write(self, data: Any) -> int:
        try:
            while (written := super().write(data)) is None:  # a non-blocking pipe that is full at the moment
                select.select([], [self], [])
            return written
        except OSError as error:
            self.failure = self.failure or error
            return memoryview(data).nbytes


def _open_closed_files() -> None:
    """Opens closed descriptors 0 to 2: otherwise the next file to be opened would be mistaken for one of them."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # takes the lowest number that is free


def _lasting(stream: TextIO | None, original: TextIO | None, nowhere: TextIO) -> TextIO:
    if stream is None:
        return nowhere
    if stream is not original:
        return stream
    stream.flush()
    file = _LastingFile(stream.fileno(), "w", closefd=False)
    return io.TextIOWrapper(io.BufferedWriter(file), encoding=stream.encoding, errors=ERRORS, line_buffering=True)


def _failure(stream: TextIO) -> OSError | None:
    """Returns why the stream lost output, unless its reader closed it, as `head` does."""
    file = getattr(getattr(stream, "buffer", None), "raw", None)
    failure = file.failure if isinstance(file, _LastingFile) else None
    return None if failure is None or failure.errno == errno.EPIPE else failure


def _encoded(error: UnicodeError) -> tuple[str | bytes, int]:
    """Encodes the bytes of a file's name as they are, and escapes other characters that cannot be encoded."""
    try:
        return codecs.lookup_error("surrogateescape")(error)
    except UnicodeError:
        return codecs.lookup_error("backslashreplace")(error)


codecs.register_error(ERRORS, _encoded)
