"""Check of the firewall: whether OSC from other machines comes in.

Tools of the system are asked where they exist and this user has the right to; nothing is
changed, and no password is asked for.
"""

from __future__ import annotations

import os
import re
import sys
from typing import Final, NamedTuple

from robojam.config.addresses import is_loopback, parse_address
from robojam.config.options import Options
from robojam.doctor import firewall_parsers as parsers
from robojam.doctor.finding import Finding, ok, problem, warning
from robojam.doctor.packet_filter import Verdict, iptables_chains, nft_filters, verdict
from robojam.doctor.tools import read_text, run_tool

_UFW_SETTINGS: Final = "/etc/ufw/ufw.conf"
_REGISTRY: Final = (
    r"HKLM\SYSTEM\CurrentControlSet\Services\SharedAccess\Parameters\FirewallPolicy"
)


class _State(NamedTuple):
    """Verdict of a firewall, its name, and commands that let the port in and show its rules."""

    verdict: Verdict
    name: str
    allow: str = ""
    show: str = ""


def check_firewall(options: Options) -> Finding:
    """Ask the system's firewall whether it lets UDP to the port of OSC in."""
    host, port = parse_address(options.osc_in)
    only_here = host == "localhost" or is_loopback(host)
    if not port:
        return ok("not asked: osc-in is any free port")
    state = {"linux": _linux, "darwin": _mac, "win32": _windows}.get(sys.platform, _unknown)(
        port
    )
    what = f"UDP port {port} from other machines"
    # A firewall matters only if osc-in listens to other machines, too.
    trouble, doubt = (warning, ok) if only_here else (problem, warning)
    if state.verdict == "open":
        return ok(f"{state.name}: {what} comes in")
    if state.verdict == "blocked":
        found = f"{state.name} blocks {what}"
        if state.allow:
            return trouble(found, "to let it in:", state.allow)
        return trouble(found, f"a rule must accept udp dport {port}; its rules:", state.show)
    found = f"{state.name}: not clear whether {what} comes in"
    return doubt(found, "to see its rules:" if state.show else "", state.show)


def _unknown(_: int) -> _State:
    return _State("unclear", "a firewall that robojam does not know")


def _linux(port: int) -> _State:
    return _ufw(port) or _firewalld(port) or _packet_filter(port)


def _ufw(port: int) -> _State | None:
    """Return the verdict of ufw; None where it is not here, or off."""
    status = run_tool("ufw", "status", "verbose")
    if status is None:
        return None
    if status.status == 0:
        found = parsers.ufw(status.text, port)
        return found and _State(
            found, "ufw", f"sudo ufw allow {port}/udp", "sudo ufw status verbose"
        )
    if re.search(r"^ENABLED=yes", read_text(_UFW_SETTINGS), re.MULTILINE | re.IGNORECASE):
        name = "ufw, which is on (only root may ask it)"
        return _State("unclear", name, show="sudo ufw status")
    return None


def _firewalld(port: int) -> _State | None:
    """Return the verdict of firewalld; None where it is not here, or off."""
    running = run_tool("firewall-cmd", "--state")
    if running is None or running.text.strip() != "running":
        return None
    show = "sudo firewall-cmd --list-all-zones"
    listed = run_tool("firewall-cmd", "--list-all-zones")
    if listed is None or listed.status:
        return _State("unclear", "firewalld, which is on (only root may ask it)", show=show)
    zones = parsers.firewalld(listed.text, port)
    names = ", ".join(zones.open + zones.blocked + zones.unclear)
    name = f"firewalld ({names})" if names else "firewalld"
    if zones.blocked and not zones.open + zones.unclear:
        add = f"firewall-cmd --permanent --zone={zones.blocked[0]} --add-port={port}/udp"
        return _State("blocked", name, f"sudo {add} && sudo firewall-cmd --reload")
    is_open = zones.open and not zones.blocked + zones.unclear
    return _State("open" if is_open else "unclear", name, show=show)


def _packet_filter(port: int) -> _State:
    """Return the verdict of the rules of iptables and nftables."""
    rules, nft = run_tool("iptables", "-S"), run_tool("nft", "-j", "list", "ruleset")
    asked = [output for output in (rules, nft) if output is not None]
    if not asked:
        return _State("open", "no firewall found (neither ufw, firewalld, iptables nor nft)")
    show = "sudo iptables -S" if nft is None else "sudo nft list ruleset"
    if any(output.status for output in asked):
        return _State("unclear", "the packet filter (only root may ask it)", show=show)
    of_iptables = [] if rules is None else [(iptables_chains(rules.text, port), "INPUT")]
    if verdict(of_iptables) == "blocked":
        allow = f"sudo iptables -I INPUT -p udp --dport {port} -j ACCEPT"
        return _State("blocked", "iptables", allow)
    of_nft = [] if nft is None else nft_filters(nft.text, port)
    return _State(verdict([*of_iptables, *of_nft]), "the packet filter", show=show)


def _mac(port: int) -> _State:
    del port  # it asks which program listens
    tool = "socketfilterfw"
    python = os.path.realpath(sys.executable)
    asked = [
        run_tool(tool, *words)
        for words in (("--getglobalstate",), ("--getblockall",), ("--getappblocked", python))
    ]
    texts = [output.text if output else "" for output in asked]
    folder = "/usr/libexec/ApplicationFirewall"
    allow = f"sudo {folder}/{tool} --add '{python}' --unblockapp '{python}'"
    show = f"{folder}/{tool} --listapps"
    state = _State(parsers.mac(*texts), "macOS' firewall", allow, show)
    filter_state = run_tool("pfctl", "-s", "info")  # for root alone
    if state.verdict == "open" and filter_state and "Status: Enabled" in filter_state.text:
        rules = run_tool("pfctl", "-s", "rules")
        if rules is None or re.search(r"^block", rules.text, re.MULTILINE):
            name = "macOS' packet filter pf, which is on"
            return _State("unclear", name, show="sudo pfctl -s rules")
    return state


def _windows(port: int) -> _State:
    name = "Windows' firewall"
    asked = run_tool("reg", "query", _REGISTRY, "/s")
    verdicts = parsers.windows(asked.text if asked else "", port, sys.executable)
    if not verdicts:
        return _State("unclear", name, show="wf.msc")
    is_open = sorted(profile for profile, found in verdicts.items() if found == "open")
    allow = (
        f'netsh advfirewall firewall add rule name="robojam OSC" dir=in action=allow '
        f"protocol=UDP localport={port} profile=private"
    )
    if "Private" in is_open:
        return _State("open", f"{name}, in {', '.join(is_open)} networks")
    except_for = f", but for {' and '.join(is_open)} networks," if is_open else ""
    return _State("blocked", name + except_for, allow)
