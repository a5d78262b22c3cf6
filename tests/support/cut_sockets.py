"""Pads whose connections end in every bad way while their fingers are down, by a seed.

    python cut_sockets.py URL SEED HOST…     until standard input says "rest", then "end"

As a program, each host of this machine (or network namespace) plays one pad after another.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).parents[1]))

from support.raw_page import RawPage, frame

#: Seconds between two touches of a finger, and the longest time until a pad is cut.
STEP, LONGEST = 0.03, 3.0
#: Seconds within which the server has closed what is silent: the limits of robojam.web.limits.
PATIENCE = 60.0


def _close(page: RawPage) -> None:
    """A closing frame, as a browser sends it."""
    page.transport.write(frame(b"\x03\xe8", kind=0x88))


def _end(page: RawPage) -> None:
    """The end of the stream, without a closing frame."""
    page.transport.close()


def _end_of_writing(page: RawPage) -> None:
    """Half of the connection: nothing more is sent, all is read."""
    page.silent = True
    page.transport.write_eof()


def _silence(page: RawPage) -> None:
    """A connection that stays open, at which nobody answers any more."""
    page.silent = True


def _no_reading(page: RawPage) -> None:
    """The same, with a full window: nothing is taken off the network either."""
    page.transport.pause_reading()


def _torn(page: RawPage) -> None:
    """A frame of which the first half comes, and then a reset."""
    page.transport.write(frame(b'["t",1,[["d",3,0.5,0.5]]]')[:9])
    page.reset()


def _slow_frame(page: RawPage) -> None:
    """A frame that never becomes whole, and no pong."""
    page.transport.write(frame(b'["t",1,[["d",3,0.5,0.5]]]')[:9])
    page.silent = True


def _garbage(page: RawPage) -> None:
    """Text that is no message."""
    page.transport.write(frame(b"[" * 100))


def _too_long(page: RawPage) -> None:
    """A frame that is longer than any that is taken."""
    page.transport.write(frame(b'["' + b"x" * 60_000 + b'"]'))


def _not_masked(page: RawPage) -> None:
    """Bytes that are no frame of a client."""
    page.transport.write(b"\x81\x05hello" + bytes(range(256)))


#: Ways in which a connection ends.
ENDS: dict[str, Callable[[RawPage], None]] = {
    "close": _close, "end": _end, "end of writing": _end_of_writing, "reset": RawPage.reset,
    "silence": _silence, "no reading": _no_reading, "torn frame": _torn,
    "slow frame": _slow_frame, "garbage": _garbage, "too long": _too_long,
    "not masked": _not_masked,
}  # fmt: skip


async def _opened(url: str, host: str, key: str) -> RawPage:
    """Return a page that has been welcomed. Raises OSError."""
    page = None
    try:
        async with asyncio.timeout(PATIENCE):
            page = await RawPage.connect(url, host=host, name=host, key=key)
            await asyncio.shield(page.welcomed)
    except TimeoutError as error:
        if page is not None:
            page.transport.abort()
        raise ConnectionError("nobody answers") from error
    return page


async def _slow_request(url: str, host: str) -> None:
    """Send a request that never becomes whole, until the server has closed."""
    address = url.partition("//")[2].partition("/")[0].rpartition(":")
    reader, writer = await asyncio.open_connection(
        address[0], int(address[2]), local_addr=(host, 0)
    )
    try:
        writer.write(b"GET /v1/socket HTTP/1.1\r\nX-")
        async with asyncio.timeout(PATIENCE):
            await reader.read()
    finally:
        writer.transport.abort()


class Cutter:
    """Pads from some hosts, of which each is cut and opened again until it is to rest.

    cuts counts the ways in which connections were ended; refused the attempts that failed, as
    all do while a link is down; stuck the connections that the server did not close. longest is
    the longest time that it took to, in seconds.
    """

    def __init__(self, url: str, seed: int) -> None:
        self._url, self._random = url, random.Random(seed)
        self.cuts: Counter[str] = Counter()
        self.refused = self.stuck = 0
        self.longest = 0.0
        self.resting = asyncio.Event()

    async def run(self, hosts: list[str], *, most: float = float("inf")) -> None:
        """Play from all hosts, until there were most cuts of each or they are to rest.

        The first cuts of the hosts are of all ways in turn, four of each host.
        """
        await asyncio.gather(*(self._play(n, host, most) for n, host in enumerate(hosts)))

    async def _play(self, number: int, host: str, most: float) -> None:
        rng = random.Random(self._random.random())
        key, cuts = "", 0
        ways = [*ENDS, "slow request"]
        first = 4 * number % len(ways)
        ways = ways[first:] + ways[:first]
        while cuts < most and not self.resting.is_set():
            if cuts:
                rng.shuffle(ways)
            for way in ways:
                if cuts >= most or self.resting.is_set():
                    break
                cuts += 1
                try:
                    key = await self._cut(host, way, key if rng.random() < 0.8 else "", rng)
                    self.cuts[way] += 1
                except TimeoutError:
                    self.stuck += 1
                except OSError:
                    self.refused += 1
                    await asyncio.sleep(rng.random() * 0.3)

    async def _cut(self, host: str, way: str, key: str, rng: random.Random) -> str:
        """Open a pad, play, and end it in a way; return the key of its welcome."""
        if way == "slow request":
            await _slow_request(self._url, host)
            return key
        loop = asyncio.get_running_loop()
        page = await _opened(self._url, host, key)
        try:
            key = (await page.welcomed)["key"]
            fingers = rng.sample(range(10), rng.randint(1, 4))
            page.send("t", 0, [["d", finger, rng.random(), rng.random()] for finger in fingers])
            for step in range(round(rng.random() * LONGEST / STEP)):
                await asyncio.sleep(STEP)
                page.send("t", 30 * step, [["m", f, rng.random(), 0.5] for f in fingers])
            ENDS[way](page)
            cut_at = loop.time()
            async with asyncio.timeout(PATIENCE):
                if way == "no reading":  # what the server does is not seen before it is read
                    await asyncio.sleep(8 * rng.random())
                    page.transport.resume_reading()
                    page.silent = True
                await page.ended.wait()
            self.longest = max(self.longest, loop.time() - cut_at)
        finally:
            page.transport.abort()
        return key


def main() -> None:
    """Play until standard input says that it is to end; print the counts after each rest."""
    url, seed, *hosts = sys.argv[1:]

    async def run() -> None:
        cutter = Cutter(url, int(seed))
        loop = asyncio.get_running_loop()
        while True:
            cutter.resting.clear()
            playing = asyncio.create_task(cutter.run(hosts))
            word = (await loop.run_in_executor(None, sys.stdin.readline)).strip()
            cutter.resting.set()
            await playing
            print(
                json.dumps([cutter.cuts, cutter.refused, cutter.stuck, cutter.longest]),
                flush=True,
            )
            if word != "rest":
                return
            with suppress(EOFError):
                await loop.run_in_executor(None, sys.stdin.readline)

    asyncio.run(run())


if __name__ == "__main__":
    main()
