"""The command replay: play a recorded jam again, or make the machine's part again."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from robojam.cli.arguments import PATH, Command, option, positive_number, strict_option
from robojam.cli.output import duration, fail, warn
from robojam.system.shell import printable

if TYPE_CHECKING:
    from robojam.sessions.session import Session

#: Seconds without a touch that a replay tells of: a stray time may be their cause.
_LONG_PAUSE = 600.0
# Texts of the options that need more than their line.
_SPEED = "how many times faster it plays (default: 1)"
_WHO = "play this player alone: human, ai, human2, …; can be repeated (default: all)"
_OSC_IN = "address at which monitors subscribe (default: any free port of 127.0.0.1)"
_OSC_OUT = "address to play to; can be repeated (default: 127.0.0.1:5006)"
_MIDI_OUT = "MIDI port to play to; can be repeated (default: none)"
_PAD = "pad that shows the touches, for an output with the dialect touchosc"
_REGENERATE = "do not play: make the machine's part again from what the humans played"
_DEVICE = "auto, cpu, cuda or mps, with --regenerate (default: that of the recording)"


@click.command(cls=Command)
@click.argument("session", metavar="SESSION", type=PATH, help="a recorded jam, .jsonl")
@option("--speed FACTOR", _SPEED, positive_number(), default=1.0)
@option("--who NAME", _WHO, multiple=True)
@option("--window/--no-window", "open a window (default: if there is a display)", default=None)
@option("--sound/--no-sound", "play the sound (default: on)", default=True)
@option("--osc-in HOST:PORT", _OSC_IN, default="127.0.0.1:0")
@option("--osc-out HOST:PORT[/DIALECT]", _OSC_OUT, multiple=True)
@option("--midi-out NAME[/STYLE]", _MIDI_OUT, multiple=True)
@option("--touchosc ADDRESS[=AXES]", _PAD, multiple=True)
@option("--regenerate", _REGENERATE)
@option("--to FILE", "file to write, with --regenerate", PATH)
@option("--model FILE", "model to use with --regenerate (default: that of the recording)")
@option("--device DEVICE", _DEVICE, click.Choice(["auto", "cpu", "cuda", "mps"]))
@strict_option
def replay(
    *, session: Path, regenerate: bool, to: Path | None, strict: bool, **given: Any
) -> int:
    """Play a recorded jam again, in time; or make the machine's part again in a file."""
    from robojam.sessions.session import SessionError, read

    try:
        recording = read(session, strict=strict)
    except SessionError as error:
        fail(error)
    for warning in recording.warnings:
        warn(warning)
    if (before := recording.header.continues) is not None and not regenerate:
        warn(f"{session} is a later part of a jam: the part before it is {before!r:.80}")
    model, device = given.pop("model"), given.pop("device")
    if not regenerate:
        if to is not None:
            fail("--to goes with --regenerate")
        return _play(recording, **given)
    if to is None:
        fail("--regenerate wants --to FILE")
    if to.exists() and session.samefile(to):
        fail(f"{to} is the recording itself: name another file")
    return _regenerate(recording, to, model=model, device=device)


def _play(
    session: Session, *, speed: float, who: tuple[str, ...], window: bool | None, **given: Any
) -> int:
    """Play a recording in time; window None opens one where there is a display."""
    from robojam.app import assemble
    from robojam.app.supervisor import has_display, window_beside

    pause, since = session.longest_pause
    if pause / speed > _LONG_PAUSE:
        warn(f"nothing is played for {duration(pause)} from {duration(since)} on")
    if window is None:
        window = has_display()
    try:
        options = {name: value for name, value in given.items() if value != ()}
        lead = 1.0 if window else 0.0
        assembly = assemble.assemble_replay(session, options, speed=speed, who=who, lead=lead)
        stop = assembly.engine.stop
        with window_beside(assembly.address, stop) if window else nullcontext():
            assembly.run(on_ready=lambda: print(assembly.ready, flush=True))
    except assemble.AssemblyError as error:
        fail(error)
    return 0


def _regenerate(session: Session, to: Path, *, model: str | None, device: str | None) -> int:
    from robojam.app import assemble
    from robojam.export.writers import write_session
    from robojam.sessions.regenerate import first_difference
    from robojam.sessions.session import encode

    try:
        made, differences = assemble.regenerate_session(session, model=model, device=device)
        write_session([made], to)
    except assemble.AssemblyError as error:
        fail(error)
    except OSError as error:
        fail(f"cannot write {to}: {error.strerror}")
    lines = [f"{len(made.events)} events, to {to}", *differences]
    print("\n".join(map(printable, lines)))
    difference = first_difference(session, made.events)
    if difference is None:
        print("the same, touch for touch")
        return 0
    print(f"differs from line {difference.index + 2} on")
    for label, event in (("recorded", difference.recorded), ("made", difference.made)):
        print(f"  {label}: {encode(event).decode().strip() if event else 'nothing more'}")
    return 1
