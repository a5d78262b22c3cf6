"""Room of a web server: who is who, what pages are shown, and what the engine is told."""

from __future__ import annotations

import colorsys
import json
from typing import Any

from robojam.controls import Settings
from robojam.touch import Phase
from robojam.web import limits
from robojam.web.protocol import Frame, Hello, HostRequest, parse
from robojam.web.room import Room, Visitor
from robojam.window.view.theme import DARK

PHONE, OTHER = "192.168.0.7", "192.168.0.8"


class Jam:
    """Room at an instant of its own, with what it has told the engine."""

    def __init__(self) -> None:
        self.now = 0.0
        self.items: list[list[Any]] = []
        self.room = Room(self.items.extend, control=False, clock=lambda: self.now)

    def enter(self, host: str = PHONE, key: str = "", *, view: bool = False) -> Visitor:
        hello, new_key = Hello("", view, key), f"key {len(self.room)} {self.now}"
        return self.room.enter(host, hello, new_key=new_key, now=self.now)

    def play(self, visitor: Visitor, *events: Any) -> None:
        frames = parse(json.dumps(["t", 1000 * self.now, events]))
        assert isinstance(frames, list)
        self.room.play(visitor, frames, self.now)

    def told(self) -> list[list[Any]]:
        items = list(self.items)
        self.items.clear()
        return items

    def hear(self, *message: Any) -> list[Any]:
        return [json.loads(text) for text in self.room.hear(list(message))]


def hue(red: float, green: float, blue: float) -> float:
    return colorsys.rgb_to_hls(red, green, blue)[0]


def test_colours_of_players_differ_from_each_other_and_are_none_of_the_machines():
    jam = Jam()
    colours = [jam.enter().color for _ in range(60)]
    assert len(set(colours)) == 60
    machine = [hue(*(part / 255 for part in colour)) for colour in DARK.machines]
    for colour in colours:
        own = hue(*(int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)))
        assert min(abs((own - other + 0.5) % 1 - 0.5) for other in machine) > 0.08, colour


def test_who_leaves_has_its_fingers_lifted_and_the_engine_is_told_thrice():
    jam = Jam()
    phone = jam.enter()
    jam.play(phone, ["d", 7, 0.5, 0.5])
    jam.told()
    jam.room.leave(phone)
    assert jam.told() == [["t", f"web:{PHONE}/1", [["u", 7]]]]
    for _ in range(3):
        jam.room.report()
        assert jam.told() == [["g", f"web:{PHONE}/1"]]
    jam.room.report()
    assert jam.told() == []


def test_who_comes_back_in_time_is_the_same_and_is_not_lifted_for_having_left():
    jam = Jam()
    phone = jam.enter()
    jam.play(phone, ["d", 7, 0.5, 0.5])
    jam.room.leave(phone)
    jam.now += limits.RETURNS_WITHIN - 1
    again = jam.enter(key=phone.key)
    assert (again.id, again.source, again.color) == (phone.id, phone.source, phone.color)
    jam.play(again, ["d", 7, 0.5, 0.5])
    jam.told()
    jam.room.report()
    assert jam.told() == [["i", phone.source], ["a", phone.source, [7]]]
    again.muted = True
    jam.room.leave(again)
    again = jam.enter(key=phone.key)
    assert again.muted
    jam.room.leave(again)
    jam.now += limits.RETURNS_WITHIN + 1
    assert jam.enter(key=phone.key).id != phone.id


def test_muted_player_is_lifted_and_its_touches_are_counted_as_dropped():
    jam = Jam()
    host, phone = jam.enter("127.0.0.1"), jam.enter()
    jam.play(phone, ["d", 1, 0.5, 0.5])
    jam.told()
    jam.room.host(host, HostRequest("mute", phone.id, True), jam.now)
    assert jam.told() == [["t", phone.source, [["u", 1]]]]
    jam.play(phone, ["d", 1, 0.5, 0.5])
    assert jam.told() == []
    jam.room.report()
    assert ["d", phone.source, "muted", 1] in jam.told()


def test_only_a_host_mutes_removes_and_locks():
    jam = Jam()
    phone, other = jam.enter(), jam.enter(OTHER)
    for act in ("mute", "remove", "lock"):
        assert jam.room.host(phone, HostRequest(act, other.id, True), jam.now) is None
    assert not (other.muted)
    assert not (jam.room.locked)
    assert not (jam.room.refusal(OTHER, jam.now))


