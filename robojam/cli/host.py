"""The command host: many jams at one address, each in a room."""

from __future__ import annotations

import signal
import sys
from typing import Any, Final

import click

from robojam.cli.arguments import (
    Command,
    jam_options,
    load_options,
    option,
    whole_number,
)
from robojam.cli.output import fail
from robojam.config.addresses import WEB_PORT
from robojam.system.child_process import termination_signals
from robojam.system.log_queue import print_line

_ROOMS: Final = "number of rooms, named room-1, room-2 … (default: 3, without --room)"
_ROOM: Final = "name of a room: letters, digits, - and _; can be repeated"
_PLACES: Final = "people who may play in a room; others may watch (default: 8)"
_RAY: Final = (
    "rooms are on the machines of a cluster of Ray: HOST:PORT of its head, or local, which is "
    "this machine"
)
_RESUME: Final = "each room goes on from its newest recording, if that was cut off"


@click.command(cls=Command)
@option("--rooms N", _ROOMS, whole_number(1, 256), field="count")
@option("--room NAME", _ROOM, field="names", multiple=True)
@option("--places N", _PLACES, whole_number(1, 512), default=8)
@option("--resume", _RESUME, field="resumes")
@jam_options
@option("--ray ADDRESS", _RAY)
def host(
    *,
    count: int | None,
    names: tuple[str, ...],
    places: int,
    resumes: bool,
    config: str | None,
    ray: str | None,
    **given: Any,
) -> int:
    """Host many jams behind one address: each room is a jam, played in browsers."""
    for number in termination_signals():
        signal.signal(number, lambda *_: sys.exit(0))  # as long as nothing has started
    import msgspec

    from robojam.app import rooms
    from robojam.app.assemble import AssemblyError

    options = load_options(given, config)
    if options.web == "none":
        options = msgspec.structs.replace(options, web=WEB_PORT)
    if count is None:
        count = 0 if names else 3
    all_names = (*names, *(f"room-{number}" for number in range(1, count + 1)))
    hosted = rooms.Hosted(all_names, places, options, resumes)

    def say(line: str) -> None:
        print_line(line, sys.stdout)

    try:
        if ray is None:
            return rooms.run(hosted, say)
        from robojam.cluster import rooms as cluster_rooms

        return cluster_rooms.run(hosted, ray, say)
    except (rooms.RoomsError, AssemblyError) as error:
        fail(error)
