"""Playback of recorded jams at their own times."""

import pytest

from robojam.controls import Settings
from robojam.jam.events import ControlChanged, Counters, TouchPlayed, TurnChanged
from robojam.sessions.playback import Playback, settings_of
from robojam.sessions.session import EndEvent, Header, ModelRef, Session, SetEvent, TouchEvent
from robojam.touch import Phase, Touch


def session_of(*events, **options) -> Session:
    header = Header(
        started="2026-11-20T10:30:00+00:00",
        model=ModelRef("a.safetensors", "0a"),
        device="cpu",
        build="a build",
        seed=1,
        options={"timescale": 2.0, **options},
    )
    return Session(header, events)


def touch(t: float, phase: str, who: str = "human", dt: float = 0.1, finger: int = 0):
    return TouchEvent(t, Touch(0.25, 0.75, dt, Phase(phase), finger, who))


JAM = (
    touch(0.0, "down", dt=0.0),
    touch(0.1, "move"),
    touch(0.3, "up", dt=0.2),
    SetEvent(0.5, {"temperature": 0.5}),
    touch(1.0, "down", "ai", 0.25),
    SetEvent(1.1, {"pause": 1}),
    SetEvent(3.1, {"pause": 0}),
    touch(3.5, "move", "ai", 0.25),
    SetEvent(3.6, {"model": {"file": "b.safetensors", "sha256": "0b"}}),
    touch(3.65, "up", "ai", 0.15),
    EndEvent(4.0, "SIGTERM"),
)


class Replaying:
    """A playback on a clock that the test turns."""

    def __init__(self, session: Session, **more) -> None:
        self.handle: list = []
        self.ended = 0
        settings = settings_of(session)
        self.playback = Playback(
            session, settings, self.handle.append, Counters(), on_end=self._end, **more
        )

    def _end(self) -> None:
        self.ended += 1

    @property
    def touches(self):
        return [(h.t, h.touch.who, h.touch.phase.value, h.dt) for h in self.handle
                if isinstance(h, TouchPlayed)]  # fmt: skip

    @property
    def turned(self):
        return [(h.t, h.whose) for h in self.handle if isinstance(h, TurnChanged)]

    @property
    def changes(self):
        return [(h.t, h.name, h.value) for h in self.handle if isinstance(h, ControlChanged)]


def test_recorded_events_are_played_at_their_times_in_order():
    replaying = Replaying(session_of(*JAM))
    replaying.playback.advance(100.0)
    assert replaying.touches == [
        (0.0, "human", "down", 0.0),
        (0.1, "human", "move", 0.1),
        (0.3, "human", "up", 0.2),
        (1.0, "ai", "down", 0.5),  # as scheduled: its dt times the timescale
        (3.5, "ai", "move", 0.5),
        (3.65, "ai", "up", 0.15),
    ]
    assert replaying.changes == [(0.5, "temperature", 0.5), (3.6, "model", "b.safetensors")]
    assert replaying.ended == 1
    assert replaying.playback.due is None


def test_turn_follows_from_who_plays():
    replaying = Replaying(session_of(*JAM))
    assert replaying.playback.turn == "human"
    replaying.playback.advance(2.0)
    assert replaying.playback.turn == "ai"
    assert replaying.playback.turn_left is None
    replaying.playback.advance(100.0)
    assert replaying.turned == [(1.0, "ai"), (3.65, "human")]
    happened = replaying.handle
    first, last = (happened.index(h) for h in happened if isinstance(h, TurnChanged))
    assert happened[first + 1].touch.who == "ai"  # it begins, and then it sounds
    assert happened[last - 1].touch.phase is Phase.UP  # it lifts, and then it ends


def test_turn_includes_the_machines_rests_and_changes_with_the_mode():
    replaying = Replaying(
        session_of(
            touch(0.0, "down", dt=0.0),
            touch(0.1, "up"),
            touch(1.0, "down", "ai"),
            touch(1.2, "up", "ai"),
            touch(2.0, "down", "ai"),
            touch(2.1, "up", "ai"),
            touch(2.1, "down"),
            SetEvent(3.0, {"mode": "solo"}),
            touch(3.5, "move"),
            SetEvent(4.0, {"mode": "duet"}),
            touch(4.5, "down", "ai"),
        )
    )
    replaying.playback.advance(100.0)
    assert replaying.turned == [(1.0, "ai"), (2.1, "human"), (3.0, "ai"), (4.0, "human")]


