"""What is private is not in the texts of a bug report."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from robojam.config.options import Options
from robojam.doctor.privacy import PRIVATE_NETWORKS, Private, of_this_machine

#: A home folder of Windows, in pieces: no file of the repository holds such a path.
WINDOWS = "C:" + r"\Users\somebody"
PRIVATE = Private(
    users=("annabelle", "Jo", "Anna-Belle Smith"),
    hosts=("stage-laptop", "stage-laptop.example.org"),
    homes=("/home/somebody", WINDOWS),
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("in /home/somebody/jams", "in ~/jams"),
        (rf"in {WINDOWS}\jams", r"in ~\jams"),
        ("/home/somebody-else and /Users/somebody/x", "~ and ~/x"),
        ("/media/annabelle/USB, /run/media/other/USB", "/media/USER/USB, /run/media/USER/USB"),
        ("owned by Annabelle, AnnabelleS", "owned by USER, USERS"),
        ("by Anna-Belle  Smith", "by Anna-Belle  Smith"),  # as another text
        ("by ANNA-BELLE SMITH", "by USER"),
        ("jo_x: Jo, jo!, jolly banjo", "USER_x: USER, USER!, jolly banjo"),
        ("on STAGE-LAPTOP:5005", "on HOST:5005"),
        ("stage-laptop.example.org.", "HOST."),
        ("ipad.local:9000 and router.fritz.box", "HOST:9000 and HOST"),
        ("192.168.7.8:5005", "192.168.0.0/16:5005"),
        ("10.1.2.3, 172.20.1.1, 169.254.3.4", "10.0.0.0/8, 172.16.0.0/12, 169.254.0.0/16"),
        ("172.32.0.1 8.8.8.8", "PUBLIC-IPV4 PUBLIC-IPV4"),
        ("127.0.0.1:5005 0.0.0.0 [::1]:1 [::]:2", "127.0.0.1:5005 0.0.0.0 [::1]:1 [::]:2"),
        ("[fe80::12ab%wlp3s0]:5005", "[fe80::/10]:5005"),
        ("2001:db8::1 and fd12:3456::7", "PUBLIC-IPV6 and fc00::/7"),
        ("2001:db8:1:2:3:4:5:6", "PUBLIC-IPV6"),
        ("::ffff:192.168.7.8", "192.168.0.0/16"),
        ("::ffff:8.8.8.8", "PUBLIC-IPV4"),
        ("239.1.2.3:5005", "224.0.0.0/4:5005"),
        ("at a0:B1:c2:d3:e4:f5", "at MAC"),
        ("write to x.y@example.org", "write to EMAIL"),
        ("Zoe's AirPods, Zoe’s iPhone", "somebody's AirPods, somebody's iPhone"),
        ("10.0.0.7/24, 192.168.0.0/16", "10.0.0.0/8, 192.168.0.0/16"),
        ("8.8.8.8.5005 > 9.9.9.9", "PUBLIC-IPV4.5005 > PUBLIC-IPV4"),
        # No address:
        ("at 12:34:56, version 1.2.3, MIDI 24:0, 10.0.19045, 999.1.1.1, C::x",
         "at 12:34:56, version 1.2.3, MIDI 24:0, 10.0.19045, 999.1.1.1, C::x"),
    ],
)  # fmt: skip
def test_private_parts_of_a_text_are_replaced(text, expected):
    assert PRIVATE.scrub(text) == expected


#: Texts in which an address may stand.
FORMS = (
    "{}|[{}]:5005|at {}, port|({})|udp://{}/x|'{}'|{}: no|{}.|({}).|={};|{}%en0:|{}/64|-{}->"
)


@given(
    st.ip_addresses(),
    st.sampled_from(FORMS.split("|")),
)
def test_no_address_but_of_this_machine_is_left(address, form):
    assume(not address.is_loopback and not address.is_unspecified)
    assume(all(address != network.network_address for network in PRIVATE_NETWORKS))
    text = Private().scrub(form.format(address))
    assert str(address) not in text


def test_values_of_json_are_replaced_at_any_depth_and_their_keys():
    found = PRIVATE.scrub_all({"a": [{"annabelle": ("8.8.8.8", 3)}], "b": None})
    assert found == {"a": [{"USER": ["PUBLIC-IPV4", 3]}], "b": None}


def test_names_are_taken_from_environment_system_and_options():
    options = Options(
        osc_in="studio-pc:5005",
        osc_out=(
            "tablet.example.org:9000/touchosc",
            "192.168.0.9:1",
            "[fe80::1%eth0]:9",
            "synth.local:9000?latency=20&thru",
        ),
        control=("host-of-anna", "10.0.0.0/8"),
    )
    environment = {
        "USER": "zoe9", "HOME": "/srv/people/zoe-home", "HOSTNAME": "pit.opera.example",
        "COMPUTERNAME": "", "SUDO_USER": "boss",
    }  # fmt: skip
    private = of_this_machine(options, environment)
    assert {"zoe9", "boss", "zoe-home"} <= set(private.users)
    wanted = {"pit.opera.example", "pit", "studio-pc", "tablet.example.org", "host-of-anna",
              "synth.local"}  # fmt: skip
    assert wanted <= set(private.hosts)
    assert "/srv/people/zoe-home" in private.homes
    assert not {"", "192.168.0.9", "localhost", "root", "robojam"} & {
        *private.users, *private.hosts, *private.homes,
    }  # fmt: skip


def test_name_that_says_nothing_of_anybody_stays():
    private = of_this_machine(Options(), {"USER": "robojam", "HOME": "/var/lib/robojam"})
    assert (
        private.scrub("robojam, as root, in /var/lib/robojam/x") == "robojam, as root, in ~/x"
    )
