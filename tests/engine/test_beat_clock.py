"""Clock of an engine: its sources, and what jam, monitors, status and recording get of it."""

import json
from functools import partial

import pytest
from support.engine import DrivenEngine
from support.players import RandomPlayer

from robojam.beats import Beats
from robojam.sessions.playback import Playback
from robojam.sessions.session import SetEvent

MONITOR = ("127.0.0.1", 4001)


@pytest.fixture
def driven(tmp_path):
    def make(**options):
        engine = DrivenEngine(tmp_path, RandomPlayer(), **options)
        engine.send("/robojam/subscribe", "i", MONITOR[1])
        engine.take()
        return engine

    return make


def clock(engine):
    return engine.status()["clock"]


def beats(engine):
    """Return the beats that the monitor got, each with its time."""
    got = [m for m in engine.take() if m.name == "beat" and m.to == MONITOR]
    return [(m.at, *m.args) for m in got]


def touch(engine):
    engine.send("/robojam/down", "iff", 0, 0.5, 0.5)
    engine.send("/robojam/up", "i", 0)


def recorded(engine, name="beats"):
    """Return the recorded values of a control, each with its time."""
    events = engine.end().events
    return [
        (e.t, e.values[name]) for e in events if isinstance(e, SetEvent) and name in e.values
    ]


def test_clock_is_off_until_asked_for_and_nothing_is_opened(driven):
    d = driven()
    d.wait(5.0)
    assert clock(d)["source"] == "off"
    assert clock(d)["tempo"] is clock(d)["beat"] is clock(d)["beats_per_bar"] is None
    assert beats(d) == []
    assert d.clocks.opened == {}
    touch(d)
    d.wait(1.0)
    assert recorded(d) == []


def test_internal_clock_sends_every_beat_at_its_instant(driven):
    d = driven(clock="internal", tempo=96.0)
    began = d.now
    d.wait(6.26)
    got = beats(d)
    assert [number for _, number, _, _ in got] == list(range(11))
    for at, number, tempo, per_bar in got:
        assert at == pytest.approx(began + number * 60 / 96, abs=1e-6)
        assert (tempo, per_bar) == (96.0, 4)
    assert clock(d) == {
        "source": "internal", "tempo": 96.0, "beat": pytest.approx(10.016, abs=1e-4),
        "beats_per_bar": 4, "peers": 0, "playing": True, "port": None, "problem": None,
        "out": None,
    }  # fmt: skip


def test_beat_of_the_status_is_that_of_its_answer_also_from_another_machine(driven):
    d = driven(clock="internal", tempo=120.0, osc_in="0.0.0.0:5005")
    far = ("10.0.0.7", 4000)
    answers = []
    for _ in range(3):  # less than the time for which a status is kept
        d.request("status", "", sender=far)
        answers += [m for m in d.take() if m.name == "status" and m.to == far]
        d.wait(0.02)
    found = [json.loads(m.args[0])["clock"]["beat"] for m in answers]
    assert found == [pytest.approx(n * 0.04, abs=1e-4) for n in range(3)]


def test_tempo_changes_and_no_beat_is_lost(driven):
    d = driven(clock="internal", tempo=120.0)
    d.wait(1.25)  # beat 2.5
    d.send("/robojam/tempo", "f", 60.0)
    assert clock(d)["beat"] == pytest.approx(2.5, abs=1e-4)
    d.wait(0.5)
    assert clock(d) | {"tempo": 60.0, "beat": pytest.approx(3.0, abs=1e-4)} == clock(d)
    assert [number for _, number, _, _ in beats(d)] == [0, 1, 2, 3]


def test_tempo_or_tap_starts_the_internal_clock(driven):
    d = driven()
    d.send("/robojam/tempo", "f", 90.0)
    assert clock(d)["source"] == "internal"
    assert clock(d)["tempo"] == 90.0
    d = driven()
    for _ in range(4):
        d.send("/robojam/tap")
        d.wait(0.6)
    assert clock(d)["source"] == "internal"
    assert clock(d)["tempo"] == pytest.approx(100.0)
    assert clock(d)["beat"] == pytest.approx(4.0, abs=1e-3)  # the first tap was beat 0
    assert d.status()["tempo"] == pytest.approx(100.0)


def test_tempo_that_is_in_force_already_starts_no_clock(driven):
    d = driven()
    d.send("/robojam/tempo", "f", 120.0)
    assert clock(d)["source"] == "off"


