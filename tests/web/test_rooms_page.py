"""The pages of many rooms in Chromium: the list, the pad of a room, the host's page."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest
from support.browser import Browser
from support.engine import MODEL
from support.rooms import hosting
from support.web import page

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
    pytest.mark.skipif(not MODEL.exists(), reason="no default model here"),
]


def test_visitor_chooses_a_room_plays_in_it_and_the_host_sees_that(
    browser: Browser, tmp_path: Path
):
    with hosting(tmp_path, "--room", "blue", "--room", "green", "--places", "1") as host:
        asyncio.run(host.up())
        rooms, table = browser.open(host.url), browser.open(host.page)
        rooms.wait_for("document.querySelectorAll('.room[href]').length === 2")
        rooms.evaluate("document.querySelector('.room').click()")
        rooms.wait_for("document.body?.dataset.link === 'open'")
        assert rooms.evaluate("location.pathname") == "/rooms/blue/"
        assert rooms.evaluate("document.getElementById('room').textContent") == "Room blue"
        box = "document.getElementById('surface').getBoundingClientRect()"
        x, y = rooms.evaluate(
            f"(() => {{ const b = {box}; return [b.left + 50, b.top + 50] }})()"
        )
        rooms.touch("touchStart", (x, y, 1))
        rooms.touch("touchEnd")
        row = "document.getElementById('rooms').textContent"
        table.wait_for(f"{row}.includes('blue10') && {row}.includes('green01')")
        assert table.evaluate("document.getElementById('link').href") == host.url
        table.wait_for("!document.getElementById('code').hidden")
        asyncio.run(host.rooms(lambda r: r["blue"]["heard"]))

        other, late = browser.open(host.url), browser.open(host.url)
        for each in (other, late):
            each.wait_for("document.querySelectorAll('.room[href]').length === 2")
        other.evaluate("document.getElementById('give').click()")  # the only free place
        other.wait_for("document.body?.dataset.link === 'open'")
        assert other.evaluate("location.pathname") == "/rooms/green/"
        late.evaluate("document.getElementById('give').click()")
        late.wait_for("document.getElementById('notice')?.textContent?.includes('are full')")
        late.evaluate("document.querySelector('.room').click()")  # to watch
        late.wait_for("document.body?.dataset.role === 'watcher'")
        for each in (rooms, table, other, late):
            each.close()
        assert host.end() == 0


def test_page_of_the_rooms_with_a_wrong_token_says_so(browser: Browser, tmp_path: Path):
    async def listed(host) -> None:
        await host.up()
        async with page(host.room("room-1")):
            pass

    with hosting(tmp_path, "--rooms", "1") as host:
        asyncio.run(listed(host))
        rooms = browser.open(host.url + "x")
        rooms.wait_for("document.getElementById('notice')?.textContent?.includes('no longer')")
        rooms.close()
        assert host.end() == 0
