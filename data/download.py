"""Downloads a file from the first URL that answers, and puts it in place once its size and checksum are right."""

import hashlib
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from data.files import replacing
from data.progress import size_text

STALL_SECONDS = 20.0
"""A server that sends nothing for this long counts as dead."""
CHUNK_BYTES = 2**16
PROGRESS_BYTES = 2**21
"""Each 2 MB there is a line of progress."""


class DownloadFailed(Exception):
    """A download failed. The message names each URL and what was found there."""


def probe(urls: Sequence[str], timeout_seconds: float = 8.0) -> str:
    """Returns the first URL to answer a HEAD request. Raises DownloadFailed if none does within the timeout."""
    # Threads, since a name server that does not answer holds getaddrinfo for longer than any timeout; daemons, since
    # nothing waits for them.
    answers: queue.SimpleQueue[tuple[str, str]] = queue.SimpleQueue()
    for url in urls:
        threading.Thread(
            target=lambda url=url: answers.put((url, _find_failure(url, timeout_seconds))), daemon=True
        ).start()
    deadline = time.monotonic() + timeout_seconds
    failures: dict[str, str] = {}
    while len(failures) < len(urls):
        try:
            url, failure = answers.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            break
        if not failure:
            return url
        failures[url] = failure
    silent = f"no answer within {timeout_seconds:g} s"
    raise DownloadFailed("\n".join(f"{url}: {failures.get(url, silent)}" for url in urls))


def fetch(url: str, path: Path, md5: str, say: Callable[[str], None]) -> None:
    """Downloads to path, replacing an existing file, once size and MD5 sum (hex) are right. Reports progress to `say`.

    Several processes may do so at once. Raises DownloadFailed for another content than expected, and OSError if the
    file cannot be written; then nothing remains.
    """
    digest = hashlib.md5(usedforsecurity=False)
    num_bytes = 0
    with replacing(path, make_folder=True) as file, _open(url, STALL_SECONDS) as response:
        total = int(response.headers.get("Content-Length") or 0)
        say(f"downloading {url} ({size_text(total) if total else 'size unknown'})")
        for chunk in _chunks(url, response):
            file.write(chunk)
            digest.update(chunk)
            num_bytes += len(chunk)
            if num_bytes % PROGRESS_BYTES < len(chunk) and num_bytes < total:
                say(f"{path.name}: {num_bytes / total:.0%} of {size_text(total)}")
        if total and num_bytes != total:
            raise DownloadFailed(f"{url}: expected {total:,} bytes, found {num_bytes:,}")
        if digest.hexdigest() != md5:
            raise DownloadFailed(f"{url}: expected MD5 {md5}, found {digest.hexdigest()} ({num_bytes:,} bytes)")
    say(f"downloaded {path}")


def _find_failure(url: str, timeout_seconds: float) -> str:
    """Returns why the URL cannot be fetched, or an empty string."""
    try:
        with _open(url, timeout_seconds, method="HEAD"):
            return ""
    except Exception as error:  # also errors that urllib lets through: a thread that dies would look like silence
        return str(error).removeprefix(f"{url}: ") or type(error).__name__


@contextmanager
def _open(url: str, timeout_seconds: float, method: str = "GET") -> Iterator[HTTPResponse]:
    try:
        response = urlopen(Request(url, method=method, headers={"User-Agent": "frugal"}), timeout=timeout_seconds)
    except HTTPError as error:
        error.close()
        raise DownloadFailed(f"{url}: {error}") from None
    except (OSError, HTTPException) as error:
        raise DownloadFailed(f"{url}: {error}") from error
    with response:
        yield response


def _chunks(url: str, response: HTTPResponse) -> Iterator[bytes]:
    try:
        while chunk := response.read(CHUNK_BYTES):
            yield chunk
    except (OSError, HTTPException) as error:
        raise DownloadFailed(f"{url}: the connection broke: {error}") from error
