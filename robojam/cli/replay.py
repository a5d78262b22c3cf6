"""replay: a recorded jam again, in time or made anew."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from robojam.cli import arguments

if TYPE_CHECKING:
    from robojam.sessions.session import Header, Session, SessionEvent

#: Seconds that a replay waits for its MIDI ports: nothing of it is to be missed.
_PORTS: Final = 3.0


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("session", metavar="SESSION", type=Path, help="a recorded jam, .jsonl")
    parser.add_argument(
        "--speed",
        metavar="FACTOR",
        type=arguments.positive,
        default=1.0,
        help="how many times faster (default: 1)",
    )
    parser.add_argument(
        "--who",
        metavar="NAME",
        action="append",
        help="only these: human, ai, human2, …; again: more",
    )
    parser.add_argument(
        "--window",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="show it (default: where there is a display)",
    )
    parser.add_argument(
        "--sound",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="let it be heard (default: where there is an audio device)",
    )
    parser.add_argument(
        "--osc-in",
        metavar="HOST:PORT",
        default="127.0.0.1:0",
        help="where monitors subscribe (default: any free port)",
    )
    parser.add_argument(
        "--osc-out",
        metavar="HOST:PORT[/DIALECT]",
        action="append",
        help="where it plays to; again: more (default: 127.0.0.1:5006)",
    )
    parser.add_argument(
        "--midi-out",
        metavar="NAME[/STYLE]",
        action="append",
        help="a MIDI port it plays to; again: more (default: none)",
    )
    parser.add_argument(
        "--touchosc",
        metavar="ADDRESS[=AXES]",
        action="append",
        help="the pad that shows it, where it plays to TouchOSC",
    )
    parser.add_argument(
        "--regenerate", action="store_true", help="offline: make the machine's part anew"
    )
    parser.add_argument("--to", metavar="FILE", type=Path, help="where to, with --regenerate")
    parser.add_argument(
        "--model",
        metavar="FILE",
        help="the model, with --regenerate (default: the one it was recorded with)",
    )
    parser.add_argument(
        "--device",
        metavar="DEVICE",
        choices=["auto", "cpu", "cuda", "mps"],
        help="with --regenerate (default: the one it was recorded on)",
    )


def _replay(chosen: argparse.Namespace) -> int:
    from robojam.sessions.session import SessionError, read

    try:
        session = read(chosen.session)
    except SessionError as error:
        arguments.fail(error)
    for warning in session.warnings:
        print(f"robojam: {warning}", file=sys.stderr)
    if chosen.regenerate:
        if chosen.to is None:
            arguments.fail("--regenerate wants --to FILE")
        return _regenerate(chosen, session)
    if chosen.to is not None:
        arguments.fail("--to goes with --regenerate")
    return _play_again(chosen, session)


def _play_again(chosen: argparse.Namespace, session: Session) -> int:
    from robojam.app import assemble
    from robojam.app.supervisor import display_at_hand, window_beside

    window = display_at_hand() if chosen.window is None else chosen.window
    given = {"osc_in": chosen.osc_in, "sound": chosen.sound, "osc_out": chosen.osc_out}
    given |= {"midi_out": chosen.midi_out, "touchosc": chosen.touchosc}
    try:
        assembly = assemble.assemble_replay(
            session,
            {name: value for name, value in given.items() if value is not None},
            speed=chosen.speed,
            who=chosen.who or (),
            lead=1.0 if window else 0.0,
        )
        stop = assembly.engine.stop
        with window_beside(assembly.address, on_close=stop, wanted=window):
            assembly.run(on_ready=lambda: print(assembly.ready, flush=True))
    except assemble.AssemblyError as error:
        arguments.fail(error)
    return 0


def _regenerate(chosen: argparse.Namespace, session: Session) -> int:
    from robojam.app import assemble

    if chosen.to.exists() and chosen.session.samefile(chosen.to):
        arguments.fail(f"{chosen.to} is the recording itself: name another file")
    try:
        made = assemble.regenerate_session(session, model=chosen.model, device=chosen.device)
    except assemble.AssemblyError as error:
        arguments.fail(error)
    _write(chosen.to, made.header, made.events)
    print("\n".join([f"{len(made.events)} events, to {chosen.to}", *made.differences]))
    _say_difference(session, made.events)
    return 0


def _write(path: Path, header: Header, made: list[SessionEvent]) -> None:
    from robojam.sessions.session import encode, encode_header
    from robojam.system.atomic_file import atomic_write

    try:
        with atomic_write(path) as part:
            part.write_bytes(b"".join([encode_header(header), *map(encode, made)]))
    except OSError as error:
        arguments.fail(f"cannot write {path}: {error.strerror}")


def _say_difference(session: Session, made: list[SessionEvent]) -> None:
    from robojam.sessions.regenerate import first_difference
    from robojam.sessions.session import encode

    difference = first_difference(session, made)
    if difference is None:
        print("the same, touch for touch")
        return
    print(f"differs from line {difference.index + 2} on")
    for label, event in (("recorded", difference.recorded), ("made", difference.made)):
        print(f"  {label}: {encode(event).decode().strip() if event else 'nothing more'}")


COMMANDS: Final[tuple[arguments.Command, ...]] = (
    ("replay", "a recorded jam again, in time or made anew", _arguments, _replay),
)
