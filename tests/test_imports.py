"""Who may import whom: the core stays pure, the engine free of torch, the start quick.

`RULES` is the whole of it. A new module gets a row, which says

- ours: the modules of robojam that it may import ("wire.*" is a package with all in it);
- others: the packages of other people that it may import anywhere;
- lazily: what of ours and of others it may import inside functions besides (and
  under TYPE_CHECKING), so that nobody waits for it who does not need it;
- pure: whether it is kept from clocks, threads, chance and the network too.
"""

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "robojam"

#: What a module that does no I/O, starts no thread and never asks the time leaves alone.
IMPURE = frozenset(
    "asyncio concurrent multiprocessing queue random sched secrets select selectors signal"
    " socket socketserver ssl subprocess threading time _thread".split()
)


@dataclass(frozen=True)
class Rule:
    """What one module, or one package ("window.*"), may import."""

    ours: str = ""
    others: str = ""
    lazily: str = ""
    pure: bool = False


RULES = {
    "": Rule(pure=True),  # robojam/__init__.py
    # What everything stands on
    "touch": Rule(pure=True),
    "midi.controls": Rule(pure=True),
    "midi.styles": Rule("midi.controls", "msgspec", pure=True),
    "addresses": Rule(pure=True),
    "options": Rule("addresses midi.styles sound.lineup", "msgspec", pure=True),
    "choosing": Rule("addresses midi.styles options sound.lineup", "msgspec", pure=True),
    # The core: bytes, turns and files, as values
    "wire": Rule("touch wire.*", "pythonosc", pure=True),
    "wire.*": Rule("touch wire.*", "pythonosc", pure=True),
    "wire.midi_in": Rule("midi.controls midi.styles touch wire.*", pure=True),
    "wire.midi_out": Rule("midi.styles touch wire.*", pure=True),
    "hands": Rule("touch", pure=True),
    "happenings": Rule("touch", pure=True),
    "linger": Rule(pure=True),
    "voices": Rule("happenings linger touch", pure=True),
    "past": Rule("touch", pure=True),
    "turns": Rule("hands happenings past voices", pure=True),
    "jam": Rule("hands happenings touch turns voices", pure=True),
    "sessionlines": Rule("touch", "msgspec", pure=True),
    "session": Rule("sessionlines touch", "msgspec", pure=True),
    # The model
    "event": Rule(others="msgspec", pure=True),
    "lattice": Rule("event", "numpy", pure=True),
    "formulas": Rule("event", "numpy", pure=True),
    "step": Rule("event formulas", "numpy", pure=True),
    "rows": Rule("formulas step", "numpy", pure=True),
    "chorus": Rule("event formulas rows step", "numpy", pure=True),
    "lean": Rule("chorus event formulas rows step", "numpy", pure=True),
    "captured": Rule("step", "torch"),
    "foresight": Rule("chorus happenings", "numpy", pure=True),
    "mixture": Rule("mixture.*", pure=True),
    "mixture.*": Rule("mixture.*", "torch", pure=True),
    "whole": Rule(pure=True),
    "modelfile": Rule("event formulas whole", "msgspec numpy safetensors", pure=True),
    "network": Rule("event mixture modelfile", "msgspec safetensors torch", pure=True),
    "dropout": Rule("", "torch", pure=True),
    "model": Rule("dropout event formulas mixture modelfile", "safetensors torch", pure=True),
    # It knows of the jam only what the jam asks of a player
    "chance": Rule(others="numpy"),
    "player": Rule(
        "chance event foresight formulas happenings lean modelfile step touch",
        "numpy safetensors",
        lazily="captured torch",
    ),
    # Learning
    "ondisk": Rule(others="numpy", pure=True),
    "corpus": Rule("ondisk touch whole", "numpy", pure=True),
    "phases": Rule(others="numpy", pure=True),
    "formats": Rule("corpus formats.*", pure=True),
    "formats.*": Rule("corpus formats.* ondisk phases session touch", "numpy", pure=True),
    "survey": Rule("corpus lattice touch", "numpy", pure=True),
    "evaluate": Rule("corpus event lattice model", "numpy torch"),
    "likeness": Rule("generate modelfile", "numpy", lazily="sklearn"),
    "windows": Rule("corpus event lattice", "numpy torch", pure=True),
    "heldout": Rule("corpus ondisk", "numpy", pure=True),
    "together": Rule(lazily="dropout model torch"),
    "troubles": Rule("corpus event windows", "numpy torch", pure=True),
    "train": Rule(
        "corpus evaluate event lattice model modelfile together troubles windows",
        "numpy torch",
    ),
    "checkpoint": Rule("corpus event model modelfile train", "msgspec numpy safetensors torch"),
    "tune": Rule(
        "corpus evaluate event generate lattice model modelfile train", "msgspec numpy torch"
    ),
    "generate": Rule("linger modelfile player step touch", "numpy"),
    "picture": Rule("session touch", "numpy", lazily="matplotlib"),
    "report": Rule("likeness modelfile picture whole", "numpy", lazily="matplotlib"),
    "curves": Rule("train", lazily="matplotlib tensorboardX"),
    "listing": Rule("session sessionlines whole", "msgspec"),
    # What a rig has is asked of whoever knows, where that is installed
    "rigfile": Rule("options", lazily="midi.link modelfile player sound sound.device"),
    "composed": Rule("modelfile session touch", "numpy", pure=True),
    "export": Rule(
        "corpus formats.* listing picture session touch whole",
        "numpy",
        lazily="midi.file render",
    ),
    # The engine, which is handed a player
    "priority": Rule(lazily="ctypes"),
    "recorder": Rule("priority session touch", "msgspec"),
    "ports": Rule(),
    "monitors": Rule("ports wire.*"),
    "status": Rule("happenings"),
    "takes": Rule("happenings options recorder session status touch", "msgspec"),
    "guests": Rule("status touch"),
    "audition": Rule("hands happenings status touch wire.*", pure=True),
    # What is plugged into it
    "rig": Rule("happenings wire.*", pure=True),
    "ahead": Rule("happenings ports touch wire.*"),
    "outlets": Rule("addresses ahead happenings options ports rig touch wire.*"),
    "midi.ports": Rule("wire.midi", lazily="rtmidi"),  # a process of its own
    "midi.link": Rule("midi.ports midi.styles"),
    "midi": Rule(pure=True),
    "midi.plug": Rule(
        "happenings midi.controls midi.link midi.ports midi.styles options touch wire.*"
    ),
    "midi.learn": Rule("midi.controls wire.midi", pure=True),
    "midi.file": Rule("midi.styles session touch wire.*", lazily="mido", pure=True),
    "tuio": Rule("ports wire.*"),
    "announce": Rule(lazily="zeroconf ifaddr"),
    "calls": Rule(),
    "controls": Rule("happenings options sound.lineup wire.*", pure=True),
    "witnesses": Rule("happenings monitors rig session status takes touch wire.*", "msgspec"),
    "server": Rule(
        "audition calls controls guests happenings jam monitors options ports priority rig"
        " status takes touch wire.* witnesses",
    ),
    # The sound: names that all may read, a synthesiser that is as pure as the jam, and
    # what is impure around it
    "sound": Rule(lazily="sound.device sound.program"),
    "sound.lineup": Rule(pure=True),
    "sound.instruments": Rule("sound.lineup", "numpy", pure=True),
    "sound.voices": Rule("sound.instruments sound.lineup", "numpy", pure=True),
    "sound.room": Rule("sound.instruments", "numpy", pure=True),
    "sound.synth": Rule(
        "happenings sound.instruments sound.lineup sound.room sound.voices touch",
        "numpy",
        pure=True,
    ),
    "sound.line": Rule("happenings touch", "msgspec", pure=True),
    "sound.device": Rule(others="numpy", lazily="miniaudio"),
    "sound.program": Rule(
        "happenings priority sound.device sound.line sound.lineup sound.synth touch", "numpy"
    ),
    "sound.outlet": Rule("happenings priority sound.line"),
    "render": Rule("happenings replay session sound.instruments sound.synth touch", "numpy"),
    # A session again: it stands where the jam does, and is as pure
    "replay": Rule("happenings jam session sound.lineup touch", pure=True),
    # Where the engine and a player are put together
    "loading": Rule("modelfile player session takes", "numpy threadpoolctl", lazily="torch"),
    # Measured from outside, by packets
    "bench": Rule("bench.*"),
    "bench.*": Rule("bench.* priority wire.*", lazily="sound sound.device"),
    # What a person starts
    "supervise": Rule("addresses options touch wire.*", "msgspec"),
    "logs": Rule(),
    # It is a client: of the jam it knows what goes over the wire, and the files it leaves
    "window": Rule("touch wire.* window.*", lazily="pygame"),
    "window.*": Rule("session sound.lineup touch wire.* window.*", "pygame"),
    "cli": Rule("addresses choosing options cli.*", "msgspec", lazily="*"),
    "cli.*": Rule("addresses choosing options cli.*", "msgspec", lazily="*"),
    "__main__": Rule("cli"),
}


