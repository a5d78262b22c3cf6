"""Answers: cookies, rates, and what a stranger with a forged address gets: next to nothing."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from support import ROOT
from support.engine import MODEL, DrivenEngine, RunningEngine, serving, stop
from support.network import SecondHost, receive_all, second_host
from support.players import ScriptedPlayer, land

from robojam.config.roles import Role
from robojam.controls import RefusedError
from robojam.engine.answers import COOKIE_LIFE, Answers, Cookies
from robojam.wire import osc
from robojam.wire.dialects import INPUTS

FAR = ("10.0.0.5", 4000)
HERE = ("127.0.0.1", 4000)
COOKIE_BYTES = 28
#: An argument of each kind of a form.
VALUES: dict[str, tuple[str, Any]] = {"n": ("i", 1), "s": ("s", "x")}
#: Address and kinds of each form of every message that may come in.
FORMS = [
    (address, kinds.replace("n*", "nnn"))
    for address, forms in INPUTS.items()
    for kinds in forms
    if "?" not in kinds
]


@pytest.fixture
def sent():
    return []


@pytest.fixture
def answers(sent):
    return Answers(lambda packet, to: sent.append((packet, to)), lambda host: host == HERE[0])


@pytest.fixture
def driven(tmp_path) -> Iterator[DrivenEngine]:
    engine = DrivenEngine(tmp_path, ScriptedPlayer(land(0.1)), mode="solo")
    yield engine
    engine.engine.finish("the end of the test")


# -- cookies ----------------------------------------------------------------------------------


def test_cookie_is_valid_for_its_address_alone_and_for_a_time():
    cookies, now = Cookies(), 10 * COOKIE_LIFE + 1
    cookie = cookies.make(FAR, now)
    assert re.fullmatch("[A-Za-z]{7}", cookie)
    assert cookies.is_valid(cookie, FAR, now + COOKIE_LIFE)
    assert not cookies.is_valid(cookie, FAR, now + 2 * COOKIE_LIFE)
    assert not cookies.is_valid(cookie, FAR, now - COOKIE_LIFE)
    for other in ((FAR[0], FAR[1] + 1), ("10.0.0.6", FAR[1]), ("fd00::5", FAR[1])):
        assert not cookies.is_valid(cookie, other, now)
    for wrong in ("", cookie[:-1], cookie + "a", cookie.swapcase(), "ü" * 7, "x" * 60_000):
        assert not cookies.is_valid(wrong, FAR, now)


def test_cookie_cannot_be_computed_without_the_secret():
    assert Cookies(b"a").make(FAR, 0.0) == Cookies(b"a").make(FAR, 0.0)
    assert len({Cookies(bytes([i])).make(FAR, 0.0) for i in range(200)}) == 200
    assert Cookies().make(FAR, 0.0) != Cookies().make(FAR, 0.0)


def test_request_from_this_machine_needs_no_cookie_and_one_from_elsewhere_does(answers, sent):
    assert answers.is_confirmed(HERE, "", 1.0)
    assert not sent
    assert not answers.is_confirmed(FAR, "", 1.0)
    ((packet, to),) = sent
    ((message,), _) = osc.decode(packet)
    assert (message.address, message.tags, to) == ("/robojam/cookie", "s", FAR)
    assert answers.is_confirmed(FAR, str(message.args[0]), 1.0)
    assert len(sent) == 1


def test_requests_of_a_host_are_limited_and_forged_ones_take_nothing_of_its_rate(answers, sent):
    assert not answers.is_confirmed(FAR, "", 1.0)
    cookie = str(osc.decode(sent[0][0])[0][0].args[0])
    for _ in range(30):
        assert not answers.is_confirmed(FAR, "abcdefg", 1.0)
    for _ in range(30):
        assert answers.is_confirmed(FAR, cookie, 1.0)
    with pytest.raises(RefusedError, match="too many requests"):
        answers.is_confirmed(FAR, cookie, 1.0)
    assert answers.is_confirmed(FAR, cookie, 1.2)
    assert answers.is_confirmed(HERE, "", 1.0)


def test_flood_from_many_forged_hosts_gets_a_bounded_number_of_cookies_and_is_not_stored(
    answers, sent
):
    refused = 0
    for i in range(20_000):  # within a second
        try:
            answers.is_confirmed((f"10.{i >> 16}.{i >> 8 & 255}.{i & 255}", 1), "", i / 20_000)
        except RefusedError:
            refused += 1
    assert len(sent) + refused == 20_000
    assert 1000 <= len(sent) <= 1051
    assert len(answers._hosts) == 0


def test_status_for_other_hosts_is_made_at_most_ten_times_a_second(answers):
    made: list[tuple[int, bool]] = []

    def make(most: int, here: bool) -> str:
        made.append((most, here))
        return f'{{"number": {len(made)}}}'

    for i in range(1000):
        host = f"10.0.0.{i % 200}"
        status = json.loads(answers.status(make, host, Role.PLAYER, i / 1000, fresh={}))
        assert (status["role"], status["address"]) == ("player", host)
    assert made == [(8100, False)] * 10
    here = json.loads(answers.status(make, HERE[0], Role.HOST, 1.0, fresh={}))
    assert here == {"role": "host", "address": HERE[0], "number": 11}  # always a new one
    most, is_here = made[-1]
    assert is_here
    assert most > 9000 or sys.platform == "darwin"


# -- amplification ----------------------------------------------------------------------------


def bytes_to(driven: DrivenEngine, host: str) -> list[int]:
    """Return a list of the bytes of each packet that is sent to a host from now on."""
    sizes: list[int] = []

    def on_sent(packet: bytes, to: tuple[str, int]) -> None:
        if to[0] == host:
            sizes.append(len(packet))

    driven.wire.on_sent = on_sent
    return sizes


def packets(address: str, kinds: str) -> list[bytes]:
    """Return packets with a message: alone, as short as can be, and several in one."""
    arguments = [VALUES[kind] for kind in kinds]
    tags, values = "".join(tag for tag, _ in arguments), [value for _, value in arguments]
    usual = osc.encode(address, tags, *values)
    shorter = [usual.rstrip(b"\0"), *([] if kinds else [address.encode()])]
    short = min([each for each in shorter if osc.decode(each)[0]], key=len, default=usual)
    frames = b"\xc0" + b"\xc0".join([short] * 5) + b"\xc0"
    return [usual, short, frames, osc.bundle([usual] * 5)]


@pytest.mark.parametrize(("address", "kinds"), FORMS)
def test_stranger_gets_at_most_twice_the_bytes_of_each_kind_of_message(driven, address, kinds):
    driven.send("/robojam/mode", "s", "listen")
    for packet in packets(address, kinds):
        sizes, sent = bytes_to(driven, FAR[0]), 0
        for _ in range(20):
            driven.raw(packet, FAR)
            sent += len(packet)
            assert sum(sizes) <= 2 * sent, (packet, sizes)
        driven.wait(0.1)
        assert sum(sizes) <= 2 * sent, (packet, sizes)
        assert set(sizes) <= {COOKIE_BYTES}
    assert driven.status()["monitors"] == 0


def test_forged_subscription_gets_one_small_packet_and_its_owner_confirms(driven):
    sizes = bytes_to(driven, FAR[0])
    driven.send("/robojam/subscribe", "i", 9000, sender=FAR)
    driven.wait(10.0)
    assert sizes == [COOKIE_BYTES]
    driven.request("subscribe", "i", 9000, sender=FAR)
    driven.take()
    driven.wait(1.0)
    got = {m.name for m in driven.take() if m.to == (FAR[0], 9000)}
    assert {"ai/down", "ai/next", "forecast"} <= got


def test_monitor_is_removed_with_its_cookie_only_and_lapses_without_one(driven):
    driven.request("subscribe", "i", 9000, sender=FAR)
    driven.send("/robojam/unsubscribe", "i", 9000, sender=FAR)
    driven.send("/robojam/unsubscribe", "is", 9000, "abcdefg", sender=FAR)
    assert driven.status()["monitors"] == 1
    driven.request("unsubscribe", "i", 9000, sender=FAR)
    assert driven.status()["monitors"] == 0
    driven.request("subscribe", "i", 9000, sender=FAR)
    for _ in range(10):  # forged renewals
        driven.wait(4.0)
        driven.send("/robojam/subscribe", "i", 9000, sender=FAR)
    assert driven.status()["monitors"] == 0


def test_monitor_that_answers_each_cookie_stays(driven):
    driven.request("subscribe", "i", 9000, sender=FAR)
    driven.take()
    for _ in range(30):
        driven.wait(4.0)
        driven.request("subscribe", "i", 9000, sender=FAR)
    assert driven.status()["monitors"] == 1
    assert not [m for m in driven.take() if m.name == "mode"]  # it has never been new


def test_status_requests_in_bundles_get_a_bounded_number_of_answers(driven):
    driven.request("status", "", sender=FAR)
    cookie = next(m.args[0] for m in driven.take() if m.name == "cookie")
    bundle = osc.bundle([osc.encode("/robojam/status", "s", cookie)] * 1500)
    for _ in range(5):
        driven.raw(bundle, FAR)
    assert sum(m.name == "status" for m in driven.take()) < 30
    dropped = driven.status()["dropped"]
    assert dropped["too many requests"] > 100
    assert dropped["too much in one packet"] == 5
    for _ in range(5):
        driven.raw(osc.bundle([osc.encode("/robojam/status", "")] * 2500), HERE)
    assert sum(m.name == "status" for m in driven.take()) == 50


def test_status_with_many_long_names_fits_one_packet(driven):
    for i in range(56):
        sender = f"fd72:6f62:aaaa:bbb{i % 4}:cccc:dddd:eeee:{i:x}", 1
        driven.send("/touch", "ff", 0.5, 0.5, sender=sender)
    driven.send("/robojam/instrument", "s", ",".join(f"human{i}=keys" for i in range(1, 57)))
    driven.request("status", "", sender=FAR)
    (answer,) = [m for m in driven.take() if m.name == "status"]
    text = str(answer.args[0])
    assert len(text.encode()) <= 9000
    status = json.loads(text)
    assert status["mode"] == "solo"
    assert len(status["players"]) + status.get("left_out", {}).get("players", 0) == 56


# -- a second host ----------------------------------------------------------------------------


@pytest.fixture
def host() -> Iterator[SecondHost]:
    with second_host() as made:
        yield made


@pytest.fixture
def engine(host, tmp_path) -> Iterator[RunningEngine]:
    if not MODEL.exists():
        pytest.skip("no default model here")
    with serving(tmp_path, "--mode", "solo", osc_in="0.0.0.0:0") as running:
        yield running


def test_stranger_who_forges_an_address_has_one_packet_sent_there(host, engine):
    with host.socket() as victim:
        port = victim.getsockname()[1]
        for request in (
            osc.encode("/robojam/subscribe", "i", port),
            osc.encode("/robojam/status"),
        ):
            victim.sendto(request, (host.here, engine.address[1]))
            received = receive_all(victim, 0.5)
            assert [len(packet) for packet in received] == [COOKIE_BYTES]


def test_window_and_status_command_on_another_machine_confirm_by_themselves(host, engine):
    to = f"{host.here}:{engine.address[1]}"
    shown = host.run(sys.executable, "-m", "robojam", "status", "--engine", to, "--json")
    assert json.loads(shown.stdout)["mode"] == "solo", shown.stderr
    received = host.run(sys.executable, "-c", CONNECTION, host.here, str(engine.address[1]))
    assert received.returncode == 0, received.stderr
    assert {"ai/down", "status", "mode", "turn"} <= set(received.stdout.split())
    assert engine.out.ask()["monitors"] == 0  # it has unsubscribed


#: Program that connects as the window does, and prints what comes until a touch came.
CONNECTION = """
import sys, threading, time
from robojam.window.client.link import EngineConnection
woken, names = threading.Event(), set()
link = EngineConnection((sys.argv[1], int(sys.argv[2])), wake=woken.set)
end = time.monotonic() + 20
while time.monotonic() < end and not {"ai/down", "status"} <= names:
    woken.wait(max(0, link.advance(time.monotonic()) - time.monotonic()))
    woken.clear()
    names |= {m.address[9:] for _, messages in link.receive() for m in messages}
link.close()
print(*names)
"""


def example(name: str, language: str) -> str:
    """Return the program in a language in a page of the documentation."""
    page = (ROOT / "docs" / name).read_text()
    return page.split(f"```{language}\n")[1].split("```")[0]


@pytest.mark.slow
@pytest.mark.parametrize("program", ["python", "pd"])
def test_example_of_a_monitor_works_on_another_machine(program, host, engine, tmp_path):
    path = tmp_path / f"monitor.{program}"
    if program == "python":
        text = example("monitors.md", "python").replace('"192.168.0.5"', f'"{host.here}"')
        words = [sys.executable, "-u", str(path)]
    else:
        if not shutil.which("pd"):
            pytest.skip("no puredata-core here")
        text = (ROOT / "examples" / "monitor.pd").read_text().replace("127.0.0.1", host.here)
        words = ["pd", "-nogui", "-noaudio", "-stderr", str(path)]
    path.write_text(text.replace("5005", str(engine.address[1])))
    process = subprocess.Popen(
        host.command(*words), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        engine.out.ask(lambda status: status["monitors"] == 1)
        assert process.stdout is not None
        for line in process.stdout:
            if "ai" in line and "down" in line:
                break
        else:
            raise AssertionError("it ended")
    finally:
        stop(process)
