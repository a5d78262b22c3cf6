"""Result of a check: whether all is well, what was found, and what to do."""

from typing import Literal

from msgspec import Struct

Status = Literal["ok", "warning", "problem"]


class Finding(Struct, frozen=True, kw_only=True):
    """Result of one check.

    ok: nothing has to be done for a jam. warning: the jam plays, but without something or
    less well. problem: the jam as its options ask for it does not start or is not heard.
    to_do is advice in words, command a line to type; both are empty where there is none.
    """

    status: Status
    found: str
    to_do: str = ""
    command: str = ""


def ok(found: str, to_do: str = "", command: str = "") -> Finding:
    """Return a finding that all is well."""
    return Finding(status="ok", found=found, to_do=to_do, command=command)


def warning(found: str, to_do: str = "", command: str = "") -> Finding:
    """Return a finding of something without which the jam plays."""
    return Finding(status="warning", found=found, to_do=to_do, command=command)


def problem(found: str, to_do: str = "", command: str = "") -> Finding:
    """Return a finding of something without which the jam does not play as it should."""
    return Finding(status="problem", found=found, to_do=to_do, command=command)
