"""A run's mirror whose rounds a test makes by hand, and the bucket's copy that it leaves."""

from collections.abc import Callable
from pathlib import Path

import pytest

from results.bucket import Remote
from results.fetch import fetch_run
from search.command_line.signals import Stop
from search.runs.mirror import Mirror
from tests.results.bucket import URL


def mirror_of(folder: Path, say: Callable[[str], None] = print, remote: Remote | None = None) -> Mirror:
    """Returns a mirror that has compared both sides, and whose rounds the test makes."""
    mirror = Mirror(remote or Remote(f"{URL}/{folder.name}"), folder, say, Stop())
    mirror._look()
    return mirror


def there(run: str = "a") -> dict[str, bytes | None]:
    remote = Remote(f"{URL}/{run}")
    return {name: remote.read(name) for name in remote.files()}


def fetched(work: Path, run: str = "a") -> Path:
    """Fetches the run to a new head with this working folder. Returns the run's folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FRUGAL_WORK_DIR", str(work))
        return fetch_run(URL, run)
