"""A model at play: state, sampling and random numbers of one or more voices.

On the CPU numpy computes, on CUDA and MPS torch does: one call of torch costs several times
the arithmetic of a touch, and importing torch takes over a second. The mathematics is that of
robojam.player.reference.

The random numbers of a touch depend on the seed, the voice, and how many touches the voice
has played or skipped since seeding (robojam.player.random_streams), and on nothing else.
"""

from __future__ import annotations

import logging
import math
import weakref
import zlib
from collections.abc import Collection, Mapping, Sequence
from copy import deepcopy
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from robojam.jam.dwell import LONG
from robojam.jam.protocols import Proposal
from robojam.model.event import PRESSED, TOUCH, count_knobs
from robojam.model.features import Array, ArrayModule, Components, Floats, components, normalise
from robojam.model.file import ModelFile, ModelFileError
from robojam.player import saved_state
from robojam.player.call import Call
from robojam.player.cpu_batch import MAX_BATCH, BatchStepper
from robojam.player.cpu_single import SingleStepper
from robojam.player.descriptors import VERSION
from robojam.player.lookahead import Lookahead, NextTouch
from robojam.player.motifs import MotifMemory
from robojam.player.planner import (
    CandidateStates,
    CpuStates,
    NetworkStates,
    PhraseRequest,
    Plan,
    PlanSettings,
    candidates_for,
)
from robojam.player.random_streams import RandomStreams
from robojam.player.reference import Network, RandomNumbers, RecurrentState, Sampling
from robojam.player.saved_state import SavedPlayer, Snapshot
from robojam.player.stepper import Stepper
from robojam.system.shell import printable
from robojam.touch import KNOB_RESTS, MAX_DT, MAX_KNOBS, MIN_DT, clip, place_of

if TYPE_CHECKING:
    from robojam.player.cpu_compiled import CompiledStepper

log = logging.getLogger("robojam")

#: The kind of factor that each column of a touch belongs to, with its pressure or without.
_KINDS: Final = ("position", "position", "duration", "flag", "position")
#: The least and the greatest value of each column.
_MIN, _MAX = (0.0, 0.0, MIN_DT, 0.0), (1.0, 1.0, MAX_DT, 1.0)
#: From this many voices on a CPU steps them in batches, ahead; fewer are stepped one by one,
#: by compiled functions where there are any.
_MIN_LOOKAHEAD_VOICES = 8
MAX_COMPILED: Final = _MIN_LOOKAHEAD_VOICES - 1
#: Name of the steps that numpy takes on a CPU; the number tells apart what differs in bits.
STEPS = "numpy 2"
#: Components of a forecast with less weight than this are left out.
_MIN_WEIGHT = 1e-3
#: A model that samples a greater number has overflowed: 32 bits hold little more.
_OVERFLOW = 1e30
#: Touch that is played in the place of one that overflowed: in the middle, after a rest.
_REPLACEMENT = (0.5, 0.5, 0.5, 0.0)
#: The present call: the last seconds of it.
_CALL_SECONDS = 8.0


#: Touches that a model is tried with, each as x, y, dt and moving, and the temperatures and
#: spreads; and how many standard deviations the random numbers lie from their mean.
_TRIED = (
    (0.0, 0.0, 0.0, False),
    (1.0, 1.0, MIN_DT, True),
    (0.0, 1.0, MIN_DT, True),
    (1.0, 0.0, MAX_DT, False),
    (0.5, 0.5, 0.02, True),
    (0.5, 0.5, MAX_DT, True),
)
_TRIED_SAMPLING = ((1.0, 1.0), (0.0, 0.0), (10.0, 10.0))
_DEVIATIONS = 4.0


