"""What is plugged into the engine: an input and an output of the test's own."""

import math
import socket
import threading
import time
from functools import partial
from typing import Any

from support.engine import PATIENCE, Driven, Wire, playing
from support.players import Whimsical

from robojam.config.options import Options
from robojam.controls import Settings
from robojam.engine.engine import Engine
from robojam.engine.loop import run
from robojam.jam.events import Event, TouchPlayed, TurnChanged
from robojam.jam.jam import Jam
from robojam.touch import Phase
from robojam.wire.native import Control, Dropped, Finger, Input, StatusRequest


class Plug:
    """An input and an output in one: what is put in comes in, what goes out is kept."""

    def __init__(self) -> None:
        self.near, self.far = socket.socketpair()
        self.waiting: list[tuple[str, Input]] = []
        self.heard: list[tuple[Event, float]] = []
        self.looks: list[float] = []
        self.closed = False

    def put(self, source: str, *what: Input) -> None:
        self.waiting += [(source, one) for one in what]
        self.far.send(b"\0")

    def fileno(self) -> int:
        return self.near.fileno()

    def receive(self) -> list[tuple[str, Input]]:
        self.near.recv(4096)
        came, self.waiting = self.waiting, []
        return came

    def handle(self, what: Event, at: float) -> None:
        self.heard.append((what, at))

    def advance(self, now: float) -> float:
        self.looks.append(now)
        return 1.0

    def status(self) -> dict[str, object]:
        return {"plug": len(self.heard)}

    def close(self) -> None:
        self.closed = True

    @property
    def touches(self) -> list[tuple[str, Phase, float]]:
        return [
            (w.touch.who, w.touch.phase, at)
            for w, at in self.heard
            if isinstance(w, TouchPlayed)
        ]


def driven(tmp_path: Any, plug: Plug, **options: Any) -> Driven:
    jam = Driven(tmp_path, **options)
    jam.engine.inputs = jam.engine._publisher.outputs = (plug,)
    jam.engine._ports = (plug,)
    return jam


def test_each_source_of_an_input_is_a_player_of_its_own(tmp_path):
    plug = Plug()
    jam = driven(tmp_path, plug, mode="listen")
    jam.send("/robojam/down", "iff", 1, 0.1, 0.1)
    plug.put("midi:left", Finger(Phase.DOWN, 1, 0.5, 0.5))
    plug.put("midi:right", Finger(Phase.DOWN, 1, 0.6, 0.5), Finger(Phase.UP, 1))
    jam.engine.receive(plug)
    assert [touch[:2] for touch in plug.touches] == [
        ("human", Phase.DOWN),
        ("human2", Phase.DOWN),
        ("human3", Phase.DOWN),
        ("human3", Phase.UP),
    ]


def test_controls_come_in_and_what_does_not_fit_is_counted(tmp_path):
    plug = Plug()
    jam = driven(tmp_path, plug)
    plug.put("midi:a", Control("mode", "duet"), Dropped("torn"), StatusRequest())
    plug.put("midi:a", Control("temperature", 1e9))
    jam.engine.receive(plug)
    status = jam.status()
    assert status["mode"] == "duet"
    assert status["dropped"] == {"torn": 1, "wrong port": 1, "out of range": 1}
    assert status["plug"] == len(plug.heard)


def test_an_output_is_told_all_with_the_instant_at_which_it_was_due(tmp_path):
    plug = Plug()
    jam = driven(tmp_path, plug, threshold=0.5)
    jam.send("/robojam/down", "iff", 1, 0.5, 0.5)
    jam.wait(2.0, late=lambda: 0.013)
    turned = [at for what, at in plug.heard if isinstance(what, TurnChanged)]
    assert turned == [1000.5]  # not when the loop woke
    played = [what for what, _ in plug.heard if isinstance(what, TouchPlayed)]
    assert len(played) > 2
    assert all(at == 1000.0 + what.t for what, at in plug.heard)


def test_an_output_is_looked_at_when_it_asked_to_be(tmp_path):
    plug = Plug()
    jam = driven(tmp_path, plug, mode="listen")
    assert jam.engine.advance() == 1.0
    assert plug.looks == [1000.0]


def test_the_loop_wakes_for_an_input_and_closes_what_is_plugged_in(tmp_path):
    plug = Plug()
    endpoint = Quiet()
    server = Engine(
        Options(record=False, sessions=str(tmp_path)),
        playing(Whimsical()).info,
        partial(Jam, Whimsical()),
        endpoint=endpoint,  # type: ignore[arg-type]
        settings=Settings(mode="listen"),
        load=lambda *_: None,
        inputs=(plug,),
        outputs=(plug,),
    )
    loop = threading.Thread(target=run, args=(server,))
    loop.start()
    plug.put("midi:a", Finger(Phase.DOWN, 1, 0.5, 0.5))
    end = time.monotonic() + PATIENCE
    while not plug.touches:
        assert time.monotonic() < end
        time.sleep(0.001)
    server.stop("the test")
    loop.join(PATIENCE)
    assert not loop.is_alive()
    assert plug.closed
    assert plug.touches[-1][:2] == ("human", Phase.UP)
    assert math.isfinite(plug.touches[-1][2])


class Quiet(Wire):
    """An endpoint that nothing comes to."""

    def __init__(self) -> None:
        super().__init__(time.perf_counter)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.setblocking(False)

    def fileno(self) -> int:
        return self._socket.fileno()

    def receive(self) -> None:
        return None

    def close(self) -> None:
        self._socket.close()
