"""Senders: who plays, which fingers are down, and packets that are lost, doubled or late."""

from __future__ import annotations

import contextlib
import logging
import random
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from support.engine import DrivenEngine
from support.players import ScriptedPlayer, land

from robojam.controls import RefusedError
from robojam.engine import senders as senders_module
from robojam.engine.senders import (
    FORGET_AFTER,
    MAX_OF_A_HOST,
    MAX_OF_A_NETWORK,
    MAX_PLAYERS,
    RESERVED,
    SILENCE,
    SILENCE_BESIDE_OTHERS,
    Sender,
    Senders,
)
from robojam.music import instrument_of, range_of
from robojam.sessions.regenerate import first_difference, regenerate
from robojam.touch import MAX_FINGERS, Phase
from robojam.wire.native import Control, Finger, PhaselessTouch, PitchedFinger

DOWN, MOVE, UP = Phase.DOWN, Phase.MOVE, Phase.UP
HERE, PHONE, TABLET = "127.0.0.1", "10.0.0.1", "10.0.0.2"


@pytest.fixture
def left() -> list[str]:
    return []


@pytest.fixture
def senders(left: list[str]) -> Senders:
    return Senders(
        is_here=lambda host: host == HERE, on_leave=lambda s, _: left.append(s.source)
    )


def names(senders: Senders, now: float = 0.0) -> dict[object, object]:
    return {player["source"]: player["name"] for player in senders.status(now)}


def down(
    senders: Senders, sender: Sender, finger: int, now: float, x: float = 0.5, **more: int
) -> list[int]:
    return senders.take(sender, Finger(DOWN, finger, x, 0.5), now, **more)


def move(
    senders: Senders, sender: Sender, finger: int, now: float, x: float = 0.5, **more: int
) -> list[int]:
    return senders.take(sender, Finger(MOVE, finger, x, 0.5), now, **more)


@pytest.mark.parametrize("source", ["midi:Desk", "tuio:10.0.0.1/a"])
def test_touch_that_a_device_or_a_tracker_repeats_at_once_is_heard(senders, source):
    sender = senders.admit(source, 0.0)
    down(senders, sender, 1, 0.0)
    move(senders, sender, 1, 0.001, 0.6)
    move(senders, sender, 1, 0.002, 0.6)  # it did not come twice: these packets are not lost
    phone = senders.admit(PHONE, 0.0)
    move(senders, phone, 1, 0.001)
    with pytest.raises(RefusedError, match="doubled"):
        move(senders, phone, 1, 0.002)


def test_finger_that_lands_soon_after_its_own_lift_may_be_held_still(senders):
    sender = senders.admit(PHONE, 0.0)
    down(senders, sender, 1, 0.0)
    assert sender.take_up(1, 1.0)
    down(senders, sender, 1, 1.02)
    assert senders.expire(1.02 + SILENCE - 0.1)[0] == []
    assert senders.expire(1.02 + SILENCE + 0.1)[0] == [("human", 1)]


def test_name_that_was_left_first_is_used_again_first(senders, monkeypatch):
    monkeypatch.setattr(senders_module, "_MAX_NAMES", 3)
    for number, host in enumerate(("10.0.0.1", "10.0.0.2", "10.0.0.3")):
        senders.admit(host, float(number))
    senders.admit("10.0.0.1", 300.0)
    for now in (FORGET_AFTER + 10, FORGET_AFTER + 310):  # human leaves last
        senders.expire(now)
    assert len(senders) == 0
    now = FORGET_AFTER + 311
    newcomers = [senders.admit(f"10.0.1.{i}", now).name for i in range(3)]
    assert newcomers == ["human2", "human3", "human"]


# -- players ---------------------------------------------------------------------------------


def test_newcomer_takes_the_place_of_the_one_without_a_finger_who_is_silent_longest(
    senders, left
):
    places = MAX_PLAYERS - RESERVED
    for i in range(places):
        sender = senders.admit(f"10.0.0.{i}", float(i))
        if i in (0, 1):
            down(senders, sender, 0, float(i))
    senders.admit("10.0.1.1", 100.0)
    senders.admit("10.0.1.2", 101.0)
    assert left == ["10.0.0.2", "10.0.0.3"]  # the first two hold a finger down
    assert len(senders) == places
    for i in range(4, places):
        down(senders, senders.admit(f"10.0.0.{i}", 200.0 + i), 0, 200.0 + i)
    for i in (1, 2):
        down(senders, senders.admit(f"10.0.1.{i}", 300.0), 0, 300.0)
    senders.admit("10.0.1.3", 301.0)
    assert left[2:] == ["10.0.0.0"]  # everybody holds one: the one silent longest


