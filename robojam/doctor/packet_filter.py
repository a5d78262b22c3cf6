"""Verdict of a Linux packet filter (iptables, nftables) on OSC from another machine. Pure.

The rules are run for one packet: UDP by IPv4 to a port, the first of its flow, from an
unknown host of the network. A rule of which it is not known whether it matches such a packet
(because of the host, the interface, a rate) leaves both ways open.
"""

from __future__ import annotations

import json
import shlex
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

Verdict = Literal["open", "blocked", "unclear"]
Outcome = Literal["accept", "drop", "return"]
#: Words of the verdicts of rules: what ends the way of a packet, or returns to a caller.
_ENDS: Final[Mapping[str, Outcome]] = {
    "accept": "accept", "ACCEPT": "accept", "drop": "drop", "DROP": "drop",
    "reject": "drop", "REJECT": "drop", "return": "return", "RETURN": "return",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: whether it matches the packet (None: not known), and what it does.

    outcome ends the packet's way in this chain; jump is a chain to go through, from which the
    way comes back to this one unless it is a goto. Neither: the rule only counts or logs.
    """

    matches: bool | None
    outcome: Outcome | None = None
    jump: str | None = None
    goto: bool = False


@dataclass(slots=True)
class Chain:
    """Rules in their order; policy is what happens after the last of a base chain."""

    rules: list[Rule] = field(default_factory=list)
    policy: Outcome | None = None


def verdict(filters: Iterable[tuple[Mapping[str, Chain], str]]) -> Verdict:
    """Return what becomes of the packet, which has to pass every base chain.

    filters are the chains of each packet filter, with the name of its base chain of input.
    """
    is_open = True
    for chains, base in filters:
        outcomes = _outcomes(chains, base, {})
        if outcomes == {"drop"}:
            return "blocked"
        is_open = is_open and outcomes == {"accept"}
    return "open" if is_open else "unclear"


def _outcomes(
    chains: Mapping[str, Chain], name: str, known: dict[str, frozenset[Outcome]]
) -> frozenset[Outcome]:
    """Return what may become of the packet in a chain; known are the chains looked at."""
    if name in known:
        return known[name]
    known[name] = frozenset({"accept", "drop", "return"})  # of one that leads to itself
    chain, outcomes, passes = chains.get(name, Chain()), set[Outcome](), True
    for rule in chain.rules:
        if rule.matches is False:
            continue
        inner: frozenset[Outcome]
        if rule.jump is not None and rule.jump in chains:  # others, as LOG, end nothing
            inner = _outcomes(chains, rule.jump, known)
        elif rule.outcome is not None:
            inner = frozenset({rule.outcome})
        else:
            continue
        comes_back = rule.jump is not None and not rule.goto and "return" in inner
        outcomes |= inner - {"return"} if comes_back else inner
        passes = rule.matches is None or comes_back
        if not passes:
            break
    if passes:
        outcomes.add("return")
    if chain.policy is not None and "return" in outcomes:
        outcomes = outcomes - {"return"} | {chain.policy}
    known[name] = frozenset(outcomes)
    return known[name]


# -- iptables ----------------------------------------------------------------------------------

#: Modules of matches that are understood.
_MODULES: Final = frozenset("udp multiport conntrack state comment addrtype".split())


def iptables_chains(listed: str, port: int) -> dict[str, Chain]:
    """Return the chains in what `iptables -S` prints, for the packet to a port."""
    chains: dict[str, Chain] = {}
    for line in listed.splitlines():
        words = shlex.split(line) if line.startswith("-") else []
        match words:
            case ["-P", name, policy]:
                chains[name] = Chain(policy=_ENDS.get(policy))
            case ["-N", name]:
                chains[name] = Chain()
            case ["-A", name, *rest]:
                chains.setdefault(name, Chain()).rules.append(_iptables_rule(rest, port))
    return chains


def _iptables_rule(words: Sequence[str], port: int) -> Rule:
    """Return what a rule does; an option's values go on to the next option."""
    matches: list[bool | None] = []
    waiting, negated = deque(words), False
    while waiting:
        option = waiting.popleft()
        if option == "!":
            negated = True
            continue
        values = [waiting.popleft()] if option == "--comment" and waiting else []
        while waiting and not waiting[0].startswith(("-", "!")):
            values.append(waiting.popleft())
        value = " ".join(values)
        if option in ("-j", "-g"):
            end = _ENDS.get(value)
            return Rule(_all(matches), end, value if end is None else None, option == "-g")
        matched = _iptables_match(option, value, port)
        matches.append(matched if matched is None else matched != negated)
        negated = False
    return Rule(_all(matches))


def _iptables_match(option: str, value: str, port: int) -> bool | None:
    """Return whether an option of a rule matches the packet."""
    match option:
        case "-p":
            return value in ("udp", "17", "all", "0")
        case "-i":
            return False if value == "lo" else None
        case "-m":
            return True if value in _MODULES else None  # of tcp, -p says that it does not
        case "--comment":
            return True
        case "--dport" | "--dports":
            return any(_is_within(port, part) for part in value.split(","))
        case "--ctstate" | "--state":
            return "NEW" in value.split(",")
        case "--dst-type":
            return value == "LOCAL"
    return None


def _is_within(port: int, text: str) -> bool:
    """Return whether a port is the number, or within the range LOW:HIGH, of a text."""
    low, _, high = text.partition(":")
    return low.isdecimal() and int(low) <= port <= int(high if high.isdecimal() else low)


def _all(matches: Iterable[bool | None]) -> bool | None:
    """Return whether all match: False wins over None."""
    seen = set(matches)
    return False if False in seen else None if None in seen else True


# -- nftables ----------------------------------------------------------------------------------


def nft_filters(listed: str, port: int) -> list[tuple[dict[str, Chain], str]]:
    """Return the packet filters of input in what `nft -j list ruleset` prints.

    Tables that iptables has made are left out: their rules are not all in it. Raises
    ValueError.
    """
    items = json.loads(listed)["nftables"]
    chains: dict[tuple[str, str], dict[str, Chain]] = {}
    bases: list[tuple[tuple[str, str], str]] = []
    sets: dict[tuple[str, str, str], Any] = {}
    of_iptables: set[tuple[str, str]] = set()
    for item in items:
        for kind, row in item.items():
            table = (row.get("family", ""), row.get("table", ""))
            if table[0] not in ("ip", "inet"):
                continue
            if kind in ("set", "map"):
                sets[(*table, row["name"])] = row.get("elem")
            elif kind == "chain":
                policy = _ENDS.get(row.get("policy", "accept")) if "hook" in row else None
                chains.setdefault(table, {})[row["name"]] = Chain(policy=policy)
                if row.get("hook") == "input":
                    bases.append((table, row["name"]))
            elif kind == "rule":
                if any("xt" in statement for statement in row["expr"]):
                    of_iptables.add(table)
                named = {name: rows for (*of, name), rows in sets.items() if tuple(of) == table}
                found = _Packet(port, named).rules(row["expr"])
                chains[table][row["chain"]].rules += found
    return [(chains[table], name) for table, name in bases if table not in of_iptables]


@dataclass(frozen=True, slots=True)
class _Packet:
    """The packet, to which rules of nftables are applied; sets are those that have a name."""

    port: int
    sets: Mapping[str, Any]

    def rules(self, statements: Sequence[Mapping[str, Any]]) -> Iterator[Rule]:
        """Yield what a rule does: one Rule, or several for a map of verdicts."""
        matches: list[bool | None] = []
        for statement in statements:
            ((kind, value),) = statement.items()
            if kind == "match":
                matches.append(self._matches(value))
            elif kind in ("limit", "quota", "ct count", "xt"):
                matches.append(None)
            elif kind == "vmap":
                for matched, does in self._mapped(value):
                    yield _rule(does, matches=_all([*matches, matched]))
                return
            elif kind in (*_ENDS, "jump", "goto", "queue"):
                yield _rule(statement, matches=_all(matches))
                return

    def _matches(self, match: Mapping[str, Any]) -> bool | None:
        value = self._value(match["left"])
        if value is None or isinstance(value, bool):
            return value
        matched = self._is_in(value, match["right"])
        if match["op"] in ("==", "in"):
            return matched
        return None if match["op"] != "!=" or matched is None else not matched

    def _value(self, left: Mapping[str, Any]) -> str | int | bool | None:
        """Return what a key is in the packet; False: it has no such part, None: unknown."""
        match left:
            case {"payload": {"protocol": "udp" | "th", "field": "dport"}}:
                return self.port
            case {"payload": {"protocol": "tcp" | "icmp" | "icmpv6" | "ip6" | "sctp" | "dccp"}}:
                return False
            case {"payload": {"protocol": "ip", "field": "protocol"}}:
                return "udp"
            case {"meta": {"key": "l4proto"}}:
                return "udp"
            case {"meta": {"key": "nfproto"}}:
                return "ipv4"
            case {"meta": {"key": "iifname" | "iif"}}:
                return _NOT_LOOPBACK
            case {"meta": {"key": "pkttype"}}:
                return "host"
            case {"ct": {"key": "state"}}:
                return "new"
            case {"fib": {"result": "type", "flags": "daddr" | ["daddr"]}}:
                return "local"
        return None

    def _is_in(self, value: str | int, right: Any) -> bool | None:
        """Return whether a value is one of what stands on the right of a match."""
        match right:
            case {"set": elements} | {"elem": {"val": elements}}:
                return self._is_in(value, elements)
            case {"range": [low, high]}:
                return isinstance(value, int) and low <= value <= high
            case list():
                found = [self._is_in(value, element) for element in right]
                return True if True in found else None if None in found else False
            case str() if right.startswith("@"):
                elements = self.sets.get(right[1:])
                return None if elements is None else self._is_in(value, elements)
            case str() | int():
                if value == _NOT_LOOPBACK:  # of which only that is known
                    return False if right == "lo" else None
                return value == right
        return None

    def _mapped(self, vmap: Mapping[str, Any]) -> Iterator[tuple[bool | None, Any]]:
        """Yield the verdicts of a map, each with whether it is that of the packet."""
        value, data = self._value(vmap["key"]), vmap["data"]
        if isinstance(data, str):
            data = {"set": self.sets.get(data.removeprefix("@"))}
        pairs = data.get("set") if isinstance(data, dict) else None
        if pairs is None:  # one that is not listed
            yield None, {"accept": None}
            yield None, {"drop": None}
        for key, does in pairs or ():
            if value is not False:
                yield (None if value is None else self._is_in(value, key)), does


#: Interface that the packet comes in by.
_NOT_LOOPBACK: Final = "(any but lo)"


def _rule(does: Mapping[str, Any], *, matches: bool | None) -> Rule:
    ((kind, value),) = does.items()
    if kind in ("jump", "goto"):
        return Rule(matches, jump=value["target"], goto=kind == "goto")
    if kind == "queue":  # a program decides
        return Rule(None, "drop")
    return Rule(matches, _ENDS.get(kind))
