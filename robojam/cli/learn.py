"""The command learn: bindings taken from what is moved on a MIDI controller."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

import click

from robojam.cli.arguments import Command, option
from robojam.cli.output import fail

if TYPE_CHECKING:
    from robojam.ports.midi_client import MidiClient
    from robojam.wire.midi.learn import Learner
    from robojam.wire.midi.styles import PortRequest

_PROMPTS: Final = {"x": "turn its knob, or play a key, now", "y": "turn its knob now"}


@click.command(cls=Command)
@click.argument(
    "bindings",
    metavar="WHAT...",
    nargs=-1,
    required=True,
    help="what to bind, in order: x, y (the surface); answer, panic, pause, reset, mode, "
    "'mode solo', temperature, 'temperature 0 2', spread, timescale, threshold, response, "
    "'record hold'",
)
@option("--midi-in NAME", "port, by a part of its name (default: all)", default="")
def learn(*, bindings: tuple[str, ...], midi_in: str) -> int:
    """Bind the knobs and pads of a MIDI controller: turn or press each when asked.

    Prints the table of the configuration file that binds them.
    """
    import time

    from robojam.ports.midi_client import MidiClient, MidiError
    from robojam.wire.midi.learn import Learner

    try:
        learner = Learner(list(bindings))
        ports, requests = midi_inputs(midi_in)
        client = MidiClient(requests, [], time.monotonic)
    except (ValueError, MidiError) as error:
        fail(error)
    try:
        _listen(learner, client, ports)
    except KeyboardInterrupt:
        print(file=sys.stderr)
    finally:
        client.close()
    if learner.sources:
        print(learner.toml(), end="")
    return 0 if learner.target is None else 130


def midi_inputs(midi_in: str, *, needed: bool = True) -> tuple[list[str], list[PortRequest]]:
    """Return the names of the MIDI ports that one is like, and requests of them.

    Exits with an error where there is none, and one is needed. Raises MidiError.
    """
    from robojam.ports.midi_client import list_ports
    from robojam.wire.midi.port_names import matches
    from robojam.wire.midi.styles import PortRequest

    input_names = list_ports()["in"]
    ports = [input_names[place] for place in matches(midi_in, input_names)]
    if needed and not ports:
        wanted = f" is named like {midi_in}" if midi_in else " is there"
        known = f"; there is {', '.join(input_names)}" if input_names else ""
        fail(f"no MIDI port{wanted}{known}. Plug it in, and try again")
    return ports, [PortRequest(name, "", virtual=False) for name in ports]


def _listen(learner: Learner, client: MidiClient, ports: list[str]) -> None:
    import select
    import time

    from robojam.wire.midi.learn import describe_source
    from robojam.wire.midi.stream import MidiParser

    parsers = [MidiParser() for _ in ports]
    prompt(f"listening to {', '.join(ports)}; Ctrl-C ends it")
    asked, problems = None, 0
    while (binding := learner.target) is not None:
        if binding != asked:
            asked = binding
            prompt(f"{binding}: {_PROMPTS.get(binding, 'press it, or turn it, now')}")
        select.select([client], [], [], 1.0)
        client.watch(time.monotonic())
        for kind, number, data in client.receive():
            if kind != "m":
                continue
            for message in parsers[number].feed(data)[0]:
                source = learner.read(ports[number], message)
                if source is not None:
                    prompt(f"   taken: {describe_source(source)}")
        for problem in learner.problems[problems:]:
            prompt(f"   {problem}")
        problems = len(learner.problems)


def prompt(text: str) -> None:
    """Print a line for the player, beside the table that is printed."""
    from robojam.system.shell import printable

    print(printable(text), file=sys.stderr, flush=True)
