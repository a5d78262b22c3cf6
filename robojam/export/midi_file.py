"""Export of a recorded jam as a standard MIDI file, in MPE or another style."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from robojam.config.load import recorded
from robojam.config.map_table import FIRST_CONTROLLER
from robojam.music import parse_ranges
from robojam.sessions import strokes
from robojam.sessions.playback import settings_of
from robojam.sessions.session import Session, SetEvent, TouchEvent
from robojam.touch import Phase
from robojam.wire.midi import stream
from robojam.wire.midi.styles import PRESETS, Style, unknown_style
from robojam.wire.midi.writer import make_writer

if TYPE_CHECKING:
    from mido import MidiTrack

#: Microseconds in a beat.
_BEAT: Final = 500_000
#: Ticks of a file: pretty_midi takes one of more than ten million for corrupt, because it makes
#: a table of them.
_MOST_TICKS: Final = 9_990_000
#: Ticks in a beat where the length allows it; fewer are a multiple of MIDI's clock, 24.
_FINEST, _CLOCK = 9_600, 24
#: The channel of drums, from 0.
_DRUMS: Final = 9
_CHANNELS: Final = 16
#: Ports that a file can name.
_PORTS: Final = 256


class Part(NamedTuple):
    """Port of a player in a file, and its channels there (from 0), which no other has."""

    port: int
    channels: tuple[int, ...]


def write(session: Session, to: Path, *, style: Style = PRESETS["mpe"]) -> None:
    """Write everyone's touches, each player on a track and on channels of their own.

    A touch is off by half a tick at most (`ticks_per_beat`), and a note lasts a tick at least;
    t = 0 is the start. A finger that the recording leaves down is lifted at its end. Raises
    ValueError for a control of the recording that is not allowed and for too many players, and
    OSError.

    Of an instrument with knobs everyone's movements are written as controllers, from
    FIRST_CONTROLLER on, each player on a track and a channel of its own.
    """
    ranges = settings_of(session).range
    import mido

    if session.knobs:
        _write_knobs(session, to)
        return

    song = mido.MidiFile(type=1, ticks_per_beat=ticks_per_beat(session.duration))
    second = song.ticks_per_beat * 1e6 / _BEAT
    head = mido.MidiTrack([mido.MetaMessage("set_tempo", tempo=_BEAT)])
    head.append(mido.MetaMessage("text", text=f"robojam, {session.header.started}"))
    song.tracks.append(head)
    parts = allocate(_fingers_at_once(session), style)
    writers = {}
    tracks: dict[str, MidiTrack] = {}
    at = dict.fromkeys(parts, 0)  # the tick of each track's last message
    struck: dict[tuple[str, int, int], int] = {}  # that of each note-on

    def add(who: str, t: float, data: bytes) -> None:
        for message in stream.MidiParser().feed(data)[0]:
            tick = max(at[who], round(t * second))
            note = who, message[0] & 0x0F, message[1]
            if message[0] & 0xF0 == stream.NOTE_ON:
                struck[note] = tick
            elif message[0] & 0xF0 == stream.NOTE_OFF:
                # pretty_midi loses notes without a length.
                tick = max(tick, struck.get(note, -1) + 1)
            tracks[who].append(mido.Message.from_bytes(message, time=tick - at[who]))
            at[who] = tick

    several = len({part.port for part in parts.values()}) > 1
    for who, part in parts.items():
        # One zone for all players of a port.
        leads = not any(parts[other].port == part.port for other in tracks)
        writers[who] = make_writer(
            style, ranges=ranges, channels=part.channels, sets_zone=leads
        )
        tracks[who] = mido.MidiTrack([mido.MetaMessage("track_name", name=who)])
        if several:
            tracks[who].append(mido.MetaMessage("midi_port", port=part.port))
        song.tracks.append(tracks[who])
        add(who, 0.0, writers[who].start())
    for event in strokes.walk(session):
        if isinstance(event, TouchEvent):
            add(event.touch.who, event.t, writers[event.touch.who].touch(event.t, event.touch))
        elif isinstance(event, SetEvent) and "range" in event.values:
            for writer in writers.values():
                writer.ranges = parse_ranges(event.values["range"], writer.ranges)
    end = round(session.duration * second)
    for track, tick in ((head, 0), *((tracks[who], at[who]) for who in parts)):
        track.append(mido.MetaMessage("end_of_track", time=max(0, end - tick)))
    song.save(str(to))


def _write_knobs(session: Session, to: Path) -> None:
    """Write the movements of knobs as controllers. Raises ValueError for too many players."""
    import mido

    song = mido.MidiFile(type=1, ticks_per_beat=ticks_per_beat(session.duration))
    second = song.ticks_per_beat * 1e6 / _BEAT
    head = mido.MidiTrack([mido.MetaMessage("set_tempo", tempo=_BEAT)])
    head.append(mido.MetaMessage("text", text=f"robojam, {session.header.started}"))
    song.tracks.append(head)
    players = list(session.summary().touches)
    if len(players) > _CHANNELS:
        reason = f"{len(players)} players are too many for a MIDI file of knobs"
        raise ValueError(
            f"{reason}, which has {_CHANNELS} channels; --who chooses some of them"
        )
    for channel, who in enumerate(players):
        track = mido.MidiTrack([mido.MetaMessage("track_name", name=who)])
        last: list[int | None] = [None] * session.knobs
        at = 0
        for event in session.touches(who):
            tick = round(event.t * second)
            for knob, value in enumerate(event.touch.knobs[: session.knobs]):
                sent = round(127 * value)
                if sent != last[knob]:
                    last[knob] = sent
                    track.append(
                        mido.Message(
                            "control_change", channel=channel, value=sent,
                            control=FIRST_CONTROLLER + knob, time=max(0, tick - at),
                        )
                    )  # fmt: skip
                    at = max(at, tick)
        song.tracks.append(track)
    song.save(str(to))


def style_named(session: Session, name: str) -> Style:
    """Return the style of a name: a preset, or one of the recorded jam's own.

    Raises ValueError.
    """
    own: dict[str, Style] = recorded(session.header.options, "midi")
    if name not in PRESETS and name not in own:
        raise ValueError(unknown_style(name, own))
    style = (PRESETS | own)[name]
    if style.kind == "map":
        raise ValueError(f"the style {name} plays no touches")
    return style


def ticks_per_beat(seconds: float) -> int:
    """Return the ticks of a beat, of half a second, in a file of a length.

    A tick is 52 µs in a file of up to 8 minutes, and 1.9 ms in one of 5 hours.
    """
    longest = _MOST_TICKS * _BEAT / 1e6 / max(seconds, 1.0)
    return max(_CLOCK, min(_FINEST, int(longest) // _CLOCK * _CLOCK))


def allocate(fingers: Mapping[str, int], style: Style) -> dict[str, Part]:
    """Return each player's part; fingers are how many each has down at once, at most.

    In MPE a finger needs a channel, and those that are left over are shared out, so that a note
    may ring on while the next is bent. In another style a player needs one channel, of `cc` one
    for each finger. Where they do not suffice, the next players have another port. The channel
    of drums is used by a style of that channel alone, whose players share it. Raises
    ValueError.
    """
    if style.kind == "notes" and style.channel == _DRUMS + 1:
        return dict.fromkeys(fingers, Part(0, (_DRUMS,)))
    first = style.channels[0]
    ring = style.channels if style.master is not None else [(first + n) % 16 for n in range(16)]
    pool = [channel for channel in ring if channel != _DRUMS]
    single = style.kind == "notes" or (style.kind == "mpe" and style.master is None)
    ports: list[dict[str, int]] = [{}]
    for who, most in fingers.items():
        needed = 1 if single else min(max(1, most), len(pool))
        if sum(ports[-1].values()) + needed > len(pool):
            ports.append({})
        ports[-1][who] = needed
    if len(ports) > _PORTS:
        reason = f"{len(fingers)} players are too many for a MIDI file"
        raise ValueError(f"{reason}; --who chooses some of them")
    parts = {}
    for port, needs in enumerate(ports):
        spare = len(pool) - sum(needs.values()) if style.master is not None else 0
        begin = 0
        for n, (who, needed) in enumerate(needs.items()):
            end = begin + needed + spare // len(needs) + (n < spare % len(needs))
            parts[who] = Part(port, tuple(pool[begin:end]))
            begin = end
    return parts


def _fingers_at_once(session: Session) -> dict[str, int]:
    """Return how many fingers each player has down at once, at most."""
    down = dict.fromkeys(session.summary().touches, 0)
    most = dict(down)
    for event in strokes.touches(session):
        who, phase = event.touch.who, event.touch.phase
        down[who] += (phase is Phase.DOWN) - (phase is Phase.UP)
        most[who] = max(most[who], down[who])
    return most
