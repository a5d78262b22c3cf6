"""Ableton Link, with other programs in its sessions.

The items of Link's own test plan (TEST-PLAN.md of github.com/Ableton/link) that a program can
check are tests here, and say which they are. AUDIOENGINE-1 is measured by benchmarks/clocks.py.
"""

import select
import subprocess
import time

import pytest
from support.engine import PATIENCE, serving
from support.jack import missing as missing_jack
from support.jack import running
from support.link import LinkHut, link_peer, missing, own_network, until

from robojam.beats import Beats
from robojam.clock.messages import ClockRequest
from robojam.ports.clock_port import ClockPorts

pytestmark = [
    pytest.mark.peer,
    pytest.mark.skipif(missing() is not None, reason=str(missing())),
]
#: Seconds within which two programs of a session agree.
AGREE = 0.001


@pytest.fixture(autouse=True)
def _network():
    with own_network():
        yield


class Joined:
    """robojam's part in a session: the port of the engine, and what it says."""

    def __init__(self, tempo=120.0, beats=None):
        self.port = ClockPorts().open("link", tempo, beats, lambda: None)

    def until(self, condition):
        """Wait until a condition on the report holds; return the report."""
        end = time.monotonic() + PATIENCE
        while not (self.port.report.beats is not None and condition(self.port.report)):
            assert time.monotonic() < end, self.port.report
            self.port.advance(time.perf_counter())
            select.select(self.port.filenos(), [], [], 0.05)
            self.port.receive()
        return self.port.report

    def settle(self, peer, beats=8):
        """Wait for eight beats of a session."""
        first = peer.beats.beat_at(time.perf_counter())
        self.until(lambda report: report.beats.beat_at(time.perf_counter()) > first + beats)


@pytest.fixture
def join():
    made = []

    def joining(*args, **kwargs):
        made.append(Joined(*args, **kwargs))
        return made[-1]

    yield joining
    for joined in made:
        joined.port.close()


def request(tempo):
    return ClockRequest(tempo=tempo)


def in_tempo(status, tempo):
    """Return whether a status has a tempo; Link counts whole microseconds of a beat."""
    return status["clock"]["tempo"] == pytest.approx(tempo, rel=1e-4)


def apart(one: Beats, other: Beats) -> float:
    """Return by how many seconds two clocks' places in the bar differ now."""
    now = time.perf_counter()
    beats = (one.beat_at(now) - other.beat_at(now) + 2) % 4 - 2
    return abs(beats) * 60 / other.tempo


def agree(joined, peer):
    """Check that tempo and phase are those of a peer, within a millisecond."""
    # A look at the session may have been interrupted on a busy machine: the next is right.
    until(lambda: not joined.until(lambda _: True) or measure(joined, peer) < AGREE, "in phase")
    assert joined.port.report.beats.tempo == pytest.approx(peer.beats.tempo, rel=1e-4)


def measure(joined, peer):
    select.select(joined.port.filenos(), [], [], 0.05)
    joined.port.receive()
    return apart(joined.port.report.beats, peer.beats)


def test_tempo_and_phase_agree_after_eight_beats(join):
    with link_peer(97.3) as peer:
        joined = join(120.0)
        joined.until(lambda report: report.peers == 1)
        joined.settle(peer)
        agree(joined, peer)


def test_tempo_1_tempo_changes_go_both_ways_and_both_stay_in_time(join):
    with link_peer(120) as peer:
        joined = join(120.0)
        joined.until(lambda report: report.peers == 1)
        joined.port.ask(request(tempo=88.0), again=False)
        until(lambda: peer.beats.tempo == pytest.approx(88.0, rel=1e-4), "our tempo")
        joined.until(lambda report: report.beats.tempo == pytest.approx(88.0, rel=1e-4))
        agree(joined, peer)
        peer.do("tempo", 133)
        joined.until(lambda report: report.beats.tempo == pytest.approx(133.0, rel=1e-4))
        agree(joined, peer)


def test_tempo_2_joining_does_not_change_the_tempo_of_a_session(join):
    with link_peer(130) as peer:
        joined = join(100.0)
        joined.until(lambda report: report.peers == 1)
        joined.until(lambda report: report.beats.tempo == pytest.approx(130.0, rel=1e-4))
        assert peer.beats.tempo == pytest.approx(130.0, rel=1e-4)
        agree(joined, peer)


@pytest.mark.parametrize("tempo", [20, 999])
def test_tempo_4_any_tempo_of_link_is_followed(join, tempo):
    with link_peer(120) as peer:
        joined = join()
        joined.until(lambda report: report.peers == 1)
        peer.do("tempo", tempo)
        joined.until(lambda report: report.beats.tempo == pytest.approx(tempo, rel=1e-4))
        agree(joined, peer)


