"""One simulated run: musicians, a network, a disk and an engine that is killed and goes on.

Everything follows from the seed: `play(seed, folder)` is the same each time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from errno import EIO, ENOSPC
from functools import lru_cache
from pathlib import Path
from random import Random
from typing import Any, Final

import msgspec

from robojam.app import resume
from robojam.config.options import Options
from robojam.controls import MODES
from robojam.engine import model_loader
from robojam.engine.model_loader import Models
from robojam.engine.takes import LoadedPlayer, ModelInfo, Resumed
from robojam.model import file as model_file
from robojam.model.file import ModelFile
from robojam.player.player import ModelPlayer
from robojam.sessions.library import newest
from robojam.sessions.session import ModelRef
from robojam.wire import osc
from support.models import TOUCHES, described, small
from support.players import PlanningPlayer, RandomPlayer
from support.simulator.disk import Disk
from support.simulator.invariants import check_goes_on, check_pads, check_process
from support.simulator.midi import Keyboard, Synthesiser
from support.simulator.musicians import Host, Musician, Serial, Tracker
from support.simulator.network import LOOPBACK, OUTPUT, Address, Link, Network
from support.simulator.pads import PadServer
from support.simulator.process import Process
from support.simulator.supervisor import SimulatedSupervisor
from support.simulator.world import BrokenError, World

#: The monitor whose packets are looked at, and one beyond a bad network.
MONITOR: Final[Address] = ("127.0.0.1", 4999)
FAR_MONITOR: Final[Address] = ("10.0.0.9", 4998)
#: Seconds between two subscriptions, and until an engine that was killed is there again.
_RENEWAL: Final = 2.0
_RESTART: Final = (0.2, 1.5)
#: Seconds after the last touch within which the engine lifts every finger.
_SILENCE: Final = 12.0
#: Seconds within which an engine ends that is asked to.
_ENDING: Final = 60.0
#: Share of the engines that go on and are killed while they write what they go on from.
_EARLY: Final = 0.2
#: Most kills in one run: what is heard again grows with each.
_MOST_KILLS: Final = 6


@dataclass(frozen=True)
class Figures:
    """Figures of a run: seconds of the jam, touches, kills, and how many went on."""

    seconds: float = 0.0
    touches: int = 0
    kills: int = 0
    resumed: int = 0
    recordings: int = 0


class SimulationError(AssertionError):
    """A promise that a run did not keep; the text has the seed."""


def play(
    seed: int, folder: Path, *, seconds: float | None = None, osc_alone: bool = False
) -> Figures:
    """Play the run of a seed in an empty folder, and check it. Raises SimulationError.

    osc_alone: nobody plays by TUIO, and there is no MIDI, whatever the seed says.
    """
    run = Run(seed, folder, seconds, osc_alone=osc_alone)
    try:
        try:
            return run.play()
        except BrokenError as broken:
            assert isinstance(broken.__cause__, Exception)
            raise broken.__cause__ from None
    except Exception as error:
        kind = "" if isinstance(error, AssertionError) else f"{type(error).__name__}: "
        raise SimulationError(
            f"seed {seed}, at {run.world.now:.6f} s: {kind}{error}"
        ) from error


@lru_cache(maxsize=4)
def _tiny_model() -> Any:
    return small(TOUCHES, units=8)


class Run:
    """One run; see `play`."""

    def __init__(
        self, seed: int, folder: Path, seconds: float | None, *, osc_alone: bool
    ) -> None:
        self.random = random = Random(f"robojam {seed}")
        self.world = World(random)
        self.network, self.disk = Network(self.world), Disk(self.world, folder / "memory")
        self.folder = folder
        self.seconds = seconds or random.choice((20.0, 60.0, 200.0))
        self.kills = random.choice((0, 0, 1, 2, _MOST_KILLS))
        self.resumed = 0
        kind = "model" if self.kills else random.choice(("random", "planning", "model"))
        self.voices = random.choice((1, 1, 1, 2, 5))
        self._load_player = self._loader(kind)
        self.options = Options(
            osc_out=("127.0.0.1:9000",),
            sessions=str(folder / "sessions"),
            seed=random.randrange(1 << 32),
            voices=self.voices,
            tuio_in="none",
            sound=False,
            controls={
                "mode": random.choice(MODES),
                "threshold": random.choice((0.1, 0.5)),
                "response": random.choice((0.0, 1.0, 5.0)),
                "timescale": random.choice((0.3, 1.0)),
            },
        )
        self.process: Process | None = None
        self.finished: list[Process] = []
        self._serial = Serial()
        self._musicians = [self._musician(i) for i in range(random.choice((1, 1, 2, 4)))]
        # Of chance of their own: without them a run is as it was when there were none.
        chance = Random(f"robojam ports {seed}")
        trackers = 0 if osc_alone else chance.choice((0, 1, 2))
        self._musicians += [self._musician(10 + i, Tracker) for i in range(trackers)]
        style = "" if osc_alone else chance.choice(("", "mpe", "scale", "mono"))
        self.synthesiser = self._synthesiser(style, chance) if style else None
        chance = Random(f"robojam keyboard {seed}")
        self.keyboard = None
        if not osc_alone and chance.random() < 0.4:
            self.options = msgspec.structs.replace(self.options, midi_in=(Keyboard.OPTION,))
            self.keyboard = Keyboard(self.world, chance)
        chance = Random(f"robojam pads {seed}")
        self.pads = None
        if not osc_alone and chance.random() < 0.4:
            self.pads = PadServer(self.world, chance)
        chance = Random(f"robojam supervisor {seed}")
        self.supervisor = (
            SimulatedSupervisor(self.world, self.network, self.options, random=chance)
            if not osc_alone and chance.random() < 0.5
            else None
        )
        #: Chance of what happens as soon as an engine has gone on.
        self._early = Random(f"robojam early {seed}")
        self._stops_at = 0.0 if osc_alone else self.world.now + self.seconds
        self.host = Host(
            self.world, self.network, LOOPBACK, random=random,
            every=random.choice((1.0, 5.0, 30.0, 1e9)),
        )  # fmt: skip
        self.network.connect(OUTPUT, LOOPBACK, self._on_output)
        self.network.connect(MONITOR, LOOPBACK, self._on_monitor)
        self.network.connect(FAR_MONITOR, self._link(), lambda _: None)
        self._subscribe()
        self._plan_faults()

    # -- parts -------------------------------------------------------------------------------

    def _loader(self, kind: str) -> Callable[..., LoadedPlayer]:
        """Return a function that loads the player; its argument is not looked at."""
        voices = self.voices
        if kind != "model":
            made = RandomPlayer if kind == "random" else PlanningPlayer
            info = ModelInfo(ModelRef("a.safetensors", "0a"), "cpu", "a build")
            return lambda *_: LoadedPlayer(made(voices=voices), info)
        path = self.folder / "tiny.safetensors"
        model = _tiny_model()
        weights = {n: t.detach().float().numpy() for n, t in model.state_dict().items()}
        model_file.write(path, described(model), weights)
        file: ModelFile = model_file.read(path)
        ref = ModelRef(path.name, file.sha256)

        def load(*_: object) -> LoadedPlayer:
            player = ModelPlayer(file, device="cpu", voices=voices)
            return LoadedPlayer(
                player, ModelInfo(ref, "cpu", model_loader.build("cpu", player.steps))
            )

        return load

    def _link(self) -> Link:
        random = self.random
        return random.choice((
            LOOPBACK,
            Link(delay=0.003, jitter=0.004),
            Link(lost=0.02, doubled=0.02, delay=0.002, jitter=0.005),
            Link(lost=0.2, doubled=0.1, delay=0.01, jitter=0.03),
        ))  # fmt: skip

    def _musician(self, number: int, kind: type[Musician] = Musician) -> Musician:
        host = self.random.choice(("127.0.0.1", f"10.0.0.{10 + number}"))
        return kind(
            self.world, self.network, (host, 4100 + number), self._link(), self._serial,
            random=self.random, vanishes=self.random.choice((0.0, 0.1, 0.5)),
        )  # fmt: skip

    def _synthesiser(self, style: str, random: Random) -> Synthesiser:
        """Return a synthesiser that the machine plays by MIDI in a style."""
        self.options = msgspec.structs.replace(self.options, midi_out=(f"synth/{style}",))

        def alive(since: float) -> bool:
            process, world = self.process, self.world
            return (
                process is not None
                and not world.is_dead
                and process.began_at <= since
                and not world.stalled_between(since, world.now)
            )

        return Synthesiser(self.world, random, alive=alive)

    def _on_output(self, packet: bytes) -> None:
        assert self.process is not None
        self.process.output.take(packet)

    def _on_monitor(self, packet: bytes) -> None:
        if self.process is not None:
            self.process.see(packet)

    def _subscribe(self) -> None:
        for monitor in (MONITOR, FAR_MONITOR):
            request = osc.encode("/robojam/subscribe", "i", monitor[1])
            self.network.to_engine(request, monitor, LOOPBACK)
        self.world.after(_RENEWAL, self._subscribe)

    def _plan_faults(self) -> None:
        """Plan stalls, troubles of the disk, and kills, each at a random instant."""
        random, world = self.random, self.world
        for _ in range(random.choice((0, 0, 3, 20))):
            length = random.choice((0.003, 0.02, 0.2, 0.7, 3.0))
            at = world.now + random.uniform(0.0, self.seconds)
            world.at(at, lambda length=length: world.stall_at(world.now, length))
        for _ in range(random.choice((0, 0, 0, 1, 3))):
            fault, stuck = random.choice(((ENOSPC, False), (EIO, False), (None, True)))
            length = random.choice((0.05, 1.0, 10.0, 40.0))
            at = world.now + random.uniform(0.0, self.seconds)
            world.at(at, lambda f=fault, n=length, s=stuck: self.disk.fail(f, n, stuck=s))
        for _ in range(self.kills):
            world.at(world.now + random.uniform(0.2, self.seconds), self._plan_kill)

    def _plan_kill(self) -> None:
        """Kill the process at its next looks at the clock, or in its next write."""
        if self.random.random() < 0.25:
            self.disk.torn = 1
        self.world.kill_at(self.world.now + self.random.uniform(0.0, 0.01))

    # -- the run -----------------------------------------------------------------------------

    def play(self) -> Figures:
        """Play to the end, and check everything."""
        began = self.world.now
        self.world.after(self.seconds, self._stop_playing)
        if self.supervisor is not None:
            self.world.pass_time(0.1)
        options, resumed = self.options, None
        loaded = self._load_player()
        while True:
            settings = options.settings() if resumed is None else resumed.jam.settings
            process = Process(
                self.world, self.disk, self.network.listen(), options, settings,
                loaded if resumed is None else resumed.loaded, resumed, self.keyboard,
                self.synthesiser, self.pads, bool(self.finished), self._load_again,
                self._register,
            )  # fmt: skip
            self._check_goes_on(process)
            has_ended = process.run()
            self.network.endpoint = None
            if self.pads is not None:
                self.pads.socket = None
            self._check(process)
            if has_ended or (left := self._left()) is None:
                break
            options, resumed, loaded = self._restart(*left)
            if self.supervisor is not None:
                self.supervisor.check_options(process, options, resumed)
        touches = sum(len(process.tape.published) for process in self.finished)
        takes = [t for p in self.finished if p.recorder is not None for t in p.recorder.takes]
        return Figures(
            self.world.now - began, touches, len(self.finished) - 1, self.resumed, len(takes)
        )

    def _register(self, process: Process) -> None:
        if self.finished:  # the same synthesiser listens to both
            process.output.down |= self.finished[-1].output.down
        self.process = process
        self.finished.append(process)

    def _check_goes_on(self, process: Process) -> None:
        """Check that a process goes on with what the one before had heard."""
        if len(self.finished) > 1 and process.resumed is not None:
            check_goes_on(self.finished[-2], process.before)

    def _check(self, process: Process) -> None:
        check_process(process, self.disk, lambda *_: self._load_player().player)
        if self.pads is not None and process.pad_socket is not None:
            check_pads(process, self.pads.heard_from(process.pad_socket))

    def _load_again(self, _name: str, _voices: int, on_loaded: Callable[[Any], None]) -> None:
        on_loaded(self._load_player())

    def _left(self) -> tuple[Options, Path | None] | None:
        """Return with what the next engine is started, and from which recording it goes on.

        None where there is no next one.
        """
        self.process, self.disk.torn = None, 0
        newest_left = newest(Path(self.options.sessions), memory=self.disk.memory)
        if self.supervisor is None:
            return self.options, newest_left
        self.supervisor.died()
        return self.supervisor.wait()

    def _restart(
        self, options: Options, path: Path | None
    ) -> tuple[Options, Resumed | None, LoadedPlayer]:
        """Pass the time until the next engine is there; return with what it begins."""
        down = self.random.uniform(*_RESTART)
        self.world.pass_time(down)
        self.world.start_process()
        if self._early.random() < _EARLY and self.world.now < self._stops_at:
            self.disk.torn = self._early.choice((1, 2, 3))
        loaded = self._load_player()
        if path is None:
            return options, None, loaded
        warnings: list[str] = []
        try:
            left = resume.read_jam(path, warnings, only_cut=True, memory=self.disk.memory)
        except resume.ResumeError:  # nobody has played in it, or its first line is torn
            return options, None, loaded
        if left is None:
            return options, None, loaded
        models = Models([self.folder], device="cpu")
        options, resumed = resume.resume(left, options, models, warnings)
        assert not [w for w in warnings if "torn" not in w and "cut off" not in w], warnings
        self.resumed += 1
        return options, replace(resumed, away=down), loaded

    def _stop_playing(self) -> None:
        """End the playing; some seconds later nothing is down, and the engine is stopped."""
        for musician in self._musicians:
            musician.stop()
        if self.keyboard is not None:
            self.keyboard.stop()
        if self.pads is not None:
            self.pads.stop()
        self.host.stop()
        self.world.kill_at(float("inf"))
        self.disk.torn = 0
        self.world.after(_SILENCE, self._check_silence)

    def _check_silence(self) -> None:
        if self.process is None:  # it is about to be started again
            self.world.after(_SILENCE, self._check_silence)
            return
        late = max((end for _, end in self.world.stalls), default=0.0) + _SILENCE
        if late > self.world.now:  # what waited meanwhile was heard then
            self.world.at(late, self._check_silence)
            return
        down = [f for f in self.process.monitor.down if f.startswith(b"human")]
        assert not down, f"fingers of humans are left down: {down}"
        self.process.engine.stop("the end")
        self.world.after(_ENDING, self._end_late)

    def _end_late(self) -> None:
        raise AssertionError(f"the engine has not ended within {_ENDING:g} s")