def test_other_hosts_leave_places_to_this_machine_and_to_midi(senders, left):
    for i in range(200):
        senders.admit(f"10.0.{i // 100}.{i % 100}", float(i))
    assert len(senders) == MAX_PLAYERS - RESERVED
    left.clear()
    local = [HERE, *(f"midi:{i}" for i in range(RESERVED - 1))]
    for source in local:
        senders.admit(source, 300.0)
    assert left == []
    for i in range(100):
        senders.admit(f"10.0.2.{i}", 301.0 + i)
    assert set(local) <= set(names(senders))
    assert len(senders) == MAX_PLAYERS


def test_one_host_takes_a_few_places_however_many_tuio_sources_it_names(senders, left):
    senders.admit(TABLET, 0.0)
    for i in range(100):
        senders.admit(f"tuio:{PHONE}/{i}", float(i))
    assert len(senders) == 1 + MAX_OF_A_HOST
    assert TABLET not in left
    assert f"tuio:{PHONE}/99" in names(senders)


def test_neighbour_with_a_network_of_ipv6_leaves_places_and_names_to_others(senders, left):
    senders.begin_take(0.0)
    gone = senders.admit(PHONE, 0.0)
    gone.own["instrument"] = "keys"
    senders.admit(TABLET, 100.0)
    senders.expire(FORGET_AFTER + 1.0)
    assert left == [PHONE]
    for i in range(3000):
        senders.admit(f"2001:db8::{i:x}", 650.0 + i / 9)
    assert len(senders) == 1 + MAX_OF_A_NETWORK
    assert TABLET not in left
    left.clear()
    others = [f"10.0.1.{i}" for i in range(MAX_PLAYERS - RESERVED - 2 - MAX_OF_A_NETWORK)]
    for other in others:
        senders.admit(other, 1100.0)
    returned = senders.admit(PHONE, 1100.0)
    assert left == []
    assert (returned.name, returned.own) == (gone.name, {"instrument": "keys"})


def test_phones_of_a_room_that_play_by_ipv6_have_a_place_each(senders, left):
    for i in range(MAX_OF_A_NETWORK):
        senders.admit(f"fd00::{i:x}", float(i))
    assert (len(senders), left) == (MAX_OF_A_NETWORK, [])


def test_player_who_is_silent_for_ten_minutes_without_a_finger_is_forgotten(senders, left):
    senders.admit(PHONE, 0.0)
    holding = senders.admit("midi:a", 0.0)
    senders.take(holding, PitchedFinger(DOWN, 60, 60.0, 0.5), 0.0)
    now = 0.0
    while now < FORGET_AFTER:
        assert left == []
        _, wait = senders.expire(now)
        now += wait
    senders.expire(now)
    assert left == [PHONE]
    assert now < FORGET_AFTER + 1
    holding.take_up(60, now)
    _, wait = senders.expire(now + 2)
    assert left == [PHONE, "midi:a"]


def test_name_is_not_given_to_another_in_a_take_and_a_returning_host_has_its_own(senders):
    assert senders.admit(PHONE, 0.0).name == "human"
    assert senders.admit(TABLET, 0.0).name == "human2"
    senders.expire(FORGET_AFTER)
    assert len(senders) == 0
    assert senders.admit("10.0.0.3", 700.0).name == "human3"
    assert senders.admit(TABLET, 700.0).name == "human2"
    senders.begin_take(800.0)
    assert senders.admit("10.0.0.4", 800.0).name == "human"  # nobody of this take has it
    assert senders.admit(PHONE, 800.0).name == "human4"
    assert senders.admit("10.0.0.5", 800.0).name == "human5"