@dataclass(frozen=True)
class Import:
    """One import statement's name, where it stands, and whether it waits to be needed."""

    name: str
    line: int
    lazy: bool


def imports(path: Path, modules: frozenset[str]) -> Iterator[Import]:
    """Find every import in a file, also inside functions and by import_module."""
    package = ("robojam", *path.relative_to(PACKAGE).parent.parts)

    def walk(node: ast.AST, *, lazy: bool) -> Iterator[Import]:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, node.lineno, lazy)
        elif isinstance(node, ast.ImportFrom):
            up = package[: len(package) - node.level + 1] if node.level else ()
            base = ".".join((*up, *filter(None, [node.module])))
            for alias in node.names:
                whole = f"{base}.{alias.name}"
                yield Import(whole if whole in modules else base, node.lineno, lazy)
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


def found() -> dict[str, Path]:
    """Find every module of ours, by its name within robojam."""
    named = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        named[".".join(part for part in parts if part != "__init__")] = path
    return named


def rule_of(module: str) -> Rule | None:
    """Find the row of a module: its own, or else that of its package."""
    if module in RULES:
        return RULES[module]
    return next((rule for name, rule in RULES.items() if fnmatchcase(module, name)), None)


def within(name: str, allowed: str) -> bool:
    """Tell whether a dotted name is one of those allowed."""
    return any(
        fnmatchcase(name, pattern) or name == pattern.removesuffix(".*")
        for pattern in allowed.split()
    )


