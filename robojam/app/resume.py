"""A jam that goes on from its recording: after a crash, or on another day.

The recording is run through the model again, as `robojam replay --regenerate` does, and the jam
that results is the one that was left: what it has heard, its random numbers, the controls in
force and whose turn it is. Its time goes on from the last event of the recording, as if there
had been no time between; only the beats of a clock have gone on meanwhile.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import msgspec

from robojam.config.load import OptionsError, change, recorded
from robojam.config.options import BY_NAME, Options
from robojam.controls import SETTINGS
from robojam.engine import model_loader
from robojam.engine.model_loader import Models, is_compiled
from robojam.engine.takes import LoadedPlayer, Resumed
from robojam.jam.jam import RULES
from robojam.jam.protocols import Player
from robojam.model import file as model_file
from robojam.sessions.regenerate import Rerun
from robojam.sessions.session import (
    EndEvent,
    Header,
    ModelRef,
    Session,
    SessionError,
    SessionEvent,
    SetEvent,
    file_name,
    read,
)

#: Options that a jam which goes on has from its recording, where they are not given: ports.
#: Paths are not among them, of which a recording holds the names alone.
_PORTS: Final = (
    "osc-in", "osc-out", "osc-ahead", "midi-in", "midi-out", "midi", "tuio-in", "touchosc",
    "web", "web-control", "control", "announce", "sound", "sound-out", "sound-latency",
    "window-latency",
)  # fmt: skip


#: Seconds for which a jam may be silent after its engine died: one that takes longer to be
#: heard again starts from nothing.
PATIENCE: Final = 2.0


class ResumeError(ValueError):
    """Reason why a jam cannot go on from a recording, in one line."""


def read_jam(path: Path, *, only_cut: bool = False) -> Session | None:
    """Return a recording to go on from. Raises ResumeError.

    only_cut: None where it has its end.
    """
    try:
        session = read(path)
    except SessionError as error:
        raise ResumeError(str(error)) from error
    if only_cut and session.ended is not None:
        return None
    events = [event for event in session.events if not isinstance(event, EndEvent)]
    if not events:
        raise ResumeError(f"{path}: nobody has played in it yet")
    if session.header.rules > RULES:
        raise ResumeError(f"{path}: was made by the rules of a newer robojam")
    return Session(session.header, tuple(events), path, session.warnings, session.damaged)


def with_ports(options: Options, session: Session) -> Options:
    """Return options with the ports of a recording in place of those that are not given."""
    defaults = Options()
    for name in _PORTS:
        field, value = BY_NAME[name].field, session.header.options.get(name)
        if value is not None and getattr(options, field) == getattr(defaults, field):
            with suppress(OptionsError):  # a port of a newer robojam
                options = change(options, name, value)
    return options


def resume(
    session: Session,
    options: Options,
    models: Models,
    warnings: list[str],
    *,
    patience: float = math.inf,
) -> tuple[Options, Resumed]:
    """Run a jam through its recording; return its options in force, and the jam.

    Controls that options name take effect at the end of the recording. Adds to warnings what
    keeps the jam from being the same. Raises ResumeError, also where it takes longer than
    patience (s), and model_file.ModelFileError.
    """
    header, path = session.header, session.path
    assert path is not None
    voices = recorded(header.options, "voices")

    loaded = _load(models, header.model, header, voices)

    def load(reference: dict[str, Any]) -> Player:
        nonlocal loaded
        model = ModelRef(file_name(reference["file"]), str(reference.get("sha256", "")))
        loaded = _load(models, model, header, voices)
        return loaded.player

    models.compiled = is_compiled(loaded.info.build)
    if loaded.info.build != header.build:
        warnings.append(
            f"{path.name} was made with {header.build}, and this is {loaded.info.build}: what "
            "the machine plays may differ from what it would have played"
        )
    if header.continues is not None:
        warnings.append(f"{path.name} lacks its beginning, which is in {header.continues}")
    if session.damaged:
        warnings.append(f"{path.name}: {len(session.damaged)} damaged lines are left out")
    try:
        rerun = Rerun(session, loaded.player, load)
        made = _within(patience, rerun.events(ends=False))
    except (ValueError, TypeError) as error:
        raise ResumeError(f"{path}, {error}") from error
    events = _joined(session, made, warnings)
    for name, value in options.controls.items():
        rerun.jam.control(rerun.jam.t, name, value)
    events += rerun.take_made()
    jam, settings = rerun.jam, rerun.jam.settings
    in_force = {name: getattr(settings, name) for name in SETTINGS}
    options = msgspec.structs.replace(options, controls=in_force, voices=voices)
    info = loaded.info
    header = msgspec.structs.replace(
        header, resumes=path.name, device=info.device, build=info.build
    )
    try:
        away = max(0.0, time.time() - path.stat().st_mtime)
    except OSError:  # it was moved meanwhile
        away = 0.0
    seeds = [e.values["seed"] for e in events if isinstance(e, SetEvent) and "seed" in e.values]
    seed = int(seeds[-1]) if seeds else header.seed
    return options, Resumed(jam, header, tuple(events), loaded, seed, away)


def _within(seconds: float, events: Iterator[SessionEvent]) -> list[SessionEvent]:
    """Return all events. Raises ValueError if they are not there within a time."""
    until, made = time.monotonic() + seconds, []
    for event in events:
        made.append(event)
        if time.monotonic() > until:
            raise ValueError(f"it takes longer than {seconds:g} s to hear it again")
    return made


def _load(models: Models, model: ModelRef, header: Header, voices: int) -> LoadedPlayer:
    """Load a model of a recording as it was played there. Raises ResumeError."""
    path = models.find_recorded(model)
    compiled = is_compiled(header.build) and models.device == "cpu"
    if compiled:
        with suppress(ImportError):  # its build will differ, and that is said
            loaded = model_loader.load(path, device="cpu", voices=voices, compiled=True)
            return _checked(loaded, model)
    return _checked(model_loader.load(path, device=models.device, voices=voices), model)


def _checked(loaded: LoadedPlayer, model: ModelRef) -> LoadedPlayer:
    found = loaded.info.model
    if found.sha256 != model.sha256:
        raise ResumeError(
            f"the recording was made with {model.file} ({model.sha256[:12]}…), and "
            f"{found.file} here is another ({found.sha256[:12]}…): what was heard cannot be "
            "heard again by it; --model FILE names the place of the first"
        )
    return loaded


def _joined(
    session: Session, made: list[SessionEvent], warnings: list[str]
) -> list[SessionEvent]:
    """Return what the new recording begins with: what was made again.

    Of what happens at one instant the crash may have kept a part from the disk. Where more
    differs, it is what was recorded.
    """
    recorded_events = list(session.events)
    before = sum(event.t < session.duration for event in recorded_events)
    if made[:before] == recorded_events[:before]:
        return made
    assert session.path is not None
    warnings.append(
        f"{session.path.name}: the machine would play otherwise now; it goes on from what it "
        "heard"
    )
    return recorded_events


def folders(options: Options) -> list[Path]:
    """Return where the model of a recording is looked for. Raises ModelFileError."""
    return [Path("models"), Path()] if options.model is None else [_parent(options.model)]


def _parent(model: str) -> Path:
    return model_file.find(model).parent
