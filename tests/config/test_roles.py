"""Files of roles, and networks as text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robojam.config.networks import Network, parse_network
from robojam.config.roles import Role, RoleRules, read


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        ("10.0.0.7", ["10.0.0.7"], ["10.0.0.8", "::ffff:10.0.0.7x", "fd00::7"]),
        ("10.0.0.7/24", ["10.0.0.0", "10.0.0.255"], ["10.0.1.0"]),
        ("10.0.0.0/255.255.0.0", ["10.0.255.1"], ["10.1.0.1"]),
        ("0.0.0.0/0", ["10.0.0.1", "8.8.8.8"], ["fd00::1"]),
        ("::/0", ["fd00::1", "fe80::1%eth0"], ["10.0.0.1"]),
        ("fd00::/64", ["fd00::1", "fd00::ffff:1"], ["fd00:0:0:1::1"]),
        ("[fd00::1]", ["fd00::1"], ["fd00::2"]),
        ("fe80::1%eth0", ["fe80::1%eth0"], ["fe80::1%eth1", "fe80::1", "fe80::2%eth0"]),
        ("fe80::/10", ["fe80::1%eth0", "fe80::2%wlan0"], ["fd00::1"]),
        ("fe80::%eth0/10", ["fe80::9%eth0"], ["fe80::9%eth1"]),
        ("::ffff:10.0.0.7", ["10.0.0.7"], ["10.0.0.8"]),
        ("::ffff:10.0.0.0/120", ["10.0.0.7"], ["10.0.1.7"]),
    ],
)
def test_network_has_its_hosts_and_no_other(text, inside, outside):
    network = parse_network(text)
    assert isinstance(network, Network)
    assert [host for host in (*inside, *outside) if host in network] == inside


def test_name_of_a_host_is_returned_to_be_looked_up():
    assert parse_network("ipad.local") == "ipad.local"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        *((t, "HOST or HOST/MASK") for t in ("", "10.0.0", "10.0.0.7:9000", "10.0.0.0/33")),
        *(
            (t, "HOST or HOST/MASK")
            for t in ("10.0.0.7/", "ipad/24", "a b", "\x1b[2J", "fd::g")
        ),
        *((t, "HOST or HOST/MASK") for t in ("10.0.0.7 ", "ipad%eth0", "[fd00::1]:9000")),
        ("0.0.0.0", "0.0.0.0/0 is everybody"),
        ("::", "::/0 is everybody"),
        ("127.0.0.1", "this machine"),
        ("::1", "this machine"),
        ("239.1.2.3", "a group"),
    ],
)
def test_text_that_is_no_network_is_refused_with_what_is_allowed(text, said):
    with pytest.raises(ValueError, match=said) as caught:
        parse_network(text)
    assert str(caught.value).isprintable()


@given(st.text())
def test_any_text_is_a_network_or_refused(text):
    try:
        parse_network(text)
    except ValueError as error:
        assert str(error).isprintable()


FILE = """\
others = "watcher"
[address]
"10.0.0.7" = "host"
"ipad.local" = "player"
[tuio]
table = "player"
[midi]
"Foot" = "player"
"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "roles.toml"


def test_file_of_roles_is_read(path):
    path.write_text(FILE)
    assert read(str(path)) == RoleRules(
        others=Role.WATCHER,
        address={"10.0.0.7": Role.HOST, "ipad.local": Role.PLAYER},
        tuio={"table": Role.PLAYER},
        midi={"Foot": Role.PLAYER},
    )
    path.write_text("")
    assert read(str(path)) == RoleRules(others=Role.PLAYER)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"watcher"', '"guest"', 'line 1: .*"host", "player", "watcher"'),
        ('"watcher"', "1", 'line 1: .*"host", "player", "watcher"'),
        ("others", "other", r"line 1: 'other' is unknown; allowed: others, \[address\]"),
        ("[address]", "[adress]", r"line 2: 'adress' is unknown; allowed: others, \[address\]"),
        ("10.0.0.7", "10.0.0.7:9000", "line 3: .*HOST or HOST/MASK"),
        ("10.0.0.7", "127.0.0.1", "line 3: .*this machine"),
        ('table = "player"', 'table = ["player"]', 'line 6: .*"host", "player", "watcher"'),
        ("[midi]", '[midi]\n"" = "host"', "names nobody"),
        ("[midi]", '[midi]\nothers = "watcher"', "others stands above all tables"),
        ("table =", '"ipad.local/table" =', "line 6: .*an address, not a name"),
        ("[midi]", "[midi", "not TOML"),
    ],
)
def test_error_names_file_and_line_and_what_is_allowed(path, old, new, said):
    path.write_text(FILE.replace(old, new))
    with pytest.raises(ValueError, match=said) as caught:
        read(str(path))
    assert str(caught.value).startswith(str(path))
    assert str(caught.value).isprintable()


def test_source_of_tuio_is_named_by_the_address_that_packets_have(path):
    path.write_text('[tuio]\n"FD00:0::7/table" = "host"')
    assert read(str(path)).tuio == {"fd00::7/table": Role.HOST}


def test_file_that_is_not_there_is_named(path):
    with pytest.raises(ValueError, match=r"roles\.toml: No such file"):
        read(str(path))