def test_once_all_names_are_used_the_oldest_is_used_again(senders):
    for i in range(9999):
        senders.admit(f"10.{i // 10000}.{i // 100 % 100}.{i % 100}", i / 10)
    assert "human9999" in names(senders).values()
    assert senders.admit("11.0.0.1", 2000.0).name == "human"
    assert senders.admit("11.0.0.2", 2000.0).name == "human2"
    for i in range(9999):
        assert senders.admit(f"12.0.{i // 100}.{i % 100}", 3000.0 + i).name != "human0"
    present = list(names(senders).values())
    assert len(set(present)) == len(present)


def test_name_of_a_source_is_escaped_in_the_log(senders, caplog):
    with caplog.at_level(logging.INFO, "robojam"):
        senders.admit("tuio:10.0.0.1/\x1b[2J\n", 0.0)
    assert "\x1b" not in caplog.text
    assert "human joined, from 'tuio:10.0.0.1/\\x1b[2J\\n'" in caplog.text


# -- fingers ---------------------------------------------------------------------------------


def test_finger_without_news_is_lifted_within_ten_seconds(senders):
    phone = senders.admit(PHONE, 0.0)
    down(senders, phone, 3, 0.0)
    move(senders, phone, 3, 2.0, 0.6)
    assert senders.expire(2.0 + SILENCE - 0.1)[0] == []
    assert senders.expire(2.0 + SILENCE)[0] == [("human", 3)]
    assert SILENCE < 10
    assert phone.take_up(3, 20.0) is False  # its lift comes late, and is no fault
    assert phone.take_up(3, 21.0) is True  # of a finger that is not down


def test_finger_without_news_is_lifted_sooner_while_another_of_its_sender_moves(senders):
    phone, tablet = senders.admit(PHONE, 0.0), senders.admit(TABLET, 0.0)
    down(senders, phone, 1, 0.0)
    down(senders, tablet, 1, 0.0)
    down(senders, phone, 2, 0.1)
    now = 0.1
    while now + 0.1 < SILENCE_BESIDE_OTHERS:
        now += 0.1
        assert move(senders, phone, 2, now, now / 10) == []  # one finger is held still
    assert move(senders, phone, 2, SILENCE_BESIDE_OTHERS) == [1]
    assert tablet.count_fingers(SILENCE_BESIDE_OTHERS) == 1
    assert move(senders, phone, 1, 6.0) == []  # it lands again
    assert phone.count_fingers(6.0) == 2


def test_chord_that_is_held_still_is_not_lifted_before_ten_seconds(senders):
    phone = senders.admit(PHONE, 0.0)
    for i in range(5):
        down(senders, phone, i, i / 10)
    assert senders.expire(9.0)[0] == []
    assert phone.count_fingers(9.0) == 5


@pytest.mark.parametrize("source", ["midi:Seaboard", "tuio:10.0.0.1/table"])
def test_finger_of_a_connection_that_loses_nothing_is_held_for_minutes(senders, source):
    player = senders.admit(source, 0.0)
    down(senders, player, 1, 0.0)
    down(senders, player, 2, 0.0)
    for minute in range(1, 30):
        assert move(senders, player, 2, 60.0 * minute) == []
        assert senders.expire(60.0 * minute)[0] == []
    assert player.count_fingers(1800.0) == 2


def test_each_player_has_its_own_limit_of_fingers_and_the_oldest_is_lifted(senders):
    phone, tablet = senders.admit(PHONE, 0.0), senders.admit(TABLET, 0.0)
    for finger in range(MAX_FINGERS):
        assert down(senders, phone, finger, finger / 100) == []
    move(senders, phone, 0, 0.7, 0.6)
    assert down(senders, phone, 1000, 0.8) == [1]  # 0 has moved since
    assert down(senders, tablet, 1000, 0.8) == []
    assert senders.take(phone, PhaselessTouch(0.5, 0.5), 0.9) == []  # of finger 0
    assert senders.take(phone, PhaselessTouch(0.5, 0.5, id=2000), 0.9) == [2]
    assert phone.count_fingers(0.9) == MAX_FINGERS


def test_finger_without_phases_is_down_until_it_lifts_by_itself(senders):
    phone = senders.admit(PHONE, 0.0)
    senders.take(phone, PhaselessTouch(0.5, 0.5), 0.0)
    assert phone.count_fingers(0.14) == 1
    assert phone.count_fingers(0.15) == 0
    senders.take(phone, PhaselessTouch(0.5, 0.5), 1.0)
    assert phone.take_up(0, 1.1) is True


