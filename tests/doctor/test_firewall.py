"""Check of the firewall: which tool is asked, and what is said where none may be."""

import sys

import pytest

from robojam.config.options import Options
from robojam.doctor import firewall
from robojam.doctor.tools import Output

HERE, BEYOND = Options(), Options(osc_in="0.0.0.0:5005")
UFW_RULES = "Status: active\nDefault: deny (incoming), allow (outgoing)\n"
NOT_ROOT = Output(1, "ERROR: You need to be root to run this script\n")
DENIED = Output(4, "iptables v1.8.9 (nf_tables): Permission denied (you must be root)\n")
NO_RULES = Output(0, '{"nftables": [{"metainfo": {"version": "1.0.6"}}]}')


@pytest.fixture
def tools(monkeypatch):
    """Have a system with these tools, by the words of their commands."""

    def have(outputs, *, platform="linux", files=()):
        monkeypatch.setattr(sys, "platform", platform)
        monkeypatch.setattr(
            firewall,
            "run_tool",
            lambda *words: outputs.get(" ".join(words[:2])) or outputs.get(words[0]),
        )
        monkeypatch.setattr(firewall, "read_text", lambda path: dict(files).get(path, ""))

    return have


def test_ufw_that_blocks_is_a_problem_only_where_others_are_listened_to(tools):
    tools({"ufw": Output(0, UFW_RULES)})
    found = firewall.check_firewall(BEYOND)
    assert (found.status, found.command) == ("problem", "sudo ufw allow 5005/udp")
    assert "ufw blocks UDP port 5005" in found.found
    assert firewall.check_firewall(HERE).status == "warning"


def test_ufw_that_only_root_may_ask_is_not_taken_for_open(tools):
    files = [("/etc/ufw/ufw.conf", "# comment\nENABLED=yes\nLOGLEVEL=low\n")]
    tools({"ufw": NOT_ROOT}, files=files)
    found = firewall.check_firewall(BEYOND)
    assert (found.status, found.command) == ("warning", "sudo ufw status")
    assert firewall.check_firewall(HERE).status == "ok"


def test_ufw_that_is_off_leaves_the_word_to_the_packet_filter(tools):
    off = Output(0, "Status: inactive\n")
    tools({"ufw": off, "iptables": Output(0, "-P INPUT DROP\n"), "nft": NO_RULES})
    found = firewall.check_firewall(BEYOND)
    assert found.status == "problem"
    assert found.command == "sudo iptables -I INPUT -p udp --dport 5005 -j ACCEPT"
    tools({"ufw": off, "iptables": Output(0, "-P INPUT ACCEPT\n"), "nft": NO_RULES})
    assert firewall.check_firewall(BEYOND).status == "ok"


def test_firewalld_names_the_zone_to_open(tools):
    zone = "public (active)\n  target: default\n  ports: 80/tcp\n"
    running = Output(0, "running\n")
    tools({"firewall-cmd --state": running, "firewall-cmd --list-all-zones": Output(0, zone)})
    found = firewall.check_firewall(BEYOND)
    assert found.status == "problem"
    assert "--zone=public --add-port=5005/udp" in found.command
    refused = Output(1, "Authorization failed.\n")
    tools({"firewall-cmd --state": running, "firewall-cmd --list-all-zones": refused})
    assert firewall.check_firewall(BEYOND).status == "warning"


def test_packet_filter_that_only_root_may_ask_is_not_taken_for_open(tools):
    tools({"iptables": DENIED, "nft": Output(1, "Operation not permitted (you must be root)")})
    found = firewall.check_firewall(BEYOND)
    assert (found.status, found.command) == ("warning", "sudo nft list ruleset")
    tools({"iptables": DENIED})
    assert firewall.check_firewall(BEYOND).command == "sudo iptables -S"


def test_machine_without_any_tool_has_no_firewall(tools):
    tools({})
    found = firewall.check_firewall(BEYOND)
    assert found.status == "ok"
    assert "no firewall found" in found.found


def test_macos_asks_of_this_python_and_heeds_pf(tools):
    on = {
        "socketfilterfw --getglobalstate": Output(0, "Firewall is enabled. (State = 1)\n"),
        "socketfilterfw --getblockall": Output(0, "Block all DISABLED!\n"),
        "socketfilterfw --getappblocked": Output(0, "Incoming connection ... is blocked\n"),
    }
    tools(on, platform="darwin")
    found = firewall.check_firewall(BEYOND)
    assert found.status == "problem"
    assert "--unblockapp" in found.command
    off = {"socketfilterfw": Output(0, "Firewall is disabled. (State = 0)\n")}
    tools({**off, "pfctl": Output(1, "pfctl: /dev/pf: Permission denied\n")}, platform="darwin")
    assert firewall.check_firewall(BEYOND).status == "ok"
    enabled = Output(0, "Status: Enabled for 0 days\nblock drop all\n")
    tools({**off, "pfctl": enabled}, platform="darwin")
    assert firewall.check_firewall(BEYOND).command == "sudo pfctl -s rules"


def test_windows_says_how_to_let_the_port_in(tools):
    key = r"HKEY_LOCAL_MACHINE\X\FirewallPolicy\StandardProfile"
    text = f"{key}\n    EnableFirewall    REG_DWORD    0x1\n"
    tools({"reg": Output(0, text)}, platform="win32")
    found = firewall.check_firewall(BEYOND)
    assert found.status == "problem"
    assert "localport=5005" in found.command
    tools({"reg": Output(0, text.replace("0x1", "0x0"))}, platform="win32")
    assert firewall.check_firewall(BEYOND).status == "ok"
    tools({}, platform="win32")
    assert firewall.check_firewall(BEYOND).command == "wf.msc"


def test_port_that_is_drawn_later_is_not_asked_for(tools):
    tools({"ufw": Output(0, UFW_RULES)})
    assert firewall.check_firewall(Options(osc_in="0.0.0.0:0")).status == "ok"
