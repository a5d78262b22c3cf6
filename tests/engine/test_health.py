"""Health of a show: who is told, when, and of what; and what is locked."""

import shutil

import pytest
from support.engine import DrivenEngine
from support.players import ScriptedPlayer, land
from support.recorder import wait_for

from robojam.engine.health import REPORTED
from robojam.engine.monitors import MONITOR_LIFE
from robojam.system.machine_watch import Battery, MachineReading

HOST, PHONE = ("127.0.0.1", 4100), ("10.0.0.7", 9000)


@pytest.fixture
def driven(tmp_path):
    made = []

    def make(**options) -> DrivenEngine:
        made.append(DrivenEngine(tmp_path / "sessions", ScriptedPlayer(land(0.1)), **options))
        return made[-1]

    yield make
    for engine in made:
        engine.engine.finish("the end of the test")


def with_machine(d, **reading):
    """Have the machine's last reading be this one."""
    if d.engine._machine is not None:
        d.engine._machine.close()
    d.engine._read_machine = None
    d.engine._health._machine = lambda: MachineReading(**reading)


def health_of(d, monitor=HOST):
    """Return the last health that a monitor got."""
    return [m.args for m in d.wire.sent if m.name == "health" and m.to == monitor][-1]


def test_show_that_is_well_tells_its_hosts_so_each_second(driven):
    d = driven(show=True)
    d.send("/robojam/subscribe", "i", HOST[1])
    d.take()
    d.wait(5.0)
    told = [m for m in d.take() if m.name == "health"]
    assert {m.args for m in told} == {("ok", "")}
    assert {m.to for m in told} == {HOST}
    assert 4 <= len(told) <= 6


def test_players_and_the_audience_are_told_nothing(driven):
    d = driven(show=True)
    d.request("subscribe", "i", PHONE[1], sender=PHONE)
    with_machine(d, battery=Battery(3.0, True))
    d.wait(3.0)
    d.send("/robojam/health", sender=PHONE)
    assert not [m for m in d.wire.sent if m.name == "health"]
    assert d.status()["dropped"] == {"not allowed": 1}
    assert "health" not in d.engine.status(here=False)


def test_host_beyond_this_machine_is_told(driven):
    d = driven(show=True, control=("10.0.0.7",))
    d.request("subscribe", "i", PHONE[1], sender=PHONE)
    d.wait(0.5)
    assert health_of(d, PHONE) == ("ok", "")


def test_change_is_told_before_the_next_second(driven):
    d = driven(show=True)
    d.send("/robojam/subscribe", "i", HOST[1])
    d.wait(2.01)
    d.take()
    with_machine(d, battery=Battery(19.6, True))
    d.wait(0.3)
    assert health_of(d) == ("warn", "the battery is at 20 %: plug it in")


@pytest.mark.parametrize(
    ("reading", "expected"),
    [
        ({"battery": Battery(10.0, True)}, ("bad", "the battery is at 10 %: plug it in")),
        ({"battery": Battery(10.0, False)}, ("ok", "")),
        ({"battery": Battery(21.0, True)}, ("ok", "")),
        ({"free": 499_000_000}, ("warn", "the disk is nearly full: 499 MB free")),
        ({"free": 49_000_000}, ("bad", "the disk is nearly full: 49 MB free")),
        ({"free": 500_000_000}, ("ok", "")),
        ({"is_stuck": True}, ("bad", "the disk of the recordings does not answer")),
    ],
)
def test_machine_in_trouble_is_told(driven, reading, expected):
    d = driven(show=True)
    with_machine(d, **reading)
    d.send("/robojam/health", sender=HOST)
    assert health_of(d) == expected
    d.send("/robojam/health", "s", "", sender=HOST)  # as with a cookie
    assert health_of(d) == expected
    state, text = expected
    assert d.status()["health"] == {"state": state, "problems": [text] if text else []}


def test_room_on_the_disk_does_not_matter_where_nothing_is_recorded(driven):
    d = driven(show=True, record=False)
    with_machine(d, free=1000)
    d.send("/robojam/health", sender=HOST)
    assert health_of(d) == ("ok", "")


def test_folder_in_which_nothing_can_be_recorded_is_told_and_the_worst_comes_first(driven):
    d = driven(show=True)
    with_machine(d, battery=Battery(15.0, True))
    d.folder.write_text("a file in the place of the folder")
    d.send("/robojam/down", "iff", 1, 0.5, 0.5)
    wait_for(lambda: d.engine._takes.failed is not None)
    d.send("/robojam/health", sender=HOST)
    state, text = health_of(d)
    assert state == "bad"
    assert text.startswith("recording: nothing can be written into ")
    assert text.endswith("; the battery is at 15 %: plug it in")


def test_output_that_is_gone_is_told(driven):
    d = driven(show=True)
    gone = {"address": "10.0.0.9:9000", "error": "the host does not answer"}
    d.wire.status = lambda: {"unsent": 0, "outputs": [gone]}
    d.send("/robojam/health", sender=HOST)
    assert health_of(d) == ("bad", "osc to 10.0.0.9:9000: the host does not answer")


