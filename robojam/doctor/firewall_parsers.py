"""Parsers of the output of ufw, firewalld, and the firewalls of macOS and Windows. Pure."""

from __future__ import annotations

import re
from typing import NamedTuple

from robojam.doctor.packet_filter import Verdict


def ufw(status: str, port: int) -> Verdict | None:
    """Return the verdict of `ufw status verbose`; None where ufw is off or says nothing."""
    if not re.search(r"^Status: active", status, re.MULTILINE):
        return None
    narrow = False
    for line in status.splitlines():
        match re.split(r"\s{2,}", line.strip()):
            case [to, action, sender, *_] if "(v6)" not in to and _ufw_has(to, port):
                if not re.fullmatch(r"(ALLOW|DENY|REJECT|LIMIT)( IN)?", action):
                    continue
                if "Anywhere" not in sender or " on " in to:
                    narrow = True  # for some hosts, or one interface
                    continue
                if narrow:
                    return "unclear"
                return "open" if action.startswith(("ALLOW", "LIMIT")) else "blocked"
    if narrow:
        return "unclear"
    return "open" if re.search(r"Default: allow \(incoming\)", status) else "blocked"


def _ufw_has(to: str, port: int) -> bool:
    """Return whether the column "To" of a rule has a UDP port."""
    to = to.partition(" on ")[0]
    if to == "Anywhere":
        return True
    match = re.search(r"([\d:,]+)(?:/(\w+))?$", to)
    if match is None or match[2] not in (None, "udp"):
        return False
    ranges = [part.partition(":") for part in match[1].split(",")]
    return any(low and int(low) <= port <= int(high or low) for low, _, high in ranges)


class Zones(NamedTuple):
    """Active zones of firewalld that let a port in, and those that do not, by name."""

    open: list[str]
    blocked: list[str]
    unclear: list[str]


def firewalld(listed: str, port: int) -> Zones:
    """Return the active zones in what `firewall-cmd --list-all-zones` prints."""
    zones = Zones([], [], [])
    for block in re.split(r"\n(?=\S)", listed.strip()):
        name, _, rest = block.partition("\n")
        if not re.search(r"\((?:.*, *)?active(?:,.*)?\)", name):
            continue
        ports = re.search(r"^\s+ports:(.*)$", rest, re.MULTILINE)
        has = any(
            int(low) <= port <= int(high or low)
            for low, high in re.findall(r"(\d+)(?:-(\d+))?/udp", ports[1] if ports else "")
        )
        rich = re.search(rf"^\s+rule .*port=\"{port}\"", rest, re.MULTILINE)
        if has or re.search(r"^\s+target: ACCEPT", rest, re.MULTILINE):
            kind = zones.open
        else:
            kind = zones.unclear if rich else zones.blocked
        kind.append(name.split()[0])
    return zones


def mac(state: str, block_all: str, app: str) -> Verdict:
    """Return the verdict of macOS' firewall on a program.

    The texts are those of `socketfilterfw` with --getglobalstate, --getblockall and
    --getappblocked.
    """
    if "State = 0" in state or "disabled" in state.lower():
        return "open"
    blocks_all = re.search(r"block all.*enabled|set to block all", block_all, re.IGNORECASE)
    if "State = 2" in state or blocks_all:
        return "blocked"
    if re.search(r"\bpermitted\b", app):
        return "open"
    return "blocked" if re.search(r"\bis blocked\b", app) else "unclear"


#: Profiles of networks, by the names of their keys in the registry of Windows.
_PROFILES = {"DomainProfile": "Domain", "StandardProfile": "Private", "PublicProfile": "Public"}


def windows(registry: str, port: int, program: str) -> dict[str, Verdict]:
    """Return the verdict for each kind of network: Domain, Private and Public.

    registry is what `reg query` prints of the key FirewallPolicy and all below it; program
    is the path of the one that listens.
    """
    verdicts: dict[str, Verdict] = {}
    for key, profile in _PROFILES.items():
        block = re.search(rf"^HKEY_\S*\\{key}\s*$(.*?)(?=^HKEY|\Z)", registry, re.M | re.S)
        if block is None:
            continue
        off = re.search(r"EnableFirewall\s+REG_DWORD\s+0x0\b", block[1])
        allows = re.search(r"DefaultInboundAction\s+REG_DWORD\s+0x0\b", block[1])
        verdicts[profile] = "open" if off or allows else "blocked"
        if off:
            continue
        actions = {
            rule["Action"]
            for rule in _windows_rules(registry)
            if _applies(rule, port, program, profile)
        }
        if "Block" in actions:  # it wins
            verdicts[profile] = "blocked"
        elif "Allow" in actions:
            verdicts[profile] = "open"
    return verdicts


def _windows_rules(registry: str) -> list[dict[str, str]]:
    """Return the fields of each active rule for what comes in; a field's last value counts."""
    rules = []
    for text in re.findall(r"REG_SZ\s+v[\d.]+\|(.*)\|", registry):
        fields: dict[str, str] = {}
        for part in text.split("|"):
            name, _, value = part.partition("=")
            fields[name] = f"{fields[name]},{value}" if name in fields else value
        if fields.get("Active") == "TRUE" and fields.get("Dir") == "In" and "Action" in fields:
            rules.append(fields)
    return rules


def _applies(rule: dict[str, str], port: int, program: str, profile: str) -> bool:
    """Return whether a rule is about UDP to a port of a program, from the whole network."""
    if rule.get("Protocol", "17") != "17":
        return False
    if profile not in rule.get("Profile", profile).split(","):
        return False
    if "RA4" in rule and "LocalSubnet" not in rule["RA4"]:
        return False  # for some hosts
    app = rule.get("App")
    if app is not None and app.lower() != program.lower():
        return False
    if any(name in rule for name in ("Svc", "AppPkgId", "LUOwn")):
        return False  # for a service or an app of the store
    ports = rule.get("LPort", rule.get("LPort2_10"))
    if ports is None:
        return True
    for part in ports.split(","):
        low, _, high = part.partition("-")
        if low.isdecimal() and int(low) <= port <= int(high if high.isdecimal() else low):
            return True
    return False