def test_taps_set_tempo_and_phase_of_a_clock_that_runs(driven):
    d = driven(clock="internal", tempo=120.0)
    d.wait(2.1)
    for _ in range(3):
        d.send("/robojam/tap")
        d.wait(0.5)
    assert clock(d)["tempo"] == pytest.approx(120.0)
    assert clock(d)["beat"] % 1 == pytest.approx(0.0, abs=1e-3)


def test_downbeat_begins_a_bar_now(driven):
    d = driven(clock="internal", tempo=120.0)
    d.wait(1.3)  # beat 2.6: the nearest bar is the next one
    d.send("/robojam/downbeat")
    assert clock(d)["beat"] == pytest.approx(4.0, abs=1e-4)


def test_take_records_the_beats_at_its_beginning_and_where_they_depart(driven):
    d = driven(clock="internal", tempo=120.0)
    d.wait(1.0)
    touch(d)
    d.wait(1.0)
    d.send("/robojam/tempo", "f", 121.0)
    d.wait(3.0)
    (first, at_first), (second, at_second) = recorded(d)
    assert first == 0.0
    found = Beats.parse(at_first, 0.0)
    assert (found.beat, found.tempo, found.beats_per_bar) == (pytest.approx(2.0), 120.0, 4)
    assert second == pytest.approx(1.0)
    found = Beats.parse(at_second, 0.0)
    assert (found.beat, found.tempo) == (pytest.approx(4.0), 121.0)


def test_clock_that_is_turned_off_is_recorded_as_no_beats(driven):
    d = driven(clock="internal")
    touch(d)
    d.wait(1.0)
    d.send("/robojam/clock", "s", "off")
    d.wait(1.0)
    assert clock(d)["beat"] is None
    assert recorded(d)[-1][1] == ""


def test_beats_of_another_clock_are_followed_and_said_at_most_twenty_times_a_second(driven):
    d = driven(clock="midi:Drum")
    source = d.clocks.opened["midi:Drum"]
    touch(d)
    for n in range(200):
        source.say(beats=Beats(d.now, 0.02 * n + n % 3 * 0.01, 120.0), aligned=True)
        d.wait(0.01)
    found = recorded(d)
    assert 20 <= len(found) <= 41


def test_jam_goes_on_at_the_last_tempo_when_the_clock_stops_and_it_is_said_once(driven, caplog):
    d = driven(clock="midi:Drum")
    source = d.clocks.opened["midi:Drum"]
    source.say(beats=Beats(d.now, 0.0, 100.0))
    d.wait(0.1)
    for _ in range(5):
        source.say(problem="stopped")
        d.wait(0.6)
    assert clock(d)["tempo"] == 100.0
    assert clock(d)["beat"] == pytest.approx(3.1 * 100 / 60, abs=1e-3)
    assert clock(d)["problem"] == "stopped"
    assert sum("sends no more" in record.message for record in caplog.records) == 1


def test_tempo_of_a_clock_that_is_followed_is_refused_with_the_reason(driven):
    d = driven(clock="midi:Drum")
    for name, tags, args in (("tempo", "f", (99.0,)), ("tap", "", ())):
        d.send(f"/robojam/{name}", tags, *args)
    assert d.status()["dropped"] == {"follows another clock": 2}
    assert d.status()["tempo"] == 120.0


def test_tempo_is_proposed_to_a_session_of_link_and_peers_are_in_the_status(driven):
    d = driven(clock="link")
    link = d.clocks.opened["link"]
    link.say(beats=Beats(d.now, 7.0, 110.0), peers=2, aligned=True)
    d.send("/robojam/tempo", "f", 99.0)
    assert [request.tempo for request in link.asked] == [99.0]
    d.wait(0.01)
    assert clock(d)["tempo"] == 110.0  # until the session has it
    assert clock(d)["peers"] == 2


def test_downbeat_moves_our_bar_by_whole_beats_of_a_clock_that_is_followed(driven):
    d = driven(clock="link")
    d.clocks.opened["link"].say(beats=Beats(d.now, 0.0, 120.0), aligned=True)
    d.wait(0.55)  # beat 1.1
    d.send("/robojam/downbeat")
    d.wait(0.05)
    assert clock(d)["beat"] % 4 == pytest.approx(0.2, abs=1e-3)


