"""A page in a file, in headless Chromium, driven by pipes: no server, and no network at all."""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from support.engine import PATIENCE, stop

#: The browser's program, or None.
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-headless-shell")


class Browser:
    """One page in a browser."""

    def __init__(self, requests: int, replies: int) -> None:
        """Talk over a pair of pipes, in JSON that ends with a zero byte."""
        self._requests, self._replies = requests, replies
        self._left = b""
        self._session = ""
        self._number = 0
        #: Events that came, as (method, parameters).
        self.events: list[tuple[str, dict[str, Any]]] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a method of the protocol and return its result."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._requests, json.dumps(message).encode() + b"\0")
        while True:
            reply = self._receive()
            if reply.get("id") == self._number:
                assert "error" not in reply, f"{method}: {reply['error']}"
                return reply["result"]
            self.events.append((reply["method"], reply.get("params", {})))

    def _receive(self) -> dict[str, Any]:
        until = time.monotonic() + PATIENCE
        while b"\0" not in self._left:
            left = until - time.monotonic()
            assert select.select([self._replies], [], [], max(0, left))[0], (
                "the browser is silent"
            )
            data = os.read(self._replies, 1 << 20)
            assert data, "the browser has ended"
            self._left += data
        message, _, self._left = self._left.partition(b"\0")
        return json.loads(message)

    def open(self, path: Path) -> None:
        """Open a file, and wait until it has been loaded."""
        self.events.clear()
        self.call("Page.navigate", url=path.as_uri())
        self.wait_for("document.readyState === 'complete'")

    def run(self, script: str) -> Any:
        """Return the value of an expression on the page, of a promise what it resolves to."""
        result = self.call(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True,
            userGesture=True,
        )  # fmt: skip
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    def wait_for(self, script: str) -> Any:
        """Wait until an expression on the page is true; return its value."""
        until = time.monotonic() + PATIENCE
        while not (value := self.run(script)):
            assert time.monotonic() < until, f"never: {script}"
            self.run("new Promise(done => setTimeout(done, 20))")
        return value

    def press(self, key: str) -> None:
        """Press and release a key, as in " " or "Home"."""
        text = {"text": key} if len(key) == 1 else {}
        self.call("Input.dispatchKeyEvent", type="keyDown", key=key, **text)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key)

    def click(self, x: float, y: float) -> None:
        """Press and release the mouse's button at a place."""
        for kind in ("mousePressed", "mouseReleased"):
            self.call(
                "Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1
            )

    def set_size(self, width: int, height: int, *, scale: float = 1) -> None:
        """Give the page a size in its own pixels, on a display of a scale."""
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height,
            deviceScaleFactor=scale, mobile=False,
        )  # fmt: skip

    def screenshot(self) -> bytes:
        """Return a picture of the page as PNG."""
        return base64.b64decode(self.call("Page.captureScreenshot")["data"])

    def complaints(self) -> list[str]:
        """Return the errors of the page since it was opened."""
        self.run("0")  # what came before it has been received then
        thrown = [p for m, p in self.events if m == "Runtime.exceptionThrown"]
        logged = [p["entry"] for m, p in self.events if m == "Log.entryAdded"]
        return [str(p) for p in [*thrown, *(e for e in logged if e["level"] == "error")]]

    def requests(self) -> list[str]:
        """Return the addresses that the page has asked for and that its policy allows."""
        self.run("0")
        asked = {
            p["requestId"]: p["request"]["url"]
            for m, p in self.events
            if m == "Network.requestWillBeSent"
        }
        for method, failed in self.events:
            if method == "Network.loadingFailed" and failed.get("blockedReason") == "csp":
                asked.pop(failed["requestId"], None)
        return list(asked.values())


@contextmanager
def browser(profile: Path) -> Iterator[Browser]:
    """Run a browser with a folder for its profile."""
    assert CHROMIUM is not None
    to_read, requests = os.pipe()
    replies, to_write = os.pipe()
    command = [
        CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
        "--no-first-run", "--disable-background-networking", "--disable-component-update",
        "--autoplay-policy=user-gesture-required", "--hide-scrollbars",
        "--remote-debugging-pipe", f"--user-data-dir={profile}",
    ]  # fmt: skip
    # The browser reads file 3 and writes file 4; 8 and 9 keep them apart until then.
    redirect = f'exec 8<&{to_read} 9>&{to_write}; exec "$@" 3<&8 4>&9 8<&- 9>&-'
    process = subprocess.Popen(
        ["bash", "-c", redirect, "bash", *command],
        pass_fds=[to_read, to_write], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    os.close(to_read)
    os.close(to_write)
    try:
        page = Browser(requests, replies)
        yield page
        page.call("Browser.close")  # its processes end, and write no more to the profile
        process.wait(PATIENCE)
    finally:
        os.close(requests)
        os.close(replies)
        stop(process)
