"""The command map: rows of the table [map] from knobs that are turned, by MIDI or OSC."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING

import click

from robojam.cli.arguments import Command, option
from robojam.cli.learn import midi_inputs, prompt
from robojam.cli.output import fail

if TYPE_CHECKING:
    from robojam.ports.listener import Listener
    from robojam.ports.midi_client import MidiClient
    from robojam.wire.map_learn import MapLearner


@click.command(cls=Command)
@click.argument(
    "words",
    metavar="WHAT...",
    nargs=-1,
    required=True,
    help="what the knobs move, in order: x, y, pressure, answer, temperature, "
    "'temperature 0 2', …; with --out the features of touches that move them: x, y, speed, …",
)
@option("--out", "learn knobs of synthesisers, which the touches are to move", default=False)
@option("--midi-in NAME", "port, by a part of its name (default: all)", default="")
@option("--osc-in HOST:PORT", "also learn from OSC that comes in here", default=None)
def map(*, words: tuple[str, ...], out: bool, midi_in: str, osc_in: str | None) -> int:  # noqa: A001
    """Map knobs: turn each when asked.

    Prints the rows of the table [map] of the configuration file.
    """
    import time

    from robojam.config.addresses import parse_address
    from robojam.ports.listener import Listener
    from robojam.ports.midi_client import MidiClient, MidiError
    from robojam.ports.udp import PortError
    from robojam.wire.map_learn import MapLearner

    with ExitStack() as opened:
        listener, client = None, None
        try:
            learner = MapLearner(list(words), out=out)
            if osc_in is not None:
                listener = Listener(*parse_address(osc_in))
                opened.callback(listener.close)
            ports, requests = midi_inputs(midi_in, needed=osc_in is None)
            if requests:
                client = MidiClient(requests, [], time.monotonic)
                opened.callback(client.close)
        except (ValueError, MidiError, PortError) as error:
            fail(error)
        prompt(f"listening to {', '.join([*ports, *filter(None, [osc_in])])}; Ctrl-C ends it")
        try:
            _listen(learner, client, ports, listener)
        except KeyboardInterrupt:
            print(file=sys.stderr)
    if learner.target != words[0].split()[0]:
        print(learner.toml(), end="")
    return 0 if learner.target is None else 130


def _listen(
    learner: MapLearner,
    client: MidiClient | None,
    ports: list[str],
    listener: Listener | None,
) -> None:
    import select
    import time

    from robojam.wire.midi.stream import MidiParser
    from robojam.wire.osc import decode

    parsers = [MidiParser() for _ in ports]
    files = [] if client is None else [client.fileno()]
    files += [] if listener is None else listener.filenos()
    asked, problems = "", 0
    while (target := learner.target) is not None:
        if target != asked:
            asked = target
            prompt(f"{target}: turn its knob, or press it, now")
        select.select(files, [], [], 1.0)
        taken: list[str | None] = []
        if client is not None:
            client.watch(time.monotonic())
            for kind, number, data in client.receive():
                messages = parsers[number].feed(data)[0] if kind == "m" else []
                taken += [learner.read(ports[number], message) for message in messages]
        while listener is not None and (received := listener.receive()) is not None:
            taken += [learner.read_osc(message) for message in decode(received[0])[0]]
        for source in filter(None, taken):
            prompt(f"   taken: {source}")
        for problem in learner.problems[problems:]:
            prompt(f"   {problem}")
        problems = len(learner.problems)
