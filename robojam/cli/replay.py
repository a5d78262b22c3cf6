"""replay: a recorded jam again, in time or made anew."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from robojam.cli import arguments, play
from robojam.config.addresses import parse_address

if TYPE_CHECKING:
    from robojam.jam.events import Player
    from robojam.sessions.session import Header, ModelRef, Session, SessionEvent

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
    from robojam.app.supervisor import display_at_hand, window_beside
    from robojam.engine.engine import READY, Engine
    from robojam.engine.takes import LoadedPlayer
    from robojam.ports.osc_out import make_outputs
    from robojam.ports.udp import Endpoint, PortError
    from robojam.sessions.playback import NoPlayer, Playback, named, settings_of

    window = display_at_hand() if chosen.window is None else chosen.window
    header = session.header
    try:
        settings = settings_of(session)
    except ValueError as error:
        arguments.fail(f"{chosen.session}, {error}")
    settings.pause = 0
    played = session.summary().touches
    for who in chosen.who or ():
        if not any(named(one, [who]) for one in played):
            arguments.fail(
                f"nobody named {who} plays there; there is {', '.join(played) or 'nobody'}"
            )
    options = arguments.options(
        argparse.Namespace(
            record=False,
            osc_in=chosen.osc_in,
            sound=chosen.sound,
            instrument=settings.instrument,
            scale=settings.scale,
            volume=settings.volume,
            **({"osc_out": chosen.osc_out} if chosen.osc_out else {}),
            **({"midi_out": chosen.midi_out} if chosen.midi_out else {}),
            **({"touchosc": chosen.touchosc} if chosen.touchosc else {}),
        )
    )
    reader = play.dialects(options)
    try:
        endpoint = Endpoint(*parse_address(options.osc_in))
        server: Engine = Engine(
            options,
            LoadedPlayer(NoPlayer(), header.model, header.device, header.build),
            endpoint=endpoint,
            settings=settings,
            load=lambda *_: None,  # a replay takes no such control
            outputs=[
                *make_outputs(options, endpoint, reader, everyone=True),
                *(midi := play.midi_of(options, everyone=True)),
                *play.sound(options),
            ],
            inputs=midi,
            reader=reader,
            make_jam=lambda sink, counts: Playback(
                session,
                sink,
                settings=settings,
                counts=counts,
                speed=chosen.speed,
                who=chosen.who,
                lead=1.0 if window else 0.0,
                on_end=lambda: server.stop("the end"),
            ),
        )
    except PortError as error:
        arguments.fail(error)
    host, port = endpoint.address
    ready = (
        f"{READY}{host}:{port}, replays {chosen.session.name} to {', '.join(options.osc_out)}"
    )
    for one in midi:
        one.await_ports(_PORTS)
    with window_beside(endpoint.address, on_close=server.stop, wanted=window):
        return play.run(server, ready, options=options)


def _regenerate(chosen: argparse.Namespace, session: Session) -> int:
    from robojam.engine.model_loader import Models, load, one_thread
    from robojam.model.file import ModelFileError
    from robojam.player.devices import DeviceError
    from robojam.sessions.regenerate import regenerate
    from robojam.sessions.session import ModelRef

    one_thread()
    header = session.header
    if chosen.to.exists() and chosen.session.samefile(chosen.to):
        arguments.fail(f"{chosen.to} is the recording itself: name another file")
    differs: list[str] = []

    def compare(what: str, was: object, now: object) -> None:
        if was != now:
            differs.append(f"{what} differs: recorded with {was}, now {now}")

    def swap(ref: dict[str, Any]) -> Player:
        swapped = models.load(ref["file"])
        sha256 = swapped.model.sha256
        compare(f"model {ref['file']}", ref.get("sha256"), sha256)
        return swapped.player

    try:
        device = _device(chosen.device, header.device)
        path = _model(chosen.model, header)
        voices = int(header.options.get("voices", 1))
        playing = load(path, device=device, voices=voices)
        models = Models(path, device=device, voices=voices)
        made = list(regenerate(session, playing.player, swap))
    except (ModelFileError, DeviceError) as error:
        arguments.fail(error)
    except (ValueError, TypeError) as error:
        arguments.fail(f"{chosen.session}, {error}")
    compare("model", _model_said(header.model), _model_said(playing.model))
    compare("device", header.device, device)
    compare("build", header.build, playing.build)
    model = ModelRef(playing.model.file, playing.model.sha256)
    now = msgspec.structs.replace(header, model=model, device=device, build=playing.build)
    _write(chosen.to, now, made)
    print("\n".join([f"{len(made)} events, to {chosen.to}", *differs]))
    _say_difference(session, made)
    return 0


def _model_said(model: ModelRef) -> str:
    return f"{model.file} ({model.sha256[:12]}…)"


def _device(asked: str | None, recorded: str) -> str:
    """Choose where to compute: where it was recorded, or else the CPU."""
    from robojam.player.devices import DeviceError, choose_device

    if asked is not None:
        return choose_device(asked)
    try:
        return choose_device(recorded)
    except DeviceError:
        return "cpu"


def _model(asked: str | None, header: Header) -> Path:
    """Find the model that was asked for, or that it was recorded with, even if it moved."""
    from robojam.model.file import ModelFileError, find

    if asked is not None:
        return find(asked)
    try:
        return find(header.options.get("model") or header.model.file)
    except (ModelFileError, TypeError):
        return find(header.model.file)


def _write(path: Path, header: Header, made: list[SessionEvent]) -> None:
    from robojam.sessions.session import encode, encode_header
    from robojam.system.atomic_file import whole

    try:
        with whole(path) as part:
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