def test_landing_without_phases_that_its_first_move_has_overtaken_is_late(senders):
    phone, move_ = senders.admit(PHONE, 0.0), PhaselessTouch(0.51, 0.5, 0.016)
    near, far = PhaselessTouch(0.5, 0.5, 0.4), PhaselessTouch(0.9, 0.5, 0.4)
    senders.take(phone, move_, 1.0)  # heard as a landing
    with pytest.raises(RefusedError, match="late"):
        senders.take(phone, near, 1.02)
    assert senders.take(phone, near, 1.04) == []  # too late for a late packet
    senders.take(phone, move_, 2.0)
    assert senders.take(phone, far, 2.02) == []
    assert senders.take(phone, near, 2.025) == []  # no move came before it


def test_report_of_the_fingers_that_are_down_lifts_the_others_and_renews_those(senders):
    phone = senders.admit(PHONE, 0.0)
    for finger, port in ((1, 4000), (2, 4000), (3, 5000)):
        down(senders, phone, finger, 0.0, port=port)
    assert phone.take_alive([1, 2], 1.0, 4000) == []
    assert phone.take_alive([2, 7], 2.0, 4000) == [1]  # 3 is another program's
    assert phone.take_alive([2], 9.0, 4000) == []
    assert senders.expire(9.6)[0] == [("human", 3)]
    assert phone.take_alive([], 9.7, 4000) == [2]
    assert phone.count_fingers(9.7) == 0
    assert phone.take_up(2, 9.8) is False


def test_report_that_came_late_does_not_lift_a_finger_that_has_just_landed(senders):
    phone = senders.admit(PHONE, 0.0)
    down(senders, phone, 1, 1.0, port=4000)
    assert phone.take_alive([], 1.02, 4000) == []
    assert phone.take_alive([], 1.04, 4000) == [1]


# -- packets that are doubled or late --------------------------------------------------------


@pytest.mark.parametrize(
    "touch",
    [Finger(DOWN, 1, 0.5, 0.5), Finger(MOVE, 1, 0.5, 0.5), PhaselessTouch(0.5, 0.5)],
)
def test_same_touch_within_5_ms_is_one(senders, touch):
    phone, tablet = senders.admit(PHONE, 0.0), senders.admit(TABLET, 0.0)
    senders.take(phone, touch, 1.0)
    senders.take(tablet, touch, 1.001)  # another player's
    with pytest.raises(RefusedError, match="doubled"):
        senders.take(phone, touch, 1.0049)
    senders.take(phone, touch, 1.0051)


def test_doubled_stroke_is_one_stroke(senders):
    """Two network cards send each packet: the second is two milliseconds behind."""
    phone = senders.admit(PHONE, 0.0)
    stroke = [(0.0, DOWN, 0.1), (0.001, MOVE, 0.11), (0.009, MOVE, 0.12), (0.017, UP, 0.0)]
    packets = sorted([(t + late, *rest) for t, *rest in stroke for late in (0.0, 0.002)])
    played, doubled = [], 0
    for t, phase, x in packets:
        try:
            if phase is UP:
                phone.take_up(1, t)
            else:
                senders.take(phone, Finger(phase, 1, x, 0.5), t)
            played.append(phase)
        except RefusedError as refused:
            assert refused.reason == "doubled"
            doubled += 1
    assert played == [DOWN, MOVE, MOVE, UP]
    assert doubled == 4


def test_same_control_that_acts_at_once_is_one_within_5_ms(senders):
    senders.take_act(PHONE, Control("answer", 1), 0.0)
    senders.take_act(PHONE, Control("back", 2.0), 0.0)
    senders.take_act(TABLET, Control("answer", 1), 0.0)
    with pytest.raises(RefusedError, match="doubled"):
        senders.take_act(PHONE, Control("answer", 1), 0.004)
    senders.take_act(PHONE, Control("answer", 1), 0.006)
    senders.take_act("midi:pedal", Control("answer", 1), 1.0)
    senders.take_act("midi:pedal", Control("answer", 1), 1.0)


