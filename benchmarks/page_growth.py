"""Keep a pad's page open for ten minutes beside four others, and see what it holds on to.

    python benchmarks/page_growth.py [--seconds 600] [--json FILE]

All five pages play in headless Chromium, and the machine plays with them (duet). The page that
is looked at has the sound of all players on, and is played by real touch events; the others
play by scripts, 30 touches a second of two fingers. Twice a minute its garbage is collected,
and what is left is noted.
"""

from __future__ import annotations

import math
import os
import sys
import time
from contextlib import ExitStack, closing
from pathlib import Path
from tempfile import TemporaryDirectory

from _output import argument_parser, print_and_save
from _web_engine import Engine

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from support.browser import Browser, Page

#: Seconds between two looks, and touches a second.
EVERY, RATE = 30.0, 30.0
#: Lets a page play strokes with two fingers.
SCRIPT = """((seed) => {
  const area = document.querySelector("main"), canvas = document.querySelector("#surface");
  const send = (kind, id, x, y) => {
    const box = canvas.getBoundingClientRect();
    canvas.dispatchEvent(new PointerEvent(kind, { pointerId: 100 + id, pointerType: "touch",
      bubbles: true, button: kind === "pointermove" ? -1 : 0,
      clientX: box.left + x * box.width, clientY: box.top + y * box.height }));
  };
  let n = seed * 37;
  setInterval(() => {
    n += 1;
    const wave = (angle) => 0.5 + 0.4 * Math.sin(angle);
    const at = (id) => [wave(n / (9 + id) + seed), wave(n / 13 + id)];
    for (const id of [0, 1]) {
      const step = (n + 40 * id) % 90;
      if (step === 0) send("pointerdown", id, ...at(id));
      else if (step < 70) send("pointermove", id, ...at(id));
      else if (step === 70) send("pointerup", id, ...at(id));
    }
  }, 1000 / 30);
})"""


def _play(page: Page, seconds: float, begun: int) -> int:
    """Play strokes by touch events for some seconds; return the number of the next touch."""
    until, number = time.monotonic() + seconds, begun
    while time.monotonic() < until:
        number += 1
        x, y = 195 + 150 * math.sin(number / 11), 450 + 250 * math.cos(number / 17)
        step = number % 60
        if step == 1:
            page.touch("touchStart", (x, y, 0))
        elif 1 < step < 50:
            page.touch("touchMove", (x, y, 0))
        elif step == 50:
            page.touch("touchEnd")
        time.sleep(1 / RATE)
    page.touch("touchEnd")
    return number - number % 60


def main() -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--seconds", type=float, default=600)
    args = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        engine = Engine(str(folder), "--mode", "duet", "--no-record", "--web", "127.0.0.1:0")
        stack.callback(engine.close)
        browser = stack.enter_context(closing(Browser(folder / "profile")))
        sizes = [(390, 844), *[(260, 400)] * 4]  # the others are not looked at
        pages = [browser.open(engine.url, width=w, height=h) for w, h in sizes]
        for number, page in enumerate(pages):
            page.wait_for("document.body.dataset.link === 'open'")
            if number:
                page.evaluate(f"{SCRIPT}({number})")
        shown, rows, number = pages[0], [], 0
        shown.evaluate("import('/pad/pad.js').then((parts) => { window.pad = parts })")
        shown.tap("#sound")
        shown.evaluate("document.querySelector('input[value=all]').click()")
        shown.wait_for("pad.sound.tables && pad.sound.who === 'all'")
        began = time.monotonic()
        while (passed := time.monotonic() - began) < args.seconds:
            number = _play(shown, min(EVERY, args.seconds - passed), number)
            rows.append({
                "s": round(time.monotonic() - began), **shown.resources(),
                **shown.evaluate(
                    "({ points: pad.strokes.count, voices: pad.sound.voices.size,"
                    " frames: pad.surface.frames, ignored: pad.socket.ignored })"
                ),
            })  # fmt: skip
            print(rows[-1], file=sys.stderr, flush=True)
        status = engine.status()
        early, late = rows[len(rows) // 5 :][:4], rows[-4:]
        growth = {
            name: min(row[name] for row in late) - min(row[name] for row in early)
            for name in ("heap", "nodes", "documents", "listeners", "audio")
        }
        figures = {
            "load": os.getloadavg()[0], "touches_heard": status["heard"],
            "complaints": shown.complaints(), "growth": growth, "rows": rows,
        }  # fmt: skip
    print_and_save(figures, args.json)


if __name__ == "__main__":
    main()