class ModelPlayer:
    """One model played by one or more voices, which are fed the same and play their own.

    A robojam.jam.protocols.Player.
    """

    def __init__(
        self,
        file: ModelFile,
        *,
        device: str = "cpu",
        voices: int = 1,
        seed: int = 0,
        compiled: bool = False,
        knobs: int = 0,
    ) -> None:
        """Prepare a model for play.

        knobs is the number of knobs of the instrument; 0 where it plays touches. Raises
        ModelFileError if the model is not of that, and if its numbers overflow in the first
        steps.

        compiled: step up to 7 voices on the CPU by compiled functions, which need numba; on
        a machine that has not compiled them yet this waits some seconds. `steps` is what steps
        the voices, by name: two of different names differ in the last bits.
        """
        check_shape(file, knobs)
        #: Number of knobs that it plays, 0 for touches; and how many more its model is of.
        self.knobs = knobs
        self._missing = count_knobs(file.event.columns) - knobs if knobs else 0
        #: Whether its model has learnt pressure.
        self._pressed = file.event.columns == PRESSED
        self.file, self.device, self.voices = file, device, voices
        self._playing = voices  # the others rest
        xp, weights = _load_weights(file.weights, device)
        with np.errstate(all="ignore"):  # _try_steps finds what overflows
            self.network = Network(xp, file.event, weights, knobs=knobs or None)
        # The mean of the noise that the model was trained with.
        self._half_noise = np.asarray(file.event.noise, np.float32) / 2
        self._half_noises: list[float] = self._half_noise.tolist()
        self._touch_noises = self._half_noises[: len(TOUCH)]
        self._sampling: Sampling = {"temperature": 1.0, "spread": 1.0}
        columns, factors = len(file.event.columns), len(file.event.factors)
        self._random = RandomStreams(voices, uniform=factors, normal=columns)
        #: What humans have played since the machine's last touch, or before its answer to that.
        self._call = Call()
        self._answered = False
        #: What humans have played in this take.
        self._memory = MotifMemory()
        self._stepper: Stepper
        #: For plans on a CPU; None where there are none.
        self._batch: BatchStepper | None = None
        self._lookahead: Lookahead | None = None
        if xp is np:
            compiled &= voices <= MAX_COMPILED and not knobs
            stepper, self.steps = _make_cpu_stepper(self.network, voices, compiled=compiled)
            self._stepper = stepper
            if self.plans:
                one = BatchStepper(self.network, 1, layout=stepper.layout)
                self._batch = stepper.batch or one
            looks_ahead = voices >= _MIN_LOOKAHEAD_VOICES and not (knobs or self._pressed)
            if stepper.batch is not None and looks_ahead:
                # Weak, so that a player which is replaced is freed at once: a cycle of
                # references waits for the garbage collector.
                batch, player = stepper.batch, weakref.proxy(self)
                self._lookahead = Lookahead(
                    batch,
                    sample=lambda voices: player._next_touches(voices),
                    sample_after=lambda rows, voices: player._touches_after(
                        batch, rows, voices
                    ),
                )
        else:
            from robojam.player.cuda_graph import CudaGraphStepper

            self.steps = "torch"
            self._stepper = CudaGraphStepper(self.network, voices)
        self._faults = 0
        self._faulty: set[int] = set()  # voices whose last sampled touch overflowed
        self.seed(seed)
        self._try_steps()

    @property
    def plans(self) -> bool:
        """Whether it can plan its answers: its file has a matcher that it understands."""
        matcher = self.file.matcher
        return matcher is not None and matcher.version == VERSION

    def plan(
        self,
        voices: Sequence[int],
        *,
        seconds: float,
        follow: float,
        memory: float,
        lead: float = 0.0,
        dwell: float = LONG,
        down: Collection[int] = (),
    ) -> Plan | None:
        """Begin a plan of what some voices play next, from their present state.

        Times are in the model's seconds. The phrases last up to `seconds`; follow, -1 to 1,
        and memory, 0 to 1, are how much they follow the present call and what was heard
        before; for the first `lead` seconds they are those of the ordinary draw. dwell is
        that of ordinary play (robojam.jam.dwell), down are the voices whose finger is down.
        Nothing of the player changes. With many voices the last ones are not planned
        (robojam.player.planner.candidates_for). None for a model without a matcher.
        """
        if not self.plans:
            return None
        call, counts = self._present_call(), self._counts.tolist()
        motifs = self._memory.motifs() if memory else None
        planned, size = candidates_for(follow, memory, len(voices))
        requests = [
            PhraseRequest(
                voice=voice,
                count=counts[voice],
                call=call,
                seconds=seconds,
                down=voice in down,
                motifs=motifs,
            )
            for voice in voices[:planned]
        ]
        settings = PlanSettings(
            noise=self._half_noises, follow=follow, memory=memory, lead=lead, dwell=dwell
        )
        states = self._states(self._stepper.state, list(voices[:planned]), size)
        return Plan(
            requests,
            settings,
            states,
            self._random,
            self.file.matcher,
            size=size,
            unplanned=len(voices) - planned,
        )

    def plan_phrases(
        self,
        requests: Sequence[PhraseRequest],
        state: RecurrentState,
        random: RandomStreams,
        *,
        follow: float,
        memory: float,
    ) -> Plan:
        """Begin a plan of phrases that go on from a state, which has a row for each.

        For offline use: as many at once as there are, with random numbers of their own.
        """
        _, size = candidates_for(follow, memory, 1)
        settings = PlanSettings(noise=self._half_noises, follow=follow, memory=memory)
        states = self._states(state, list(range(len(requests))), size)
        matcher = self.file.matcher
        return Plan(requests, settings, states, random, matcher, size=size, batch=MAX_BATCH)

    def _states(
        self, state: RecurrentState, voices: list[int], candidates: int
    ) -> CandidateStates:
        """Return copies of the rows of a state, for some candidates each."""
        voices = [voice for voice in voices for _ in range(candidates)]
        state = state.rows(voices)
        if self._batch is None:
            return NetworkStates(self.network, state, self._sampling)
        rows = np.ones((len(voices), self._batch.rows.shape[1]), np.float32)
        self._batch.layout.state(rows).write(slice(None), state)
        return CpuStates(self._batch, rows, self._sampling)

    def _present_call(self) -> NDArray[np.float64]:
        """Return the end of the present call, as touches (n, 4)."""
        call = np.array([*self._call], np.float64).reshape(-1, len(TOUCH))
        before_end = call[::-1, 2].cumsum()[::-1] - call[:, 2]
        return call[before_end <= _CALL_SECONDS]

    def _try_steps(self) -> None:
        """Feed and sample extremes, as a jam may: its first steps are slower than others, too.

        Raises ModelFileError where numbers overflow.
        """
        voices = [0, 1][: self.voices]
        factors, columns = len(self.file.event.factors), len(self.file.event.columns)
        with np.errstate(all="ignore"):
            for step, event in enumerate((None, *_TRIED)):
                if event is not None:
                    knobs = tuple((event[:2] * MAX_KNOBS)[: self.knobs])
                    self.commit(voices[-1], *event, knobs, event[0])
                    self.feed(*event, knobs, event[0])
                uniform = [(0.0, 1 - 2**-24)[step % 2]] * factors
                random = [uniform + [z] * columns for z in (_DEVIATIONS, -_DEVIATIONS)]
                for temperature, spread in _TRIED_SAMPLING:
                    sampling: Sampling = {"temperature": temperature, "spread": spread}
                    for tried in ([voices[0]], voices):
                        drawn = self._sample(tried, random[: len(tried)], sampling)
                        if not all(map(_are_finite, drawn)):
                            raise ModelFileError(
                                f"{self.file.path} cannot be played: its numbers overflow "
                                f"after {step} touches, at temperature {temperature:g} "
                                f"and spread {spread:g}"
                            )
                self._draw(voices)
        self.reset()
        self._counts[:] = 0

    def take_faults(self) -> int:
        """Return how many touches were replaced, since the last call, as they overflowed."""
        faults, self._faults = self._faults, 0
        return faults

    def set_sampling(self, *, temperature: float, spread: float) -> None:
        """Set temperature and spread: see robojam.player.reference.Network.sample."""
        self._sampling = {"temperature": temperature, "spread": spread}
        self._clear_lookahead()

    def seed(self, seed: int) -> None:
        """Seed the random numbers of every voice."""
        self._seed = seed
        self._counts = np.zeros(self.voices, np.int64)
        self._random.seed(seed)
        self._clear_lookahead()

    def reset(self) -> None:
        """Forget all that the voices were fed. Their random numbers go on."""
        self._stepper.reset()
        self._call.clear()
        self._memory.clear()
        self._clear_lookahead()

    def continue_from(self, other: ModelPlayer) -> None:
        """Go on with the random numbers of another player, and with the call that it heard."""
        self.seed(other._seed)
        self._counts = other._counts.copy()
        self._call, self._answered = other._call.copy(), other._answered
        self._memory.continue_from(other._memory)

    def take_over(self, other: ModelPlayer) -> bool:
        """Go on with the random numbers and, where it can be read, the state of another player.

        The other plays the same model, maybe on a device that is lost. Returns whether its
        state could be read.
        """
        self.continue_from(other)
        state = other._stepper.state
        try:
            if self.device == "cpu":
                hidden, cell = map(_to_numpy, state.hidden), map(_to_numpy, state.cell)
                motion = state.position, state.velocity, state.previous_velocity
                last = map(_to_numpy, (*motion, state.features))
                state = RecurrentState(list(hidden), list(cell), *last)
            self._stepper.state.write(slice(None), state)
        except RuntimeError:  # torch raises it for a lost device, of whichever kind
            self.reset()
            return False
        self._clear_lookahead()
        return True

    def snapshot(self) -> Snapshot:
        """Return a copy of the state of every voice."""
        state = deepcopy(self._stepper.state)
        counts = tuple(self._counts.tolist())
        memory = self._memory.snapshot()
        return Snapshot(state, self._seed, counts, self._call.copy(), self._answered, memory)

    def restore(self, snapshot: Snapshot) -> None:
        """Return to the state of a snapshot, which can be restored again."""
        self._stepper.state.write(slice(None), snapshot.state)
        if snapshot.seed != self._seed:
            self.seed(snapshot.seed)
        self._counts = np.array(snapshot.counts, np.int64)
        self._call, self._answered = snapshot.call.copy(), snapshot.answered
        self._memory.restore(snapshot.memory)
        self._clear_lookahead()

    @property
    def saves(self) -> bool:
        """Whether its whole state can be saved: on a CPU."""
        return self.device == "cpu"

    def save(self) -> SavedPlayer:
        """Return a copy of its whole state, which `load` goes on from, bit for bit."""
        lookahead = None if self._lookahead is None else self._lookahead.save()
        return SavedPlayer(
            self.snapshot(),
            self._memory.landings,
            self._playing,
            tuple(self._faulty),
            lookahead,
        )

    def load(self, saved: SavedPlayer) -> None:
        """Go on from a state that was saved."""
        self.rest(self.voices - saved.playing)
        self._memory.landings = saved.landings
        self.restore(saved.snapshot)
        self._faulty = set(saved.faulty)
        if self._lookahead is not None and saved.lookahead is not None:
            self._lookahead.load(saved.lookahead)

    def checksum(self) -> int:
        """Return a checksum of its state."""
        state = self._stepper.state
        total = zlib.crc32(self._counts.tobytes(), self._seed & 0xFFFFFFFF)
        for array in (*state.hidden, state.position):
            total = zlib.crc32(_to_numpy(array).tobytes(), total)
        return total

    def pack(self, saved: SavedPlayer, snapshots: Sequence[Snapshot]) -> bytes:
        """Return a saved state and snapshots as bytes. In any thread."""
        return saved_state.pack(saved, snapshots)

    def unpack(self, data: bytes) -> tuple[SavedPlayer, list[Snapshot]]:
        """Return what was packed. Raises ValueError for what is not of such a player."""
        widths = [array.shape[1] for array in self._stepper.state.arrays()]
        row = None if self._batch is None else self._batch.rows.shape[1]
        if self._lookahead is None:
            row = None
        return saved_state.unpack(
            data, widths, layers=len(self.network.gates), voices=self.voices, row=row
        )

    def rest(self, resting: int) -> None:
        """Rest the last voices: they are fed nothing, and cost nothing.

        A voice that comes back takes the first voice's state, with its own random numbers.
        """
        playing = self.voices - resting
        if playing > self._playing:
            state = self._stepper.state
            state.write(slice(self._playing, playing), state.rows(slice(0, 1)))
        if playing != self._playing:
            self._playing = playing
            if self._lookahead is not None:
                self._lookahead.rest(resting)

    def feed(
        self,
        x: float,
        y: float,
        dt: float,
        moving: bool,  # noqa: FBT001
        knobs: tuple[float, ...] = (),
        pressure: float | None = None,
    ) -> None:
        """Feed a touch to every voice that plays: x and y in screens, dt in seconds.

        A pressure that was not measured is that of the touch before, which the first voice
        was fed.
        """
        for voice in list(self._faulty):
            self._forget(voice)
        self._remember(x, y, dt, moving)
        event = self._model_input(0, x, y, dt, moving, knobs, pressure)
        self._stepper.feed_all(event, self._playing)
        self._clear_lookahead()

    def feed_some(
        self,
        heard: Mapping[int, tuple[float, bool]],
        x: float,
        y: float,
        knobs: tuple[float, ...] = (),
        pressure: float | None = None,
    ) -> None:
        """Feed a human's touch to some voices, each with its own dt in seconds and moving.

        The present call is what the first voice hears.
        """
        for voice in self._faulty.intersection(heard):
            self._forget(voice)
        if 0 in heard:
            self._remember(x, y, *heard[0])
        inputs = [
            self._model_input(voice, x, y, dt, on, knobs, pressure)
            for voice, (dt, on) in heard.items()
        ]
        if self._lookahead is not None:
            self._lookahead.forget(heard)
        self._stepper.feed_some(list(heard), inputs)

    def _remember(self, x: float, y: float, dt: float, moving: bool) -> None:  # noqa: FBT001
        """Add a human's touch to the present call."""
        if self._answered:
            self._call.clear()
            self._answered = False
        if not self.knobs:
            self._call.append((x, y, dt, moving))
            self._memory.feed(x, y, dt, moving)

    def sample(self, voices: Sequence[int]) -> list[Proposal]:
        """Return what some voices would play next, drawn as one batch. Changes nothing."""
        if self._lookahead is None:
            return self._draw(voices)
        return [touch.proposal for touch in self._lookahead.next_touches(voices)]

    def commit(
        self,
        voice: int,
        x: float,
        y: float,
        dt: float,
        moving: bool,  # noqa: FBT001
        knobs: tuple[float, ...] = (),
        pressure: float | None = None,
    ) -> None:
        """Feed a voice the touch that it has played, and use up its random numbers."""
        if voice in self._faulty:
            self._forget(voice)
        lookahead = self._lookahead
        if lookahead is None or not lookahead.commit(voice, (x, y, dt, moving)):
            event = self._model_input(voice, x, y, dt, moving, knobs, pressure)
            self._stepper.feed(voice, event)
        self._counts[voice] += 1
        self._answered = True
        if voice == 0:
            self._memory.pass_time(dt)

    def skip(self, voice: int) -> None:
        """Use up the random numbers of a touch that is not fed: a duet's, or one withdrawn."""
        if self._lookahead is not None:
            self._lookahead.skip(voice)
        self._counts[voice] += 1

    def prepare(self) -> None:
        """Compute ahead what the next touch needs, whatever it is. Changes nothing."""
        self._stepper.prepare()
        self._memory.settle()

    def forecast(self) -> list[tuple[float, ...]]:
        """Return what voice 0 expects next: weight, mean x, y, deviation x, y, correlation.

        The mixture over the place, once for a slide and once for a landing, each weighted by
        its probability, at the geometric mean of the expected dt; in screens. Empty for a
        model that predicts in another order than phase, dt and place.
        """
        network, event = self.network, self.file.event
        xp = network.xp
        factors = event.factors[:3]
        if self.knobs or [f.kind for f in factors] != ["flag", "duration", "position"]:
            return []
        phase, dt, place = factors
        state = self._stepper.state.rows(slice(0, 1))
        trunk = network.trunk_output(state)
        logit = float(network.head_output(0, trunk)[0, 0])
        last = _to_numpy(state.position)[0]
        can_slide = place.slides is not None and not np.isnan(last).any()
        groups: list[tuple[float, ...]] = []
        for moving in (0.0, 1.0):
            probability = 0.5 + 0.5 * math.tanh((logit if moving else -logit) / 2)
            values = network.array([[0.0, 0.0, 0.0, moving, 0.0][: len(event.columns)]])
            velocities = state.velocity, state.previous_velocity
            given_phase = network.add_context(0, trunk, normalise(xp, phase, values))
            out = network.head_output(1, given_phase)
            mixture = components(xp, event, dt, out, values, *velocities)
            weights = _softmax(_to_numpy(mixture.logits)[0])
            log_dt = float(weights @ _to_numpy(mixture.mean)[0, :, 0]) * dt.scale + dt.centre
            values[0, 2] = math.exp(min(log_dt, 2.0))
            given_dt = network.add_context(1, given_phase, normalise(xp, dt, values))
            out = network.head_output(2, given_dt)
            mixture = components(xp, event, place, out, values, *velocities)
            origin = last if moving and can_slide else None
            groups += self._groups(mixture, probability, origin)
        return groups

    def _groups(
        self, mixture: Components, probability: float, origin: Floats | None
    ) -> list[tuple[float, ...]]:
        """Convert a mixture to groups in screens; origin is where a slide starts."""
        factor = self.file.event.factors[2]
        weights = probability * _softmax(_to_numpy(mixture.logits)[0])
        unit = factor.scale if origin is None else factor.step
        centre = factor.centre if origin is None else origin
        mean = _to_numpy(mixture.mean)[0] * unit + centre - self._half_noise[:2]
        scale = np.exp(_to_numpy(mixture.log_scale)[0]) * unit
        lower = _to_numpy(mixture.lower)[0, :, 0]
        stretch = np.sqrt(1 + lower * lower)
        deviations = scale[:, 0], scale[:, 1] * stretch
        table = np.column_stack([weights, mean, *deviations, lower / stretch])
        shown = (weights > _MIN_WEIGHT) & np.isfinite(table).all(1)
        return [tuple(row) for row in table[shown].tolist()]

    def _draw(self, voices: Sequence[int]) -> list[Proposal]:
        drawn = self._sample(voices, self._random_numbers(voices), self._sampling)
        if self.knobs:
            return list(map(self._knob_proposal, voices, drawn))
        if self._pressed:
            return list(map(self._pressed_proposal, voices, drawn))
        half_x, half_y, half_dt, _ = self._half_noises
        proposals = []
        for voice, (x, y, dt, moving) in zip(voices, drawn, strict=True):
            if not _is_finite(x, y, dt, moving):
                x, y, dt, moving = self._replaced(voice)
            proposals.append(Proposal(x - half_x, y - half_y, dt - half_dt, moving > 0.5))
        return proposals

    def _pressed_proposal(self, voice: int, drawn: Sequence[float]) -> Proposal:
        """Return a drawn touch with its pressure, of which one that overflowed has none."""
        if not _are_finite(drawn):
            drawn = *self._replaced(voice), math.nan
        x, y, dt, moving, pressure = (
            value - half for value, half in zip(drawn, self._half_noises, strict=True)
        )
        known = None if math.isnan(pressure) else clip(pressure, 0.0, 1.0)
        return Proposal(x, y, dt, moving > 0.5, pressure=known)

    def _knob_proposal(self, voice: int, drawn: Sequence[float]) -> Proposal:
        """Return a drawn event of knobs as a touch."""
        *values, dt, moving = drawn
        if not _are_finite(drawn):
            values, dt, moving = [KNOB_RESTS] * len(values), *self._replaced(voice)[2:]
        last = _to_numpy(self._stepper.state.position)[voice].tolist()
        # One that does not move is where it was, to the last bit. NaN: nothing was fed yet.
        rests = values[: self.knobs] == last[: self.knobs]
        pairs = zip(values[: self.knobs], self._half_noises, strict=False)
        knobs = [clip(value - half, 0.0, 1.0) for value, half in pairs]
        x, y = place_of(knobs)
        dt -= self._half_noises[-2]
        return Proposal(x, y, dt, moving > 0.5, None, tuple(knobs), rests)

    def _sample(
        self, voices: Sequence[int], numbers: RandomNumbers, sampling: Sampling
    ) -> list[list[float]]:
        """Draw the next event (C) of N voices; NaN, or what is not finite, for an overflow."""
        try:
            return self._stepper.sample(voices, numbers, **sampling)
        except (OverflowError, ValueError):  # of Python's numbers, in which one is stepped
            return [[math.nan] * len(self.file.event.columns)] * len(voices)

    def _replaced(self, voice: int) -> tuple[float, ...]:
        """Return the touch that a voice plays in the place of one that overflowed."""
        if voice not in self._faulty:
            self._faulty.add(voice)
            self._faults += 1
            log.warning(
                "the numbers of the model %s overflow: its touch is replaced, and the voice "
                "forgets what it has heard", printable(self.file.path.name),
            )  # fmt: skip
        return _REPLACEMENT

    def _forget(self, voice: int) -> None:
        """Return a voice whose numbers overflowed to the state before its first event."""
        self._faulty.discard(voice)
        self._stepper.state.write([voice], self.network.initial(1))
        self._clear_lookahead()

    def _next_touches(self, voices: Sequence[int]) -> list[NextTouch]:
        """Draw some voices' next touches as one batch: proposed, played and fed."""
        touches = []
        for proposal in self._draw(voices):
            x, y = clip(proposal.x, 0.0, 1.0), clip(proposal.y, 0.0, 1.0)
            played = x, y, clip(proposal.dt, MIN_DT, MAX_DT), proposal.moving
            touches.append(NextTouch(proposal, played, self._model_input(0, *played)))
        return touches

    def _touches_after(
        self, stepper: BatchStepper, rows: Floats, voices: Sequence[int]
    ) -> list[NextTouch]:
        """Draw the touches after some voices' next ones, from rows that were fed these."""
        numbers = self._random_numbers(voices, later=1)
        drawn = stepper.sample_rows(rows, numbers, **self._sampling)
        for row in np.flatnonzero(~(np.abs(drawn) < _OVERFLOW).all(1)).tolist():
            drawn[row] = self._replaced(voices[row])
        proposed = drawn.astype(np.float64) - self._half_noises
        played = np.minimum(np.maximum(proposed, _MIN), _MAX)
        # A flag is 0 or 1, and has no noise.
        inputs = (played + self._half_noises).tolist()
        touches = zip(proposed.tolist(), played.tolist(), inputs, strict=True)
        return [
            NextTouch(Proposal(x, y, dt, moving > 0.5), (*clipped, moving > 0.5), model_input)
            for (x, y, dt, moving), (*clipped, _), model_input in touches
        ]

    def _random_numbers(self, voices: Sequence[int], later: int = 0) -> RandomNumbers:
        """Return the random numbers (N, ·) of N voices' next touches, or of later ones."""
        if len(voices) == 1:  # as a list: one voice is stepped with Python's numbers
            return [self._random.row(voices[0], int(self._counts[voices[0]]) + later)]
        indices = np.asarray(voices)
        return self._random.rows(indices, self._counts[indices] + later)

    def _model_input(
        self,
        voice: int,
        x: float,
        y: float,
        dt: float,
        moving: bool,  # noqa: FBT001
        knobs: tuple[float, ...] = (),
        pressure: float | None = None,
    ) -> list[float]:
        """Return a touch as the model of a voice is fed it: with the mean of its noise."""
        if self.knobs:
            values = *knobs, *[KNOB_RESTS] * self._missing, dt, moving
            return [v + half for v, half in zip(values, self._half_noises, strict=True)]
        half_x, half_y, half_dt, half_moving = self._touch_noises
        event = [x + half_x, y + half_y, dt + half_dt, moving + half_moving]
        if self._pressed:
            half = self._half_noises[-1]
            event.append(self._held(voice) if pressure is None else pressure + half)
        return event

    def _held(self, voice: int) -> float:
        """Return the pressure that a voice was fed last, as the model was fed it."""
        factor = self.file.event.factors[-1]  # its feature is the last, and 0 at first
        return float(self._stepper.state.features[voice, -1]) * factor.scale + factor.centre

    def _clear_lookahead(self) -> None:
        if self._lookahead is not None:
            self._lookahead.clear()