def test_move_that_comes_after_its_lift_is_no_landing(senders):
    phone = senders.admit(PHONE, 0.0)
    down(senders, phone, 1, 0.0, 0.5)
    phone.take_up(1, 0.1)
    with pytest.raises(RefusedError, match="late"):
        move(senders, phone, 1, 0.12, 0.55)
    assert move(senders, phone, 1, 0.12, 0.75) == []  # far away: a landing was lost
    phone.take_up(1, 0.2)
    assert move(senders, phone, 1, 0.24, 0.75) == []  # too late for a late packet
    assert phone.count_fingers(0.24) == 1


def test_down_that_comes_after_its_first_move_is_no_second_landing(senders):
    phone = senders.admit(PHONE, 0.0)
    move(senders, phone, 1, 0.0, 0.51)
    with pytest.raises(RefusedError, match="late"):
        down(senders, phone, 1, 0.01, 0.5)
    move(senders, phone, 1, 0.02, 0.52)
    assert down(senders, phone, 1, 0.04, 0.5) == []  # it lands again


def test_tap_whose_lift_came_first_is_lifted_soon_unless_it_moves(senders):
    phone = senders.admit(PHONE, 0.0)
    for finger in (1, 2):
        assert phone.take_up(finger, 0.0) is True
        down(senders, phone, finger, 0.01)
    move(senders, phone, 2, 0.1, 0.51)
    now, lifted = 0.1, []
    while now < 1.0:
        fingers, wait = senders.expire(now)
        lifted += fingers
        now += wait
    assert lifted == [("human", 1)]
    assert phone.count_fingers(1.0) == 1


def test_what_a_network_can_fill_is_bounded(senders):
    for i in range(2000):
        flood = senders.admit(f"10.0.{i // 100}.{i % 100}", i / 5)
        senders.take_act(f"10.1.{i // 100}.{i % 100}", Control("seed", i), i / 5)
    for i in range(2000):
        flood.take_up(-i, 400.0)
        down(senders, flood, i, 400.0)
        senders.take(flood, PhaselessTouch(i / 2000, 0.5, id=5000 + i), 400.0)
    sizes = {
        name: len(table)
        for owner in (senders, flood)
        for name in getattr(owner, "__slots__", None) or vars(owner)
        if hasattr(table := getattr(owner, name), "__len__")
    }
    assert {"_past", "_lifts", "fingers", "_present"} <= set(sizes)
    assert max(size for name, size in sizes.items() if name != "_names") <= 256
    assert sizes["_names"] == 2000  # up to 9999


def test_newcomers_who_come_too_fast_do_not_take_the_places_of_who_plays(senders):
    visitors = [f"10.0.0.{i}" for i in range(MAX_PLAYERS - RESERVED)]
    for visitor in visitors:
        senders.admit(visitor, 0.0)
    refused = 0
    for i in range(15_000):  # senders that are forged, in one second
        now = 1 + i / 15_000
        if i % 250 == 0:  # 60 touches a second
            player = senders.admit("10.0.0.0", now)
            assert player.name == "human"
        try:
            senders.admit(f"10.1.{i // 250}.{i % 250}", now)
        except RefusedError as error:
            refused += 1
            assert error.reason == "too many players"
    assert refused > 14_900
    assert sum(senders.get(visitor) is not None for visitor in visitors) >= 12
    assert senders.admit("127.0.0.1", 2.0)  # this machine has a place


def test_musician_keeps_the_place_in_a_rest_while_thousands_of_newcomers_land(senders):
    for i in range(61):
        senders.admit(PHONE, i / 10)  # plays for 6 s
    for i in range(2000):
        now = 6.0 + i / 100
        with contextlib.suppress(RefusedError):
            down(senders, senders.admit(f"10.1.{i // 250}.{i % 250}", now), 0, now)
        assert (senders.get(PHONE) is not None) is (now < 26.0)
    for i in range(2000, 3000):
        with contextlib.suppress(RefusedError):
            senders.admit(f"10.1.{i // 250}.{i % 250}", 6.0 + i / 100)
    assert senders.get(PHONE) is None