def test_tempo_5_and_beattime_1_beats_go_on_where_there_is_no_session_to_join(join):
    ours = Beats(time.perf_counter() - 20, 0.0, 96.0)
    joined = join(120.0, ours)
    report = joined.until(lambda _: True)
    assert report.peers == 0
    assert report.beats.tempo == pytest.approx(96.0, rel=1e-6)
    until(lambda: apart(joined.until(lambda _: True).beats, ours) < AGREE, "no jump")
    assert report.beats.beat_at(report.beats.t) == pytest.approx(
        ours.beat_at(report.beats.t), abs=0.01
    )


def test_beattime_2_beats_go_on_when_another_program_joins(join):
    joined = join(104.0)
    before = joined.until(lambda _: True).beats
    with link_peer(120) as peer:
        joined.until(lambda report: report.peers == 1)
        until(lambda: peer.beats.tempo == pytest.approx(104, rel=1e-4), "it joins ours")
        after = joined.until(lambda _: True).beats
        now = time.perf_counter()
        assert after.beat_at(now) == pytest.approx(before.beat_at(now), abs=0.005)
        agree(joined, peer)


def test_programs_join_and_leave_while_it_plays(join):
    joined = join(111.0)
    joined.until(lambda _: True)
    with link_peer(120), link_peer(120) as second:
        joined.until(lambda report: report.peers == 2)
        second.do("enabled", 0)
        joined.until(lambda report: report.peers == 1)
        second.do("enabled", 1)
        joined.until(lambda report: report.peers == 2)
    joined.until(lambda report: report.peers == 0)  # killed, without a word
    assert joined.port.report.beats.tempo == pytest.approx(111.0, rel=1e-4)


def test_start_and_stop_of_a_session_are_followed(join):
    with link_peer(120) as peer:
        joined = join()
        joined.until(lambda report: report.peers == 1)
        assert joined.port.report.playing is None  # where nobody uses them
        peer.do("playing", 1)
        joined.until(lambda report: report.playing is True)
        peer.do("playing", 0)
        joined.until(lambda report: report.playing is False)
        peer.do("playing", 1)
        joined.until(lambda report: report.playing is True)


def test_link_without_a_network_plays_alone(join):
    subprocess.run(["ip", "link", "set", "lo", "multicast", "off"], check=True)
    subprocess.run(["ip", "route", "flush", "all"], check=False)
    joined = join(96.0)
    report = joined.until(lambda _: True)
    assert (report.peers, report.problem) == (0, "")
    assert report.beats.tempo == pytest.approx(96.0)


def test_program_of_link_that_is_killed_comes_back_into_the_session(join):
    with link_peer(97) as peer:
        joined = join()
        joined.until(lambda report: report.peers == 1)
        joined.port._client._process.kill()
        until(lambda: peer.state[1] == 0, "gone")
        joined.until(lambda _: joined.port._client.restarts == 1)
        until(lambda: joined.until(lambda _: True) and peer.state[1] == 1, "back")
        until(lambda: measure(joined, peer) < AGREE, "in phase")


def test_engine_follows_a_session_and_a_new_take_does_not_change_its_tempo(tmp_path):
    """TEMPO-3, too: a new document is a new take."""
    with (
        link_peer(130) as peer,
        serving(tmp_path, "--clock", "link", "--tempo", "90") as engine,
    ):
        out = engine.out
        out.send("/robojam/subscribe", "i", out.port)
        status = out.ask(lambda s: s["clock"]["peers"] == 1 and in_tempo(s, 130))
        assert status["clock"]["source"] == "link"
        out.send("/robojam/record", "i", 1)
        out.send("/robojam/tempo", "f", 101.0)  # proposes
        until(lambda: peer.beats.tempo == pytest.approx(101.0, rel=1e-4), "our tempo")
        out.ask(lambda s: in_tempo(s, 101))
        out.until(lambda: sum(m.name == "beat" for m in out.received) > 4)
        assert engine.end() == 0
        until(lambda: peer.state[1] == 0, "it has left")


@pytest.mark.skipif(
    (missing("LinkHut") or missing_jack()) is not None,
    reason=str(missing("LinkHut") or missing_jack()),
)
def test_link_hut_of_ableton_and_robojam_follow_each_other(join, monkeypatch):
    with running(monkeypatch):
        hut = LinkHut()
        try:
            until(lambda: hut.state, "it shows its state")
            hut.press("a")
            joined = join(99.0)
            joined.until(lambda report: report.peers == 1)
            until(lambda: hut.state[0] == 1, "it sees us")
            assert joined.port.report.beats.tempo == pytest.approx(120.0)  # TEMPO-2
            hut.press("eee")
            joined.until(lambda report: report.beats.tempo == pytest.approx(123.0, rel=1e-4))
            joined.port.ask(request(tempo=88.0), again=False)
            until(lambda: hut.state[1] == pytest.approx(88.0), "our tempo")
        finally:
            hut.close()