def test_removed_host_and_locked_door_keep_others_out_and_not_this_machine():
    jam = Jam()
    host, phone = jam.enter("127.0.0.1"), jam.enter()
    removed = jam.room.host(host, HostRequest("remove", phone.id, True), jam.now)
    assert removed is phone
    assert jam.room.refusal(PHONE, jam.now) == "you were removed"
    assert not jam.room.refusal(OTHER, jam.now)
    jam.now += limits.REMOVED_FOR + 1
    assert not jam.room.refusal(PHONE, jam.now)
    jam.room.host(host, HostRequest("lock", "", True), jam.now)
    assert jam.room.refusal(OTHER, jam.now) == "the door is locked"
    assert not jam.room.refusal("127.0.0.1", jam.now)


def test_room_and_each_network_have_a_bound():
    jam = Jam()
    for number in range(limits.MAX_OF_A_HOST):
        assert not jam.room.refusal(f"2001:db8::{number:x}", jam.now)
        jam.enter(f"2001:db8::{number:x}")
    assert jam.room.refusal("2001:db8::ffff", jam.now)
    for number in range(limits.MAX_SOCKETS - limits.MAX_OF_A_HOST):
        jam.enter(f"10.0.{number // 250}.{number % 250}")
    assert jam.room.refusal("10.9.9.9", jam.now) == "the room is full"


def test_fingers_of_one_page_have_a_bound_and_ups_are_always_passed_on():
    jam = Jam()
    phone = jam.enter()
    for number in range(70):
        jam.play(phone, ["d", number, 0.5, 0.5])
    assert len(phone.fingers) == 64
    jam.told()
    jam.play(phone, ["u", 69], ["u", 1])
    assert jam.told() == [["t", phone.source, [["u", 69], ["u", 1]]]]


def test_touches_of_all_pages_of_one_host_have_a_bound_and_lifts_have_none():
    jam = Jam()
    pages = [jam.enter() for _ in range(4)]
    frame = [Frame(0.0, [(Phase.MOVE, 1, 0.5, 0.5, None)] * 100, [])]
    for _ in range(10):
        for each in pages:
            jam.room.play(each, frame, jam.now)
    passed = sum(len(item[2]) for item in jam.told() if item[0] == "t")
    assert passed == 2 * limits.TOUCHES[1]
    jam.play(pages[0], ["u", 1], ["m", 2, 0.5, 0.5])
    assert jam.told() == [["t", pages[0].source, [["u", 1]]]]


def test_picture_has_the_last_move_of_each_finger_and_nobodys_own():
    jam = Jam()
    phone, viewer = jam.enter(), jam.enter(view=True)
    jam.hear("who", {phone.source: "human3"})
    events = [["human3", "d", 1, 0.1, 0.5], ["ai", "m", 0, 0.2, 0.5]]
    events += [["human3", "m", 1, x / 10, 0.5] for x in range(5)]
    events += [["human3", "u", 1, 0.4, 0.5], ["human3", "d", 1, 0.7, 0.5]]
    jam.hear("f", [[*event, 0.016] for event in events])
    of = jam.room.picture()
    assert json.loads(of(phone)) == ["f", [["ai", "m", 0, 0.2, 0.5]]]
    assert json.loads(of(viewer)) == [
        "f",
        [
            [phone.id, "d", 1, 0.1, 0.5], ["ai", "m", 0, 0.2, 0.5],
            [phone.id, "m", 1, 0.4, 0.5], [phone.id, "u", 1, 0.4, 0.5],
            [phone.id, "d", 1, 0.7, 0.5],
        ],
    ]  # fmt: skip
    assert not jam.room.has_picture


def test_pages_are_told_what_has_changed_and_nothing_else():
    jam = Jam()
    settings = {name: getattr(Settings(), name) for name in Settings.__slots__}
    first = jam.hear("state", "human", settings, 1)
    assert first[0][0] == "state"
    assert first[0][1]["mode"] == "call-response"
    assert jam.hear("state", "human", settings, 1) == []
    assert jam.hear("state", "ai", settings, 1) == [["turn", "machine"]]
    assert jam.hear("state", "ai", settings | {"pause": 1, "mode": "duet"}, 1) == [
        ["state", {"mode": "duet", "paused": True}],
        ["turn", "both"],
    ]


def test_flood_is_told_from_a_bunch():
    visitor = Jam().enter()
    delays = [visitor.delay(0.0, 1000, 100), visitor.delay(0.0, 200, 100)]
    assert delays[0] == 0.0
    assert not any(visitor.is_flood(0.0, delay) for delay in delays)
    floods = [visitor.is_flood(now, visitor.delay(now, 2000, 100)) for now in range(10)]
    assert floods[0] is False
    assert floods[-1] is True
    assert not visitor.is_flood(60.0, visitor.delay(60.0, 1, 100))


def test_beat_of_the_clock_is_passed_on_to_all_pages_at_once():
    jam = Jam()
    assert jam.hear("beat", 3, 4, 96.123456) == [["beat", 3, 4, 96.12]]
