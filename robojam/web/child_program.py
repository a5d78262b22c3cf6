"""Start and end of the web programs: their first line of input, and their interval timer.

The first line of standard input, JSON, says what to serve; standard input ends when the program
that started them does (robojam.system.child_process).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from robojam.system.child_process import on_stdin_end, read_first_line


def run(serve: Callable[[Any, asyncio.Event], Awaitable[int]]) -> int:
    """Serve what the first line says until standard input ends; return the exit status.

    serve is given the value of the line, and an event that is set at the end of the input.
    """
    given = json.loads(read_first_line() or b"null")
    if given is None:
        return 0

    async def run() -> int:
        loop, ended = asyncio.get_running_loop(), asyncio.Event()
        on_stdin_end(lambda: loop.call_soon_threadsafe(ended.set))
        return await serve(given, ended)

    return asyncio.run(run())


async def beats(ended: asyncio.Event, interval: float) -> AsyncIterator[None]:
    """Yield at once, and then at an interval in seconds, until an event is set."""
    while not ended.is_set():
        yield
        try:
            async with asyncio.timeout(interval):
                await ended.wait()
        except TimeoutError:
            continue