def test_places_of_who_has_gone_are_the_first_that_newcomers_get(senders):
    # A page on this machine that was closed may not keep a phone out.
    for i in range(MAX_PLAYERS - 12):
        senders.admit(f"web:{HERE}/{i}", 0.0).is_gone = True
    phones = [f"10.0.0.{i}" for i in range(12)]
    for phone in phones:
        down(senders, senders.admit(phone, 50.0), 1, 50.0)
    for i in range(40):  # at once, which is more than those who push out others may be
        assert senders.admit(f"10.0.1.{i}", 50.0).source == f"10.0.1.{i}"
    assert all(senders.get(phone) is not None for phone in phones)
    assert sum(senders.get(f"web:{HERE}/{i}") is not None for i in range(MAX_PLAYERS)) == 12


def test_sender_who_comes_back_has_its_place_as_before(senders):
    gone = senders.admit(PHONE, 0.0)
    gone.is_gone = True
    assert senders.admit(PHONE, 1.0) is gone
    for i in range(100):
        senders.admit(HERE if i == 99 else f"tuio:{HERE}/{i}", 1.0)
    assert not gone.is_gone
    assert senders.get(PHONE) is None  # the one who has been silent longest


# -- in an engine ----------------------------------------------------------------------------


@pytest.fixture
def driven(tmp_path):
    made = []

    def make(**options) -> DrivenEngine:
        player = ScriptedPlayer(land(0.1))
        made.append(DrivenEngine(tmp_path / str(len(made)), player, **options))
        return made[-1]

    yield make
    for engine in made:
        engine.engine.finish("the end of the test")


def test_each_packet_sent_twice_is_heard_once(driven):
    d = driven(mode="listen")
    for i in range(40):
        for _ in range(2):
            if i % 20 == 19:
                d.send("/robojam/up", "i", 1)
            else:
                d.send(f"/robojam/{'move' if i % 20 else 'down'}", "iff", 1, i / 40, 0.5)
            d.wait(0.001)
        d.wait(0.02)
    for _ in range(2):
        d.send("/touch", "ff", 0.5, 0.5)
        d.send("/robojam/store", "s", "A")
        d.send("/robojam/record", "i", 0)
        d.send("/robojam/audition/down", "sifff", "ai", 0, 0.5, 0.5, 0.1)
    status = d.status()
    assert status["heard"] == 39
    assert status["dropped"] == {"doubled": 40 + 4}
    phases = [str(e.touch.phase) for e in d.end().touches()]
    assert phases == [*["down", *["move"] * 18, "up"] * 2, "down"]


def test_three_hundred_strokes_with_lost_lifts_leave_no_finger_down(driven):
    d = driven(mode="listen")
    for stroke in range(300):
        d.send("/robojam/down", "iff", stroke, 0.5, stroke / 300)
        d.wait(0.05)
        if stroke % 50 != 49:
            d.send("/robojam/up", "i", stroke)
        d.wait(0.15)
    assert d.status()["fingers"] <= 2
    assert d.status()["dropped"] == {}
    d.wait(10.0)
    assert d.status()["fingers"] == 0
    session = d.end()
    assert len([e for e in session.touches() if e.touch.phase is DOWN]) == 300
    assert len([e for e in session.touches() if e.touch.phase is UP]) == 300
    made = tuple(regenerate(session, ScriptedPlayer(land(0.1)), lambda _: d.loaded.player))
    assert first_difference(session, made) is None


def test_report_of_fingers_in_an_engine_is_no_touch(driven):
    d = driven(mode="call-response", threshold=0.5)
    d.send("/robojam/alive", "ii", 1, 2)  # of a host that does not play
    assert d.status()["players"] == []
    d.send("/robojam/down", "iff", 1, 0.5, 0.5)
    d.send("/robojam/down", "iff", 2, 0.6, 0.5)
    d.wait(0.4)
    d.send("/robojam/alive", "ii", 1, 2)
    d.wait(0.2)
    assert d.status()["turn"] == "ai"  # it was no touch
    for _ in range(30):
        d.wait(1.0)
        d.send("/robojam/alive", "f", 1.0)
    assert d.status()["players"][0]["fingers"] == 1
    d.send("/robojam/alive")
    assert d.status()["players"][0]["fingers"] == 0
    assert d.status()["heard"] == 2
    d.send("/robojam/alive", "s", "one")
    d.send("/robojam/alive", "f", 0.5)
    assert d.status()["dropped"] == {"wrong arguments": 2}


