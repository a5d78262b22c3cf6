"""Imports between packages: they go down only, and heavy libraries are imported late.

`PACKAGES` lists the packages from the lowest level to the highest. A module imports its own
package and packages of lower levels, nothing beside it and nothing above it. A row says

- level: its height; packages of one level do not import one another;
- others: the third-party packages that it may import anywhere;
- lazily: those that it may import inside functions (and under TYPE_CHECKING) only.
"""

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "robojam"


@dataclass(frozen=True)
class Row:
    """Imports that are allowed to the modules of one package."""

    level: int
    others: str = ""
    lazily: str = ""


PACKAGES = {
    "touch": Row(0, "msgspec"),
    "beats": Row(0),
    "clock": Row(1, lazily="aalink ctypes"),
    "limits": Row(0),
    "music": Row(1),
    "system": Row(0, lazily="ctypes"),
    "controls": Row(2),
    "mixture": Row(1, "torch", lazily="h5py"),
    "mapping": Row(2),
    "wire": Row(3, "msgspec pythonosc"),
    "model": Row(3, "msgspec numpy safetensors torch"),
    "jam": Row(4, "msgspec"),
    "config": Row(4, "msgspec"),
    "player": Row(5, "msgspec numba numpy torch"),
    "sound": Row(5, "msgspec numpy", lazily="miniaudio pygame"),
    "sessions": Row(5, "msgspec numpy"),
    "ports": Row(6, "msgspec", lazily="ifaddr jack rtmidi serial supriya_midi zeroconf"),
    "corpus": Row(6, "numpy"),
    "window": Row(6, "pygame", lazily="segno send2trash"),
    "web": Row(7, "aiohttp msgspec numpy", lazily="segno"),
    "engine": Row(7, "msgspec numpy threadpoolctl", lazily="torch"),
    "export": Row(7, "numpy", lazily="matplotlib mido"),
    "evaluation": Row(8, "numpy torch", lazily="matplotlib sklearn"),
    "app": Row(8, "msgspec"),
    "training": Row(9, "msgspec numpy safetensors torch", lazily="matplotlib tensorboardX"),
    "bench": Row(9, "numpy"),
    "cluster": Row(9, "msgspec numpy", lazily="ray starlette torch"),
    "doctor": Row(9, "msgspec", lazily="pygame"),
    "cli": Row(10, "click msgspec", lazily="numpy rich torch"),
    "__main__": Row(11),
}

#: Modules that do no I/O, start no thread, and are given the time and their random numbers.
PURE = (
    "touch beats clock.messages clock.midi_clock clock.stamps clock.tap clock.ticks"
    " clock.transport limits music controls mapping mixture wire jam config model.event"
    " model.features model.lattice model.matcher player.reference player.cpu_single"
    " player.cpu_batch player.cpu_compiled player.descriptors player.kernels"
    " player.state_layout player.batch_generator player.lookahead player.planner"
    " sessions.session sessions.compose sessions.playback sessions.regenerate sessions.strokes"
    " doctor.packet_filter doctor.firewall_parsers"
    " sound.instruments sound.voices sound.synth sound.messages sound.metronome sound.reverb"
    " corpus.infer_phase"
    " corpus.split web.api_types web.frames web.openapi web.pad_sound web.osc_query"
    " web.protocol web.room web.own_clock engine.preview engine.roles engine.senders"
    " training.batches"
).split()
#: Standard modules that a pure module does not import.
IMPURE = frozenset(
    "asyncio concurrent multiprocessing queue random sched secrets select selectors signal"
    " socket socketserver ssl subprocess threading time _thread".split()
)
#: Libraries that single modules import inside functions at most, though their package may
#: import them at the top.
WITHOUT = {
    "model.event": "numpy safetensors torch",
    "model.features": "safetensors torch",
    "model.lattice": "safetensors torch",
    "model.file": "torch",
    "player.cpu_single": "numba torch",
    "player.devices": "numba torch",
    "player.player": "numba torch",
    "player.reference": "torch",
    "sessions.session": "numpy",
    "sessions.recorder": "numpy",
}


@dataclass(frozen=True)
class Import:
    """An imported name, its line, and whether the import is inside a function."""

    name: str
    line: int
    lazy: bool


def imports(path: Path, modules: frozenset[str]) -> Iterator[Import]:
    """Yield every import in a file, also inside functions and by import_module."""
    package = ("robojam", *path.relative_to(PACKAGE).parent.parts)

    def walk(node: ast.AST, *, lazy: bool) -> Iterator[Import]:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, node.lineno, lazy)
        elif isinstance(node, ast.ImportFrom):
            up = package[: len(package) - node.level + 1] if node.level else ()
            base = ".".join((*up, *filter(None, [node.module])))
            for alias in node.names:
                full = f"{base}.{alias.name}"
                yield Import(full if full in modules else base, node.lineno, lazy)
        elif isinstance(node, ast.Call) and node.args:
            called = getattr(node.func, "attr", getattr(node.func, "id", ""))
            first = node.args[0]
            if called in ("import_module", "__import__") and isinstance(first, ast.Constant):
                yield Import(str(first.value), node.lineno, lazy)
        lazy = lazy or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        lazy = lazy or (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test))
        for child in ast.iter_child_nodes(node):
            yield from walk(child, lazy=lazy)

    return walk(ast.parse(path.read_text("utf-8")), lazy=False)


