"""Load: voices rest where time is missing, and come back."""

from __future__ import annotations

from itertools import pairwise

from robojam.engine.load import Load


class Machine:
    """Machine that can play `capacity` voices in time; more miss time in proportion."""

    def __init__(self, capacity: float, voices: int) -> None:
        self.load, self.capacity, self.voices, self.now = Load(), capacity, voices, 0.0
        self.changes: list[tuple[float, int]] = []

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        while self.now < end:
            self.now += 0.1
            playing = self.voices - self.load.resting
            self.load.miss(max(0.0, 0.1 * (1 - self.capacity / playing)))
            if self.load.advance(self.now, self.voices):
                self.changes.append((self.now, self.load.resting))


def test_all_voices_play_where_there_is_time():
    machine = Machine(capacity=64, voices=64)
    machine.run(60)
    assert machine.changes == []


def test_ten_times_too_much_is_thinned_within_some_seconds_to_what_fits():
    machine = Machine(capacity=100, voices=1000)
    machine.run(5)
    assert 50 <= machine.voices - machine.load.resting <= 115


def test_a_single_delay_rests_nobody():
    load = Load()
    load.advance(0.0, 64)
    load.miss(0.4)
    assert not load.advance(0.5, 64)
    assert not load.advance(1.0, 64)
    assert load.resting == 0


def test_voices_rest_at_once_where_several_acts_in_a_row_took_too_long():
    load = Load()
    load.advance(0.0, 256)
    for touch in range(4):
        load.miss(0.018)
        assert load.advance(0.03 * (touch + 1), 256) == (touch == 3)
    assert load.resting > 128


def test_a_single_act_that_was_held_up_for_long_rests_nobody():
    load = Load()
    load.advance(0.0, 256)
    load.miss(0.2)
    load.miss(0.01)
    assert not load.advance(0.2, 256)


def test_one_voice_always_plays():
    machine = Machine(capacity=0.01, voices=16)
    machine.run(30)
    assert machine.load.resting == 15
    assert not Machine(capacity=0.01, voices=1).load.resting


def test_voices_come_back_when_there_is_time_again():
    machine = Machine(capacity=10, voices=64)
    machine.run(3)
    machine.capacity = 64
    machine.run(120)
    assert machine.load.resting == 0


def test_tries_become_rarer_where_there_is_never_time():
    machine = Machine(capacity=40, voices=64)
    machine.run(1200)
    rests = [resting for _, resting in machine.changes]
    tries = sum(after < before for before, after in pairwise(rests))
    assert tries < 20
    assert machine.voices - machine.load.resting <= 45


def test_fewer_voices_have_fewer_that_rest():
    machine = Machine(capacity=1, voices=64)
    machine.run(10)
    machine.load.clear(4)
    assert machine.load.resting == 3


def test_plans_have_no_room_once_some_time_is_missing_and_while_voices_rest():
    load = Load()
    load.miss(0.005)
    assert load.has_room
    load.miss(0.02)
    assert not load.has_room
    for n in range(4):
        load.advance(0.5 * n, 4)
    assert load.has_room
    load.resting = 1
    assert not load.has_room
