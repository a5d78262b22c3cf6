"""Packages that playing does without, and the commands that install them beside robojam."""

from __future__ import annotations

import sys
import sysconfig
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from robojam.system.shell import quote

#: The extra of robojam that brings each package, by the name under which it is imported.
EXTRAS: Final = {
    "aalink": "link",
    "aiohttp": "web",
    "cma": "examples",
    "gymnasium": "examples",
    "h5py": "keras",
    "jack": "jack",
    "matplotlib": "posters",
    "ray": "cluster",
    "serial": "serial",
    "sklearn": "report",
    "tensorboardX": "report",
    "torch": "train",
}


def require(*modules: str) -> None:
    """Raise ModuleNotFoundError for the first of these modules that is not installed."""
    for module in modules:
        if find_spec(module) is None:
            raise ModuleNotFoundError(f"No module named {module!r}", name=module)


def missing_package(purpose: str, module: str | None) -> str | None:
    """Return in one line what to type where a purpose needs a module that is not installed.

    None for a module that no extra brings.
    """
    name = (module or "").partition(".")[0]
    if name not in EXTRAS:
        return None
    text = f"{purpose} needs {name}, which is not installed"
    extra = quote(f"robojam[{EXTRAS[name]}]")
    command = install_command(extra)
    if command is None:
        return f"{text}: install {extra} in a virtual environment, with pipx or with uv"
    return f"{text}: {command}"


def install_command(
    package: str,
    *,
    prefix: str = sys.prefix,
    has_pip: bool | None = None,
    is_managed: bool | None = None,
) -> str | None:
    """Return the command that installs a package where robojam runs; None where none does.

    prefix is the environment. has_pip tells whether it has pip, and is_managed whether the
    system keeps it for its own packages (PEP 668); None: find out.
    """
    path = Path(prefix)
    if path.parent.name == "archive-v0":  # of uvx, which makes another for each command
        return f"uvx --with {package} robojam"
    in_pipx = "pipx" in path.parts and path.parent.name == "venvs"
    if "pipx" in path.parts and path.parent.name == ".cache":  # of pipx run
        return f"pipx run --with {package} robojam"
    if in_pipx or (path / "pipx_metadata.json").exists():  # PIPX_HOME may have any name
        return f"pipx inject {quote(path.name)} {package}"
    if (path / "uv-receipt.toml").exists() or _made_by_uv(path):
        return f"uv pip install {package} --python {quote(prefix)}"
    if _is_managed() if is_managed is None else is_managed:
        return None
    if find_spec("pip") is not None if has_pip is None else has_pip:
        return f"{quote(sys.executable)} -m pip install {package}"
    return f"uv pip install {package} --python {quote(prefix)}"


def _made_by_uv(prefix: Path) -> bool:
    try:
        lines = (prefix / "pyvenv.cfg").read_text("utf-8", "replace").splitlines()
    except OSError:
        return False
    return any(line.partition("=")[0].strip() == "uv" for line in lines)


def _is_managed() -> bool:
    marker = Path(sysconfig.get_path("stdlib")) / "EXTERNALLY-MANAGED"
    return sys.prefix == sys.base_prefix and marker.exists()
