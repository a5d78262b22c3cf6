"""Roles: who may do what, as a file of TOML says it.

    others = "watcher"            # everybody that is not named: host, player or watcher

    [address]                     # a host, a network or a name
    "10.0.0.7" = "host"
    "10.0.1.0/24" = "player"

    [tuio]                        # a tracker, by its source name: NAME or HOST/NAME
    "table" = "player"

    [midi]                        # a MIDI port, by a part of its name
    "LinnStrument" = "player"

The smallest network that an address is in decides. A source of TUIO that is not named has the
role of its host; a MIDI port is this machine's. This machine is host.
"""

from enum import StrEnum
from typing import Any, Final

from msgspec import Struct

from robojam.config.addresses import canonical_host, quoted
from robojam.config.networks import Network, parse_network
from robojam.config.toml_file import line_of, read_toml


class Role(StrEnum):
    """Role of a sender: a watcher may watch, a player play, too, and a host do everything."""

    HOST = "host"
    PLAYER = "player"
    WATCHER = "watcher"


_TABLES: Final = ("address", "tuio", "midi")


class RoleRules(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Roles by address (host, network or name), source name of TUIO, and name of MIDI port."""

    others: Role = Role.PLAYER
    address: dict[str, Role] = {}
    tuio: dict[str, Role] = {}
    midi: dict[str, Role] = {}


def read(path: str) -> RoleRules:
    """Read a file of roles. Raises ValueError: file, line, what is wrong, what is allowed."""
    table, text = read_toml(path)
    rules: dict[str, Any] = {}
    for name, value in table.items():
        try:
            rules[name] = _rule(name, value)
        except _WrongKeyError as error:
            where = f"{path}, line {line_of(error.key, text)}"
            raise ValueError(f"{where}: {error}") from error
    return RoleRules(**rules)


class _WrongKeyError(ValueError):
    def __init__(self, key: str, text: str) -> None:
        super().__init__(text)
        self.key = key


def _rule(name: str, value: object) -> Role | dict[str, Role]:
    """Return the role of all others, or those in a table. Raises _WrongKeyError."""
    if name == "others":
        return _role(name, value)
    if name not in _TABLES:
        allowed = f"others, {', '.join(f'[{table}]' for table in _TABLES)}"
        raise _WrongKeyError(name, f"{quoted(name)} is unknown; allowed: {allowed}")
    if not isinstance(value, dict):
        allowed = f'a table: [{name}], and in each line "WHO" = "ROLE"'
        raise _WrongKeyError(name, f"{name} = {quoted(value)}; allowed: {allowed}")
    return {_who(name, who): _role(who, role) for who, role in value.items()}


def _who(table: str, who: str) -> str:
    """Return a name in a table as sources are written. Raises _WrongKeyError."""
    if not who.strip():
        raise _WrongKeyError(who, f"{quoted(who)} in [{table}] names nobody; allowed: a name")
    if who == "others":  # it would leave everybody else what they may by default
        raise _WrongKeyError(who, f"others stands above all tables, not in [{table}]")
    host, slash, rest = who.partition("/")
    try:
        if table == "address":
            parse_network(who)
        elif table == "tuio" and slash:
            if not isinstance(parse_network(host), Network):
                raise ValueError(f"{quoted(who)}: HOST of HOST/NAME is an address, not a name")
            return f"{canonical_host(host)}/{rest}"
    except ValueError as error:
        raise _WrongKeyError(who, str(error)) from error
    return who


def _role(who: str, value: object) -> Role:
    if isinstance(value, str) and value in list(Role):
        return Role(value)
    allowed = ", ".join(f'"{role}"' for role in Role)
    raise _WrongKeyError(who, f"{quoted(who)} = {quoted(value)}; allowed: {allowed}")
