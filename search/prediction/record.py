"""Where `search.predict` writes, and what it may replace: what a key names as a file, and its own earlier outputs."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from data.files import replacing
from results.files import open_unlinked

RECORD = ".frugal-outputs"
"""In each folder that is written to, a line for each output: SHA-256 and name. A file that was changed since is the
user's own."""
MAX_LISTED = 5


class Outputs:
    """The files of one call, each put in place whole or not at all."""

    def __init__(self) -> None:
        self._lines: dict[Path, set[str]] = {}
        self._earlier: dict[Path, bool] = {}

    def check_file(self, name: str, path: Path, *, is_named: bool) -> None:
        """Raises ValueError if another's file is at a path that no key names."""
        if not is_named and os.path.lexists(path) and not self._is_ours(path):
            raise ValueError(
                f"{path} is there already, and is no earlier output of this command, or was changed since; "
                f"{name}={path} replaces it, {name}= with another name keeps it"
            )

    def check_folder(self, folder: Path, names: Sequence[str]) -> None:
        """Raises ValueError if one of the names in the folder is another's file: these are never replaced.

        So it does for a folder in it that is a link: what is written there would go elsewhere.
        """
        below = {folder.joinpath(*Path(name).parts[:end]) for name in names for end in range(1, name.count("/") + 1)}
        if links := sorted(path for path in below if path.is_symlink()):
            raise ValueError(f"output={folder}: {links[0]} is a link, and would be written through; remove it")
        if others := [name for name in names if os.path.lexists(folder / name) and not self._is_ours(folder / name)]:
            shown = ", ".join([*others[:MAX_LISTED], *(["..."] if len(others) > MAX_LISTED else [])])
            raise ValueError(
                f"output={folder}: would write over {len(others):,} files that are no earlier outputs of this command, "
                f"or were changed since: {shown}; move them away, or name another folder"
            )

    @contextmanager
    def writing(self, name: str, path: Path) -> Generator[BinaryIO, None, None]:
        """A file to write to. Raises ValueError, with the key's name, where it cannot be written."""
        try:
            if os.path.lexists(path):
                self._earlier[path] = self._is_ours(path)
            with replacing(path, make_folder=True) as file:
                yield file
                file.flush()
                self._note(path, _digest(Path(file.name)))
        except OSError as error:
            raise ValueError(f"{name}={path}: cannot be written: {error}") from None

    def shown(self, target: Path) -> str:
        """A target that was written, and what went for it."""
        if target in self._earlier:
            return f"{target} (in place of {'an earlier output' if self._earlier[target] else 'what was there'})"
        inside = sum(target in path.parents for path in self._earlier if path.suffix == ".png")
        return f"{target} ({inside:,} in place of earlier outputs)" if inside else str(target)

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
        """Before the file is in its place: killed in between, an older output is still known as such."""
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
