"""Writers of sessions as other programs' files, by the suffix of the file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from robojam.corpus.corpus import Corpus, knob_corpus, write
from robojam.corpus.formats.tables import microjam_table
from robojam.export import html, midi_file, poster, wav
from robojam.model.event import PRESSED, TOUCH, knob_columns
from robojam.sessions import library
from robojam.sessions.session import Session, encode, encode_header
from robojam.sessions.strokes import model_stream, touch_row
from robojam.system.atomic_file import atomic_write
from robojam.touch import Phase, is_machine

Rows = np.ndarray[Any, np.dtype[np.float64]]

#: Pressure that is written for touches of which none is known.
_PRESSURE = 1.0


def streams(session: Session) -> dict[str, tuple[float, Rows]]:
    """Return each player's touches [n, 5], and the time of the first in seconds.

    Touches are x, y, dt (0 for the first), moving and pressure (NaN: not known); of a human's
    fingers, the one that landed last, as the model hears it. Of N knobs they are the values of
    all, and dt [n, N + 1].
    """
    parts: dict[str, tuple[float, Rows]] = {}
    for player in session.summary().touches:
        played = [event for event in session.touches(player) if event.touch.phase != Phase.UP]
        if is_machine(player):
            rows = np.array([touch_row(event) for event in played])
            times = np.array([event.t for event in played])
            # dt as it sounded, because the recorded dt does not include the timescale.
            rows[:, _dt_column(session)] = np.diff(times, prepend=times[:1])
        else:
            rows = np.array(model_stream(session.touches(player)))
        parts[player] = played[0].t, rows
    return parts


def _dt_column(session: Session) -> int:
    """Return the column of a session's streams that is dt."""
    return session.knobs or 2


def write_csv(sessions: Sequence[Session], path: Path) -> list[Path]:
    """Write MicroJam's CSV, one file for each player, as MicroJam and RoboJam read it.

    Of knobs it is time and all their values. All files are written, or none.
    """
    tables: dict[Path, str] = {}
    for session, to in zip(sessions, numbered(path, len(sessions)), strict=True):
        parts = streams(session)
        for who, (begins, rows) in parts.items():
            file = to if len(parts) == 1 else to.with_stem(f"{to.stem}-{who}")
            times = begins + np.cumsum(rows[:, _dt_column(session)])
            if session.knobs:
                tables[file] = _knob_table(times, rows)
                continue
            pressures = np.where(np.isnan(rows[:, 4]), _PRESSURE, rows[:, 4])
            tables[file] = microjam_table(times.tolist(), rows.tolist(), pressures.tolist())
    with ExitStack() as stack:
        for file, table in tables.items():
            stack.enter_context(atomic_write(file)).write_bytes(table.encode())
    return list(tables)


def _knob_table(times: Rows, rows: Rows) -> str:
    """Return events [n, N + 1] of N knobs at times [n] in seconds as CSV."""
    names = ",".join(["time", *knob_columns(rows.shape[1] - 1)[:-2]])
    lines = (
        ",".join(map(repr, line)) for line in np.column_stack([times, rows[:, :-1]]).tolist()
    )
    return "\n".join([names, *lines, ""])


def write_npz(sessions: Sequence[Session], path: Path) -> list[Path]:
    """Write one corpus, in which each player's part of each session is a performance.

    Pressures are written if any is known.
    """
    parts = [rows for session in sessions for _, rows in streams(session).values()]
    lengths = np.array([len(part) for part in parts], np.int64)
    knobs = {session.knobs for session in sessions}
    if len(knobs) > 1:
        kinds = " and ".join(
            f"{count} knobs" if count else "touches" for count in sorted(knobs)
        )
        raise ValueError(f"recordings of {kinds}: one file holds one kind")
    if count := max(knobs, default=0):
        events = np.concatenate([np.empty((0, count + 1)), *parts])
        write(knob_corpus(events, lengths, path.name, ""), path)
        return [path]
    events = np.concatenate([np.empty((0, len(PRESSED))), *parts])
    is_known = not np.isnan(events[:, -1]).all()
    columns = PRESSED if is_known else TOUCH
    write(Corpus(events[:, : len(columns)], lengths, columns, path.name, ""), path)
    return [path]


def write_png(sessions: Sequence[Session], path: Path) -> list[Path]:
    """Write a picture: a poster of one session, a contact sheet of several."""
    with atomic_write(path) as part:
        poster.draw(sessions, part, names=[_name(session) for session in sessions])
    return [path]


def _name(session: Session) -> str:
    """Return the name given to a session; "" where there is none or it cannot be read."""
    with suppress(OSError, ValueError):  # `robojam sessions` reports it
        if session.path is not None:
            annotations = library.read_annotations(session.path.parent)
            return annotations.get(session.path.name, library.Annotation()).name
    return ""


def _write_each(
    write_one: Callable[[Session, Path], object], sessions: Sequence[Session], path: Path
) -> list[Path]:
    """Write a file for each session, all of them or none; return the files."""
    files = numbered(path, len(sessions))
    with ExitStack() as stack:  # each takes its place when all are complete
        for session, file in zip(sessions, files, strict=True):
            write_one(session, stack.enter_context(atomic_write(file)))
    return files


def numbered(path: Path, count: int) -> list[Path]:
    """Return names for count files: path itself for one, else path-1, path-2, …"""
    if count == 1:
        return [path]
    digits = len(str(count))
    return [path.with_stem(f"{path.stem}-{i:0{digits}}") for i in range(1, count + 1)]


def _of_touches(
    write_one: Callable[[Session, Path], object],
) -> Callable[[Session, Path], None]:
    """Return a writer of one session that refuses knobs. It raises ValueError for them."""

    def write_touches(session: Session, path: Path) -> None:
        if session.knobs:
            raise ValueError(
                f"a recording of {session.knobs} knobs has no such form; "
                "it has .csv, .npz, .mid and .png"
            )
        write_one(session, path)

    return write_touches


def _write_page(session: Session, path: Path) -> None:
    html.write(session, path, name=_name(session))


def _write_lines(session: Session, path: Path) -> None:
    path.write_bytes(b"".join([encode_header(session.header), *map(encode, session.events)]))


Writer = Callable[[Sequence[Session], Path], list[Path]]


def midi_writer(style: str) -> Writer:
    """Return a writer of MIDI files in the style of a name."""

    def write_one(session: Session, path: Path) -> None:
        midi_file.write(session, path, style=midi_file.style_named(session, style))

    return partial(_write_each, write_one)


#: Writer of session files.
write_session: Writer = partial(_write_each, _write_lines)
#: Writers by suffix. Each writes sessions to a path and returns the files it has written. It
#: raises OSError, and ValueError for sessions that have no such form.
WRITERS: dict[str, Writer] = {
    ".csv": write_csv,
    ".html": partial(_write_each, _of_touches(_write_page)),
    ".mid": partial(_write_each, midi_file.write),
    ".npz": write_npz,
    ".png": write_png,
    ".wav": partial(_write_each, _of_touches(wav.write_wav)),
}
