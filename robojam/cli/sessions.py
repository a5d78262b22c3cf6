"""The commands sessions and export: recorded jams listed, named and written as other files."""

from __future__ import annotations

import json
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from robojam.cli.arguments import (
    PATH,
    Command,
    json_option,
    option,
    output_file,
    paths_argument,
    strict_option,
)
from robojam.cli.output import duration, fail, table_lines, warn
from robojam.config.options import Options
from robojam.system.shell import printable
from robojam.wire.midi.styles import PRESETS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from robojam.sessions.library import LibraryEntry

_FORMATS = "file to write: .csv (MicroJam), .html, .mid, .npz, .png or .wav"
_STYLES = ", ".join(name for name, style in PRESETS.items() if style.kind != "map")
_STYLE = f"MIDI style of a .mid: {_STYLES}, or the jam's own (default: mpe)"
_WHO = "only this player: human, ai, human2, …; can be repeated (default: all)"


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
@strict_option
@json_option
def sessions(
    *, path: Path, name: str | None, note: str | None, strict: bool, as_json: bool
) -> int:
    """List the recorded jams: date, length, touches, modes and model."""
    from robojam.sessions import library

    try:
        if name is not None or note is not None:
            if not path.is_file():
                reason = "" if path.is_dir() else f": there is no file {path}"
                fail(f"--name and --note want the file of one session{reason}")
            library.annotate(path, name=name, note=note)
        if path.is_file():
            named = library.read_annotations(path.parent)
            entries = [library.entry(path, named, strict=strict)]
        elif path.is_dir():
            entries = library.entries(path, strict=strict)
        else:
            fail(f"there is no {'file' if path.suffix else 'folder'} {path}")
    except ValueError as error:
        fail(error)
    except OSError as error:
        fail(f"{error.filename or path}: {error.strerror or error}")
    if as_json:
        print(json.dumps([_as_json(entry) for entry in entries]))
    elif not entries:
        print(printable(f"nothing has been recorded in {path}"))
    else:
        print("\n".join(table_lines(_rows(entries), right_aligned={2})))
    return 0


def _as_json(entry: LibraryEntry) -> dict[str, Any]:
    described = {"file": entry.path.name, "path": str(entry.path)}
    described |= msgspec.structs.asdict(entry.annotation)
    if entry.summary is None:
        return described | {"damaged": entry.error}
    return described | dict(msgspec.to_builtins(entry.summary))


def _rows(entries: list[LibraryEntry]) -> Sequence[tuple[str, ...]]:
    """Return the rows of the list, the headings first."""
    from robojam.sessions.library import local_time
    from robojam.sessions.session import NEWER

    rows = [("session", "began", "length", "touches", "modes", "model", "")]
    for entry in entries:
        note, summary = entry.annotation.note, entry.summary
        label = " ".join(filter(None, [entry.annotation.name, f"({note})" if note else ""]))
        if summary is None:
            reason = f"{label}: {entry.error}" if label else entry.error
            # A session of a newer robojam is not damaged: this robojam is too old for it.
            state = "newer" if NEWER in entry.error else "damaged"
            rows.append((entry.path.stem, state, "", "", "", "", reason))
            continue
        players = [f"{who} {count:,}" for who, count in summary.touches.items()]
        if len(players) > 4:
            players[3:] = [f"and {len(players) - 3} more"]
        began, length = local_time(summary.started), duration(summary.seconds)
        modes = f"{', '.join(summary.modes):.80}" + ("" if summary.ended else " (cut off)")
        if damaged := summary.damaged_lines:
            modes += f" ({damaged:,} damaged line{'' if damaged == 1 else 's'})"
        model = f"{summary.model.removesuffix('.safetensors'):.80}"
        rows.append((entry.path.stem, began, length, ", ".join(players), modes, model, label))
    return rows


@click.command(cls=Command)
@paths_argument(
    "SESSION", "recorded jams or folders of them; several make one sheet, or numbered files"
)
@option("--to FILE", _FORMATS, output_file, required=True)
@option("--who NAME", _WHO, multiple=True)
@option("--style NAME", _STYLE)
@strict_option
def export(
    *, paths: tuple[Path, ...], to: Path, who: tuple[str, ...], style: str | None, strict: bool
) -> int:
    """Write recorded jams for other programs, as a picture, sound, or a page that plays."""
    from robojam.export.html import LARGE
    from robojam.export.writers import WRITERS, midi_writer
    from robojam.sessions.session import SessionError, read

    writer = WRITERS.get(to.suffix.lower())
    if writer is None:
        fail(f"--to {to}: a jam is exported to {', '.join(WRITERS)}")
    if style is not None:
        if to.suffix.lower() != ".mid":
            fail(f"--style {style} goes with a .mid file, not with {to}")
        writer = midi_writer(style)
    listed = (sorted(p.glob("*.jsonl")) if p.is_dir() else [p] for p in paths)
    files, jams = list(chain.from_iterable(listed)), []
    for file in files:
        try:
            session = read(file, strict=strict)
        except SessionError as error:
            if len(files) == 1:
                fail(error)
            warn(f"{error}; it is left out")
            continue
        for warning in session.warnings:
            warn(warning)
        selected = session.select(who or None)
        if selected.summary().touches:
            jams.append(selected)
    if not jams:
        fail("there is nothing to export: nobody plays there")
    try:
        written = writer(jams, to)
    except ValueError as error:
        fail(error)
    except OSError as error:
        fail(f"{to} cannot be written: {error.strerror or error}")
    for file in written:
        if file.suffix.lower() == ".html" and (size := file.stat().st_size) > LARGE:
            warn(f"{file} has {size / 1e6:.1f} MB: a phone may take seconds to open it")
    rest = f" and {len(written) - 8} more" if len(written) > 8 else ""
    print(printable(", ".join(map(str, written[:8]))) + rest)
    return 0
