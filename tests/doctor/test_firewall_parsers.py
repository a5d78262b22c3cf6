"""What the firewalls of Linux, macOS and Windows print, and the verdicts on OSC."""

import pytest

from robojam.doctor.firewall_parsers import firewalld, mac, ufw, windows

#: `ufw status verbose` of ufw 0.36.
UFW = """\
Status: active
Logging: on (low)
Default: deny (incoming), allow (outgoing), disabled (routed)
New profiles: skip

To                         Action      From
--                         ------      ----
22/tcp                     ALLOW IN    Anywhere
OpenSSH                    ALLOW IN    Anywhere
5005/udp                   ALLOW IN    Anywhere
6000:6010/udp              LIMIT IN    Anywhere                   # tablets
5020,5030/udp              ALLOW IN    Anywhere
7000/tcp                   ALLOW IN    Anywhere
7001                       ALLOW IN    Anywhere
7002/udp                   ALLOW IN    192.168.0.0/24
7003/udp on wlan0          ALLOW IN    Anywhere
7004/udp                   ALLOW OUT   Anywhere
7005/udp                   REJECT IN   Anywhere
7005/udp                   ALLOW IN    Anywhere
22/tcp (v6)                ALLOW IN    Anywhere (v6)
7006/udp (v6)              ALLOW IN    Anywhere (v6)
"""


@pytest.mark.parametrize(
    ("port", "expected"),
    [
        (5005, "open"), (6007, "open"), (5030, "open"), (7001, "open"),
        (7000, "blocked"), (7004, "blocked"), (7005, "blocked"), (7006, "blocked"),
        (22, "blocked"), (9000, "blocked"), (7002, "unclear"), (7003, "unclear"),
    ],
)  # fmt: skip
def test_ufw_takes_the_first_rule_of_the_port_or_its_default(port, expected):
    assert ufw(UFW, port) == expected


def test_ufw_that_is_off_or_that_allows_all_blocks_nothing():
    assert ufw("Status: inactive\n", 5005) is None
    assert ufw("ERROR: You need to be root to run this script\n", 5005) is None
    allows = UFW.replace("deny (incoming)", "allow (incoming)")
    assert (ufw(allows, 9000), ufw(allows, 7005)) == ("open", "blocked")


#: `firewall-cmd --list-all-zones`, of Fedora and of Debian's firewalld 1.3.
ZONES = """\
FedoraWorkstation (default, active)
  target: default
  ingress-priority: 0
  icmp-block-inversion: no
  interfaces: wlp3s0
  sources: 
  services: dhcpv6-client samba-client ssh
  ports: 1025-65535/udp 1025-65535/tcp
  protocols: 
  forward: yes
  rich rules: 

drop
  target: DROP
  interfaces: 
  ports: 5005/udp
  rich rules: 

public (active)
  target: default
  interfaces: eth0
  services: ssh
  ports: 8080/tcp 5005/tcp
  rich rules: 
	rule family="ipv4" source address="192.168.0.0/24" port port="9000" protocol="udp" accept

trusted (active)
  target: ACCEPT
  interfaces: tun0
  ports: 
"""  # noqa: W291


def test_firewalld_tells_for_each_active_zone():
    assert firewalld(ZONES, 5005) == (["FedoraWorkstation", "trusted"], ["public"], [])
    assert firewalld(ZONES, 80) == (["trusted"], ["FedoraWorkstation", "public"], [])
    assert firewalld(ZONES, 9000) == (["FedoraWorkstation", "trusted"], [], ["public"])
    assert firewalld("", 5005) == ([], [], [])


ON, BLOCKS_NOT = "Firewall is enabled. (State = 1) \n", "Block all DISABLED! \n"


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (("Firewall is disabled. (State = 0)\n", BLOCKS_NOT, ""), "open"),
        ((ON, BLOCKS_NOT, "Incoming connection to the application is permitted \n"), "open"),
        ((ON, BLOCKS_NOT, "Incoming connection to the application is blocked \n"), "blocked"),
        ((ON, BLOCKS_NOT, "The application is not part of the firewall \n"), "unclear"),
        ((ON, "Block all INCOMING connections ENABLED! \n", "is permitted"), "blocked"),
        ((ON, "Firewall is set to block all non-essential incoming connections \n",
          "is permitted"), "blocked"),
        (("Firewall is enabled. (State = 2)\n", BLOCKS_NOT, "is permitted"), "blocked"),
        (("", "", ""), "unclear"),
    ],
)  # fmt: skip
def test_verdict_of_macos_is_of_the_program(texts, expected):
    assert mac(*texts) == expected


