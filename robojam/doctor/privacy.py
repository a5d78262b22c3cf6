"""Removal of what is private from the texts of a bug report."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from pathlib import Path
from typing import Final

from robojam.config.addresses import (
    is_host,
    is_loopback,
    is_wildcard,
    parse_address,
    parse_output,
)
from robojam.config.networks import Network, parse_network
from robojam.config.options import Options

#: Variables of the environment that hold the name of the user, and of the machine.
_USER: Final = ("USER", "LOGNAME", "USERNAME", "LNAME", "SUDO_USER", "DOAS_USER")
_HOST: Final = ("HOSTNAME", "HOST", "COMPUTERNAME", "USERDOMAIN")
_HOME: Final = ("HOME", "USERPROFILE")
#: Names of users that say nothing of anybody.
_NOBODY: Final = frozenset({"root", "robojam", "administrator"})
#: A shorter name is replaced only where it stands alone: "al" is in many words.
_SHORT: Final = 4

#: Networks whose addresses are replaced by their name.
PRIVATE_NETWORKS: Final = tuple(
    map(ip_network, "10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 169.254.0.0/16 100.64.0.0/10 "
        "224.0.0.0/4 fe80::/10 fc00::/7 ff00::/8".split())
)  # fmt: skip
#: Pattern of candidates for addresses: IPv6 (with its interface) or IPv4, with a netmask.
_ADDRESS: Final = re.compile(
    r"(?:(?<![\w:])[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,8}(?:(?:\.\d{1,3}){3})?(?!\w)"
    r"(?:%[\w.-]+)?|(?<!\d)(?<!\d\.)\d{1,3}(?:\.\d{1,3}){3}(?!\d))(?:/\d{1,3}\b)?"
)
_MAC: Final = re.compile(r"\b[0-9A-Fa-f]{2}(?:[:-][0-9A-Fa-f]{2}){5,}\b")
_EMAIL: Final = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_LOCAL: Final = re.compile(r"\b[\w-]+\.(?:local|lan|home|internal|fritz\.box)\b", re.IGNORECASE)
#: "Anna's iPhone": systems name devices after their owners.
_OWNER: Final = re.compile(r"\b[\w-]+['’]s\b")
#: Home folders of other users, and what is mounted for a user.
_HOMES: Final = re.compile(r"(?:[A-Za-z]:)?[/\\](?:home|Users)[/\\][^/\\\s'\",;:]+")
_MOUNTED: Final = re.compile(r"((?:/run)?/media)/[^/\s'\",;:]+")


@dataclass(frozen=True)
class Private:
    """Names that are private: of users, of hosts, and the home folders."""

    users: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    homes: tuple[str, ...] = ()

    def scrub(self, text: str) -> str:
        """Return a text without what is private; replacements say what kind it was."""
        for home in sorted(self.homes, key=len, reverse=True):
            text = re.sub(re.escape(home) + r"(?![\w.-])", "~", text)
        text = _HOMES.sub("~", text)
        text = _MOUNTED.sub(r"\1/USER", text)
        text = _EMAIL.sub("EMAIL", text)
        text = _MAC.sub("MAC", text)
        text = _ADDRESS.sub(_mask, text)
        for pattern, instead in self._names:
            text = pattern.sub(instead, text)
        text = _LOCAL.sub("HOST", text)
        return _OWNER.sub("somebody's", text)

    @cached_property
    def _names(self) -> list[tuple[re.Pattern[str], str]]:
        """Patterns of the names, the longest first, with what replaces each."""
        named = [(name, "HOST") for name in self.hosts] + [
            (name, "USER") for name in self.users
        ]
        named.sort(key=lambda each: -len(each[0]))
        return [
            (re.compile(_anywhere(name), re.IGNORECASE), instead) for name, instead in named
        ]

    def scrub_all(self, values: Mapping[str, object]) -> dict[str, object]:
        """Return an object of JSON with every text scrubbed, also those that are keys."""
        return {self.scrub(str(key)): self._scrubbed(value) for key, value in values.items()}

    def _scrubbed(self, value: object) -> object:
        match value:
            case str():
                return self.scrub(value)
            case list() | tuple():
                return [self._scrubbed(item) for item in value]
            case dict():
                return self.scrub_all(value)
        return value


def _anywhere(name: str) -> str:
    escaped = re.escape(name)
    return escaped if len(name) >= _SHORT else rf"(?<![^\W_]){escaped}(?![^\W_])"


def _mask(match: re.Match[str]) -> str:
    """Return what stands for an address: its private network, or that it is a public one."""
    text, tail = match[0], ""
    address = _parsed(text)
    if address is None and text.endswith(":"):  # "fe80::1: no answer"
        text, tail = text[:-1], ":"
        address = _parsed(text)
    if address is None:
        return match[0]
    plain = str(address)
    if is_loopback(plain) or is_wildcard(plain):
        return match[0]
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    for network in PRIVATE_NETWORKS:
        if address in network:
            return f"{network}{tail}"
    return f"PUBLIC-IPV{address.version}{tail}"


def _parsed(text: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(re.split("[%/]", text)[0])
    except ValueError:
        return None


def of_this_machine(options: Options, environment: Mapping[str, str] = os.environ) -> Private:
    """Return the private names of this machine and user, and the hosts of the options."""
    users = {environment.get(name, "") for name in _USER}
    hosts = {environment.get(name, "") for name in _HOST} | {socket.gethostname()}
    homes = {environment.get(name, "") for name in _HOME}
    with suppress(RuntimeError):
        homes.add(str(Path.home()))
    with suppress(ImportError, KeyError):
        import pwd

        entry = pwd.getpwuid(os.getuid())
        full_name = entry.pw_gecos.partition(",")[0]
        users |= {entry.pw_name, full_name, *full_name.split()}
        homes.add(entry.pw_dir)
    homes = {home.rstrip("/\\") for home in homes}
    users |= {re.split(r"[/\\]", home)[-1] for home in homes}
    hosts |= {host.partition(".")[0] for host in hosts} | set(_hosts(options))
    return Private(
        tuple(sorted(name for name in users if name and name.lower() not in _NOBODY)),
        tuple(sorted(name for name in hosts if name and name.lower() != "localhost")),
        tuple(sorted(home for home in homes if home)),
    )


def _hosts(options: Options) -> Iterable[str]:
    """Yield the names of hosts in the options; addresses are found anywhere."""
    hosts = [parse_output(text).host for text in options.osc_out]
    inputs = [options.osc_in, *([] if options.tuio_in == "none" else [options.tuio_in])]
    for host in (*hosts, *(parse_address(text)[0] for text in inputs)):
        if is_host(host) and not host.replace(".", "").isdecimal():
            yield host
    for text in options.control:
        network = parse_network(text)
        if not isinstance(network, Network):
            yield network
