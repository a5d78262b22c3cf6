"""Chromium without a screen, driven by the DevTools protocol: pages, touches, keys, network."""

from __future__ import annotations

import base64
import itertools
import json
import os
import shutil
import subprocess
import threading
import time
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

#: Seconds within which anything that a test waits for happens.
PATIENCE = 60.0
PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "chromium-headless-shell")
#: A browser that asks nobody anything, measures no clock by another page, and is driven by
#: pipes: it opens no port.
OPTIONS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage", "--disable-renderer-backgrounding", "--mute-audio",
    "--disable-backgrounding-occluded-windows", "--disable-background-timer-throttling",
    "--autoplay-policy=user-gesture-required", "--hide-scrollbars",
    "--remote-debugging-pipe", "--touch-events=enabled",
)  # fmt: skip
#: Shell command that starts the browser, which reads file 3 and writes file 4; two others,
#: which the shell chooses, keep them apart until then.
_START = 'exec {r}<&READ {w}>&WRITE; exec "$@" 3<&$r 4>&$w {r}<&- {w}>&-'


def program() -> str:
    """Return Chromium's program; skip the test where there is none."""
    found = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if found is None:
        pytest.skip("Chromium is not installed")
    return found


class Browser:
    """A running Chromium with an empty profile in a folder."""

    def __init__(self, folder: Path, *options: str) -> None:
        command = [program(), *OPTIONS, *options, f"--user-data-dir={folder}"]
        to_read, self._requests = os.pipe()
        self._replies, to_write = os.pipe()
        start = _START.replace("READ", str(to_read)).replace("WRITE", str(to_write))
        self._process = subprocess.Popen(
            ["bash", "-c", start, "bash", *command],
            pass_fds=[to_read, to_write], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(to_read)
        os.close(to_write)
        self._ids = itertools.count(1)
        self._lock = threading.Lock()
        self._waiting: dict[int, Future[dict[str, Any]]] = {}
        self._events: dict[str, list[tuple[str, dict[str, Any]]]] = {}
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        left = b""
        while data := os.read(self._replies, 1 << 20):
            *messages, left = (left + data).split(b"\0")
            for message in map(json.loads, messages):
                if (future := self._waiting.pop(message.get("id", 0), None)) is not None:
                    future.set_result(message)
                elif (events := self._events.get(message.get("sessionId", ""))) is not None:
                    events.append((message["method"], message.get("params", {})))
        while self._waiting:
            self._waiting.popitem()[1].set_exception(ConnectionError("the browser has ended"))

    def events(self, session: str) -> list[tuple[str, dict[str, Any]]]:
        """Return the list to which the events of a session are added: method and parameters."""
        return self._events.setdefault(session, [])

    def send(self, method: str, session: str = "", **parameters: Any) -> Future[dict[str, Any]]:
        """Call a method of the protocol, and do not wait for its answer."""
        number = next(self._ids)
        future: Future[dict[str, Any]] = Future()
        self._waiting[number] = future
        message = {"id": number, "method": method, "params": parameters}
        message |= {"sessionId": session} if session else {}
        data = json.dumps(message).encode() + b"\0"
        with self._lock:
            while data:
                data = data[os.write(self._requests, data) :]
        return future

    def call(self, method: str, session: str = "", **parameters: Any) -> dict[str, Any]:
        """Call a method of the protocol and return its result."""
        answer = self.send(method, session, **parameters).result(PATIENCE)
        assert "error" not in answer, f"{method}: {answer.get('error')}"
        result: dict[str, Any] = answer["result"]
        return result

    def open(self, url: str = "about:blank", *, shared: bool = False, **size: Any) -> Page:
        """Open a page in a profile of its own, or in a shared one, which remembers apps.

        size is as `Page.resize` takes it.
        """
        context = {}
        if not shared:
            made = self.call("Target.createBrowserContext")
            context = {"browserContextId": made["browserContextId"]}
        target = self.call("Target.createTarget", url="about:blank", **context)
        page = Page(self, target["targetId"], context)
        page.resize(**size)
        if url != "about:blank":
            page.go(url)
        return page

    def close(self) -> None:
        """End the browser: its processes end, and write no more to the profile."""
        try:
            if self._process.poll() is None:
                self.call("Browser.close")
            self._process.wait(PATIENCE)
        finally:
            self._process.kill()
            self._process.wait()
            self._reader.join(PATIENCE)
            os.close(self._requests)
            os.close(self._replies)


class Page:
    """A page of a browser, with a touch screen."""

    def __init__(self, browser: Browser, target: str, context: dict[str, str]) -> None:
        self._browser, self._target, self._context = browser, target, context
        self._session = browser.call(
            "Target.attachToTarget", targetId=target, flatten=True
        )["sessionId"]  # fmt: skip
        #: Events that came since the page was opened, as (method, parameters).
        self.events = browser.events(self._session)
        for domain in ("Page", "Runtime", "Log", "Network", "Performance"):
            self.call(f"{domain}.enable")
        self.call("Emulation.setTouchEmulationEnabled", enabled=True, maxTouchPoints=10)
        # As if each page were the one in front: else only one of them is drawn.
        self.call("Emulation.setFocusEmulationEnabled", enabled=True)

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a method of the protocol for this page."""
        return self._browser.call(method, self._session, **parameters)

    def send(self, method: str, **parameters: Any) -> Future[dict[str, Any]]:
        """Call a method of the protocol for this page, and do not wait for its answer."""
        return self._browser.send(method, self._session, **parameters)

    def resize(
        self, width: int = 390, height: int = 844, *, scale: float = 1, mobile: bool = True
    ) -> None:
        """Set the size of the page in CSS pixels, and the pixels of the display for each."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height,
                  deviceScaleFactor=scale, mobile=mobile)  # fmt: skip

    def go(self, url: str) -> None:
        """Open an address and wait until the page is complete."""
        self.events.clear()
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

    def wait_for(self, expression: str) -> Any:
        """Wait until a JavaScript expression holds; return its value."""
        end = time.monotonic() + PATIENCE
        while not (value := self.evaluate(expression)):
            assert time.monotonic() < end, f"this did not come to hold: {expression}"
            time.sleep(0.02)
        return value

    def touch(self, kind: str, *points: tuple[float, float, int], force: float = 1.0) -> None:
        """Send a touch event (touchStart, touchMove, touchEnd); points are x, y and id."""
        places = [{"x": x, "y": y, "id": n, "force": force} for x, y, n in points]
        self.call("Input.dispatchTouchEvent", type=kind, touchPoints=places)

    def mouse(self, kind: str, x: float, y: float, **more: Any) -> None:
        """Send an event of the mouse (mousePressed, mouseMoved, mouseReleased) or a pen."""
        more = {"button": "left", "clickCount": 1} | more
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, **more)

    def key(self, kind: str, key: str, **more: Any) -> None:
        """Send keyDown or keyUp of a key, by its name in JavaScript."""
        self.call("Input.dispatchKeyEvent", type=kind, key=key, **more)

    def press(self, key: str) -> None:
        """Press and release a key, as in " " or "Home"."""
        self.key("keyDown", key, **({"text": key} if len(key) == 1 else {}))
        self.key("keyUp", key)

    def click(self, x: float, y: float) -> None:
        """Press and release the mouse's button at a place."""
        for kind in ("mousePressed", "mouseReleased"):
            self.mouse(kind, x, y)

    def tap(self, selector: str) -> None:
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

    def complaints(self) -> list[str]:
        """Return the errors of the page since it was opened."""
        self.evaluate("0")  # what came before it has been received then
        thrown = [p for m, p in self.events if m == "Runtime.exceptionThrown"]
        logged = [p["entry"] for m, p in self.events if m == "Log.entryAdded"]
        return [str(p) for p in [*thrown, *(e for e in logged if e["level"] == "error")]]

    def requests(self) -> list[str]:
        """Return the addresses that the page has asked for and that its policy allows."""
        self.evaluate("0")
        asked = {
            p["requestId"]: p["request"]["url"]
            for m, p in self.events
            if m == "Network.requestWillBeSent"
        }
        for method, failed in self.events:
            if method == "Network.loadingFailed" and failed.get("blockedReason") == "csp":
                asked.pop(failed["requestId"], None)
        return list(asked.values())

    def resources(self) -> dict[str, float]:
        """Return what the page holds once all that nothing refers to is collected.

        The bytes of JavaScript's heap, the nodes and documents of the DOM, the listeners and
        the nodes of Web Audio.
        """
        for _ in range(2):  # which waits until the page is idle
            collected = self.send("HeapProfiler.collectGarbage").result(4 * PATIENCE)
            assert "error" not in collected
        heap = self.call("Runtime.getHeapUsage")
        listed = self.call("Performance.getMetrics")["metrics"]
        metrics = {each["name"]: each["value"] for each in listed}
        return {
            "heap": heap["usedSize"],
            "nodes": metrics["Nodes"], "documents": metrics["Documents"],
            "listeners": metrics["JSEventListeners"], "audio": metrics["AudioHandlers"],
        }  # fmt: skip

    def offline(self, offline: bool) -> None:
        """Take the network from the page, or give it back."""
        self.call("Network.emulateNetworkConditions", offline=offline, latency=0,
                  downloadThroughput=-1, uploadThroughput=-1)  # fmt: skip

    def hide(self) -> None:
        """Cover the page by another tab of its window, as a person who looks at another."""
        self.call("Emulation.setFocusEmulationEnabled", enabled=False)
        self._browser.call("Target.createTarget", url="about:blank", **self._context)

    def close(self) -> None:
        """Close the page, as a person closes a tab."""
        self._browser.call("Target.closeTarget", targetId=self._target)
