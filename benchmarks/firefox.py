"""Play on the pad's page in Firefox, by touch, mouse and keys, and take a picture of it.

    python benchmarks/firefox.py [--program firefox-esr] [--picture FILE.png] [--json FILE]

Firefox runs without a screen and is driven by WebDriver BiDi, which it has built in; the engine
is a real one. What the engine has heard of each way to play is in the figures, with the times
from the address to the first paint and to the socket that is open, and the pictures a second
while two fingers move for five seconds.
"""

from __future__ import annotations

import base64
import itertools
import json
import os
import re
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from _output import argument_parser, print_and_save
from _web_engine import Engine
from websockets.sync.client import connect

PATIENCE = 180.0
#: Size of the page in CSS pixels: a phone.
WIDTH, HEIGHT = 390, 844


class Firefox:
    """A running Firefox with an empty profile, and one page."""

    def __init__(self, program: str, folder: Path, stack: ExitStack) -> None:
        folder.mkdir()
        command = [
            program, "--headless", "--no-remote", "--profile", str(folder),
            "--remote-debugging-port", "0", f"--width={WIDTH}", f"--height={HEIGHT}",
        ]  # fmt: skip
        log = stack.enter_context((folder / "log.txt").open("w+"))
        process = subprocess.Popen(command, stdout=log, stderr=log)
        stack.callback(process.wait)
        stack.callback(process.terminate)
        address = None
        end = time.monotonic() + PATIENCE
        while address is None:
            assert time.monotonic() < end, "Firefox has not started"
            assert process.poll() is None, "Firefox has ended"
            time.sleep(0.1)
            address = re.search(r"BiDi listening on (ws://\S+)", Path(log.name).read_text())
        self._socket = stack.enter_context(connect(f"{address[1]}/session", max_size=None))
        self._ids = itertools.count(1)
        self.version = self.call("session.new", capabilities={})["capabilities"][
            "browserVersion"
        ]
        self._context = self.call("browsingContext.getTree")["contexts"][0]["context"]
        size = {"width": WIDTH, "height": HEIGHT}
        self.in_page("browsingContext.setViewport", viewport=size, devicePixelRatio=2)

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a method of the protocol and return its result."""
        number = next(self._ids)
        message = {"id": number, "method": method, "params": parameters}
        self._socket.send(json.dumps(message))
        while True:
            answer = json.loads(self._socket.recv(PATIENCE))
            if answer.get("id") == number:
                assert answer["type"] == "success", answer
                result: dict[str, Any] = answer["result"]
                return result

    def in_page(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a method for the page."""
        return self.call(method, context=self._context, **parameters)

    def evaluate(self, expression: str) -> Any:
        """Return the value of a JavaScript expression, awaited, that JSON can hold."""
        script = f"(async () => JSON.stringify(await ({expression})))()"
        answer = self.call(
            "script.evaluate", expression=script,
            target={"context": self._context}, awaitPromise=True, userActivation=True,
        )  # fmt: skip
        assert answer["type"] == "success", answer
        return json.loads(answer["result"].get("value", "null"))

    def wait_for(self, expression: str) -> None:
        """Wait until a JavaScript expression holds."""
        end = time.monotonic() + PATIENCE
        while not self.evaluate(expression):
            assert time.monotonic() < end, f"this did not come to hold: {expression}"
            time.sleep(0.05)

    def act(self, *sources: dict[str, Any]) -> None:
        """Perform actions of pointers and keys, those of each step at the same time."""
        self.in_page("input.performActions", actions=list(sources))


def pointer(name: str, kind: str, *actions: dict[str, Any]) -> dict[str, Any]:
    """Return the actions of a finger or the mouse."""
    return {
        "type": "pointer", "id": name, "parameters": {"pointerType": kind},
        "actions": list(actions),
    }  # fmt: skip


