"""Ports of an engine, with real sockets that are free, taken, or of an engine."""

import json
import os
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress

import pytest
from support.engine import PATIENCE

from robojam.config.options import Options
from robojam.doctor.sockets import check_osc_in, check_osc_out, check_tuio_in
from robojam.wire import osc


@contextmanager
def taken(host="127.0.0.1"):
    """Yield a UDP socket at a port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as held:
        held.bind((host, 0))
        yield held


@contextmanager
def engine(**status):
    """Yield the port of a socket that answers requests for the status, as an engine does."""
    with taken() as held, ThreadPoolExecutor(1) as pool:
        held.settimeout(PATIENCE)

        def answer():
            while True:
                packet, sender = held.recvfrom(999)
                if packet == b"end":
                    return
                held.sendto(osc.encode("/robojam/status", "s", json.dumps(status)), sender)

        answering = pool.submit(answer)
        try:
            yield held.getsockname()[1]
        finally:
            with taken() as other:
                other.sendto(b"end", held.getsockname())
            answering.result(PATIENCE)


def free_port():
    with taken() as held:
        return held.getsockname()[1]


def test_free_port_is_ok():
    port = free_port()
    found = check_osc_in(Options(osc_in=f"127.0.0.1:{port}"))
    assert (found.status, found.found) == ("ok", f"127.0.0.1:{port} is free")
    assert check_osc_in(Options(osc_in="127.0.0.1:0")).status == "ok"


def test_port_of_another_program_is_a_problem_and_the_program_is_named():
    with taken() as held:
        port = held.getsockname()[1]
        found = check_osc_in(Options(osc_in=f"127.0.0.1:{port}"))
    assert found.status == "problem"
    assert f"127.0.0.1:{port} is held by" in found.found
    if os.path.exists("/proc/net/udp"):
        assert f"(process {os.getpid()})" in found.found
    assert found.command.startswith("robojam jam --osc-in 127.0.0.1:")


def test_port_of_a_running_engine_is_named_as_such():
    with engine(mode="duet", model="touch.safetensors\x1b[2J") as port:
        found = check_osc_in(Options(osc_in=f"0.0.0.0:{port}"))
    assert found.status == "warning"
    assert "a running robojam (duet, touch.safetensors" in found.found


def test_address_of_another_machine_is_a_problem():
    found = check_osc_in(Options(osc_in="192.0.2.77:5005"))
    assert found.status == "problem"
    assert "cannot listen on 192.0.2.77:5005" in found.found


def test_port_for_tuio_that_is_taken_is_a_warning():
    with taken() as held:
        port = held.getsockname()[1]
        osc_in = f"127.0.0.1:{free_port()}"
        found = check_tuio_in(Options(osc_in=osc_in, tuio_in=str(port)))
    assert found.status == "warning"
    assert f"127.0.0.1:{port} is held by" in found.found
    assert check_tuio_in(Options(tuio_in="none")).status == "ok"


def test_port_for_tuio_of_a_running_engine_is_ok():
    with taken() as held, engine(mode="duet") as port:
        tuio = str(held.getsockname()[1])
        found = check_tuio_in(Options(osc_in=f"127.0.0.1:{port}", tuio_in=tuio))
    assert found.status == "ok"
    assert "robojam" in found.found


def test_outputs_say_whether_anybody_listens_on_this_machine():
    silent = free_port()
    with taken() as held:
        heard = held.getsockname()[1]
        outputs = (f"127.0.0.1:{silent}", f"127.0.0.1:{heard}/tuio", "192.0.2.7:9000")
        found = check_osc_out(Options(osc_out=outputs))
    assert (found.status, found.found) == (
        "ok",
        f"127.0.0.1:{silent} (nobody listens there yet), 127.0.0.1:{heard}, 192.0.2.7:9000",
    )


def test_output_to_a_host_that_nobody_knows_is_a_problem(monkeypatch):
    def unknown(*_, **__):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    found = check_osc_out(Options(osc_out=("ipad.local:9000",)))
    assert found.status == "problem"
    assert "there is no host ipad.local" in found.found


@pytest.mark.parametrize("port", [65530, 65535])
def test_suggested_port_of_a_second_jam_exists(port):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as held:
        with suppress(OSError):  # another program has it, which is as good
            held.bind(("127.0.0.1", port))
        found = check_osc_in(Options(osc_in=f"127.0.0.1:{port}"))
    assert found.command == "robojam jam --osc-in 127.0.0.1:0"