@pytest.mark.parametrize(
    ("who", "turned"), [("ai", [(1.0, "ai"), (3.65, "human")]), ("human", [])]
)
def test_turns_of_selected_players_follow_from_their_touches(who, turned):
    replaying = Replaying(session_of(*JAM), who=[who])
    replaying.playback.advance(100.0)
    assert replaying.turned == turned


def test_speed_brings_events_forward_and_shortens_dt():
    replaying = Replaying(session_of(*JAM), speed=2.0, lead=1.0)
    replaying.playback.advance(100.0)
    assert replaying.touches[:4] == [
        (1.0, "human", "down", 0.0),
        (1.05, "human", "move", 0.05),
        (1.15, "human", "up", 0.1),
        (1.5, "ai", "down", 0.25),
    ]


@pytest.mark.parametrize("who", [["ai"], ["human"], ["human", "ai"]])
def test_only_selected_players_are_played(who):
    replaying = Replaying(session_of(*JAM), who=who)
    replaying.playback.advance(100.0)
    assert {touch[1] for touch in replaying.touches} == set(who)
    assert replaying.ended == 1


@pytest.mark.parametrize("how", ["pause", "panic"])
def test_playback_is_held_with_fingers_lifted_and_goes_on_where_it_was(how):
    replaying = Replaying(session_of(*JAM))
    playback = replaying.playback
    playback.control(2.0, how, 1)
    assert replaying.touches[-1] == (2.0, "ai", "up", 1.0)
    assert playback.due is None
    assert playback.fingers == 0
    playback.advance(7.0)
    playback.control(7.0, "pause", 0)
    assert playback.due == 3.1 + 5.0
    playback.advance(100.0)
    # The finger was lifted, and so lands again: no finger slides that is not there.
    assert replaying.touches[-2:] == [(8.5, "ai", "down", 0.5), (8.65, "ai", "up", 0.15)]
    assert (7.0, "pause", 0) in replaying.changes


def test_touches_and_other_controls_do_not_change_the_playback():
    replaying = Replaying(session_of(*JAM))
    for name, value in (("mode", "solo"), ("temperature", 0.1), ("seed", 3), ("answer", 1)):
        assert not replaying.playback.control(0.5, name, value)
    replaying.playback.finger(0.6, "human", 0, Phase.DOWN, 0.5, 0.5)
    replaying.playback.plain(0.6, "human", 0.5, 0.5)
    assert replaying.playback.counts.dropped == {"replaying": 2}
    replaying.playback.advance(100.0)
    assert len(replaying.touches) == 6


def test_finger_left_down_by_a_killed_engine_is_lifted_at_the_end():
    replaying = Replaying(session_of(*JAM[:5]))
    replaying.playback.advance(100.0)
    assert replaying.ended == 1
    replaying.playback.finish(replaying.playback.t)
    assert replaying.touches[-1][1:3] == ("ai", "up")
    assert replaying.playback.fingers == 0


def test_empty_recording_is_over_at_once():
    replaying = Replaying(session_of())
    assert replaying.playback.starts_alone
    replaying.playback.advance(0.0)
    assert replaying.ended == 1


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"temperature": "hot"}, "line 2: temperature = 'hot'; allowed: a number from 0 to 10"),
        ({"brightness": 1}, "line 2: there is no control 'brightness'"),
        ({"model": "b"}, "line 2: model cannot be 'b'"),
        ({"model": {}}, "line 2: model cannot be {}"),
        ({"seed": 1.5}, "line 2: seed = 1.5; allowed"),
        ({"mode": 3}, "line 2: mode = 3; allowed: one of call-response"),
    ],
)
def test_control_that_is_not_allowed_is_reported_with_its_line(values, message):
    with pytest.raises(ValueError, match=message):
        settings_of(session_of(SetEvent(0.0, values)))
    with pytest.raises(ValueError, match="line 1: threshold = None; allowed"):
        settings_of(session_of(threshold=None))


def test_dt_that_is_too_long_for_32_bits_is_shortened():
    replaying = Replaying(
        session_of(touch(0.0, "down", dt=1e300), touch(0.1, "move", "ai", 1e38))
    )
    replaying.playback.advance(1.0)
    assert all(dt <= 1e9 for *_, dt in replaying.touches)


def test_settings_are_those_of_the_header_or_the_defaults():
    assert settings_of(session_of(mode="duet", response=2, follow=0.25, memory=1)) == Settings(
        mode="duet", response=2, timescale=2.0, follow=0.25, memory=1
    )


def test_recording_older_than_follow_and_memory_is_played_without_them():
    settings = settings_of(session_of())
    assert (settings.follow, settings.memory) == (0.0, 0.0)
