"""Options: their table, and their resolution from the command line and TOML."""

import re
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robojam.config import options
from robojam.config.addresses import (
    DIALECTS,
    Output,
    canonical_host,
    is_group,
    is_loopback,
    parse_address,
    parse_output,
    parse_pad,
    parse_serial,
    parse_tuio,
    reachable,
    reachable_here,
)
from robojam.config.load import OptionsError, resolve
from robojam.config.options import OPTIONS, Options
from robojam.controls import SETTINGS
from robojam.wire.midi.styles import MAX_PORTS
from robojam.wire.touchosc import Pad

NUMBERS = [option for option in OPTIONS if option.kind in (int, float)]


def refusal(config: str | None = None, **given: object) -> str:
    """Return the line of text with which options are refused."""
    with pytest.raises(OptionsError) as caught:
        resolve(given, config)
    text = str(caught.value)
    assert text.isprintable()  # so it is one line
    return text


@pytest.fixture
def toml(tmp_path):
    """Write a TOML file, and return its path."""

    def write(text: str | bytes) -> str:
        path = tmp_path / "jam.toml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return str(path)

    return write


def test_defaults_are_those_of_the_contract():
    assert resolve({}) == Options()
    defaults = msgspec.to_builtins(Options())
    assert defaults.pop("controls") == {}
    controls = {
        name: None if row.default_text else row.default for name, row in SETTINGS.items()
    }
    del controls["pause"]  # no option
    assert defaults | controls == {
        "model": None,
        "device": "auto",
        "knobs": 0,
        "mode": "call-response",
        "threshold": 0.5,
        "response": 5.0,
        "clock": "off",
        "tempo": 120.0,
        "quantum": "off",
        "grid": "off",
        "swing": 0.5,
        "lean": 0.0,
        "bars": 0,
        "clock_out": None,
        "metronome": 0.0,
        "sound-latency": 0.0,
        "window-latency": 0.0,
        "temperature": None,
        "spread": None,
        "timescale": 1.0,
        "follow": 0.5,
        "memory": 0.4,
        "dwell": 0.8,
        "voices": 1,
        "seed": None,
        "osc-in": "127.0.0.1:5005",
        "osc-out": ("127.0.0.1:5006",),
        "midi-in": (),
        "midi-out": (),
        "midi": {},
        "serial": (),
        "serial-midi": (),
        "midi-websocket": "none",
        "allow-origin": (),
        "map": {"out": {}, "in": {}, "scene": {}},
        "morph": 0.0,
        "amount": None,
        "control": (),
        "roles": None,
        "role-rules": None,
        "tuio-in": "3333",
        "web": "none",
        "web-cert": None,
        "web-control": False,
        "osc-ahead": 0.0,
        "touchosc": (),
        "announce": True,
        "sound": True,
        "sound-out": None,
        "instrument": "human=strings,ai=keys",
        "range": "36-84",
        "scale": "free",
        "volume": 0.7,
        "record": True,
        "show": False,
        "show-allow": ("pause",),
        "show-anyway": False,
        "sessions": "sessions",
        "log": None,
        "verbose": False,
    }


@pytest.mark.parametrize(
    ("text", "port", "baud"),
    [
        ("/dev/ttyACM0", "/dev/ttyACM0", 31250),
        ("/dev/ttyACM0@9600", "/dev/ttyACM0", 9600),
        ("COM3@115200", "COM3", 115200),
        ("A@B@50", "A@B", 50),
    ],
)
def test_serial_port_may_have_a_rate(text, port, baud):
    assert parse_serial(text, 31250) == (port, baud, False)


@pytest.mark.parametrize(
    "text", ["", "@9600", "a@", "a@fast", "a@49", "a@4000001", "a\0", "a@9.6"]
)
def test_what_is_no_serial_port_is_refused(text):
    for field in ("serial", "serial_midi"):
        assert f"{field.replace('_', '-')}: " in refusal(**{field: [text]})


def test_thru_of_a_serial_port_of_midi_is_refused_with_what_to_write():
    assert 'who = "all"' in refusal(serial_midi=["/dev/ttyACM0?thru"])


def test_too_many_serial_ports_are_refused():
    assert "allowed: a list of PORT[@BAUD], up to 8" in refusal(serial=["a"] * 9)