def breaches(module: str, path: Path, rule: Rule, modules: frozenset[str]) -> Iterator[str]:
    """Tell of every import in a file that its row does not allow."""
    for found_import in imports(path, modules):
        top, _, rest = found_import.name.partition(".")
        if top == "robojam":
            allowed, name = f"{rule.ours} {module}", rest
            if not rest:  # robojam itself: its version, and nothing else
                continue
        elif top in sys.stdlib_module_names:
            if not (rule.pure and top in IMPURE):
                continue
            allowed, name = "", top
        else:
            allowed, name = rule.others, top
        if within(name, allowed) or (found_import.lazy and within(name, rule.lazily)):
            continue
        kind = (
            "it is to be pure" if top in IMPURE else f"allowed: {allowed.strip() or 'nothing'}"
        )
        later = f"; inside functions too: {rule.lazily}" if rule.lazily else ""
        where = f"{path.name}:{found_import.line}"
        yield f"{where}: {module} imports {found_import.name} ({kind}{later})"


MODULES = found()
NAMES = frozenset(f"robojam.{name}".removesuffix(".") for name in MODULES)


@pytest.mark.parametrize("module", MODULES, ids=lambda name: name or "robojam")
def test_a_module_imports_only_what_it_may(module):
    rule = rule_of(module)
    if rule is None:
        pytest.fail(f"robojam.{module} has no row in RULES: say whom it may import")
    told = list(breaches(module, MODULES[module], rule, NAMES))
    assert not told, "\n".join(told)


def test_the_table_itself_keeps_the_engine_and_the_window_from_the_model():
    for module in (
        "server",
        "takes",
        "monitors",
        "ports",
        "jam",
        "hands",
        "supervise",
        "window.app",
    ):
        rule = rule_of(module)
        assert rule is not None
        for forbidden in ("model", "player", "mixture", "step", "train"):
            assert not within(forbidden, f"{rule.ours} {rule.lazily}")
        assert not within("torch", f"{rule.others} {rule.lazily}")


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("import time", "it is to be pure"),
        ("def f():\n    from time import sleep", "breach.py:2"),
        ("import torch.nn", "imports torch.nn"),
        ("from robojam.model import EventModel", "imports robojam.model "),
        ("from robojam import model", "imports robojam.model "),
        ("from . import model", "imports robojam.model "),
        ("from .model import EventModel", "imports robojam.model "),
        ("from importlib import import_module\nimport_module('numpy')", "imports numpy"),
    ],
)
def test_a_breach_is_found(source, told, tmp_path, monkeypatch):
    monkeypatch.setattr(sys.modules[__name__], "PACKAGE", tmp_path)
    path = tmp_path / "breach.py"
    path.write_text(source)
    modules = frozenset({"robojam", "robojam.model"})
    assert told in "".join(breaches("breach", path, Rule("touch", pure=True), modules))


def test_lazily_is_inside_functions_only(tmp_path, monkeypatch):
    monkeypatch.setattr(sys.modules[__name__], "PACKAGE", tmp_path)
    path = tmp_path / "breach.py"
    path.write_text(
        "import torch\n\ndef f():\n    import torch\n\nif TYPE_CHECKING:\n    import torch\n"
    )
    told = list(breaches("breach", path, Rule(lazily="torch"), NAMES))
    assert [text.partition(": ")[0] for text in told] == ["breach.py:1"]


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        ("robojam.cli", "torch numpy pygame rich safetensors pythonosc"),
        ("robojam.server", "torch pygame"),
        ("robojam.player", "torch pygame"),
        ("robojam.window.app", "torch numpy safetensors"),
    ],
)
def test_nobody_waits_for_what_is_not_needed(module, heavy):
    code = f"import sys, {module}; print(*sys.modules)"
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=PACKAGE.parent, capture_output=True, text=True
    )
    assert ran.returncode == 0, f"{module} cannot be imported:\n{ran.stderr}"
    assert not set(heavy.split()) & set(ran.stdout.split())
