"""Pads by https: sockets, bad certificates at the start, and what a browser then allows."""

import asyncio
import socket
import sys
from contextlib import closing, suppress

import pytest
from aiohttp import ClientConnectorError, ClientError, ClientSession
from support.browser import Browser
from support.certificates import Certificates
from support.engine import MODEL, PATIENCE, run_program
from support.web import page, serving_web

from robojam.web import limits

pytestmark = pytest.mark.skipif(not MODEL.exists(), reason="no default model here")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return Certificates(tmp_path_factory.mktemp("certificates"))


def port_of(url: str) -> int:
    return int(url.split("/")[2].rpartition(":")[2])


def test_page_and_socket_are_served_by_https_alone(made, tmp_path):
    async def play(url: str) -> None:
        client = made.client()
        async with ClientSession() as session:
            async with session.get(url, ssl=client) as answer:
                assert answer.status == 200
                assert "robojam pad" in await answer.text()
            with pytest.raises(ClientConnectorError):
                await session.get(url)  # nobody knows the authority
            with pytest.raises(ClientError):
                await session.get(url.replace("https://", "http://"))
        async with page(url, ssl=client) as pad:
            await pad.touch(["d", 1, 0.5, 0.5])
            await pad.send("ping", 1)
            await pad.until(lambda message: message == ["pong", 1])

    certificate = f"{made.chain}:{made.key}"
    with serving_web(tmp_path, "--web-cert", certificate) as (engine, url):
        assert url.startswith("https://127.0.0.1:")
        asyncio.run(play(url))
        assert engine.out.ask(lambda status: status["web"]["url"])["web"]["url"] == url
        assert engine.end() == 0


def test_pad_of_all_addresses_is_opened_by_the_name_of_its_certificate(made, tmp_path):
    options = ("--web-cert", made.good)
    with serving_web(tmp_path, *options, web="0.0.0.0:0") as (engine, url):
        assert url.startswith("https://pad.example:")
        assert engine.end() == 0


@pytest.mark.parametrize("bad", ["expired", "encrypted", "garbage", "chain"])
def test_bad_certificate_is_one_line_before_anything_starts(made, bad):
    ran = run_program(
        "serve", "--osc-in", "127.0.0.1:0", "--web", "127.0.0.1:0",
        "--web-cert", getattr(made, bad),
    )  # fmt: skip
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.startswith("robojam: --web-cert: ")
    assert ran.stderr.count("\n") == 1


def test_certificate_without_pads_is_checked_when_they_are_switched_on(made, tmp_path):
    with serving_web(tmp_path, "--web-cert", made.good) as (engine, url):
        engine.out.send("/robojam/web", "i", 0)
        engine.out.ask(lambda status: "web" not in status)
        engine.out.send("/robojam/web", "i", 1)
        again = engine.out.ask(lambda status: status.get("web", {}).get("url"))["web"]["url"]
        assert again.startswith("https://127.0.0.1:")
        assert again != url  # another token
        assert engine.end() == 0


@pytest.mark.skipif(sys.platform != "linux", reason="127.0.0.2")
def test_connections_that_never_shake_hands_are_counted_and_closed(made, tmp_path):
    silent = []
    with serving_web(tmp_path, "--web-cert", made.good, web="0.0.0.0:0") as (engine, url):
        port = port_of(url)
        try:
            for _ in range(3 * limits.MAX_OF_A_HOST):
                each = socket.create_connection(
                    ("127.0.0.1", port), source_address=("127.0.0.2", 0)
                )
                each.settimeout(PATIENCE)
                silent.append(each)
            # What is too much ends at once, and a page of another host comes in.
            for each in silent[2 * limits.MAX_OF_A_HOST :]:
                with suppress(ConnectionError):
                    assert each.recv(1) == b""
            with socket.create_connection(("127.0.0.1", port)) as other:
                context = made.client()
                with context.wrap_socket(other, server_hostname="127.0.0.1") as encrypted:
                    encrypted.sendall(b"GET /v1/health HTTP/1.0\r\n\r\n")
                    assert b" 200 " in encrypted.recv(100)
            # The others have some seconds to shake hands.
            for each in silent[: 2 * limits.MAX_OF_A_HOST]:
                with suppress(ConnectionError):
                    assert each.recv(1) == b""
        finally:
            for each in silent:
                each.close()
        # Their places are free again.
        with socket.create_connection(
            ("127.0.0.1", port), source_address=("127.0.0.2", 0)
        ) as again:
            again.settimeout(PATIENCE)
            assert made.client().wrap_socket(again, server_hostname="127.0.0.1").version()
        assert engine.end() == 0


def test_garbage_for_a_handshake_closes_its_connection_alone(made, tmp_path):
    with serving_web(tmp_path, "--web-cert", made.good) as (engine, url):
        address = "127.0.0.1", port_of(url)
        for garbage in (
            b"GET / HTTP/1.1\r\n\r\n",
            b"\x16\x03\x01\xff\xff" + bytes(9000),
            b"\0",
        ):
            with socket.create_connection(address) as each:
                each.settimeout(PATIENCE)
                each.sendall(garbage)
                each.shutdown(socket.SHUT_WR)
                with suppress(ConnectionError):
                    while each.recv(1000):
                        pass
        with (
            socket.create_connection(address) as good,
            made.client().wrap_socket(good, server_hostname="127.0.0.1") as encrypted,
        ):
            assert encrypted.version() in ("TLSv1.2", "TLSv1.3")
        assert engine.out.ask()["web"]["restarts"] == 0
        assert engine.end() == 0


# -- in a browser


@pytest.fixture(scope="module")
def browser(made, tmp_path_factory):
    folder = tmp_path_factory.mktemp("chromium")
    with closing(Browser(folder, made.accepted)) as running:
        yield running


def test_page_by_https_may_do_more_and_can_be_installed(made, browser, tmp_path):
    with serving_web(tmp_path, "--web-cert", made.good) as (engine, url):
        shown = browser.open(url, shared=True)
        shown.wait_for("document.body.dataset.link === 'open'")
        shown.touch("touchStart", (100, 300, 0))
        engine.out.ask(lambda status: status["fingers"] == 1)
        shown.touch("touchEnd")
        assert shown.evaluate(
            "[isSecureContext, 'wakeLock' in navigator, 'serviceWorker' in navigator]"
        ) == [True, True, True]
        assert shown.call("Page.getInstallabilityErrors")["installabilityErrors"] == []
        assert shown.call("Page.getAppManifest")["errors"] == []
        assert shown.complaints() == []
        shown.close()
        assert engine.end() == 0


def test_installed_pad_opens_while_no_robojam_is_there_and_finds_it_later(
    made, browser, tmp_path
):
    with serving_web(tmp_path, "--web-cert", made.good) as (engine, url):
        shown = browser.open(url, shared=True)
        shown.wait_for("document.body.dataset.link === 'open'")
        shown.wait_for("navigator.serviceWorker.getRegistration('/pad/').then((r) => r?.active)"
                       ".then((active) => active?.state === 'activated')")  # fmt: skip
        app = url.partition("?")[0] + "pad/index.html"
        shown.go(app)
        shown.wait_for("document.body.dataset.link === 'open'")
        shown.offline(True)
        shown.go(app)
        shown.wait_for("document.querySelector('#turn').textContent === 'reconnecting …'")
        shown.offline(False)
        shown.wait_for("document.body.dataset.link === 'open'")
        shown.close()
        assert engine.end() == 0