def test_ranges_are_those_of_the_contract():
    ranges = {
        "threshold": (0.02, 60),
        "response": (0, 3600),
        "temperature": (0, 10),
        "spread": (0, 10),
        "timescale": (0.001, 100),
        "volume": (0, 1),
    }
    assert {n: (SETTINGS[n].low, SETTINGS[n].high) for n in ranges} == ranges
    allowed = {option.name: option.allowed for option in NUMBERS}
    assert allowed["osc-ahead"] == "a number from 0 to 1000"
    assert allowed["voices"] == "a whole number from 1 to 4096"
    assert allowed["seed"] == f"a whole number from 0 to {2**63 - 1}"


def test_command_line_wins_over_the_file_and_the_file_over_the_defaults(toml):
    path = toml('threshold = 2\nspread = 0.5\nosc-out = ["a.local:1", "b.local:2"]\n')
    chosen = resolve({"spread": "0", "voices": "3"}, path)
    settings = chosen.settings(spread=0.9)
    assert (settings.threshold, settings.spread, settings.timescale) == (2.0, 0, 1)
    assert chosen.voices == 3
    assert chosen.osc_out == ("a.local:1", "b.local:2")
    assert resolve({"osc_out": ("c:3",)}, path).osc_out == ("c:3",)
    # A given value wins even where it is the default.
    assert resolve({"threshold": "0.5"}, path).settings().threshold == 0.5
    assert resolve({}, toml("record = false")).record is False
    assert resolve({"record": True}, toml("record = false")).record is True


@pytest.mark.parametrize("option", NUMBERS, ids=lambda option: option.name)
@pytest.mark.parametrize("text", ["nan", "inf", "-inf", "1e999", "-1.1", '"1"', "true", "[1]"])
def test_toml_refuses_numbers_out_of_range_and_of_another_kind(option, text, toml):
    where = f"jam.toml, line 3: {option.name} = "
    assert where in refusal(toml(f"# one\n\n{option.name} = {text}\n"))


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:5005", ("127.0.0.1", 5005)),
        ("0.0.0.0:0", ("0.0.0.0", 0)),
        ("toms-ipad.local:65535", ("toms-ipad.local", 65535)),
        (":7000", ("127.0.0.1", 7000)),
        ("[::1]:5005", ("::1", 5005)),
        ("[::]:0", ("::", 0)),
        ("[FE80::0:1%eth0]:5005", ("fe80::1%eth0", 5005)),
        ("[::ffff:192.0.2.1]:5005", ("192.0.2.1", 5005)),
        ("[ff02::7]:5005", ("ff02::7", 5005)),
        ("7000", ("127.0.0.1", 7000)),
    ],
)
def test_address_is_read_with_default_host(text, address):
    assert parse_address(text) == address


@pytest.mark.parametrize(
    "text",
    [
        *("", ":", "host", "host:", "host:x", "h:-1", "h:65536", "h:1.5", "h:٣", "h: 1"),
        *("1.2.3:4", "256.0.0.1:1", "01.2.3.4:1", "1.2.3.٤:5", "::1:5005", "fe80::1"),
        *("[::1]", "[::1]5005", "[]:1", "[::g]:1", "[1.2.3.4]:1", "[::1%]:1", "[::1%a b]:1"),
        *(
            "a b:1",
            "-a:1",
            "a..b:1",
            "h" * 64 + ":1",
            "h:" + "9" * 5000,
            "/native",
            "h:1/native",
        ),
    ],
)
def test_text_that_is_no_address_is_refused(text):
    reason = r"HOST:PORT|\[ADDRESS\]:PORT|neither an IPv4|no IPv6|is not 0 to 65535"
    with pytest.raises(ValueError, match=reason):
        parse_address(text)


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("::1:5005", "[::1]:5005"),
        ("2001:db8::7:9000", "[2001:db8::7]:9000"),
        ("[fe80::1]:5005", "[fe80::1%INTERFACE]:5005"),
    ],
)
def test_ipv6_address_without_brackets_or_interface_is_refused_with_what_is_right(text, right):
    with pytest.raises(ValueError, match=re.escape(right) + "$"):
        parse_address(text)


