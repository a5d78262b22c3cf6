"""bench: how fast this machine plays."""

from __future__ import annotations

from typing import Final

from robojam.cli import ask

COMMANDS: Final[tuple[ask.Command, ...]] = ()
