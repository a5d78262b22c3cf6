"""Pads that are cut off in every way, and a page on which much is played: nothing stays."""

import asyncio

import pytest
from support.cut_sockets import ENDS, Cutter
from support.engine import MODEL
from support.web import page, serving_web


@pytest.mark.skipif(not MODEL.exists(), reason="no default model here")
def test_no_finger_stays_down_where_sockets_are_cut_in_every_way(tmp_path):
    hosts = [f"127.0.9.{n}" for n in range(1, 7)]

    async def play(url: str) -> Cutter:
        cutter = Cutter(url, seed=1)
        await cutter.run(hosts, most=4)
        return cutter

    with serving_web(tmp_path, "--mode", "listen", web="0.0.0.0:0") as (engine, url):
        here = url.replace(url.split("/")[2].rpartition(":")[0], "127.0.0.1")
        cutter = asyncio.run(play(here))
        assert (cutter.stuck, cutter.refused) == (0, 0)
        assert cutter.cuts.keys() == {*ENDS, "slow request"}
        engine.out.ask(
            lambda status: not status["fingers"] and not status["web"]["connections"]
        )

        async def come() -> None:  # there is still a place
            async with page(here) as pad:
                await pad.touch(["d", 1, 0.5, 0.5])
                await asyncio.to_thread(engine.out.ask, lambda status: status["fingers"] == 1)

        asyncio.run(come())
        assert engine.out.ask()["web"]["restarts"] == 0
        assert engine.end() == 0


#: Plays strokes of others and of the machine, and own ones by the input's own functions.
PLAY = """(async (strokes) => {
  for (let n = 0; n < strokes; n += 1) {
    for (let i = 0; i < 30; i += 1) {
      const kind = "dm"[Math.min(i, 1)], x = (i + 1) / 32, y = (n % 30) / 30;
      pad.socket.on.f([["ai", kind, 0, x, y], [`web-7${n % 5}`, kind, n % 3, y, x]]);
      if (i) pad.input._slide(pad.input.fingers.get(1), x, y, performance.now());
      else pad.input._land(1, x, y, performance.now());
    }
    pad.socket.on.f([["ai", "u", 0], [`web-7${n % 5}`, "u", n % 3]]);
    pad.input._lift(1);
    pad.socket.on.turn(n % 2 ? "human" : "machine", "");
    pad.socket.on.players([{ id: `web-${n}`, name: "x" }]);
    await new Promise(requestAnimationFrame);
  }
})"""


def test_page_on_which_much_is_played_holds_no_more_than_before(pad, server):
    shown = pad(width=260, height=400)
    shown.tap("#sound")
    shown.evaluate("document.querySelector('input[value=all]').click()")
    shown.wait_for("pad.sound.tables && pad.sound.who === 'all'")
    shown.touch("touchStart", (130, 200, 0))
    shown.touch("touchEnd")

    def held(strokes: int) -> dict[str, float]:
        shown.evaluate(f"{PLAY}({strokes})")
        # Voices end a while after their fingers have lifted.
        shown.evaluate("""(() => {
          const { context, tables } = pad.sound, all = Object.values(tables.instruments);
          pad.sound.silence();
          window.ended = context.currentTime + 11 * Math.max(...all.map((i) => i.release));
        })()""")
        shown.wait_for("pad.sound.context.currentTime > ended")
        return shown.resources()

    held(60)  # whatever is made once
    before, after = held(40), held(160)
    assert after["nodes"] <= before["nodes"] + 5
    assert after["documents"] == before["documents"]
    # A stroke that were kept would add to the bound of the strokes that are drawn.
    assert after["audio"] <= before["audio"] + 100
    assert after["heap"] <= before["heap"] + 600_000
    assert shown.evaluate("pad.strokes.count") <= 6000
    assert shown.evaluate("pad.socket.ignored") == 0