def move(x: float, y: float, duration: int = 0) -> dict[str, Any]:
    return {"type": "pointerMove", "x": round(x), "y": round(y), "duration": duration}


DOWN: dict[str, Any] = {"type": "pointerDown", "button": 0}
UP: dict[str, Any] = {"type": "pointerUp", "button": 0}
PAUSE: dict[str, Any] = {"type": "pause", "duration": 100}


def wait_for_fingers(engine: Engine, fingers: int) -> None:
    end = time.monotonic() + PATIENCE
    while (now := engine.status()["fingers"]) != fingers:
        assert time.monotonic() < end, f"{now} fingers are down, not {fingers}"
        time.sleep(0.02)


def main() -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--program", default="firefox-esr")
    parser.add_argument("--picture", type=Path)
    args = parser.parse_args()
    figures: dict[str, Any] = {"load": os.getloadavg()[0]}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        options = ("--threshold", "60", "--no-record", "--web", "127.0.0.1:0")
        engine = Engine(str(folder), *options)
        stack.callback(engine.close)
        firefox = Firefox(args.program, folder / "profile", stack)
        figures["firefox"] = firefox.version
        began = time.monotonic()
        firefox.in_page("browsingContext.navigate", url=engine.url, wait="complete")
        firefox.wait_for("document.body.dataset.link === 'open'")
        figures["address_to_open_s"] = round(time.monotonic() - began, 2)
        paint = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
        figures["first_paint_ms"] = firefox.evaluate(paint)
        firefox.evaluate("import('/pad/pad.js').then((parts) => { window.pad = parts; })")

        def heard() -> int:
            """Return the touches that the engine has heard since the last call."""
            time.sleep(0.5)
            now = engine.status()["heard"]
            since, figures["heard"] = now - figures.get("heard", 0), now
            return since

        for kind in ("touch", "mouse"):  # pens are not in its driver
            begin = (move(200, 400), DOWN, move(260, 500, 500))
            firefox.act(pointer(kind, kind, *begin))
            wait_for_fingers(engine, 1)
            firefox.act(pointer(kind, kind, UP))
            wait_for_fingers(engine, 0)
            figures[kind] = heard()
        firefox.evaluate("pad.surface.canvas.focus()")
        for arrow in ("keyDown", "keyUp"):
            firefox.act({
                "type": "key", "id": "keys",
                "actions": [{"type": arrow, "value": " "}],
            })  # fmt: skip
            wait_for_fingers(engine, int(arrow == "keyDown"))
        figures["keys"] = heard()
        firefox.evaluate("document.querySelector('#sound').click()")
        firefox.wait_for("pad.sound.tables && pad.sound.who !== 'off'")
        frames, began = firefox.evaluate("pad.surface.frames"), time.monotonic()
        fingers = [
            # One after the other: of two that land at once, Firefox makes one pointer.
            pointer(f"finger {n}", "touch", *[PAUSE] * n, move(100 + 150 * n, 300), DOWN,
                    *(move(100 + 150 * n, 300 + 250 * (i % 2), 1000) for i in range(1, 6)))
            for n in range(2)
        ]  # fmt: skip
        firefox.act(*fingers)
        passed = time.monotonic() - began
        drawn = firefox.evaluate("pad.surface.frames") - frames
        figures["pictures_per_s"] = round(drawn / passed, 1)
        wait_for_fingers(engine, 2)
        figures["two fingers"] = heard()
        figures["voices"] = firefox.evaluate("pad.sound.voices.size")
        if args.picture:
            shot = firefox.in_page("browsingContext.captureScreenshot")["data"]
            args.picture.write_bytes(base64.b64decode(shot))
        figures["messages_not_understood"] = firefox.evaluate("pad.socket.ignored")
        firefox.in_page("browsingContext.navigate", url="about:blank", wait="complete")
        wait_for_fingers(engine, 0)
    print_and_save(figures, args.json)


if __name__ == "__main__":
    main()
