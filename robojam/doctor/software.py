"""Checks of robojam, Python and the packages that robojam uses."""

from __future__ import annotations

import platform
import re
import sys
import tomllib
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Final

from robojam import __version__
from robojam.config.options import Options
from robojam.doctor.finding import Finding, ok, problem, warning
from robojam.system.install import install_command

#: Purposes of the extras, by name.
_PURPOSES: Final = {
    "examples": "the larger examples",
    "fast": "faster steps",
    "keras": "models of keras-mdn-layer",
    "net": "programs on the network",
    "posters": "pictures",
    "report": "report of evaluate",
    "sound": "built-in sound",
    "train": "training, GPU",
}
#: Extras that are for developers of robojam.
_NOT_FOR_USERS: Final = frozenset({"dev", "docs"})


def check_versions(_: Options) -> Finding:
    """Check the versions of robojam and Python, and that Python has 64 bits."""
    found = f"robojam {__version__}, Python {platform.python_version()}, {system_name()}"
    if sys.maxsize < 1 << 32:
        return warning(
            f"{found}, of 32 bits", "install a system or a Python of 64 bits: it plays faster"
        )
    return ok(found)


def system_name() -> str:
    """Return name and version of the operating system, and the kind of processor."""
    name = f"{platform.system()} {platform.release()}"
    if sys.platform == "darwin":
        name = f"macOS {platform.mac_ver()[0]}"
    elif sys.platform == "linux":
        with suppress(OSError):
            name = platform.freedesktop_os_release()["PRETTY_NAME"]
    return f"{name} {platform.machine()}"


def check_packages(_: Options) -> Finding:
    """Check that the packages that robojam needs are installed; name the missing extras."""
    needed, extras = by_extra(requirements())
    missing = [name for name in needed if version_of(name) is None]
    if missing:
        return problem(
            f"not installed: {', '.join(missing)}",
            "install robojam again, or what is missing:",
            install_command(" ".join(missing)) or "",
        )
    absent = [extra for extra, names in extras.items() if None in map(version_of, names)]
    present = [extra for extra in extras if extra not in absent]
    found = f"all {len(needed)} that playing needs"
    if present:
        found += f"; extras: {', '.join(present)}"
    if absent:
        named = [f"{extra} ({_PURPOSES.get(extra, 'optional')})" for extra in absent]
        found += f"; without {', '.join(named)}"
    return ok(found)


def requirements() -> Sequence[str]:
    """Return the requirements of robojam, as in its metadata; of a checkout, of its project."""
    with suppress(metadata.PackageNotFoundError):
        return metadata.requires("robojam") or []
    project_file = Path(__file__).parents[2] / "pyproject.toml"
    project = tomllib.loads(project_file.read_text("utf-8"))["project"]
    extras: dict[str, list[str]] = project["optional-dependencies"]
    texts = [f"{text} extra == '{name}'" for name, all_ in extras.items() for text in all_]
    return [*project["dependencies"], *texts]


def by_extra(texts: Sequence[str]) -> tuple[list[str], dict[str, list[str]]]:
    """Return the packages that playing needs, and those of each extra for users.

    A package that is needed on some systems only (by a marker) is in neither: what it is for
    has a check of its own.
    """
    needed: list[str] = []
    extras: dict[str, list[str]] = {}
    for text in texts:
        name = re.match(r"[\w.-]+", text)
        assert name is not None
        extra = re.search(r"extra\s*==\s*['\"]([\w-]+)", text)
        if extra is not None and extra[1] not in _NOT_FOR_USERS:
            extras.setdefault(extra[1], []).append(name[0])
        elif ";" not in text and extra is None:
            needed.append(name[0])
    return needed, extras


def version_of(package: str, *, find: Callable[[str], str] = metadata.version) -> str | None:
    """Return the version of a package; None where it is not installed."""
    try:
        return find(package)
    except metadata.PackageNotFoundError:
        return None