def _are_finite(event: Sequence[float]) -> bool:
    """Return whether the numbers of a sampled event of any kind did not overflow."""
    return all(abs(number) < _OVERFLOW for number in event)  # false for NaN, too


def _is_finite(x: float, y: float, dt: float, moving: float) -> bool:
    """Return whether the numbers of a sampled touch did not overflow."""
    return abs(x) < _OVERFLOW and abs(y) < _OVERFLOW and dt < _OVERFLOW and moving < 2


def check_shape(file: ModelFile, knobs: int) -> None:
    """Raise ModelFileError for a model of another shape than the instrument's, of knobs.

    knobs is their number; 0 for an instrument with a surface.
    """
    event, of_knobs = file.event, count_knobs(file.event.columns)
    kinds = {column: f.kind for f in event.factors for column in f.columns}
    column_kinds = tuple(kinds[column] for column in range(len(kinds)))
    over = f"over ({_describe_columns(event.columns, column_kinds)})"
    if not knobs:
        if event.columns in (TOUCH, PRESSED) and column_kinds == _KINDS[: len(kinds)]:
            return
        what, advice = f"{event.name.removesuffix('s')}s, {over}", ""
        if of_knobs:
            what = f"{of_knobs} knobs"
            fits = f"1 to {of_knobs}" if event.fewer else f"{of_knobs}"
            advice = f"; for an instrument with {fits} knobs: --knobs {of_knobs}"
        raise ModelFileError(
            f"{file.path} is a model of {what}; a jam of fingers wants one of touches, over "
            f"({_describe_columns(TOUCH, _KINDS[:4])}){advice}"
        )
    if of_knobs == knobs or (event.fewer and of_knobs > knobs):
        return
    is_of = f"{of_knobs} knobs" if of_knobs else f"another kind of event, {over}"
    raise ModelFileError(
        f"{file.path} is a model of {is_of}, and the instrument has {knobs} knobs: it wants a "
        f"model of {knobs} (robojam train --knobs LOGS… --to MODEL), or the one that robojam "
        f"brings (without --model), which is of any number up to {MAX_KNOBS}"
    )


def _load_weights(
    weights: dict[str, Floats], device: str
) -> tuple[ArrayModule, dict[str, Array]]:
    """Return the module that computes, and the weights as its arrays on the device."""
    if device == "cpu":
        return np, weights
    import torch

    return torch, {name: torch.from_numpy(w).float().to(device) for name, w in weights.items()}


def _make_cpu_stepper(
    network: Network, voices: int, *, compiled: bool
) -> tuple[SingleStepper | CompiledStepper, str]:
    """Return a stepper, and the name of what steps."""
    if not compiled:
        return SingleStepper(network, voices), STEPS
    from robojam.player.cpu_compiled import COMPILER, CompiledStepper

    with np.errstate(all="ignore"):  # as for the network
        return CompiledStepper(network, voices), COMPILER


def _describe_columns(columns: tuple[str, ...], kinds: tuple[str, ...]) -> str:
    return ", ".join(f"{kind} {column}" for kind, column in zip(kinds, columns, strict=True))


def _to_numpy(array: Array) -> Floats:
    return array if isinstance(array, np.ndarray) else array.cpu().numpy()


def _softmax(logits: Floats) -> Floats:
    raised: Floats = np.exp(logits - logits.max())
    raised /= raised.sum()
    return raised
