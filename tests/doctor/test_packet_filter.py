"""Verdict of iptables and nftables on OSC: rules as Debian 12's tools print them."""

import json

import pytest

from robojam.doctor.packet_filter import iptables_chains, nft_filters, verdict

#: `iptables -S` of iptables 1.8.9.
IPTABLES = """\
-P INPUT DROP
-P FORWARD ACCEPT
-P OUTPUT ACCEPT
-N mine
-N logged
-A INPUT -i lo -j ACCEPT
-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A INPUT -p icmp -j ACCEPT
-A INPUT -p tcp -m tcp --dport 5020 -j ACCEPT
-A INPUT -p udp -m multiport --dports 22,5000:5010 -m comment --comment "osc in, -j DROP" -j mine
-A INPUT -p udp -m udp --dport 5006 -j ACCEPT
-A INPUT -s 10.0.0.0/8 -p udp -m udp --dport 7000 -j ACCEPT
-A INPUT ! -i lo -p udp -m udp --dport 7001 -j ACCEPT
-A INPUT -p udp -m udp --dport 7002 -g logged
-A INPUT -p udp -m udp --dport 7002 -j ACCEPT
-A INPUT -p udp -m udp ! --dport 7003 -m limit --limit 3/min -j LOG --log-prefix "[no] "
-A INPUT -p udp -m udp --dport 7004 -m comment --comment "-j DROP" -j ACCEPT
-A INPUT -p udp -m udp --dport 7005 -m set --match-set friends src -j ACCEPT
-A INPUT -p udp -m udp --dport 7005 -j REJECT --reject-with icmp-port-unreachable
-A logged -j LOG --log-prefix "[x] -j ACCEPT"
-A logged -m addrtype --dst-type BROADCAST -j ACCEPT
-A logged -j RETURN
-A mine -m conntrack --ctstate INVALID -j DROP
-A mine -m addrtype --dst-type LOCAL -j ACCEPT
-A mine -j DROP
"""  # noqa: E501

#: `nft -j list ruleset` of nft 1.0.6: statements of the rules of chain input.
NFT_RULES = [
    [{"vmap": {"key": {"ct": {"key": "state"}}, "data": {"set": [
        ["invalid", {"drop": None}], ["established", {"accept": None}],
        ["related", {"accept": None}]]}}}],
    [{"match": {"op": "==", "left": {"meta": {"key": "iifname"}}, "right": "lo"}},
     {"accept": None}],
    [{"match": {"op": "==", "left": {"meta": {"key": "l4proto"}}, "right": "icmp"}},
     {"accept": None}],
    [{"match": {"op": "==", "left": {"payload": {"protocol": "tcp", "field": "dport"}},
                "right": {"set": [22, 80]}}}, {"accept": None}],
    [{"match": {"op": "==", "left": {"payload": {"protocol": "udp", "field": "dport"}},
                "right": {"set": [{"range": [5000, 5010]}, 5353]}}}, {"accept": None}],
    [{"match": {"op": "==", "left": {"payload": {"protocol": "ip", "field": "saddr"}},
                "right": "@phones"}},
     {"match": {"op": "==", "left": {"payload": {"protocol": "udp", "field": "dport"}},
                "right": 9000}}, {"accept": None}],
    [{"match": {"op": "==", "left": {"payload": {"protocol": "udp", "field": "dport"}},
                "right": "@ports"}}, {"accept": None}],
    [{"match": {"op": "in", "left": {"ct": {"key": "state"}}, "right": ["established", "new"]}},
     {"match": {"op": "==", "left": {"payload": {"protocol": "udp", "field": "dport"}},
                "right": 9200}}, {"jump": {"target": "six"}}],
    [{"match": {"op": "==", "left": {"meta": {"key": "nfproto"}}, "right": "ipv6"}},
     {"jump": {"target": "six"}}],
    [{"counter": {"packets": 0, "bytes": 0}},
     {"reject": {"type": "icmpx", "expr": "port-unreachable"}}],
]  # fmt: skip
SIX = [[{"limit": {"rate": 5, "burst": 5, "per": "second"}}, {"accept": None}],
       [{"return": None}]]  # fmt: skip


