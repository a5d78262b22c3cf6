"""OSCQuery: the addresses of the engine as a tree, for programs that make panels by themselves.

Pure. The proposal is https://github.com/Vidvox/OSCQueryProposal. `robojam.web.osc_listening`
has the values that are streamed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from robojam.controls import CONTROLS, ControlSpec, Kind
from robojam.touch import MAX_FINGERS, nth

_READ, _WRITE, _READ_WRITE = 1, 2, 3
#: Attributes of a node that can be asked for alone.
ATTRIBUTES: Final = (
    "FULL_PATH", "CONTENTS", "TYPE", "ACCESS", "RANGE", "DESCRIPTION", "VALUE",
)  # fmt: skip
#: Voices of the machine that have a place in the tree.
MAX_VOICES: Final = 16
#: Attributes and messages of the proposal that are not required, and whether they are here.
_EXTENSIONS: Final = {
    "ACCESS": True, "VALUE": True, "RANGE": True, "DESCRIPTION": True, "LISTEN": True,
    "PATH_CHANGED": True, "TAGS": False, "CLIPMODE": False, "UNIT": False, "CRITICAL": False,
    "EXTENDED_TYPE": False,
}  # fmt: skip
_PLACE: Final[Mapping[str, Any]] = {"MIN": 0.0, "MAX": 1.0}
_SECONDS: Final[Mapping[str, Any]] = {"MIN": 0.0}
_FINGER: Final[Mapping[str, Any]] = {"MIN": 0, "MAX": MAX_FINGERS - 1}  # of a panel
_About = tuple[str, list[Mapping[str, Any]], str]
#: Messages of touches to the engine: type tags, ranges and what they mean.
_TOUCHES: Final[dict[str, _About]] = {
    "/robojam/down": ("iff", [_FINGER, _PLACE, _PLACE], "a finger lands at x, y"),
    "/robojam/move": ("iff", [_FINGER, _PLACE, _PLACE], "a finger slides to x, y"),
    "/robojam/up": ("i", [_FINGER], "a finger lifts"),
    "/touch": ("ff", [_PLACE, _PLACE], "a touch without a finger, at x, y"),
}
#: Messages of a voice of the machine: the same.
_VOICE: Final[dict[str, _About]] = {
    "down": ("ifff", [_FINGER, _PLACE, _PLACE, _SECONDS], "its finger lands: id x y dt"),
    "move": ("ifff", [_FINGER, _PLACE, _PLACE, _SECONDS], "its finger slides: id x y dt"),
    "up": ("i", [_FINGER], "its finger lifts: id"),
}


@dataclass(frozen=True, slots=True)
class Jam:
    """State of a jam that the tree shows.

    controls has the values in force, by name, in which a control without one is None or
    missing. turn is human or ai.
    """

    controls: Mapping[str, Any] = field(default_factory=dict)
    turn: str = "human"
    voices: int = 1

    @property
    def voice_names(self) -> list[str]:
        """Names of the voices that the tree has."""
        return [nth("ai", index) for index in range(min(self.voices, MAX_VOICES))]


def host_info(osc: tuple[str, int], name: str) -> dict[str, Any]:
    """Return what HOST_INFO answers; osc is where the engine listens, of any host if ""."""
    host, port = osc
    about = {
        "NAME": name, "OSC_PORT": port, "OSC_TRANSPORT": "UDP", "EXTENSIONS": _EXTENSIONS,
    }  # fmt: skip
    return about | ({"OSC_IP": host} if host else {})


def node(path: str, jam: Jam) -> dict[str, Any] | None:
    """Return the node at a path, with all that is below it; None where there is none."""
    found = tree(jam)
    for part in path.strip("/").split("/"):
        if part:
            found = found.get("CONTENTS", {}).get(part)
        if found is None:
            return None
    return found


def addresses(jam: Jam) -> set[str]:
    """Return the addresses of all messages."""
    return {leaf["FULL_PATH"] for leaf in _leaves(jam)}


def tree(jam: Jam) -> dict[str, Any]:
    """Return the root, with everything that is below it."""
    root = _folder("/")
    for leaf in _leaves(jam):
        *folders, name = leaf["FULL_PATH"].removeprefix("/").split("/")
        within = root
        for depth, each in enumerate(folders, start=1):
            path = "/" + "/".join(folders[:depth])
            within = within["CONTENTS"].setdefault(each, _folder(path))
        within["CONTENTS"][name] = leaf
    return root


def _folder(path: str) -> dict[str, Any]:
    return {"FULL_PATH": path, "ACCESS": 0, "CONTENTS": {}}


def _leaves(jam: Jam) -> list[dict[str, Any]]:
    return [
        *(_message(path, _WRITE, *about) for path, about in _TOUCHES.items()),
        *(_control(control, jam.controls.get(name)) for name, control in CONTROLS.items()),
        _message("/robojam/turn", _READ, "s", [{"VALS": ["human", "ai"]}], "whose turn it is")
        | {"VALUE": [jam.turn]},
        *(
            _message(f"/robojam/{voice}/{kind}", _READ, *about)
            for voice in jam.voice_names
            for kind, about in _VOICE.items()
        ),
    ]


def _message(
    path: str, access: int, tags: str, ranges: list[Mapping[str, Any]], about: str
) -> dict[str, Any]:
    return {
        "FULL_PATH": path, "TYPE": tags, "ACCESS": access, "RANGE": ranges,
        "DESCRIPTION": about,
    }  # fmt: skip


def _control(control: ControlSpec, value: Any) -> dict[str, Any]:
    leaf: dict[str, Any] = {
        "FULL_PATH": f"/robojam/{control.name}",
        "TYPE": control.kind.tag or "I",  # an impulse: a message without a value
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
