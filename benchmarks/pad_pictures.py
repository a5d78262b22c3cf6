"""Draw the pictures of docs/web/ from a real jam: a phone, a tablet, and a host's settings.

    python benchmarks/pad_pictures.py

Three pages in headless Chromium are open at a real engine, two of them play, and the machine
plays with them (duet). Needs ImageMagick.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path
from tempfile import TemporaryDirectory

from _web_engine import Engine

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from support.browser import Browser, Page

ROOT = Path(__file__).parents[1]
PICTURES = ROOT / "docs" / "web"
#: Seconds of each stroke, of which the picture shows the end; touches a second; and how much
#: larger a picture is than the page.
SECONDS, RATE, SCALE = 3.2, 60, 2
NAMES = ("Ada", "Björk", "Chen")
#: Stops the page's clock, so that a picture shows this instant however slow the machine is.
STOP = "(() => { const now = performance.now(); performance.now = () => now })()"
#: Draws the page completely, which takes some pictures: lines that are older have a layer.
DRAW = """(async () => {
  const { surface } = await import("/pad/pad.js");
  for (let i = 0; i < 30; i += 1) {
    surface.draw();
    await new Promise(requestAnimationFrame);
  }
})()"""
#: Plays strokes of several fingers, [[x, y], …] for each, and holds them down at their ends.
SCRIPT = """((strokes, rate) => new Promise((done) => {
  const canvas = document.querySelector("#surface"), box = canvas.getBoundingClientRect();
  const begin = performance.now(), places = strokes[0].length;
  let shown = 0;
  (function next() {
    const due = Math.min(places, 1 + Math.floor((performance.now() - begin) * rate / 1000));
    for (; shown < due; shown += 1) {
      strokes.forEach((stroke, finger) => canvas.dispatchEvent(
        new PointerEvent(shown ? "pointermove" : "pointerdown", {
          pointerId: 70 + finger, pointerType: "touch", bubbles: true, button: 0,
          clientX: box.left + stroke[shown][0] * box.width,
          clientY: box.top + stroke[shown][1] * box.height,
        })));
    }
    if (shown < places) requestAnimationFrame(next);
    else done(true);
  })();
}))"""

Stroke = Callable[[float], tuple[float, float]]


def _arch(u: float) -> tuple[float, float]:
    return 0.12 + 0.68 * u, 0.66 - 0.5 * math.sin(math.pi * 0.85 * u)


def _wave(u: float) -> tuple[float, float]:
    return 0.3 + 0.17 * math.sin(4.6 * math.pi * u), 0.95 - 0.2 * u


def _spiral(u: float) -> tuple[float, float]:
    angle, radius = 4.4 * math.pi * u, 0.03 + 0.17 * u
    return 0.68 + 0.8 * radius * math.cos(angle), 0.36 + radius * math.sin(angle)


def _points(*strokes: Stroke) -> list[list[tuple[float, float]]]:
    """Return the places of strokes that begin and end slowly."""
    count = round(SECONDS * RATE)
    eased = [0.5 - 0.5 * math.cos(math.pi * i / (count - 1)) for i in range(count)]
    return [[stroke(u) for u in eased] for stroke in strokes]


def _save(page: Page, name: str) -> None:
    path = PICTURES / f"{name}.png"
    path.write_bytes(page.screenshot())
    colours = ["-strip", "+dither", "-colors", "240", "-define", "png:compression-level=9"]
    subprocess.run(["mogrify", *colours, str(path)], check=True)


def main() -> None:
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        options = "--mode duet --no-record --web 127.0.0.1:0"
        engine = Engine(str(folder), *options.split())
        stack.callback(engine.close)
        browser = stack.enter_context(closing(Browser(folder / "profile")))
        sizes = [(390, 844), (1180, 820), (390, 844)]
        pages = [
            browser.open(engine.url, width=width, height=height) for width, height in sizes
        ]
        for name, page in zip(NAMES, pages, strict=True):
            page.wait_for("document.body.dataset.link === 'open'")
            page.evaluate(
                "(() => { const input = document.querySelector('#own-name');"
                f" input.value = {json.dumps(name)}; input.onchange() }})()"
            )
        pages[0].wait_for("document.querySelector('#count').textContent === '3 here'")
        calls = [
            page.send(
                "Runtime.evaluate", awaitPromise=True, returnByValue=True,
                expression=f"{SCRIPT}({json.dumps(_points(*strokes))}, {RATE})",
            )
            for page, strokes in ((pages[0], (_arch, _wave)), (pages[1], (_spiral,)))
        ]  # fmt: skip
        for call in calls:
            assert call.result(60)["result"]["result"].get("value") is True
        for page in pages[:2]:
            page.send("Runtime.evaluate", expression=STOP)
        for page, name, size in zip(pages, ("phone", "tablet"), sizes, strict=False):
            page.resize(*size, scale=SCALE)
            page.evaluate(DRAW)
            _save(page, name)
        host = pages[2]
        host.resize(*sizes[2], scale=SCALE)
        host.tap("#settings-button")
        host.wait_for("document.querySelectorAll('#players button').length === 4")
        _save(host, "settings")


if __name__ == "__main__":
    main()
