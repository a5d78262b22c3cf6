"""A jam that goes on from its recording: after a crash, or on another day.

The recording is run through the model again, as `robojam replay --regenerate` does, and the jam
that results is the one that was left: what it has heard, its random numbers, the controls in
force and whose turn it is. Where there is a checkpoint beside the recording, only what follows
that is run. Its time goes on from the last event of the recording, as if there
had been no time between; only the beats of a clock have gone on meanwhile.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import msgspec

from robojam.config.load import OptionsError, change, recorded
from robojam.config.options import BY_NAME, Options
from robojam.controls import SETTINGS
from robojam.engine import model_loader
from robojam.engine.model_loader import Models, is_compiled
from robojam.engine.takes import LoadedPlayer, ModelInfo, Resumed
from robojam.jam.jam import RULES
from robojam.jam.protocols import Player
from robojam.model import file as model_file
from robojam.sessions import checkpoint, last_lines
from robojam.sessions.checkpoint import Checkpoint, CheckpointError
from robojam.sessions.recorder import Before
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
    parse,
    read_bytes,
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


@dataclass(frozen=True, slots=True)
class LeftJam:
    """Recording of a jam that was left, at a path, of which data are the bytes.

    session is what is to be heard again: all of it, or what follows a checkpoint.
    """

    path: Path
    data: bytes
    session: Session
    checkpoint: Checkpoint | None = None


def read_jam(
    path: Path,
    warnings: list[str],
    *,
    only_cut: bool = False,
    checkpoints: bool = True,
    memory: Path | None = None,
) -> LeftJam | None:
    """Return a recording to go on from. Raises ResumeError.

    Where it goes on from another one, and the engine died before it had all of that, the other
    one is returned. only_cut: None where it has its end. checkpoints: use a checkpoint, where
    it is of the recording; else that is added to warnings. memory is the folder of the last
    lines, where it is not the user's own.
    """
    try:
        path, data = _whole(path, warnings, memory)
        checkpoint = _checkpoint(path, data, warnings) if checkpoints else None
        heard = data
        if checkpoint is not None:
            heard = data[: data.find(b"\n") + 1] + data[checkpoint.of.bytes :]
        session = parse(heard, path)
    except SessionError as error:
        raise ResumeError(str(error)) from error
    if only_cut and session.ended is not None:
        return None
    events = [event for event in session.events if not isinstance(event, EndEvent)]
    if not events and checkpoint is None:
        raise ResumeError(f"{path}: nobody has played in it yet")
    if session.header.rules > RULES:
        raise ResumeError(f"{path}: was made by the rules of a newer robojam")
    session = Session(session.header, tuple(events), path, session.warnings, session.damaged)
    return LeftJam(path, data, session, checkpoint)


def _whole(path: Path, warnings: list[str], memory: Path | None) -> tuple[Path, bytes]:
    """Return a recording's path and bytes, or those of one that it has not all of yet.

    With what its killed engine had not written. Raises SessionError.
    """
    data = last_lines.complete(path, read_bytes(path), memory)
    header = _header(path, data)
    seen = {path}
    while header.resumes is not None and data.count(b"\n") - 1 < header.begins:
        before = path.with_name(file_name(header.resumes))
        if before in seen or not before.is_file():
            break
        seen.add(before)
        warnings.append(f"{path.name} was cut off before it had all of {before.name}")
        path, data = before, last_lines.complete(before, read_bytes(before), memory)
        header = _header(path, data)
    return path, data


def _header(path: Path, data: bytes) -> Header:
    """Return the header of a recording. Raises SessionError."""
    return parse(data[: data.find(b"\n") + 1] or data, path).header


def _checkpoint(path: Path, data: bytes, warnings: list[str]) -> Checkpoint | None:
    """Return the checkpoint of a recording; None, and a warning, where it is of no use."""
    try:
        found = checkpoint.read(checkpoint.path_of(path))
        if found is not None and not found.belongs_to(data):
            raise CheckpointError("it is of another recording")
        return found
    except CheckpointError as error:
        _not_used(path, error, warnings)
        return None


def _not_used(path: Path, error: CheckpointError, warnings: list[str]) -> None:
    name = checkpoint.path_of(path).name
    warnings.append(f"{name} is not used: {error}; the jam is heard again from its beginning")


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
    left: LeftJam,
    options: Options,
    models: Models,
    warnings: list[str],
    *,
    patience: float = math.inf,
) -> tuple[Options, Resumed]:
    """Run a jam through its recording; return its options in force, and the jam.

    From its checkpoint on, where there is one that can be used.

    Controls that options name take effect at the end of the recording. Adds to warnings what
    keeps the jam from being the same. Raises ResumeError, also where it takes longer than
    patience (s), and model_file.ModelFileError.
    """
    if left.checkpoint is not None:
        try:
            return _resume(left, options, models, warnings, patience)
        except CheckpointError as error:
            _not_used(left.path, error, warnings)
        whole = read_jam(left.path, warnings, checkpoints=False)
        assert whole is not None
        left = whole
    return _resume(left, options, models, warnings, patience)


def _resume(
    left: LeftJam, options: Options, models: Models, warnings: list[str], patience: float
) -> tuple[Options, Resumed]:
    """Do what `resume` does. Raises CheckpointError for a checkpoint that cannot be used."""
    session, path, saved = left.session, left.path, left.checkpoint
    header = session.header
    voices = recorded(header.options, "voices")
    options = msgspec.structs.replace(options, knobs=session.knobs)
    model = header.model if saved is None else saved.moment.model
    loaded = load_recorded(models, model, header, voices)

    def load(reference: dict[str, Any]) -> Player:
        nonlocal loaded
        model = ModelRef(file_name(reference["file"]), str(reference.get("sha256", "")))
        loaded = load_recorded(models, model, header, voices)
        return loaded.player

    if saved is not None:
        _check(saved, header, loaded.info, voices)
    models.compiled = is_compiled(loaded.info.build)
    if loaded.info.build != header.build:
        warnings.append(
            f"{path.name} was made with {header.build}, and this is {loaded.info.build}: what "
            "the machine plays may differ from what it would have played"
        )
    if header.continues is not None and saved is None:
        warnings.append(f"{path.name} lacks its beginning, which is in {header.continues}")
    if session.damaged:
        warnings.append(f"{path.name}: {len(session.damaged)} damaged lines are left out")
    rerun = _rerun(session, loaded.player, load, saved)
    try:
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
    left_at = saved.moment.at if saved is not None and not session.events else _changed(path)
    away = max(0.0, time.time() - left_at)
    seeds = [e.values["seed"] for e in events if isinstance(e, SetEvent) and "seed" in e.values]
    seed = int(seeds[-1]) if seeds else header.seed if saved is None else saved.moment.seed
    before = Before(path, events=tuple(events))
    if saved is not None:
        lines = left.data[left.data.find(b"\n") + 1 : saved.of.bytes]
        controls = saved.moment.controls | {
            "seed": saved.moment.seed,
            "model": msgspec.structs.asdict(saved.moment.model),
        }
        before = replace(before, lines=lines, controls=controls)
    header = msgspec.structs.replace(
        header, resumes=path.name, begins=before.lines.count(b"\n") + len(before.events),
        device=info.device, build=info.build,
    )  # fmt: skip
    return options, Resumed(jam, header, before, loaded, seed, away)


def _check(saved: Checkpoint, header: Header, info: ModelInfo, voices: int) -> None:
    """Check that a checkpoint is of a jam that goes on here. Raises CheckpointError."""
    moment = saved.moment
    if moment.build != info.build or moment.device != info.device:
        raise CheckpointError(f"it was written by {moment.build}, and this is {info.build}")
    if (moment.rules, moment.voices) != (header.rules, voices):
        raise CheckpointError("it is of a jam by other rules")


def _rerun(
    session: Session,
    player: Player,
    load: Callable[[dict[str, Any]], Player],
    saved: Checkpoint | None,
) -> Rerun:
    """Return the jam to run. Raises ResumeError, and CheckpointError for a wrong state."""
    try:
        rerun = Rerun(session, player, load, None if saved is None else saved.state)
    except (ValueError, TypeError) as error:
        if saved is not None:
            raise CheckpointError(f"its state cannot be read ({error})") from error
        raise ResumeError(f"{session.path}, {error}") from error
    if saved is not None:
        counts = rerun.jam.counts
        counts.heard, counts.played = saved.moment.heard, saved.moment.played
    return rerun


def _changed(path: Path) -> float:
    """Return when a file was written last; now where it was moved meanwhile."""
    try:
        return path.stat().st_mtime
    except OSError:
        return time.time()


def _within(seconds: float, events: Iterator[SessionEvent]) -> list[SessionEvent]:
    """Return all events. Raises ValueError if they are not there within a time."""
    until, made = time.monotonic() + seconds, []
    for event in events:
        made.append(event)
        if time.monotonic() > until:
            raise ValueError(f"it takes longer than {seconds:g} s to hear it again")
    return made


def load_recorded(models: Models, model: ModelRef, header: Header, voices: int) -> LoadedPlayer:
    """Load a model of a recording as it was played there. Raises ResumeError."""
    path = models.find_recorded(model)
    compiled = is_compiled(header.build) and models.device == "cpu"
    if compiled:
        with suppress(ImportError):  # its build will differ, and that is said
            loaded = model_loader.load(
                path, device="cpu", voices=voices, compiled=True, knobs=models.knobs
            )
            return _checked(loaded, model)
    loaded = model_loader.load(path, device=models.device, voices=voices, knobs=models.knobs)
    return _checked(loaded, model)


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