def test_panic_and_a_new_recording_lift_all_fingers(driven):
    d = driven(mode="listen")
    for act in (("/robojam/panic",), ("/robojam/record", "i", 1)):
        d.send("/robojam/down", "iff", 1, 0.5, 0.5)
        d.send(*act)
        assert d.status()["players"][0]["fingers"] == d.status()["fingers"] == 0
        d.send("/robojam/up", "i", 1)  # of the finger that is still on the surface
        d.wait(0.1)
    assert d.status()["dropped"] == {}


def test_player_who_leaves_is_lifted_first_and_its_own_instrument_goes_and_returns(driven):
    d = driven(mode="listen")
    for phone in range(MAX_PLAYERS - RESERVED):
        d.send("/robojam/down", "iff", 0, 0.5, 0.5, sender=(f"10.0.0.{phone}", 1))
        d.wait(0.01)
    d.send("/robojam/instrument", "s", "chirp", sender=("10.0.0.1", 1))
    assert "human2=chirp" in d.status()["instrument"]
    d.wait(0.01)
    for phone in range(MAX_PLAYERS - RESERVED):
        if phone != 1:
            d.send("/robojam/move", "iff", 0, 0.6, 0.5, sender=(f"10.0.0.{phone}", 1))
    d.send("/touch", "ff", 0.5, 0.5, sender=("10.0.1.1", 1))
    assert "human2" not in d.status()["instrument"]
    d.send("/touch", "ff", 0.5, 0.5, sender=("10.0.0.1", 1))  # it returns
    assert "human2=chirp" in d.status()["instrument"]
    mine = [str(e.touch.phase) for e in d.end().touches("human2")]
    assert mine == ["down", "up", "down", "up"]


def test_instrument_alone_is_the_sender_s_own_whether_it_has_played_or_not(driven):
    d = driven(mode="listen")
    first, second, third = ((f"10.0.0.{i}", 1) for i in (1, 2, 3))
    d.send("/touch", "ff", 0.5, 0.5, sender=first)
    d.send("/robojam/instrument", "s", "keys", sender=second)  # has not played
    d.send("/inst", "s", "drums", sender=third)  # as MicroJam sends it
    d.send("/robojam/instrument", "s", "chirp", sender=first)
    d.send("/robojam/instrument", "s", "banjo", sender=("10.0.0.4", 1))
    d.wait(1.0)
    d.send("/touch", "ff", 0.5, 0.5, sender=second)
    status = d.status()
    assert [p["source"] for p in status["players"]] == ["10.0.0.1", "10.0.0.2", "10.0.0.3"]
    chosen = [
        instrument_of(who, status["instrument"])
        for who in ("human", "human2", "human3", "human4", "ai")
    ]
    assert chosen == ["chirp", "keys", "drums", "strings", "keys"]
    d.send("/robojam/instrument", "s", "human=keys")  # all who have no own one, and the first
    text = d.status()["instrument"]
    assert [instrument_of(f"human{i}", text) for i in ("", 2, 3, 4)] == [
        "keys", "keys", "drums", "keys",
    ]  # fmt: skip
    assert range_of("human2", status["range"]).low == 36
    assert status["dropped"] == {"unknown instrument": 1}


# -- a network that loses, doubles and reorders ----------------------------------------------


@dataclass
class Packet:
    """Packet of a sender: sent at t, of a touch or a lift (x is None)."""

    t: float
    host: str
    finger: int
    x: float | None
    lands: bool = False
    arrivals: list[float] = field(default_factory=list)


def performance(rng: random.Random, *, hosts: int, strokes: int) -> list[Packet]:
    """Return the packets of players with three fingers each, in the order of sending."""
    packets = []
    for host in range(hosts):
        for finger in range(3):
            t = rng.uniform(0, 1)
            for _ in range(strokes):
                x, drift = rng.random(), rng.uniform(-0.02, 0.02)
                moves = rng.randrange(0, 12)
                for i in range(moves + 1):
                    packets.append(Packet(t, f"10.0.0.{host}", finger, x, lands=i == 0))
                    x = min(1.0, max(0.0, x + drift + rng.uniform(-0.001, 0.001)))
                    t += rng.uniform(0.008, 0.03)
                packets.append(Packet(t, f"10.0.0.{host}", finger, None))
                t += rng.uniform(0.06, 0.8)
    return sorted(packets, key=lambda p: p.t)


