"""Chromium without a screen, driven by the DevTools protocol: pages, touches, keys, network."""

from __future__ import annotations

import base64
import itertools
import json
import shutil
import subprocess
import threading
import time
from concurrent.futures import Future
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest

#: Seconds within which anything that a test waits for happens.
PATIENCE = 30
PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
#: A browser that asks nobody anything, and measures no clock by another page.
OPTIONS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage", "--disable-renderer-backgrounding", "--mute-audio",
    "--disable-backgrounding-occluded-windows", "--disable-background-timer-throttling",
    "--remote-debugging-port=0", "--touch-events=enabled",
)  # fmt: skip


def program() -> str:
    """Return Chromium's program; skip the test where there is none."""
    found = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if found is None:
        pytest.skip("Chromium is not installed")
    return found


class Browser:
    """A running Chromium with an empty profile in a folder."""

    def __init__(self, folder: Path) -> None:
        client = pytest.importorskip("websockets.sync.client", reason="needs websockets")
        self._closed = pytest.importorskip("websockets.exceptions").ConnectionClosed
        self._process = subprocess.Popen(
            [program(), *OPTIONS, f"--user-data-dir={folder}"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        port_file = folder / "DevToolsActivePort"
        end = time.monotonic() + PATIENCE
        while not port_file.exists() or port_file.read_text("utf-8").count("\n") < 1:
            assert time.monotonic() < end, "Chromium has not started"
            assert self._process.poll() is None, "Chromium has ended"
            time.sleep(0.05)
        port, path = port_file.read_text("utf-8").split()
        self._stack = ExitStack()
        address = f"ws://127.0.0.1:{port}{path}"
        self._socket = self._stack.enter_context(client.connect(address, max_size=None))
        self._ids = itertools.count(1)
        self._waiting: dict[int, Future[dict[str, Any]]] = {}
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        with suppress(self._closed):
            for text in self._socket:
                message = json.loads(text)
                if (future := self._waiting.pop(message.get("id", 0), None)) is not None:
                    future.set_result(message)

    def send(self, method: str, session: str = "", **parameters: Any) -> Future[dict[str, Any]]:
        """Call a method of the protocol, and do not wait for its answer."""
        number = next(self._ids)
        future: Future[dict[str, Any]] = Future()
        self._waiting[number] = future
        message = {"id": number, "method": method, "params": parameters}
        self._socket.send(json.dumps(message | ({"sessionId": session} if session else {})))
        return future

    def call(self, method: str, session: str = "", **parameters: Any) -> dict[str, Any]:
        """Call a method of the protocol and return its result."""
        answer = self.send(method, session, **parameters).result(PATIENCE)
        assert "error" not in answer, f"{method}: {answer.get('error')}"
        result: dict[str, Any] = answer["result"]
        return result

    def open(self, url: str, **size: Any) -> Page:
        """Open a page in a profile of its own; size as `Page.resize` takes it."""
        context = self.call("Target.createBrowserContext")["browserContextId"]
        target = self.call("Target.createTarget", url="about:blank", browserContextId=context)
        page = Page(self, target["targetId"], context)
        page.resize(**size)
        page.go(url)
        return page

    def close(self) -> None:
        """End the browser."""
        self._process.terminate()
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._stack.close()
        self._reader.join(PATIENCE)


class Page:
    """A page of a browser, with a touch screen."""

    def __init__(self, browser: Browser, target: str, context: str) -> None:
        self._browser, self._target, self._context = browser, target, context
        self._session = browser.call(
            "Target.attachToTarget", targetId=target, flatten=True
        )["sessionId"]  # fmt: skip
        self.call("Page.enable")
        self.call("Network.enable")
        self.call("Emulation.setTouchEmulationEnabled", enabled=True, maxTouchPoints=10)
        # As if each page were the one in front: else only one of them is drawn.
        self.call("Emulation.setFocusEmulationEnabled", enabled=True)

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a method of the protocol for this page."""
        return self._browser.call(method, self._session, **parameters)

    def send(self, method: str, **parameters: Any) -> Future[dict[str, Any]]:
        """Call a method of the protocol for this page, and do not wait for its answer."""
        return self._browser.send(method, self._session, **parameters)

    def resize(self, width: int = 390, height: int = 844, scale: float = 1) -> None:
        """Set the size of the page in CSS pixels, and the pixels of the display for each."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height,
                  deviceScaleFactor=scale, mobile=True)  # fmt: skip

    def go(self, url: str) -> None:
        """Open an address and wait until the page is complete."""
        self.call("Page.navigate", url=url)
        self.wait_for(
            f"location.href === {json.dumps(url)} && document.readyState === 'complete'"
        )

    def evaluate(self, expression: str) -> Any:
        """Return the value of a JavaScript expression, awaited."""
        answer = self.call("Runtime.evaluate", expression=expression, awaitPromise=True,
                           returnByValue=True, userGesture=True)  # fmt: skip
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait_for(self, expression: str) -> None:
        """Wait until a JavaScript expression holds."""
        end = time.monotonic() + PATIENCE
        while not self.evaluate(expression):
            assert time.monotonic() < end, f"this did not come to hold: {expression}"
            time.sleep(0.02)

    def touch(self, kind: str, *points: tuple[float, float, int]) -> None:
        """Send a touch event (touchStart, touchMove, touchEnd); points are x, y and id."""
        self.call("Input.dispatchTouchEvent", type=kind,
                  touchPoints=[{"x": x, "y": y, "id": n} for x, y, n in points])  # fmt: skip

    def mouse(self, kind: str, x: float, y: float, **more: Any) -> None:
        """Send an event of the mouse (mousePressed, mouseMoved, mouseReleased) or a pen."""
        more = {"button": "left", "clickCount": 1} | more
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, **more)

    def key(self, kind: str, key: str, **more: Any) -> None:
        """Send keyDown or keyUp of a key, by its name in JavaScript."""
        self.call("Input.dispatchKeyEvent", type=kind, key=key, **more)

    def click(self, selector: str) -> None:
        """Tap an element."""
        x, y = self.evaluate(
            f"(() => {{ const b = document.querySelector({json.dumps(selector)})"
            ".getBoundingClientRect(); return [b.x + b.width / 2, b.y + b.height / 2] })()"
        )
        self.touch("touchStart", (x, y, 0))
        self.touch("touchEnd")

    def screenshot(self) -> bytes:
        """Return a picture of the page as PNG."""
        return base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"])

    def offline(self, offline: bool) -> None:
        """Take the network from the page, or give it back."""
        self.call("Network.emulateNetworkConditions", offline=offline, latency=0,
                  downloadThroughput=-1, uploadThroughput=-1)  # fmt: skip

    def hide(self) -> None:
        """Cover the page by another tab of its window, as a person who looks at another."""
        self.call("Emulation.setFocusEmulationEnabled", enabled=False)
        self._browser.call("Target.createTarget", url="about:blank",
                           browserContextId=self._context)  # fmt: skip

    def close(self) -> None:
        """Close the page, as a person closes a tab."""
        self._browser.call("Target.closeTarget", targetId=self._target)
