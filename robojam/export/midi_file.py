"""A recorded jam as a standard MIDI file: MPE, at the very times at which it was played."""

from __future__ import annotations

from pathlib import Path

from robojam.sessions.session import Session, TouchEvent
from robojam.touch import Phase, Touch
from robojam.wire.midi import stream
from robojam.wire.midi.styles import PRESETS, Style
from robojam.wire.midi.writer import MidiWriter, writer

#: With this many ticks to a beat and this many microseconds, a tick is 50 microseconds.
_TICKS, _BEAT = 10_000, 500_000
_TICK = _BEAT / 1e6 / _TICKS


def write(session: Session, to: Path, *, style: Style = PRESETS["mpe"]) -> None:
    """Write everyone's touches, each player on a track of their own.

    A tick is 50 microseconds, so that no touch is off by more than 25; t = 0 is the start.
    A finger that the recording leaves down is lifted at its end. Raises OSError.
    """
    import mido

    song = mido.MidiFile(type=1, ticks_per_beat=_TICKS)
    head = mido.MidiTrack([mido.MetaMessage("set_tempo", tempo=_BEAT)])
    head.append(mido.MetaMessage("text", text=f"robojam, {session.header.started}"))
    head.append(_end(mido, session.duration, 0))
    song.tracks.append(head)
    for who in session.summary().touches:
        song.tracks.append(_track(mido, session, who, writer(style)))
    song.save(str(to))


def _track(mido, session: Session, who: str, out: MidiWriter):  # type: ignore[no-untyped-def]
    """Make the track of one player."""
    track = mido.MidiTrack([mido.MetaMessage("track_name", name=who)])
    at = 0
    down: dict[int, Touch] = {}
    for t, data in [(0.0, out.start()), *_played(session, who, out, down)]:
        for message in stream.MidiParser().feed(data)[0]:
            tick = max(at, round(t / _TICK))
            track.append(mido.Message.from_bytes(message, time=tick - at))
            at = tick
    track.append(_end(mido, session.duration, at))
    return track


def _played(
    session: Session, who: str, out: MidiWriter, down: dict[int, Touch]
) -> list[tuple[float, bytes]]:
    """Write the touches of one player, and lift what is left."""
    played = []
    for event in session.events:
        if isinstance(event, TouchEvent) and event.touch.who == who:
            played.append((event.t, out.touch(event.t, event.touch)))
            if event.touch.phase is Phase.UP:
                down.pop(event.touch.id, None)
            else:
                down[event.touch.id] = event.touch
    for touch in down.values():
        up = Touch(touch.x, touch.y, 0.0, Phase.UP, touch.id, who)
        played.append((session.duration, out.touch(session.duration, up)))
    return played


def _end(mido, seconds: float, at: int):  # type: ignore[no-untyped-def]
    return mido.MetaMessage("end_of_track", time=max(0, round(seconds / _TICK) - at))
