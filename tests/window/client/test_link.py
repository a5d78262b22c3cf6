"""The window's socket against a socket of the test: real UDP on this machine."""

from __future__ import annotations

import json
import socket
import threading
import time

import pytest
from support.network import ipv6, second_host
from support.window import receive_message

from robojam.engine.senders import SILENCE_BESIDE_OTHERS
from robojam.window.client.link import (
    ALIVE_INTERVAL,
    RENEW_INTERVAL,
    STATUS_INTERVAL,
    EngineConnection,
)
from robojam.wire.osc import encode


@pytest.fixture
def woken():
    return threading.Event()


@pytest.fixture
def link(engine, woken):
    link = EngineConnection(engine.getsockname(), wake=woken.set)
    yield link
    link.close()


def test_connection_subscribes_with_its_port_and_asks_for_the_status(engine, link):
    assert link.advance(100.0) == 100.0 + STATUS_INTERVAL
    message, source = receive_message(engine)
    assert (message.address, message.tags, message.args) == (
        "/robojam/subscribe", "i", (link.port,)
    )  # fmt: skip
    assert source == ("127.0.0.1", link.port)
    assert receive_message(engine)[0].address == "/robojam/status"


def test_connection_renews_its_subscription_before_it_lapses(engine, link):
    sent = []
    t, end = 100.0, 110.0
    while t < end:
        t = link.advance(t)
    link.send("/robojam/answer")
    while (message := receive_message(engine)[0]).address != "/robojam/answer":
        sent.append(message.address)
    assert sent.count("/robojam/subscribe") in (5, 6)
    assert sent.count("/robojam/status") == pytest.approx(10 / STATUS_INTERVAL, abs=1.5)
    assert RENEW_INTERVAL < 10 / 3  # monitors lapse after 10 s; two renewals may be lost


def test_fingers_that_are_down_are_reported_once_a_second_and_after_the_last_lift(engine, link):
    reports = []

    def receive_reports() -> list[tuple[object, ...]]:
        reports.clear()
        link.send("/robojam/answer")
        while (message := receive_message(engine)[0]).address != "/robojam/answer":
            if message.address == "/robojam/alive":
                reports.append(message.args)
        return reports

    link.send("/robojam/down", "iff", 1001, 0.5, 0.5)
    link.send("/robojam/down", "iff", 1000, 0.5, 0.5)
    for t in (100.0, 100.9, 101.0, 101.5, 102.0):
        assert link.advance(t) <= t + ALIVE_INTERVAL
    assert receive_reports() == [(1000, 1001), (1000, 1001)]
    link.send("/robojam/up", "i", 1001)
    link.advance(102.1)
    assert receive_reports() == []  # the other one is down still
    link.send("/robojam/up", "i", 1000)
    link.advance(102.2)
    link.advance(109.0)
    assert receive_reports() == [()]
    assert ALIVE_INTERVAL < SILENCE_BESIDE_OTHERS / 3  # reports may be lost


def test_packet_wakes_the_window_and_is_decoded(engine, link, woken):
    engine.sendto(encode("/robojam/turn", "s", "ai"), ("127.0.0.1", link.port))
    assert woken.wait(60)
    ((t, (message,)),) = link.receive()
    assert (message.address, message.args) == ("/robojam/turn", ("ai",))
    assert abs(time.monotonic() - t) < 10
    assert list(link.receive()) == []


def test_status_longer_than_an_osc_string_is_decoded(engine, link, woken):
    status = json.dumps({"model": "m" * 500, "trouble": ["größer als 255"]})
    engine.sendto(encode("/robojam/status", "s", status), ("127.0.0.1", link.port))
    assert woken.wait(60)
    ((_, (message,)),) = link.receive()
    assert json.loads(message.args[0])["trouble"] == ["größer als 255"]


@pytest.mark.parametrize(
    "packet",
    [b"x", b"/robojam/status\0,s\0\0", b"#bundle\0", b"/a\0\0,z\0\0",
     b"/robojam/status\0,s\0\0\xff\xff\0\0"],
)  # fmt: skip
def test_packet_that_cannot_be_read_has_no_messages(engine, link, woken, packet):
    engine.sendto(packet, ("127.0.0.1", link.port))
    assert woken.wait(60)
    assert [messages for _, messages in link.receive()] == [[]]


def test_engine_that_starts_later_is_received(woken):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as gone:
        gone.bind(("127.0.0.1", 0))
        address = gone.getsockname()
    link = EngineConnection(address, wake=woken.set)
    for i in range(20):
        link.send("/robojam/down", "iff", 1000, 0.5, i / 20)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as engine:
        engine.bind(address)  # it comes
        engine.sendto(encode("/robojam/turn", "s", "human"), ("127.0.0.1", link.port))
        assert woken.wait(60)
    link.close()


@ipv6
def test_engine_is_heard_at_ipv6(woken):
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as engine:
        engine.bind(("::1", 0))
        engine.settimeout(10)
        link = EngineConnection(("::1", engine.getsockname()[1]), wake=woken.set)
        link.send("/robojam/answer")
        packet, source = engine.recvfrom(64)
        assert packet == encode("/robojam/answer")
        engine.sendto(encode("/robojam/turn", "s", "ai"), source)
        assert woken.wait(60)
        assert [message.args for _, (message,) in link.receive()] == [("ai",)]
        link.close()


def test_engine_that_answers_from_another_address_of_its_ipv6_network_is_heard(woken):
    with second_host() as host:
        there, port = host.address6, 0
        with host.socket(there, port) as engine:
            port = engine.getsockname()[1]
            link = EngineConnection((there, port), wake=woken.set)
            other = there[: there.rindex(":")] + ":7"
            assert link._is_engine(other, port)
            assert not link._is_engine(other, port + 1)
            assert not link._is_engine("2001:db8::7", port)
            assert not link._is_engine("192.0.2.7", port)
            link.close()


def test_cookie_of_an_engine_on_another_machine_is_sent_with_each_request_from_then_on(
    engine, link, woken
):
    def receive_requests() -> list[tuple[str, tuple[object, ...]]]:
        requests = []
        link.send("/robojam/answer")
        while (message := receive_message(engine)[0]).address != "/robojam/answer":
            requests.append((message.address.removeprefix("/robojam/"), message.args))
        return requests

    link.advance(100.0)
    assert receive_requests() == [("subscribe", (link.port,)), ("status", ())]
    for cookie in ("abc", "xyz"):
        for now in (100.1, 100.2):  # the second one says nothing new
            woken.clear()
            engine.sendto(encode("/robojam/cookie", "s", cookie), ("127.0.0.1", link.port))
            assert woken.wait(60)
            assert list(link.receive()) == []  # it is no message for the window
            link.advance(now)
        assert receive_requests() == [("subscribe", (link.port, cookie)), ("status", (cookie,))]
    link.close()
    assert receive_message(engine)[0].args == (link.port, "xyz")  # it unsubscribes


def test_closed_connection_has_unsubscribed_and_stopped_its_thread(engine, woken):
    link = EngineConnection(engine.getsockname(), wake=woken.set)
    link.close()
    link.close()
    message, _ = receive_message(engine)
    assert (message.address, message.args) == ("/robojam/unsubscribe", (link.port,))
    assert not any(thread.name == "window-link" for thread in threading.enumerate())


def test_unknown_host_raises_os_error(woken):
    with pytest.raises(OSError, match=r".+"):
        EngineConnection(("no.such.host.invalid", 5005), wake=woken.set)
