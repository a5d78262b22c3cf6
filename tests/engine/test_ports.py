"""Ports of the engine: an input and an output of the test's own."""

import math
import socket
import threading
import time
from functools import partial
from typing import Any

from support.engine import PATIENCE, DrivenEngine, FakeEndpoint, playing
from support.players import RandomPlayer
from support.ports import FakePort

from robojam.config.options import Options
from robojam.controls import Settings
from robojam.engine.engine import Engine
from robojam.engine.loop import run
from robojam.jam.events import TouchPlayed, TurnChanged
from robojam.jam.jam import Jam
from robojam.touch import Phase
from robojam.wire.native import Control, Dropped, Finger, StatusRequest


def driven(tmp_path: Any, port: FakePort, **options: Any) -> DrivenEngine:
    jam = DrivenEngine(tmp_path, **options)
    jam.engine._fixed = (port,), (port,)
    jam.engine._collect_ports()
    return jam


def test_each_source_of_an_input_port_is_a_player_of_its_own(tmp_path):
    port = FakePort()
    jam = driven(tmp_path, port, mode="listen")
    jam.send("/robojam/down", "iff", 1, 0.1, 0.1)
    port.put("midi:left", Finger(Phase.DOWN, 1, 0.5, 0.5))
    port.put("midi:right", Finger(Phase.DOWN, 1, 0.6, 0.5), Finger(Phase.UP, 1))
    jam.receive(port)
    assert [touch[:2] for touch in port.touches] == [
        ("human", Phase.DOWN),
        ("human2", Phase.DOWN),
        ("human3", Phase.DOWN),
        ("human3", Phase.UP),
    ]


def test_control_from_a_port_takes_effect_and_invalid_input_is_counted(tmp_path):
    port = FakePort()
    jam = driven(tmp_path, port)
    port.put("midi:a", Control("mode", "duet"), Dropped("torn"), StatusRequest())
    port.put("midi:a", Control("temperature", 1e9))
    jam.receive(port)
    status = jam.status()
    assert status["mode"] == "duet"
    assert status["dropped"] == {"torn": 1, "wrong port": 1, "out of range": 1}
    assert status["events"] == len(port.events)


def test_output_gets_every_event_with_the_instant_at_which_it_was_due(tmp_path):
    port = FakePort()
    jam = driven(tmp_path, port, threshold=0.5)
    jam.send("/robojam/down", "iff", 1, 0.5, 0.5)
    jam.wait(2.0, late=lambda: 0.013)
    turned = [at for event, at in port.events if isinstance(event, TurnChanged)]
    assert turned == [1000.5]  # not when the loop woke
    played = [event for event, _ in port.events if isinstance(event, TouchPlayed)]
    assert len(played) > 2
    assert all(at == 1000.0 + event.t for event, at in port.events)


def test_output_is_advanced_after_the_seconds_that_it_asked_for(tmp_path):
    port = FakePort()
    jam = driven(tmp_path, port, mode="listen")
    assert jam.engine.advance() == 1.0
    assert port.advanced == [1000.0]


def test_loop_wakes_for_an_input_port_and_closes_the_ports(tmp_path):
    port = FakePort()
    endpoint = SilentEndpoint()
    engine = Engine(
        Options(record=False, sessions=str(tmp_path)),
        playing(RandomPlayer()).info,
        partial(Jam, RandomPlayer()),
        endpoint=endpoint,  # type: ignore[arg-type]
        settings=Settings(mode="listen"),
        load=lambda *_: None,
        inputs=(port,),
        outputs=(port,),
    )
    loop = threading.Thread(target=run, args=(engine,))
    loop.start()
    port.put("midi:a", Finger(Phase.DOWN, 1, 0.5, 0.5))
    assert port.touched.wait(PATIENCE)
    engine.stop("the test")
    loop.join(PATIENCE)
    assert not loop.is_alive()
    assert port.closed
    assert port.touches[-1][:2] == ("human", Phase.UP)
    assert math.isfinite(port.touches[-1][2])


class SilentEndpoint(FakeEndpoint):
    """Endpoint that receives nothing."""

    def __init__(self) -> None:
        super().__init__(time.perf_counter)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.setblocking(False)

    @property
    def sockets(self) -> tuple[socket.socket]:
        return (self._socket,)

    def close(self) -> None:
        self._socket.close()
