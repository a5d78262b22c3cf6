"""OSCQuery: the addresses of the engine as a tree, for programs that make panels by themselves.

Pure. The proposal is https://github.com/Vidvox/OSCQueryProposal; everything but LISTEN is here.
"""

from collections.abc import Mapping
from typing import Any, Final

from robojam.controls import CONTROLS, ControlSpec, Kind
from robojam.touch import FINGER_IDS

_WRITE, _READ_WRITE = 2, 3
#: Attributes of a node that can be asked for alone.
ATTRIBUTES: Final = (
    "FULL_PATH", "CONTENTS", "TYPE", "ACCESS", "RANGE", "DESCRIPTION", "VALUE",
)  # fmt: skip
_TYPES: Final = {Kind.TRIGGER: "I"}
_PLACE: Final = {"MIN": 0.0, "MAX": 1.0}
_FINGER: Final = {"MIN": FINGER_IDS.start, "MAX": FINGER_IDS.stop - 1}
#: Messages of touches: type tags, ranges and what they mean.
_TOUCHES: Final = {
    "/robojam/down": ("iff", [_FINGER, _PLACE, _PLACE], "a finger lands at x, y"),
    "/robojam/move": ("iff", [_FINGER, _PLACE, _PLACE], "a finger slides to x, y"),
    "/robojam/up": ("i", [_FINGER], "a finger lifts"),
    "/touch": ("ff", [_PLACE, _PLACE], "a touch without a finger, at x, y"),
}


def host_info(osc: tuple[str, int], name: str) -> dict[str, Any]:
    """Return what HOST_INFO answers; osc is where the engine listens, of any host if ""."""
    host, port = osc
    about = {
        "NAME": name,
        "OSC_PORT": port,
        "OSC_TRANSPORT": "UDP",
        "EXTENSIONS": {
            name: name in ("ACCESS", "RANGE", "DESCRIPTION", "VALUE", "TYPE")
            for name in ("ACCESS", "RANGE", "DESCRIPTION", "VALUE", "TYPE", "LISTEN", "TAGS")
        },
    }  # fmt: skip
    return about | ({"OSC_IP": host} if host else {})


def node(path: str, values: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the node at a path, with all that is below it; None where there is none.

    values holds the values of controls in force.
    """
    leaves = {path: _touch(path) for path in _TOUCHES}
    for name, control in CONTROLS.items():
        leaves[f"/robojam/{name}"] = _control(control, values.get(name))
    root = _folder("/", leaves)
    root["CONTENTS"]["robojam"] = _folder("/robojam", leaves)
    found = {"/": root, "/robojam": root["CONTENTS"]["robojam"], **leaves}
    return found.get(path.rstrip("/") or "/")


def _folder(path: str, leaves: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """Return a node with the leaves right below it."""
    start = path.rstrip("/") + "/"
    contents = {
        full.removeprefix(start): leaf
        for full, leaf in leaves.items()
        if full.startswith(start) and "/" not in full.removeprefix(start)
    }
    return {"FULL_PATH": path, "ACCESS": 0, "CONTENTS": contents}


def _touch(path: str) -> dict[str, Any]:
    tags, ranges, about = _TOUCHES[path]
    return {
        "FULL_PATH": path, "TYPE": tags, "ACCESS": _WRITE, "RANGE": ranges,
        "DESCRIPTION": about,
    }  # fmt: skip


def _control(control: ControlSpec, value: Any) -> dict[str, Any]:
    leaf: dict[str, Any] = {
        "FULL_PATH": f"/robojam/{control.name}",
        "TYPE": control.kind.tag or _TYPES[control.kind],
        "ACCESS": _WRITE if value is None else _READ_WRITE,
        "DESCRIPTION": control.about or control.allowed or control.name,
    }
    if control.words:
        leaf["RANGE"] = [{"VALS": list(control.words)}]
    elif control.kind not in (Kind.TEXT, Kind.TRIGGER):
        leaf["RANGE"] = [{"MIN": control.low, "MAX": control.high}]
    if value is not None:
        leaf["VALUE"] = [value]
    return leaf
