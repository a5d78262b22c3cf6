"""A session as other programs' files: what each player played, as they read it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from robojam.corpus.corpus import TOUCH, Corpus, write
from robojam.corpus.formats.recorded import heard
from robojam.export import poster
from robojam.sessions import library
from robojam.sessions.session import Session, encode, encode_header
from robojam.system.atomic_file import whole
from robojam.touch import Phase, is_machine

Rows = np.ndarray[Any, np.dtype[np.float64]]

#: What stands for a pressure that nobody measured.
_PRESSURE = 1.0


def streams(session: Session) -> dict[str, tuple[float, Rows]]:
    """Return what each player played: from when (seconds), and touches (n, 4).

    Touches are x, y, dt (0 for the first) and moving; of several fingers the one that
    landed last, as the model hears it.
    """
    found: dict[str, tuple[float, Rows]] = {}
    for player in session.summary().touches:
        kind = "ai" if is_machine(player) else "human"
        played = [event for event in session.touches(player) if event.touch.phase != Phase.UP]
        if kind == "ai":
            rows = [
                (e.touch.x, e.touch.y, e.touch.dt, float(e.touch.phase is Phase.MOVE))
                for e in played
            ]
            times = np.array([e.t for e in played])
            stream = np.array(rows)
            # As it sounded: what was recorded is before its time was stretched.
            stream[:, 2] = np.diff(times, prepend=times[:1])
        else:
            stream = np.array(heard(session.touches(player)))
        found[player] = played[0].t, stream
    return found


def write_csv(sessions: Sequence[Session], path: Path) -> list[Path]:
    """Write MicroJam's CSV, a file for each player: time, x, y, z, moving."""
    written: list[Path] = []
    for session, place in zip(sessions, numbered(path, len(sessions)), strict=True):
        played = streams(session)
        for who, (begins, rows) in played.items():
            one = place if len(played) == 1 else place.with_stem(f"{place.stem}-{who}")
            times = begins + np.cumsum(rows[:, 2])
            lines = ["time, x, y, z, moving"]
            lines += [
                f"{t!r}, {x!r}, {y!r}, {_PRESSURE!r}, {moving:.0f}"
                for t, (x, y, _, moving) in zip(times.tolist(), rows.tolist(), strict=True)
            ]
            with whole(one) as part:
                part.write_bytes(("\n".join(lines) + "\n").encode())
            written.append(one)
    return written


def write_npz(sessions: Sequence[Session], path: Path) -> list[Path]:
    """Write all of them as one corpus: each player's part of each session a performance."""
    parts = [rows for session in sessions for _, rows in streams(session).values()]
    lengths = np.array([len(part) for part in parts], np.int64)
    events = np.concatenate([np.empty((0, len(TOUCH))), *parts])
    write(Corpus(events, lengths, TOUCH, path.name, ""), path)
    return [path]


def write_png(sessions: Sequence[Session], path: Path) -> list[Path]:
    """Draw them: a poster of one, a contact sheet of several."""
    with whole(path) as part:
        poster.draw(sessions, part, names=[_called(session) for session in sessions])
    return [path]


def _called(session: Session) -> str:
    """Return the name that was given to a session; "" where none can be read."""
    if session.path is None:
        return ""
    try:
        named = library.names(session.path.parent)
    except (OSError, ValueError):  # `robojam sessions` tells of it; a picture goes without
        return ""
    return named.get(session.path.name, library.Named()).name


def write_mid(sessions: Sequence[Session], path: Path) -> list[Path]:
    """Write each as a MIDI file."""
    from robojam.export import midi_file as midifile

    places = numbered(path, len(sessions))
    for session, place in zip(sessions, places, strict=True):
        with whole(place) as part:
            midifile.write(session, part)
    return places


def write_wav(sessions: Sequence[Session], path: Path) -> list[Path]:
    """Let each sound, into a file."""
    from robojam.export import wav

    places = numbered(path, len(sessions))
    for session, place in zip(sessions, places, strict=True):
        with whole(place) as part:
            wav.write_wav(session, part)
    return places


def write_session(sessions: Sequence[Session], path: Path) -> list[Path]:
    """Write each as a session again."""
    places = numbered(path, len(sessions))
    for session, place in zip(sessions, places, strict=True):
        with whole(place) as part:
            part.write_bytes(
                b"".join([encode_header(session.header), *map(encode, session.events)])
            )
    return places


def numbered(path: Path, count: int) -> list[Path]:
    """Name so many files: path itself for one, else path-1, path-2, …"""
    if count == 1:
        return [path]
    wide = len(str(count))
    return [path.with_stem(f"{path.stem}-{i:0{wide}}") for i in range(1, count + 1)]


Writer = Callable[[Sequence[Session], Path], list[Path]]

#: Who writes a file, by its suffix: sessions, and where to; returns what was written.
#: Raises OSError, and ValueError for what cannot be written so.
WRITERS: dict[str, Writer] = {
    ".csv": write_csv,
    ".mid": write_mid,
    ".npz": write_npz,
    ".png": write_png,
    ".wav": write_wav,
}
