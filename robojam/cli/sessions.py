"""The commands sessions and export: recorded jams listed, named and written as other files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from robojam.cli.arguments import PATH, Command, OutputFile, json_option, option, paths_argument
from robojam.cli.output import duration, fail, table_lines, warn
from robojam.config.options import Options

if TYPE_CHECKING:
    from robojam.sessions.library import LibraryEntry


@click.command(cls=Command)
@click.argument(
    "path",
    metavar="[DIR]",
    type=PATH,
    default=Path(Options().sessions),
    help="a folder of recorded jams, or the file of one (default: sessions)",
)
@option("--name TEXT", "name the one jam whose file is given")
@option("--note TEXT", 'add a note to it; "" removes the note')
@json_option
def sessions(*, path: Path, name: str | None, note: str | None, as_json: bool) -> int:
    """List the recorded jams: date, length, touches, modes and model."""
    from robojam.sessions import library

    try:
        if name is not None or note is not None:
            if not path.is_file():
                reason = "" if path.is_dir() else f": there is no file {path}"
                fail(f"--name and --note want the file of one session{reason}")
            library.annotate(path, name=name, note=note)
        if path.is_file():
            entries = [library.entry(path, library.read_annotations(path.parent))]
        elif path.is_dir():
            entries = library.entries(path)
        else:
            fail(f"there is no {'file' if path.suffix else 'folder'} {path}")
    except ValueError as error:
        fail(error)
    except OSError as error:
        fail(f"{error.filename or path}: {error.strerror or error}")
    if as_json:
        print(json.dumps([_as_json(entry) for entry in entries]))
    elif not entries:
        print(f"nothing has been recorded in {path}")
    else:
        print("\n".join(table_lines(_rows(entries), right_aligned={2})))
    return 0


def _as_json(entry: LibraryEntry) -> dict[str, Any]:
    described: dict[str, Any] = {"file": entry.path.name, "path": str(entry.path)}
    described |= {"name": entry.annotation.name, "note": entry.annotation.note}
    if entry.summary is None:
        return described | {"damaged": entry.error}
    return described | dict(msgspec.to_builtins(entry.summary))


def _rows(entries: list[LibraryEntry]) -> list[tuple[str, ...]]:
    """Return the rows of the list, the headings first."""
    from robojam.sessions.library import local_time
    from robojam.sessions.validation import NEWER

    rows: list[tuple[str, ...]] = [
        ("session", "began", "length", "touches", "modes", "model", "")
    ]
    for entry in entries:
        name, note = entry.annotation.name, entry.annotation.note
        label = " ".join(filter(None, [name, f"({note})" if note else ""]))
        summary = entry.summary
        if summary is None:
            reason = f"{label}: {entry.error}" if label else entry.error
            # A session of a newer robojam is not damaged: this robojam is too old for it.
            state = "newer" if NEWER in entry.error else "damaged"
            rows.append((entry.path.stem, state, "", "", "", "", reason))
            continue
        players = [f"{who} {count:,}" for who, count in summary.touches.items()]
        if len(players) > 4:
            players[3:] = [f"and {len(players) - 3} more"]
        rows.append(
            (
                entry.path.stem,
                local_time(summary.started),
                duration(summary.seconds),
                ", ".join(players),
                ", ".join(summary.modes) + ("" if summary.ended else " (cut off)"),
                summary.model.removesuffix(".safetensors"),
                label,
            )
        )
    return rows


@click.command(cls=Command)
@paths_argument(
    "SESSION", "recorded jams or folders of them; several make one sheet, or numbered files"
)
@option(
    "--to FILE",
    "file to write: .csv (MicroJam), .mid, .npz, .png or .wav",
    OutputFile(),
    required=True,
)
@option(
    "--who NAME",
    "only this player: human, ai, human2, …; can be repeated (default: all)",
    multiple=True,
)
def export(*, paths: tuple[Path, ...], to: Path, who: tuple[str, ...]) -> int:
    """Write recorded jams for other programs, as a picture or as sound."""
    from robojam.export.writers import WRITERS
    from robojam.sessions.session import SessionError, read

    writer = WRITERS.get(to.suffix.lower())
    if writer is None:
        fail(f"--to {to}: a jam is exported to {', '.join(WRITERS)}")
    files = [
        file
        for path in paths
        for file in (sorted(path.glob("*.jsonl")) if path.is_dir() else [path])
    ]
    jams = []
    for file in files:
        try:
            session = read(file)
        except SessionError as error:
            if len(files) == 1:
                fail(error)
            warn(f"{error}; it is left out")
            continue
        for warning in session.warnings:
            warn(warning)
        jams.append(session.select(who or None))
    jams = [session for session in jams if session.summary().touches]
    if not jams:
        fail("there is nothing to export: nobody plays there")
    try:
        written = writer(jams, to)
    except ValueError as error:
        fail(error)
    except OSError as error:
        fail(f"{to} cannot be written: {error.strerror or error}")
    rest = f" and {len(written) - 8} more" if len(written) > 8 else ""
    print(", ".join(map(str, written[:8])) + rest)
    return 0