def test_clock_that_is_lost_is_told(driven):
    d = driven(show=True, clock="midi:Drums")
    d.clocks.opened["midi:Drums"].trouble = "it does not run"
    d.clocks.opened["midi:Drums"].say(problem="no clock comes")
    d.send("/robojam/health", sender=HOST)
    state, text = health_of(d)
    assert state == "warn"
    assert text.startswith("clock: ")


def test_late_touches_are_told_for_a_while(driven):
    d = driven(show=True, mode="solo")
    d.wait(1.0, late=lambda: 0.05)
    d.send("/robojam/health", sender=HOST)
    assert health_of(d) == ("warn", "plays 50 ms late")
    d.wait(REPORTED + 1)
    d.send("/robojam/health", sender=HOST)
    assert health_of(d) == ("ok", "")


def test_engine_that_was_held_up_is_told(driven):
    d = driven(show=True, mode="solo")
    d.wait(1.0)
    d.wait(1.0, late=lambda: 0.8)
    d.send("/robojam/health", sender=HOST)
    assert "held up" in health_of(d)[1]


def test_error_that_nobody_foresaw_is_told(driven):
    d = driven(show=True)
    d.engine.failed(ZeroDivisionError("division by zero"))
    d.send("/robojam/health", sender=HOST)
    assert health_of(d) == ("bad", "an error that nobody foresaw; the log has it")


def test_health_is_answered_without_a_show_and_not_sent_by_itself(driven):
    d = driven()
    d.send("/robojam/subscribe", "i", HOST[1])
    d.wait(MONITOR_LIFE / 2)
    assert not [m for m in d.take() if m.name == "health"]
    d.send("/robojam/health", sender=HOST)
    assert health_of(d) == ("ok", "")


def test_health_that_comes_back_through_a_loop_is_dropped_as_an_echo(driven):
    d = driven(show=True)
    d.send("/robojam/health", "ss", "bad", "anything")
    assert d.status()["dropped"] == {"echo": 1}


def test_many_voices_do_not_keep_the_health_from_being_told(driven):
    d = driven(show=True, mode="solo", voices=64)
    d.send("/robojam/subscribe", "i", HOST[1])
    d.wait(5.0)
    assert len([m for m in d.take() if m.name == "health"]) >= 3


# -- what is locked --------------------------------------------------------------------------


@pytest.mark.parametrize("sender", [HOST, PHONE])
def test_controls_are_locked_in_a_show_for_hosts_too(driven, sender):
    d = driven(show=True, control=("10.0.0.7",))
    d.send("/robojam/mode", "s", "solo", sender=sender)
    d.send("/robojam/temperature", "f", 2.0, sender=sender)
    d.send("/robojam/answer", sender=sender)
    d.send("/robojam/record", "i", 0, sender=sender)
    status = d.status()
    assert status["dropped"] == {"locked": 4}
    assert status["refused"] == {"host": 4, "player": 0, "watcher": 0}
    assert (status["mode"], status["temperature"], status["turn"]) == (
        "call-response", 1.0, "human",
    )  # fmt: skip


def test_panic_and_what_is_allowed_are_not_locked(driven):
    d = driven(show=True, show_allow=("volume",))
    d.send("/robojam/volume", "f", 0.25)
    d.send("/robojam/panic")
    d.send("/robojam/pause", "i", 1)
    status = d.status()
    assert (status["volume"], status["dropped"]) == (0.25, {"locked": 1})
    assert status["unlocked"] == ["panic", "volume"]


def test_all_controls_can_be_allowed(driven):
    d = driven(show=True, show_allow=("all",))
    d.send("/robojam/mode", "s", "duet")
    status = d.status()
    assert (status["mode"], status["dropped"], status["unlocked"]) == ("duet", {}, None)


def test_player_s_own_instrument_is_locked_too(driven):
    d = driven(show=True)
    d.send("/robojam/down", "iff", 1, 0.5, 0.5, sender=PHONE)
    d.send("/robojam/instrument", "s", "drums", sender=PHONE)
    assert d.status()["dropped"] == {"locked": 1}


def test_preview_setup_and_learning_a_pad_are_locked(driven):
    d = driven(show=True, show_allow=("all", "pause"))
    assert d.status()["dropped"] == {}
    d = driven(show=True)
    d.send("/robojam/audition", "i", 1)
    d.send("/robojam/setup", "ss", "osc-out", "[]")
    d.send("/robojam/learn")
    assert d.status()["dropped"] == {"locked": 3}


def test_touches_play_in_a_show_as_ever(driven):
    d = driven(show=True)
    d.send("/robojam/down", "iff", 1, 0.5, 0.5)
    d.send("/robojam/up", "i", 1)
    d.wait(3.0)
    status = d.status()
    assert (status["heard"], status["dropped"]) == (1, {})
    assert status["played"] > 5


def test_refusal_says_how_to_allow_a_control(driven, caplog):
    d = driven(show=True)
    d.send("/robojam/mode", "s", "solo")
    assert "to let it: --show-allow mode" in caplog.text


def test_watch_of_the_machine_reads_the_disk_of_the_sessions(driven, tmp_path):
    d = driven(show=True)
    wait_for(lambda: d.engine._read_machine().free is not None)
    total = shutil.disk_usage(tmp_path).total
    assert 0 < d.engine._read_machine().free <= total