PYTHON = r"C:\robojam\python.exe"
ROOT = r"HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Services\SharedAccess\Parameters"


def registry(*rules, domain="0x1", private="0x1", public="0x1", default=""):
    """Return what `reg query … /s` prints, with lines that end as those of Windows."""
    lines = [ROOT + r"\FirewallPolicy", ""]
    for key, state in (
        ("DomainProfile", domain), ("PublicProfile", public), ("StandardProfile", private),
    ):  # fmt: skip
        lines += [
            rf"{ROOT}\FirewallPolicy\{key}",
            f"    EnableFirewall    REG_DWORD    {state}",
        ]
        lines += ["    DisableNotifications    REG_DWORD    0x0", default, ""]
        lines += [rf"{ROOT}\FirewallPolicy\{key}\Logging"]
        lines += ["    LogFileSize    REG_DWORD    0x0", ""]
    lines += [ROOT + r"\FirewallPolicy\FirewallRules"]
    lines += [f"    {{ID-{n}}}    REG_SZ    v2.31|{rule}|" for n, rule in enumerate(rules)]
    return "\r\n".join(lines).replace("\r\n", "\n")


IN = "Action=Allow|Active=TRUE|Dir=In"


@pytest.mark.parametrize(
    ("rule", "open_in"),
    [
        (f"{IN}|Protocol=17|LPort=5005|Name=robojam", "Domain Private Public"),
        (f"{IN}|Protocol=17|Profile=Private|LPort=5000-5010|Name=x", "Private"),
        (f"{IN}|Protocol=17|Profile=Domain|Profile=Private|LPort=1|LPort=5005|Name=x",
         "Domain Private"),
        (rf"{IN}|Protocol=17|Profile=Private|App=c:\ROBOJAM\Python.exe|Name=Python", "Private"),
        (f"{IN}|Profile=Public|App={PYTHON}|Name=all protocols", "Public"),
        (f"{IN}|Protocol=17|LPort=5005|RA4=LocalSubnet|Name=x", "Domain Private Public"),
        (f"{IN}|Protocol=6|LPort=5005|Name=TCP", ""),
        (rf"{IN}|Protocol=17|App=C:\other.exe|Name=x", ""),
        (f"{IN}|Protocol=17|LPort=5006|Name=x", ""),
        (f"{IN}|Protocol=17|LPort=5005|RA4=10.0.0.1|Name=x", ""),
        (f"{IN}|Protocol=17|LPort=5005|Svc=Dnscache|Name=x", ""),
        ("Action=Allow|Active=FALSE|Dir=In|Protocol=17|LPort=5005|Name=x", ""),
        ("Action=Allow|Active=TRUE|Dir=Out|Protocol=17|LPort=5005|Name=x", ""),
        (f"{IN}|Protocol=17|LPort=RPC|Name=x", ""),
    ],
)  # fmt: skip
def test_windows_lets_in_what_a_rule_allows(rule, open_in):
    found = windows(registry(rule), 5005, PYTHON)
    assert {name for name, verdict in found.items() if verdict == "open"} == set(
        open_in.split()
    )
    assert set(found.values()) <= {"open", "blocked"}
    assert len(found) == 3


def test_windows_rule_that_blocks_wins():
    allow = f"{IN}|Protocol=17|LPort=5005|Name=x"
    block = f"Action=Block|Active=TRUE|Dir=In|Protocol=17|Profile=Public|App={PYTHON}|Name=y"
    assert windows(registry(allow, block), 5005, PYTHON) == {
        "Domain": "open", "Private": "open", "Public": "blocked",
    }  # fmt: skip


def test_windows_firewall_that_is_off_or_allows_by_default_is_open():
    assert windows(registry(private="0x0"), 5005, PYTHON)["Private"] == "open"
    assert windows(registry(private="0x0"), 5005, PYTHON)["Public"] == "blocked"
    allows = registry(default="    DefaultInboundAction    REG_DWORD    0x0")
    assert set(windows(allows, 5005, PYTHON).values()) == {"open"}
    assert windows("ERROR: Access is denied.", 5005, PYTHON) == {}
