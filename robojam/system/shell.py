"""Texts that come from outside, as they are shown and as a shell takes them."""

import os
import re
import shlex
import subprocess

#: Zero-width joiner and non-joiner: they shape letters, though they do not print.
_JOINERS = "\u200c\u200d"
#: Text without any character that is special to a shell of Windows.
_PLAIN = re.compile(r"[\w./:\\+@-]+")


def is_printable(character: str) -> bool:
    """Return whether a character prints, or shapes those beside it."""
    return character.isprintable() or character in _JOINERS


def printable(text: str) -> str:
    """Return a text on one line, with escapes for what does not print.

    ESC, a newline, or a mark that turns the direction of writing could make it look like
    another text.
    """
    return "".join(c if is_printable(c) else ascii(c)[1:-1] for c in text)


def quote(text: str) -> str:
    """Return a text as this system's shell takes it."""
    if os.name != "nt":
        return shlex.quote(text)
    quoted = subprocess.list2cmdline([text])
    return quoted if quoted.startswith('"') or _PLAIN.fullmatch(text) else f'"{quoted}"'


def shell_quoted(text: str) -> str:
    """Return a text from outside, made printable, as one word that a shell takes as it is."""
    return quote(printable(text))
