"""replay: a recorded jam again, in time or made anew."""

from __future__ import annotations

import argparse
from pathlib import Path
import sys
from typing import Any, Final

from robojam.cli import ask, play
from robojam.options import parse_address


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("session", metavar="SESSION", type=Path, help="a recorded jam, .jsonl")
    parser.add_argument(
        "--speed",
        metavar="FACTOR",
        type=ask.positive,
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
        "--osc-in",
        metavar="HOST:PORT",
        default="127.0.0.1:0",
        help="where monitors subscribe (default: any free port)",
    )
    parser.add_argument(
        "--osc-out",
        metavar="HOST:PORT",
        action="append",
        help="where it plays to; again: more (default: 127.0.0.1:5006)",
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
    from robojam.session import SessionError, read

    try:
        session = read(chosen.session)
    except SessionError as error:
        ask.fail(error)
    for warning in session.warnings:
        print(f"robojam: {warning}", file=sys.stderr)
    if chosen.regenerate:
        if chosen.to is None:
            ask.fail("--regenerate wants --to FILE")
        return _regenerate(chosen, session)
    if chosen.to is not None:
        ask.fail("--to goes with --regenerate")
    return _play_again(chosen, session)


def _play_again(chosen: argparse.Namespace, session: Any) -> int:
    from robojam.ports import Endpoint, PortError
    from robojam.replay import NoPlayer, Playback, settings_of
    from robojam.server import READY, Playing, Server
    from robojam.supervise import display_at_hand, window_beside

    window = display_at_hand() if chosen.window is None else chosen.window
    try:
        osc_in = parse_address(chosen.osc_in)
        options = ask.options(
            argparse.Namespace(
                record=False,
                osc_in=chosen.osc_in,
                **({"osc_out": chosen.osc_out} if chosen.osc_out else {}),
            )
        )
        endpoint = Endpoint(*osc_in)
        settings = settings_of(session)
        settings.pause = 0

        def load(name: str) -> Playing:
            raise ValueError(f"a replay loads no model, and so not {name!r}")

        header = session.header
        server: Server = Server(
            options,
            Playing(NoPlayer(), header.model, header.device, header.build),
            endpoint=endpoint,
            settings=settings,
            load=load,
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
            echo_humans=True,
        )
    except (PortError, ValueError, TypeError) as error:
        ask.fail(error)
    host, port = endpoint.address
    ready = (
        f"{READY}{host}:{port}, replays {chosen.session.name} to {', '.join(options.osc_out)}"
    )
    with window_beside(endpoint.address, on_close=server.stop, wanted=window):
        return play.run(server, ready, options=options)


def _regenerate(chosen: argparse.Namespace, session: Any) -> int:
    import dataclasses

    import msgspec

    from robojam.loading import Models, load, one_thread
    from robojam.modelfile import ModelFileError, find
    from robojam.player import DeviceError, choose_device
    from robojam.replay import first_difference, regenerate
    from robojam.session import ModelRef, encode, encode_header

    one_thread()
    header = session.header
    try:
        device = choose_device(chosen.device or header.device)
        path = find(chosen.model or header.options.get("model") or header.model.file)
        voices = int(header.options.get("voices", 1))
        playing = load(path, device=device, voices=voices)
        models = Models(path, device=device, voices=voices)
        made = list(
            regenerate(session, playing.player, lambda ref: models.load(ref["file"]).player)
        )
    except (ModelFileError, DeviceError, ValueError, TypeError, KeyError) as error:
        ask.fail(error)
    now = msgspec.structs.replace(
        header,
        model=ModelRef(playing.model.file, playing.model.sha256),
        device=device,
        build=playing.build,
    )
    try:
        lines = [encode_header(now), *map(encode, made)]
        chosen.to.write_bytes(b"".join(lines))
    except OSError as error:
        ask.fail(f"cannot write {chosen.to}: {error.strerror}")
    print(f"{len(made)} events, to {chosen.to}")
    for what in ("model", "device", "build"):
        was, have = getattr(header, what), getattr(now, what)
        if was != have:
            print(f"{what} differs: recorded with {was}, now {have}")
    difference = first_difference(session, made)
    if difference is None:
        print("the same, touch for touch")
    else:
        print(f"differs from line {difference.index + 2} on")
        for label, event in (("recorded", difference.recorded), ("made", difference.made)):
            print(f"  {label}: {dataclasses.asdict(event) if event else 'nothing more'}")
    return 0


COMMANDS: Final[tuple[ask.Command, ...]] = (
    ("replay", "a recorded jam again, in time or made anew", _arguments, _replay),
)