def test_clock_that_cannot_be_used_is_refused_and_the_present_one_goes_on(driven):
    d = driven(clock="internal")
    d.clocks.refused = "Ableton Link needs aalink, which is not installed: pip install x"
    d.send("/robojam/clock", "s", "link")
    assert d.status()["dropped"] == {"no such clock": 1}
    assert clock(d)["source"] == "internal"
    d.wait(1.0)
    assert clock(d)["beat"] == pytest.approx(2.0, abs=1e-3)


def test_change_of_the_clock_keeps_the_beats_until_the_new_one_has_some(driven):
    d = driven(clock="internal", tempo=100.0)
    d.wait(3.0)
    d.send("/robojam/clock", "s", "link")
    link = d.clocks.opened["link"]
    d.wait(3.0)
    assert clock(d)["beat"] == pytest.approx(10.0, abs=1e-3)
    link.say(beats=Beats(d.now, 2.0, 130.0))
    d.wait(0.1)
    assert clock(d)["tempo"] == 130.0
    d.send("/robojam/clock", "s", "internal")
    assert link.closed
    assert clock(d)["tempo"] == 130.0
    assert d.status()["tempo"] == 130.0  # that of the control, too


def test_clock_goes_out_from_the_same_beats(driven):
    d = driven(clock="midi:Drum", clock_out="Synth")
    source, out = d.clocks.opened["midi:Drum"], d.clocks.opened["Synth"]
    said = Beats(d.now, 0.5, 120.0)
    source.say(beats=said, aligned=True)
    d.wait(0.01)
    assert (out.asked[-1].beats, out.asked[-1].playing) == (said, True)
    source.say(playing=False)
    d.wait(0.01)
    assert (out.asked[-1].beats, out.asked[-1].playing) == (said, False)
    d.send("/robojam/clock_out", "s", "none")
    assert out.closed
    assert clock(d)["out"] is None


def test_programs_of_clocks_end_with_the_engine(driven):
    d = driven(clock="link", clock_out="Synth")
    d.engine.finish("SIGTERM")
    assert all(port.closed for port in d.clocks.opened.values())


def test_beats_are_early_by_the_longest_latency_and_are_heard_in_time(tmp_path):
    d = DrivenEngine(
        tmp_path, RandomPlayer(), clock="internal", osc_out=("127.0.0.1:9000?latency=40",)
    )
    d.send("/robojam/subscribe", "i", MONITOR[1])
    began = d.now
    d.wait(1.0)
    touch(d)
    assert d.engine.live.beats.beat_at(d.now) == pytest.approx((1.0 + 0.04) * 2, abs=1e-6)
    d.wait(0.9)
    found = [at for at, *_ in beats(d)]
    assert found == [pytest.approx(began + n / 2, abs=1e-6) for n in range(4)]
    assert clock(d)["beat"] == pytest.approx(3.8, abs=1e-3)


def test_beat_that_moves_back_a_little_is_not_sent_twice(driven):
    d = driven(clock="midi:Drum")
    source = d.clocks.opened["midi:Drum"]
    source.say(beats=Beats(d.now, 0.0, 120.0))
    d.wait(0.505)
    source.say(beats=Beats(d.now, 0.99, 120.0))
    d.wait(1.0)
    assert [number for _, number, _, _ in beats(d)] == [0, 1, 2]


def replaying(folder, session, speed):
    """Return an engine that replays a recording."""
    d = DrivenEngine(folder / "replay", RandomPlayer())
    d.send("/robojam/subscribe", "i", MONITOR[1])
    live = d.engine.live
    live._make_jam = partial(Playback, session, speed=speed, on_end=lambda: None)
    live.renew()
    d.engine.begin_if_alone()
    return d


@pytest.mark.parametrize("speed", [1.0, 2.0])
def test_replay_sends_the_recorded_beats_and_holds_them_while_it_is_paused(
    tmp_path, driven, speed
):
    d = driven(clock="internal", tempo=90.0)
    d.wait(0.5)
    touch(d)  # at beat 0.75
    d.wait(4.0)
    touch(d)
    d = replaying(tmp_path, d.end(), speed)
    began = d.now
    d.wait(1.0)
    d.send("/robojam/pause", "i", 1)
    d.wait(5.0)
    d.send("/robojam/pause", "i", 0)
    d.wait(1.0)
    per_beat = 60 / 90 / speed
    at = [began + (n - 0.75) * per_beat for n in range(1, 9)]
    at = [t if t < began + 1.0 else t + 5.0 for t in at]
    found = [t for t, *_ in beats(d)]
    assert found == [pytest.approx(t, abs=1e-6) for t in at[: len(found)]]
    assert len(found) == (3 if speed == 1.0 else 6)