def all_modules() -> dict[str, Path]:
    """Return every module of robojam but robojam itself, by its name within robojam."""
    modules = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        modules[".".join(part for part in parts if part != "__init__")] = path
    del modules[""]
    return modules


def is_pure(module: str) -> bool:
    """Return whether a module, or the package that it is in, is listed as pure."""
    return any(module == pure or module.startswith(pure + ".") for pure in PURE)


def breaches(module: str, path: Path, modules: frozenset[str]) -> Iterator[str]:
    """Yield a description of every import in a file that the tables do not allow."""
    package = module.partition(".")[0]
    row = PACKAGES[package]
    for imported in imports(path, modules):
        top, _, rest = imported.name.partition(".")
        where = f"{path.name}:{imported.line}: {module} imports {imported.name}"
        if top == "robojam":
            to = rest.partition(".")[0]
            if to in ("", package):  # robojam itself: its version
                continue
            if to not in PACKAGES or PACKAGES[to].level >= row.level:
                yield f"{where}, which is not below it"
        elif top in sys.stdlib_module_names:
            if top in IMPURE and is_pure(module):
                yield f"{where}, and is listed as pure"
        elif top in WITHOUT.get(module, "").split() and not imported.lazy:
            yield f"{where}, and is to do without"
        elif top not in row.others.split() and not (
            imported.lazy and top in row.lazily.split()
        ):
            later = f"; inside functions: {row.lazily}" if row.lazily else ""
            yield f"{where} (allowed: {row.others or 'nothing'}{later})"


MODULES = all_modules()
NAMES = frozenset({"robojam", *(f"robojam.{name}" for name in MODULES)})


@pytest.mark.parametrize("module", MODULES)
def test_module_imports_only_lower_packages_and_listed_libraries(module):
    if module.partition(".")[0] not in PACKAGES:
        pytest.fail(f"robojam.{module} has no row in PACKAGES: say what it may import")
    faults = list(breaches(module, MODULES[module], NAMES))
    assert not faults, "\n".join(faults)


def test_every_listed_module_exists():
    packages = {name.partition(".")[0] for name in MODULES}
    assert set(PACKAGES) == packages
    assert not [name for name in (*PURE, *WITHOUT) if name not in MODULES]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import time", "is listed as pure"),
        ("def f():\n    from time import sleep", "breach.py:2"),
        ("import torch.nn", "imports torch.nn"),
        ("from robojam.model.mdrnn import MDRNN", "which is not below it"),
        ("from robojam.model import mdrnn", "imports robojam.model.mdrnn"),
        ("from ..model import mdrnn", "imports robojam.model.mdrnn"),
        ("from robojam.wire import osc", "which is not below it"),
        ("from importlib import import_module\nimport_module('numpy')", "imports numpy"),
    ],
)
def test_import_that_is_not_allowed_is_reported(source, expected, tmp_path, monkeypatch):
    monkeypatch.setattr(sys.modules[__name__], "PACKAGE", tmp_path)
    path = tmp_path / "wire" / "breach.py"
    path.parent.mkdir()
    path.write_text(source)
    modules = frozenset({"robojam.model", "robojam.model.mdrnn", "robojam.wire.osc"})
    monkeypatch.setitem(PACKAGES, "breach", Row(0))
    module = "breach" if "wire" in source else "wire.breach"
    assert expected in "".join(breaches(module, path, modules))


def test_lazy_library_imported_at_the_top_of_a_module_is_reported(tmp_path, monkeypatch):
    monkeypatch.setattr(sys.modules[__name__], "PACKAGE", tmp_path)
    path = tmp_path / "breach.py"
    path.write_text(
        "import torch\n\ndef f():\n    import torch\n\nif TYPE_CHECKING:\n    import torch\n"
    )
    faults = breaches("engine.breach", path, NAMES)
    assert [text.partition(": ")[0] for text in faults] == ["breach.py:1"]


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        ("robojam.cli", "torch numpy pygame ray rich safetensors pythonosc"),
        ("robojam.engine.engine", "torch numba pygame"),
        ("robojam.player.player", "torch numba pygame"),
        ("robojam.window.app", "torch numpy safetensors"),
    ],
)
def test_importing_a_module_does_not_load_heavy_libraries(module, heavy):
    code = f"import sys, {module}; print(*sys.modules)"
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=PACKAGE.parent, capture_output=True, text=True
    )
    assert ran.returncode == 0, f"{module} cannot be imported:\n{ran.stderr}"
    assert not set(heavy.split()) & set(ran.stdout.split())
