"""A headless Chromium that tests open pages in. It speaks the DevTools protocol on two pipes: no package, no port."""

from __future__ import annotations

import base64
import json
import os
import shlex
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.waiting import HANG_SECONDS

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
LOCAL = ("file:", "data:", "blob:")


def find_chromium() -> str | None:
    return next(filter(None, map(shutil.which, NAMES)), None)


class Browser:
    """One page. `problems` lists console errors, exceptions and requests of anything that is not local."""

    def __init__(self, write: int, read: int) -> None:
        self._to, self._from = os.fdopen(write, "wb", buffering=0), os.fdopen(read, "rb", buffering=0)
        self._last, self._rest, self._session = 0, b"", None
        self.problems: list[str] = []
        self._loaded = False
        target = self._ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._ask(f"{domain}.enable")

    def open(self, path: Path, *, width: int = 1280, height: int = 900, dark: bool = False) -> float:
        """Opens a file and returns the seconds until it is loaded and shown."""
        self.size(width, height)
        self.prefer(dark=dark)
        self._loaded, start = False, time.monotonic()
        self._ask("Page.navigate", url=path.resolve().as_uri())
        while not self._loaded:
            self._take(self._message())
        self.run("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
        return time.monotonic() - start

    def size(self, width: int, height: int) -> None:
        self._ask(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 500
        )

    def prefer(self, *, dark: bool) -> None:
        feature = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._ask("Emulation.setEmulatedMedia", features=[feature])

    def run(self, expression: str) -> Any:
        """Returns the value of a JavaScript expression, and awaits a promise. Raises RuntimeError if it throws."""
        got = self._ask("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in got:
            raise RuntimeError(f"{expression}: {got['exceptionDetails']}")
        return got["result"].get("value")

    def wait_for(self, condition: str, seconds: float = HANG_SECONDS) -> None:
        end = time.monotonic() + seconds
        while not self.run(condition):
            if time.monotonic() > end:
                raise TimeoutError(f"not within {seconds} s: {condition}")
            time.sleep(0.05)

    def draw_all(self) -> None:
        """Scrolls through the page until all figures that are not collapsed are drawn."""
        self.run("document.querySelectorAll('details').forEach(d => d.open = true)")
        for place in range(self.run("document.querySelectorAll('.plot').length")):
            self.run(f"document.querySelectorAll('.plot')[{place}].scrollIntoView({{behavior: 'instant'}})")
            self.wait_for(f"document.querySelectorAll('.plot')[{place}].querySelector('.main-svg') !== null")

    def screenshot(self, path: Path) -> None:
        """Writes the whole page as PNG."""
        size = self._ask("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        got = self._ask("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip)
        path.write_bytes(base64.b64decode(got["data"]))

    def close(self) -> None:
        self._session = None
        self._ask("Browser.close")
        self._to.close()
        self._from.close()

    def _ask(self, method: str, **params: Any) -> dict[str, Any]:
        self._last += 1
        asked = {"id": self._last, "method": method, "params": params}
        if self._session:
            asked["sessionId"] = self._session
        self._to.write(json.dumps(asked).encode() + b"\0")
        while (message := self._message()).get("id") != self._last:
            self._take(message)
        if "error" in message:
            raise RuntimeError(f"{method}: {message['error']}")
        return message["result"]

    def _message(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            got = self._from.read(1 << 16)
            if not got:
                raise RuntimeError("the browser has ended")
            self._rest += got
        message, _, self._rest = self._rest.partition(b"\0")
        return json.loads(message)

    def _take(self, event: dict[str, Any]) -> None:
        params = event.get("params", {})
        match event.get("method"):
            case "Page.loadEventFired":
                self._loaded = True
            case "Runtime.exceptionThrown":
                self.problems.append(f"exception: {params['exceptionDetails']}")
            case "Runtime.consoleAPICalled" if params["type"] in ("error", "warning", "assert"):
                self.problems.append(f"console: {params['args']}")
            case "Log.entryAdded" if params["entry"]["level"] in ("error", "warning"):
                self.problems.append(f"log: {params['entry']}")
            case "Network.requestWillBeSent" if not params["request"]["url"].startswith(LOCAL):
                self.problems.append(f"request: {params['request']['url']}")


@contextmanager
def opened(profile: Path) -> Iterator[Browser]:
    """Starts a browser whose profile is in a folder, and ends it with the block."""
    chromium = find_chromium()
    assert chromium is not None
    options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--remote-debugging-pipe"]
    options += ["--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage"]
    their_in, our_out = os.pipe()
    our_in, their_out = os.pipe()
    # The protocol's pipes are 3 and 4; a shell moves ours to these numbers
    command = shlex.join([chromium, *options, f"--user-data-dir={profile}"])
    process = subprocess.Popen(
        ["bash", "-c", f"exec {command} 3<&{their_in} 4>&{their_out}"],
        pass_fds=(their_in, their_out),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(their_in)
    os.close(their_out)
    try:
        browser = Browser(our_out, our_in)
        try:
            yield browser
        finally:
            browser.close()
    finally:
        try:
            process.wait(HANG_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