@pytest.mark.parametrize("text", ["0.0.0.0:9000", "[::]:9000/tuio"])
def test_output_to_an_address_to_listen_at_is_refused_with_what_is_right(text):
    with pytest.raises(ValueError, match=r"to send to this machine: 127\.0\.0\.1:9000$"):
        parse_output(text)


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("::FFFF:192.0.2.1", "192.0.2.1"),
        ("2001:0DB8::0:1", "2001:db8::1"),
        ("FE80::1%eth0", "fe80::1%eth0"),
        ("192.0.2.1", "192.0.2.1"),
        ("studio.local", "studio.local"),
    ],
)
def test_host_has_one_text(text, host):
    assert canonical_host(text) == host


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "239.1.2.3", "ff02::7%eth0"])
def test_engine_of_many_addresses_is_reached_at_loopback(host):
    assert reachable((host, 5005)) == ("127.0.0.1", 5005)
    assert reachable(("192.0.2.1", 5005)) == ("192.0.2.1", 5005)


@pytest.mark.parametrize(
    ("host", "here"),
    [
        *((host, "127.0.0.1") for host in ("127.0.0.1", "0.0.0.0", "::", "192.0.2.1")),
        *((host, "::1") for host in ("::1", "2001:db8::1", "fe80::1%eth0")),
        ("239.1.2.3", "127.0.0.1"),
    ],
)
def test_engine_is_reached_from_its_own_machine_at_loopback(host, here):
    assert reachable_here((host, 5005)) == (here, 5005)


def test_hosts_of_this_machine_and_groups_are_told_from_others():
    assert all(map(is_loopback, ("127.0.0.1", "127.1.2.3", "::1")))
    assert not any(map(is_loopback, ("128.0.0.1", "127.example.org", "::2", "0.0.0.0")))
    assert all(map(is_group, ("239.1.2.3", "224.0.0.1", "ff02::1%eth0")))
    assert not any(map(is_group, ("240.0.0.1", "fe80::1", "group.local")))


@given(st.text(max_size=30))
def test_any_text_is_an_address_or_a_value_error(text):
    try:
        host, port = parse_address(text)
    except ValueError as error:
        assert str(error).isprintable()
    else:
        assert host.isascii()
        assert 0 <= port <= 65535


def test_output_is_an_address_with_a_dialect():
    assert parse_output("h:5006") == Output("h", 5006, "native")
    assert parse_output("10.0.0.2:1/native") == Output("10.0.0.2", 1, "native")
    assert parse_address(":9", default_host="0.0.0.0") == ("0.0.0.0", 9)
    for wrong in ("h:0", "h:5006/", "h:5006/tuio2", "h/native", "h:1/native/native"):
        with pytest.raises(ValueError, match=r"allowed: native|HOST:PORT|1 to 65535"):
            parse_output(wrong)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_output_takes_every_dialect(dialect):
    assert parse_output(f"h:1/{dialect}") == Output("h", 1, dialect)
    assert resolve({"osc_out": [f"h:1/{dialect}"]}).osc_out == (f"h:1/{dialect}",)


def test_pad_is_an_address_with_axes():
    assert parse_pad("/1/xy") == Pad("/1/xy", ("x", "-y"))
    assert parse_pad("/pad=-y,x") == Pad("/pad", ("-y", "x"))
    for wrong in (
        "1/xy",
        "/",
        "/a b",
        "/1/xy/",
        "/1/*",
        "",
        "/1/xy=x",
        "/1/xy=x,x",
        "/1=x,y,x",
    ):
        with pytest.raises(ValueError, match=r"no axes|address of a pad"):
            parse_pad(wrong)
    for text, ranges in (
        ("/1/xy:-1..1", ((-1, 1), (-1, 1))),
        ("/1/xy=x,-y:0..127", ((0, 127), (0, 127))),
        ("/1/xy=x,-y:0..1023,0.5..7.5e2", ((0, 1023), (0.5, 750))),
    ):
        assert parse_pad(text) == Pad("/1/xy", ("x", "-y"), ranges, fixed=True)
        assert parse_pad(str(parse_pad(text))) == parse_pad(text)
    assert parse_pad("/a:b") == Pad("/a:b")
    for wrong in ("/1/xy:1..0", "/1/xy:0..0", "/1/xy:a..b", "/1/xy:0..inf", "/1/xy:0..nan"):
        with pytest.raises(ValueError, match=r"is no range of numbers, as -1..1 or 0..127"):
            parse_pad(wrong)
    with pytest.raises(ValueError, match="a pad has two ranges"):
        parse_pad("/1/xy:0..1,0..1,0..1")
    assert "touchosc: 'z' are no axes" in refusal(touchosc=["/1/xy=z"])
    assert "touchosc: 'pad' is neither" in refusal(touchosc=["learn", "pad"])


