"""sessions, export: what has been recorded, and the same for other programs."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from robojam.cli import arguments
from robojam.config.options import Options

if TYPE_CHECKING:
    from robojam.sessions.library import LibraryEntry
    from robojam.sessions.session import Session


def _sessions_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "where",
        metavar="DIR",
        nargs="?",
        type=Path,
        default=Path(Options().sessions),
        help="a folder of sessions, or one of them (default: sessions)",
    )
    parser.add_argument("--name", help="a name for the one session that is named")
    parser.add_argument("--note", help='a note to it; "" takes it away')
    parser.add_argument("--json", action="store_true", help="for machines")


def _sessions(chosen: argparse.Namespace) -> int:
    from robojam.sessions import library

    where = chosen.where
    try:
        if chosen.name is not None or chosen.note is not None:
            if not where.is_file():
                none = "" if where.is_dir() else f": there is no file {where}"
                arguments.fail(f"--name and --note want the file of one session{none}")
            library.annotate(where, name=chosen.name, note=chosen.note)
        if where.is_file():
            found = [library.entry(where, library.read_annotations(where.parent))]
        elif where.is_dir():
            found = library.entries(where)
        else:
            arguments.fail(f"there is no {'file' if where.suffix else 'folder'} {where}")
    except ValueError as error:
        arguments.fail(error)
    except OSError as error:
        arguments.fail(f"{error.filename or where}: {error.strerror or error}")
    if chosen.json:
        print(json.dumps([_plain(entry) for entry in found]))
    elif not found:
        print(f"nothing has been recorded in {where}")
    else:
        _table(found)
    return 0


def _plain(entry: LibraryEntry) -> dict[str, Any]:
    plain: dict[str, Any] = {"file": entry.path.name, "path": str(entry.path)}
    plain |= {"name": entry.annotation.name, "note": entry.annotation.note}
    if entry.summary is None:
        return plain | {"damaged": entry.error}
    return plain | dict(msgspec.to_builtins(entry.summary))


def _table(found: list[LibraryEntry]) -> None:
    from robojam.sessions.library import local_time
    from robojam.sessions.validation import NEWER

    rows: list[tuple[str, ...]] = [
        ("session", "began", "length", "touches", "modes", "model", "")
    ]
    for entry in found:
        told = " ".join(filter(None, [entry.annotation.name, _note(entry.annotation.note)]))
        about = entry.summary
        if about is None:
            why = f"{told}: {entry.error}" if told else entry.error
            # A newer session is whole: it is this robojam that is too old.
            state = "newer" if NEWER in entry.error else "damaged"
            rows.append((entry.path.stem, state, "", "", "", "", why))
            continue
        by = [f"{who} {count:,}" for who, count in about.touches.items()]
        more = [f"and {len(by) - 3} more"] if len(by) > 4 else []
        rows.append(
            (
                entry.path.stem,
                local_time(about.started),
                arguments.clock(about.seconds),
                ", ".join([*(by[:3] if more else by), *more]),
                ", ".join(about.modes) + ("" if about.ended else " (cut off)"),
                about.model.removesuffix(".safetensors"),
                told,
            )
        )
    print("\n".join(arguments.columns(rows, right={2})))


def _note(note: str) -> str:
    return f"({note})" if note else ""


def _export_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "sessions",
        metavar="SESSION",
        nargs="+",
        type=Path,
        help="recorded jams; several make a contact sheet, or numbered files",
    )
    parser.add_argument(
        "--to", metavar="FILE", type=Path, required=True, help=".csv, .mid, .npz, .png or .wav"
    )
    parser.add_argument(
        "--who", metavar="NAME", action="append", help="only these: human, ai, human2, …"
    )


def _export(chosen: argparse.Namespace) -> int:
    from robojam.export.writers import WRITERS
    from robojam.sessions.session import SessionError, read

    writer = WRITERS.get(chosen.to.suffix.lower())
    if writer is None:
        arguments.fail(f"--to {chosen.to}: exported is to {', '.join(WRITERS)}")
    arguments.writable(chosen.to)
    paths = [
        p for path in chosen.sessions for p in (_inside(path) if path.is_dir() else [path])
    ]
    found: list[Session] = []
    for path in paths:
        try:
            session = read(path)
        except SessionError as error:
            if len(paths) == 1:
                arguments.fail(error)
            print(f"robojam: {error}; it is left out", file=sys.stderr)
            continue
        for warning in session.warnings:
            print(f"robojam: {warning}", file=sys.stderr)
        found.append(session.select(chosen.who))
    found = [session for session in found if session.summary().touches]
    if not found:
        arguments.fail("there is nothing to export: nobody plays there")
    try:
        written = writer(found, chosen.to)
    except ValueError as error:
        arguments.fail(error)
    except OSError as error:
        arguments.fail(f"{chosen.to} cannot be written: {error.strerror or error}")
    said = [str(path) for path in written[:8]]
    more = f" and {len(written) - 8} more" if len(written) > 8 else ""
    print(", ".join(said) + more)
    return 0


def _inside(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.jsonl"))


COMMANDS: Final[tuple[arguments.Command, ...]] = (
    ("sessions", "what has been recorded", _sessions_arguments, _sessions),
    ("export", "a session for other programs, or as a picture", _export_arguments, _export),
)