def transport(rng: random.Random, packets: list[Packet]) -> list[tuple[float, Packet]]:
    """Lose 2 %, double 2 % and reorder 2 % of the packets; return what arrives, in order."""
    waiting: dict[str, Packet] = {}
    for packet in packets:
        draw = rng.random()
        if held := waiting.pop(packet.host, None):  # until the next packet, 20 ms at most
            held.arrivals.append(min(packet.t + 1e-6, held.t + 0.02))
        if draw < 0.02:
            continue
        if draw < 0.04 and held is None:
            waiting[packet.host] = packet
            continue
        packet.arrivals.append(packet.t)
        if draw > 0.98:
            packet.arrivals.append(packet.t + 0.001)
    for packet in waiting.values():
        packet.arrivals.append(packet.t + 0.02)
    return sorted(((t, p) for p in packets for t in p.arrivals), key=lambda item: item[0])


def check(packets: list[Packet], heard: list[tuple[float, str, int, Phase]]) -> None:
    """Check that each stroke was heard as a landing: with its down, or with its next move.

    heard are the instants, players' hosts, fingers and phases of the touches that were heard.
    """
    by_finger: dict[tuple[str, int], list[Packet]] = {}
    for packet in packets:
        by_finger.setdefault((packet.host, packet.finger), []).append(packet)
    landed: dict[tuple[str, int], list[float]] = {}
    for t, host, finger, phase in heard:
        assert (host, finger) in by_finger
        if phase is DOWN:
            landed.setdefault((host, finger), []).append(t)
    for key, sent in by_finger.items():
        starts = [i for i, p in enumerate(sent) if p.lands]
        for first, last in pairwise([*starts, len(sent)]):
            stroke = [p for p in sent[first:last] if p.x is not None and p.arrivals]
            if not stroke:
                continue  # all of it was lost
            if first and not sent[first].arrivals:
                landing, lift = sent[starts[starts.index(first) - 1]], sent[first - 1]
                if not lift.arrivals or lift.arrivals[0] <= min(landing.arrivals, default=0.0):
                    continue  # so is the lift before it: nothing tells it from a slide
            arrival = min(min(p.arrivals) for p in stroke[:2])
            assert any(abs(t - arrival) < 1e-4 for t in landed[key]), (key, stroke)


@pytest.mark.parametrize("seed", range(24))
def test_every_landing_is_heard_over_a_network_that_loses_doubles_and_reorders(seed):
    rng = random.Random(seed)
    packets = performance(rng, hosts=1 + seed % 6, strokes=12)
    senders = Senders(is_here=lambda host: False)
    heard: list[tuple[float, str, int, Phase]] = []
    hosts_of: dict[str, str] = {}
    held: set[tuple[str, int]] = set()  # as the jam has them
    arrivals = transport(rng, packets)

    def lift(who: str, finger: int) -> None:
        assert (who, finger) in held
        held.remove((who, finger))

    def expire(now: float) -> None:
        for who, finger in senders.expire(now)[0]:
            lift(who, finger)

    for now, packet in arrivals:
        expire(now)
        sender = senders.admit(packet.host, now)
        assert hosts_of.setdefault(sender.name, packet.host) == packet.host
        key = sender.name, packet.finger
        try:
            if packet.x is None:
                if sender.take_up(packet.finger, now) and key in held:
                    held.remove(key)
                continue
            phase = DOWN if packet.lands else MOVE
            for finger in senders.take(sender, Finger(phase, packet.finger, packet.x), now):
                lift(sender.name, finger)
        except RefusedError as refused:
            assert refused.reason in ("doubled", "late")
            continue
        heard.append((now, packet.host, packet.finger, phase if key in held else DOWN))
        held.add(key)
        assert sorted(f for who, f in held if who == sender.name) == sorted(sender.fingers)
    check(packets, heard)
    end = arrivals[-1][0] + 10.0
    expire(end)
    assert not held