def test_tuio_address_may_lack_its_host_or_be_none():
    assert parse_tuio("3333", default_host="0.0.0.0") == ("0.0.0.0", 3333)
    assert parse_tuio("h:0", default_host="0.0.0.0") == ("h", 0)
    assert parse_tuio("none", default_host="0.0.0.0") is None
    assert "tuio-in: 'nowhere' is not HOST:PORT" in refusal(tuio_in="nowhere")


def test_refusal_names_the_command_line_the_option_the_value_and_what_is_allowed():
    assert refusal(threshold="99") == (
        "the command line: threshold = 99.0; allowed: a number from 0.02 to 60"
    )
    assert "device = 'tpu'; allowed: one of auto, cpu, cuda, mps" in refusal(device="tpu")
    assert "'jazz'" in refusal(mode="jazz")
    assert "osc-in: 'x' is not HOST:PORT" in refusal(osc_in="x")
    assert "tuio" in refusal(osc_out=["h:1", "h:2/tuo"])
    assert "sessions = ''" in refusal(sessions="")
    assert len(refusal(seed="9" * 10_000)) < 200


def test_refusal_of_a_value_in_a_file_names_the_line(toml):
    path = toml('# threshold = 1\nmode = "duet"\n  "threshold" = 99\n')
    assert refusal(path) == (
        f"{path}, line 3: threshold = 99; allowed: a number from 0.02 to 60"
    )
    assert "line 2: log = 'a\\x00b'" in refusal(toml('\r\nlog = "a\\u0000b"'))
    assert "line 1: osc-out" in refusal(toml("osc-out = 'h:1'"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "voices=1\nthreshhold = 1",
            "line 2: no option is named 'threshhold'; did you mean thr",
        ),
        ("osc_out = []", "line 1: no option is named 'osc_out'; did you mean osc-out?"),
        ("\n[serve]\nvoices = 1", "line 2: no option is named 'serve'"),
        ("zzz.q = 1", "line 1: no option is named 'zzz'; allowed: model, device, mode"),
        ("config = 'x'", "no option is named 'config'"),
    ],
)
def test_unknown_key_is_refused_with_a_suggestion(text, message, toml):
    assert message in refusal(toml(text))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"voices 3", "not TOML: .*line 1"),
        (b"voices = 1\nvoices = 2\n", "not TOML: .*line 2"),
        (b"voices = \xff", "not UTF-8 text, from byte 9 on"),
        (b"seed = " + b"9" * 5000, "not TOML"),
        (b"seed = 0x" + b"f" * 5000, "seed = a number too long to show"),
        (b"log = " + b"[" * 100_000, "not TOML"),
    ],
)
def test_file_that_is_not_toml_is_refused(content, message, toml):
    assert re.search(message, refusal(toml(content)))


def test_missing_file_and_folder_are_refused(tmp_path):
    assert "none.toml: No such file" in refusal(str(tmp_path / "none.toml"))
    assert "directory" in refusal(str(tmp_path))


def test_byte_order_mark_of_notepad_is_skipped(toml):
    assert resolve({}, toml(b"\xef\xbb\xbfvoices = 2\r\n")).voices == 2


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_file_gives_options_or_an_error_of_one_line(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "any.toml"
    path.write_bytes(content)
    try:
        assert isinstance(resolve({}, str(path)), Options)
    except OptionsError as error:
        assert str(error).startswith(str(path))
        assert str(error).isprintable()


def test_options_import_no_heavy_library():
    code = (
        "import sys; before = set(sys.modules); import robojam.config.options; "
        "print(*{name.split('.')[0] for name in set(sys.modules) - before})"
    )
    root = Path(options.__file__).parents[2]
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, check=True
    )
    heavy = {"torch", "numpy", "pygame", "rich", "asyncio", "tomllib", "difflib"}
    assert not heavy & set(ran.stdout.decode().split())


def test_more_midi_ports_than_can_be_numbered_are_refused():
    assert len(resolve({"midi_in": ("a",) * MAX_PORTS}, None).midi_in) == 64
    with pytest.raises(OptionsError, match="midi-out: 65 ports; allowed: up to 64"):
        resolve({"midi_out": ("a",) * 65}, None)
