"""File for a bug report: what the checks found, and nothing private (docs/doctor.md)."""

from __future__ import annotations

import json
import os
import platform
import sys
import zipfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import msgspec

from robojam import __version__
from robojam.config.addresses import parse_address, reachable_here
from robojam.config.options import Options
from robojam.doctor.finding import Finding
from robojam.doctor.privacy import Private
from robojam.doctor.software import by_extra, requirements, system_name, version_of
from robojam.ports.engine_status import ask
from robojam.sessions.session import file_name
from robojam.system.atomic_file import atomic_write

Findings = Sequence[tuple[str, Finding]]

#: Version of the form of `report`.
FORM: Final = 1
#: Options that are paths: only the name of the file is written into the bundle.
_PATHS: Final = ("model", "sessions", "log", "roles")
#: Date of the files in the bundle, which the report does not need.
_DATE: Final = (1980, 1, 1, 0, 0, 0)

_README: Final = """\
robojam doctor: files for a bug report. Look at them before you send them.

doctor.txt     what the checks found, as on the screen
doctor.json    the same for programs
system.json    operating system, processor, memory, versions of Python and packages
options.json   the options of the jam; of paths, the last part
status.json    the status of the running engine (only where one was running)

Not in it: recordings, logs, environment variables. Replaced in every text: home folders (~),
user names (USER), names of machines (HOST), addresses (by their private network, or by
PUBLIC-IPV4 and PUBLIC-IPV6), MAC and e-mail addresses. Names of MIDI and audio devices are in
it: look whether one of them says who you are.
"""


def report(findings: Findings) -> dict[str, Any]:
    """Return findings in the form of `robojam doctor --json`."""
    worst = next(
        (s for s in ("problem", "warning") if any(found.status == s for _, found in findings)),
        "ok",
    )
    checks = [{"check": name, **msgspec.to_builtins(found)} for name, found in findings]
    return {"doctor": FORM, "robojam": __version__, "worst": worst, "checks": checks}


def write(
    path: Path,
    findings: Findings,
    render: Callable[[Findings], str],
    options: Options,
    private: Private,
) -> None:
    """Write a bundle of the findings and of this machine. Raises OSError.

    render returns the text that the command shows of findings. Texts are scrubbed before it:
    it breaks lines, also within a name.
    """
    found = [
        (name, Finding(status=f.status, **{
            field: private.scrub(getattr(f, field)) for field in ("found", "to_do", "command")
        }))
        for name, f in findings
    ]  # fmt: skip
    files: dict[str, object] = {
        "README.txt": _README,
        "doctor.txt": render(found),
        "doctor.json": report(found),
        "system.json": {"system": system_name(), **private.scrub_all(system())},
        "options.json": private.scrub_all(_without_paths(options)),
    }
    status = ask(reachable_here(parse_address(options.osc_in)), wait=0.3, times=2)
    if status is not None:
        files["status.json"] = private.scrub_all(status)
    with atomic_write(path) as part, zipfile.ZipFile(part, "w") as bundle:
        for name, content in files.items():
            text = content if isinstance(content, str) else json.dumps(content, indent=1)
            entry = zipfile.ZipInfo(name, _DATE)
            bundle.writestr(entry, text, zipfile.ZIP_DEFLATED)


def system() -> dict[str, object]:
    """Return what is known of the hardware, the kernel and the packages."""
    needed, extras = by_extra(requirements())
    names = {*needed, "python-rtmidi", *(name for all_ in extras.values() for name in all_)}
    return {
        "kernel": platform.release(),
        "cores": os.cpu_count(),
        "memory_mb": memory_mb(),
        "python": sys.version,
        "packages": {name: version_of(name) for name in sorted(names)},
    }


def memory_mb() -> int | None:
    """Return the machine's memory in MB; None where the system does not tell."""
    with suppress(AttributeError, ValueError, OSError):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 10**6
    return None


def _without_paths(options: Options) -> Mapping[str, object]:
    told: dict[str, Any] = msgspec.to_builtins(options)
    del told["role-rules"]  # which holds addresses and names of players
    for name in _PATHS:
        if told[name] is not None:
            told[name] = file_name(told[name])
    return told