def nft(rules=NFT_RULES, *, policy="drop", family="inet"):
    """Return what nft prints of a table with chains input, six and output."""
    of = {"family": family, "table": "filter"}
    base = {"type": "filter", "prio": 0}
    items = [
        {"metainfo": {"version": "1.0.6", "json_schema_version": 1}},
        {"table": {"family": family, "name": "filter", "handle": 1}},
        {"set": {**of, "name": "phones", "type": "ipv4_addr", "elem": ["192.168.0.7"]}},
        {"set": {**of, "name": "ports", "type": "inet_service", "elem": [9100]}},
        {"chain": {**of, "name": "input", **base, "hook": "input", "policy": policy}},
        {"chain": {**of, "name": "six"}},
        {"chain": {**of, "name": "output", **base, "hook": "output", "policy": "accept"}},
        *({"rule": {**of, "chain": "input", "expr": expr}} for expr in rules),
        *({"rule": {**of, "chain": "six", "expr": expr}} for expr in SIX),
    ]
    return json.dumps({"nftables": items})


@pytest.mark.parametrize(
    ("port", "expected"),
    [
        (5005, "open"),  # through a chain of its own
        (5006, "open"),
        (22, "open"),
        (5020, "blocked"),  # open for TCP alone
        (6000, "blocked"),  # the policy
        (7000, "unclear"),  # open for some hosts
        (7001, "open"),  # from any interface but lo
        (7004, "open"),  # a comment is no target
        (7005, "unclear"),  # open for a set of hosts
        (7002, "blocked"),  # a chain that is gone to returns to the policy
    ],
)
def test_iptables_rules_are_run_for_a_packet_of_osc(port, expected):
    assert verdict([(iptables_chains(IPTABLES, port), "INPUT")]) == expected


@pytest.mark.parametrize(
    ("port", "expected"),
    [
        (5005, "open"),
        (5353, "open"),
        (80, "blocked"),
        (6000, "blocked"),
        (9000, "unclear"),  # the set of hosts is not this one's to know
        (9100, "open"),  # in a set that has a name
        (9200, "unclear"),  # as fast as a limit allows
    ],
)
def test_nft_rules_are_run_for_a_packet_of_osc(port, expected):
    assert verdict(nft_filters(nft(), port)) == expected


def test_machine_without_rules_is_open():
    assert verdict([]) == "open"
    assert verdict(nft_filters(nft([], policy="accept"), 5005)) == "open"
    policies = "-P INPUT ACCEPT\n-P FORWARD ACCEPT\n-P OUTPUT ACCEPT\n"
    assert verdict([(iptables_chains(policies, 5005), "INPUT")]) == "open"


def test_packet_has_to_pass_every_filter():
    is_open = (iptables_chains("-P INPUT ACCEPT\n", 5005), "INPUT")
    blocked = (iptables_chains("-P INPUT DROP\n", 5005), "INPUT")
    unclear = (
        iptables_chains("-P INPUT DROP\n-A INPUT -s 10.0.0.1/32 -j ACCEPT\n", 5005),
        "INPUT",
    )
    assert verdict([is_open, blocked]) == "blocked"
    assert verdict([is_open, unclear]) == "unclear"
    assert verdict([unclear, blocked]) == "blocked"


def test_tables_that_iptables_made_or_that_are_not_of_ipv4_are_left_to_others():
    xt = [[{"xt": {"type": "match", "name": "conntrack"}}, {"accept": None}]]
    assert nft_filters(nft(xt, family="ip"), 5005) == []
    assert nft_filters(nft(family="ip6"), 5005) == []


def test_chains_that_lead_to_themselves_end():
    chains = iptables_chains("-P INPUT DROP\n-N a\n-A INPUT -j a\n-A a -j a\n", 5005)
    assert verdict([(chains, "INPUT")]) == "unclear"


def test_map_of_verdicts_is_read_by_port_and_by_name():
    key = {"payload": {"protocol": "udp", "field": "dport"}}
    by_port = {"key": key, "data": {"set": [[5005, {"accept": None}], [7, {"drop": None}]]}}
    named = {"map": {"family": "inet", "table": "filter", "name": "m", "type": "inet_service",
                     "elem": [[5006, {"accept": None}]]}}  # fmt: skip
    rules = [[{"vmap": by_port}], [{"vmap": {"key": key, "data": "@m"}}]]
    items = json.loads(nft(rules))["nftables"]
    text = json.dumps({"nftables": [named, *items]})
    assert [verdict(nft_filters(text, port)) for port in (5005, 5006, 7, 8)] == [
        "open", "open", "blocked", "blocked",
    ]  # fmt: skip
    unlisted = nft([[{"vmap": {"key": key, "data": "@gone"}}]])
    assert verdict(nft_filters(unlisted, 5005)) == "unclear"
