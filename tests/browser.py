"""A headless Chromium for tests, spoken to over its own debugging pipe: no driver, no port, no network."""

import base64
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import cast

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
PATIENCE = 60.0
"""Seconds that an answer may take: a busy machine starts a browser slowly."""
Json = dict[str, object]


def chromium() -> str | None:
    """Its program, if there is one: what STENOPOOL_CHROMIUM names, or the first that is installed."""
    named = os.environ.get("STENOPOOL_CHROMIUM")
    return named or next((found for name in NAMES if (found := shutil.which(name))), None)


class Page:
    """One tab, and all that happened in it."""

    def __init__(self, program: subprocess.Popen[bytes], to: int, back: int) -> None:
        self.program, self.to, self.back = program, to, back
        self.events: list[Json] = []
        self._rest, self._number, self._session = b"", 0, ""
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = str(self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"])
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.ask(f"{domain}.enable")

    def ask(self, method: str, **told: object) -> Json:
        """Send one command, and wait for its answer."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": told}
        if self._session:
            message["sessionId"] = self._session
        os.write(self.to, json.dumps(message).encode() + b"\0")
        while (answer := self._next()).get("id") != self._number:
            self.events.append(answer)
        assert "error" not in answer, answer
        return cast("Json", answer["result"])

    def open(self, file: Path, width: int, *, dark: bool = False) -> None:
        """Show a file as on a screen so many pixels wide."""
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 600)
        theme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.ask("Emulation.setEmulatedMedia", features=[theme])
        self.ask("Page.navigate", url=file.resolve().as_uri())
        self.until("document.readyState === 'complete' && location.protocol === 'file:'")

    def value(self, expression: str) -> object:
        """What an expression is worth in the page."""
        how = {"returnByValue": True, "awaitPromise": True, "userGesture": True}
        told = self.ask("Runtime.evaluate", expression=expression, **how)
        assert "exceptionDetails" not in told, told
        return cast("Mapping[str, object]", told["result"]).get("value")

    def until(self, expression: str) -> None:
        """Wait until something is so."""
        end = time.monotonic() + PATIENCE
        while not self.value(expression):
            assert time.monotonic() < end, f"never came true: {expression}"
            time.sleep(0.05)

    def picture(self, file: Path) -> None:
        """The whole page as a PNG."""
        height = self.value("Math.ceil(document.documentElement.getBoundingClientRect().height)")
        width = self.value("innerWidth")
        clip = {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}
        shot = self.ask("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)
        file.write_bytes(base64.b64decode(str(shot["data"])))

    def told(self, method: str) -> list[Json]:
        """The parameters of every event of this name so far."""
        return [cast("Json", event["params"]) for event in self.events if event.get("method") == method]

    def _next(self) -> Json:
        end = time.monotonic() + PATIENCE
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self.back], [], [], max(0.0, end - time.monotonic()))
            read = os.read(self.back, 1 << 20) if ready else b""
            assert read, "the browser says nothing more"
            self._rest += read
        message, self._rest = self._rest.split(b"\0", 1)
        return cast("Json", json.loads(message))


@contextmanager
def browser(program: str, profile: Path) -> Iterator[Page]:
    """A browser with one empty tab."""
    theirs, to = os.pipe()
    back, answers = os.pipe()
    options = [
        "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars", "--mute-audio",
        "--disable-dev-shm-usage", "--autoplay-policy=no-user-gesture-required", "--remote-debugging-pipe",
        "--disable-background-networking", "--disable-component-update", f"--user-data-dir={profile}",
    ]  # fmt: skip
    pipes = f'exec "$@" 3<&{theirs} 4>&{answers}'
    started = subprocess.Popen(
        ["/bin/bash", "-c", pipes, "bash", program, *options], pass_fds=(theirs, answers), stderr=subprocess.DEVNULL
    )
    os.close(theirs)
    os.close(answers)
    try:
        yield Page(started, to, back)
    finally:
        os.close(to)  # it ends when nobody speaks to it
        os.close(back)
        try:
            started.wait(20)
        except subprocess.TimeoutExpired:
            started.kill()
            started.wait()
