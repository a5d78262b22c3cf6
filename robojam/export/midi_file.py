"""Export of a recorded jam as a standard MIDI file, in MPE or another style."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from robojam.music import parse_ranges
from robojam.sessions import strokes
from robojam.sessions.playback import settings_of
from robojam.sessions.session import Session, SetEvent, TouchEvent
from robojam.wire.midi import stream
from robojam.wire.midi.styles import PRESETS, Style
from robojam.wire.midi.writer import MidiWriter, make_writer

if TYPE_CHECKING:
    from mido import MetaMessage, MidiTrack

#: Ticks in a beat, and microseconds: a tick is 50 microseconds.
_TICKS, _BEAT = 10_000, 500_000
_TICK = _BEAT / 1e6 / _TICKS


def write(session: Session, to: Path, *, style: Style = PRESETS["mpe"]) -> None:
    """Write everyone's touches, each player on a track of their own.

    A touch is off by 25 microseconds at most; t = 0 is the start. A finger that the
    recording leaves down is lifted at its end. Raises ValueError for a control of the
    recording that is not allowed, and OSError.
    """
    ranges = settings_of(session).range
    import mido

    song = mido.MidiFile(type=1, ticks_per_beat=_TICKS)
    head = mido.MidiTrack([mido.MetaMessage("set_tempo", tempo=_BEAT)])
    head.append(mido.MetaMessage("text", text=f"robojam, {session.header.started}"))
    head.append(_end(session.duration, 0))
    song.tracks.append(head)
    for who in session.summary().touches:
        song.tracks.append(_track(session, who, make_writer(style, ranges=ranges)))
    song.save(str(to))


def _track(session: Session, who: str, writer: MidiWriter) -> MidiTrack:
    import mido

    track = mido.MidiTrack([mido.MetaMessage("track_name", name=who)])
    at = 0
    for t, data in _packets(session, who, writer):
        for message in stream.MidiParser().feed(data)[0]:
            tick = max(at, round(t / _TICK))
            track.append(mido.Message.from_bytes(message, time=tick - at))
            at = tick
    track.append(_end(session.duration, at))
    return track


def _packets(session: Session, who: str, writer: MidiWriter) -> Iterator[tuple[float, bytes]]:
    """Yield the MIDI bytes of one player's touches, each with its time in seconds."""
    yield 0.0, writer.start()
    for event in strokes.walk(session):
        if isinstance(event, TouchEvent) and event.touch.who == who:
            yield event.t, writer.touch(event.t, event.touch)
        elif isinstance(event, SetEvent) and "range" in event.values:
            writer.ranges = parse_ranges(event.values["range"], writer.ranges)


def _end(seconds: float, at: int) -> MetaMessage:
    import mido

    return mido.MetaMessage("end_of_track", time=max(0, round(seconds / _TICK) - at))
