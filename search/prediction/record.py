"""Decides what `search.predict` may replace: files that a key names, and its own earlier outputs."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from data.files import replacing
from data.lists import list_names
from results.files import open_unlinked

RECORD = ".frugal-outputs"
"""A hidden file in each output folder, with a line for each output: SHA-256 and name.

A file that was changed since belongs to the user."""
MAX_NAMED = 5


class Outputs:
    """The files that one call writes, each put in place whole or not at all."""

    def __init__(self) -> None:
        self._lines: dict[Path, set[str]] = {}
        self._replaced: dict[Path, bool] = {}
        """The files that were replaced, and whether each was an earlier output."""

    def check_file(self, name: str, path: Path, *, is_named: bool) -> None:
        """Raises ValueError if a foreign file is at a path that no key names."""
        if not is_named and os.path.lexists(path) and not self._is_ours(path):
            raise ValueError(
                f"{path} exists, and is not an unchanged earlier output of this command; "
                f"{name}={path} replaces it, {name}= with another name keeps it"
            )

    def check_folder(self, folder: Path, names: Sequence[str]) -> None:
        """Raises ValueError if a foreign file in the folder has one of these names: such files are never replaced.

        It also raises ValueError for a link to a folder, since the output would be written elsewhere.
        """
        below = {folder.joinpath(*Path(name).parts[:end]) for name in names for end in range(1, name.count("/") + 1)}
        if links := sorted(path for path in below if path.is_symlink()):
            raise ValueError(f"output={folder}: {links[0]} is a link, and would be written through; remove it")
        if others := [name for name in names if os.path.lexists(folder / name) and not self._is_ours(folder / name)]:
            raise ValueError(
                f"output={folder}: would replace files that are not unchanged earlier outputs of this command: "
                f"{list_names(others, MAX_NAMED)}; move them away, or name another folder"
            )

    @contextmanager
    def writing(self, name: str, path: Path) -> Generator[BinaryIO, None, None]:
        """Yields a file to write to. Raises ValueError, with the key's name, if it cannot be written."""
        try:
            if os.path.lexists(path):
                self._replaced[path] = self._is_ours(path)
            with replacing(path, make_folder=True) as file:
                yield file
                file.flush()
                self._note(path, _digest(Path(file.name)))
        except OSError as error:
            raise ValueError(f"{name}={path}: cannot be written: {error}") from None

    def describe(self, target: Path) -> str:
        """Returns the name of a written file or folder, and what it replaced."""
        if target in self._replaced:
            return f"{target} (replaced {'an earlier output' if self._replaced[target] else 'an existing file'})"
        num_replaced = sum(target in path.parents for path in self._replaced if path.suffix == ".png")
        return f"{target} ({num_replaced:,} replaced earlier outputs)" if num_replaced else str(target)

    def _is_ours(self, path: Path) -> bool:
        if path.is_symlink() or not path.is_file():
            return False
        try:
            return _line(path, _digest(path)) in self._recorded(path.parent)
        except OSError:
            return False

    def _recorded(self, folder: Path) -> set[str]:
        if folder not in self._lines:
            try:
                text = "" if (folder / RECORD).is_symlink() else (folder / RECORD).read_text(errors="replace")
            except OSError:
                text = ""
            self._lines[folder] = set(text.splitlines())
        return self._lines[folder]

    def _note(self, path: Path, digest: str) -> None:
        """Records an output before it is in place, so that a kill in between leaves no output unrecorded."""
        line = _line(path, digest)
        recorded = self._recorded(path.parent)
        if line not in recorded:
            if (path.parent / RECORD).is_symlink():
                raise ValueError(f"{path.parent / RECORD}: is a link, and would be written through; remove it")
            with open_unlinked(path.parent / RECORD, "a") as file:
                file.write(f"{line}\n")
            recorded.add(line)


def _line(path: Path, digest: str) -> str:
    return f"{digest}  {json.dumps(path.name)}"


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
