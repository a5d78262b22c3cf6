"""OSCQuery's LISTEN: the addresses that a program listens to, and what it is sent. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, Final

from robojam.controls import CONTROLS
from robojam.touch import Phase, is_machine
from robojam.web.osc_query import Jam, addresses
from robojam.web.protocol import LETTERS, MalformedError
from robojam.wire import native, osc

_KINDS: Final = {
    LETTERS[Phase.DOWN]: "down", LETTERS[Phase.MOVE]: "move", LETTERS[Phase.UP]: "up"
}  # fmt: skip


def values(jam: Jam) -> dict[str, bytes]:
    """Return the message of each value in force, by its address, as a monitor gets it."""
    found = {
        f"/robojam/{name}": native.encode_control(name, value)
        for name, value in jam.controls.items()
        if value is not None and name in CONTROLS
    }
    return found | {"/robojam/turn": native.encode_turn(jam.turn)}


def played(touches: Sequence[Sequence[Any]]) -> Iterator[tuple[str, bytes]]:
    """Yield address and message of each of the machine's touches.

    A touch is who, a letter (`robojam.web.protocol.LETTERS`), the finger, x, y and dt.
    """
    for who, letter, finger, x, y, dt in touches:
        if is_machine(who):
            address = f"/robojam/{who}/{_KINDS[letter]}"
            is_up = letter == LETTERS[Phase.UP]
            more = (finger,) if is_up else (finger, x, y, dt)
            yield address, osc.encode(address, "i" if is_up else "ifff", *more)


def path_changed(before: Jam, now: Jam) -> str | None:
    """Return the message that says where the tree has changed; None where it has not."""
    if addresses(before) == addresses(now):
        return None
    return json.dumps({"COMMAND": "PATH_CHANGED", "DATA": "/robojam"})


class Listener:
    """Addresses that one program listens to, and the last value that it was sent of each."""

    def __init__(self) -> None:
        """Listen to nothing."""
        self._sent: dict[str, bytes | None] = {}

    def hear(self, text: str, jam: Jam) -> None:
        """Take a message of the program: LISTEN or IGNORE, of an address of the tree.

        Others are for extensions that are not here, and are ignored. Raises MalformedError.
        """
        try:
            message = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise MalformedError("not JSON") from error
        match message:
            case {"COMMAND": "LISTEN", "DATA": str(path)}:
                if path in addresses(jam):
                    self._sent[path] = None
            case {"COMMAND": "IGNORE", "DATA": str(path)}:
                self._sent.pop(path, None)
            case {"COMMAND": str(name)} if name not in ("LISTEN", "IGNORE"):
                pass
            case _:
                raise MalformedError("no command of OSCQuery")

    def forget(self, jam: Jam) -> None:
        """Stop to listen to what is no longer in the tree."""
        for path in self._sent.keys() - addresses(jam):
            del self._sent[path]

    def listens_to(self, address: str) -> bool:
        """Return whether it listens to an address."""
        return address in self._sent

    def due(self, in_force: dict[str, bytes]) -> Iterator[tuple[str, bytes]]:
        """Yield address and message of each value that it has not been sent yet."""
        for address, sent in self._sent.items():
            message = in_force.get(address)
            if message is not None and message != sent:
                yield address, message

    def note(self, address: str, message: bytes) -> None:
        """Note that a value was sent."""
        if address in self._sent:
            self._sent[address] = message
