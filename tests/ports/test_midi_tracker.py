"""Identity of MIDI ports in lists of names, as macOS, Windows and Linux give them."""

import pytest

from robojam.ports.midi_tracker import PortTracker


def listing(*names):
    return [(1, place, name) for place, name in enumerate(names)]


class OpenedPorts(PortTracker):
    """Tracker of ports that are all opened as they come."""

    def update(self, listing, opened=None):
        super().update(listing, self.ports if opened is None else opened)


def tracked(system, *names):
    tracker = OpenedPorts(system)
    tracker.update(listing(*names))
    return tracker, list(tracker.ports)


def test_port_on_windows_stays_when_another_is_unplugged_and_its_number_changes():
    tracker, (_, board) = tracked("win32", "Synth 0", "Board 1")
    tracker.update(listing("Board 0"))
    assert tracker.ports == [board]
    assert (board.place, board.name, board.uncertain) == (0, "Board 0", False)


@pytest.mark.parametrize("system", ["linux", "darwin"])
def test_ports_of_different_names_stay_in_any_order(system):
    tracker, (a, b, c) = tracked(system, "A", "B", "C")
    tracker.update(listing("C", "A"))
    assert tracker.ports == [c, a]
    assert [port.place for port in tracker.ports] == [0, 1]
    assert b not in tracker.ports


def test_second_device_of_a_name_is_another_port():
    tracker, (first,) = tracked("darwin", "Board")
    tracker.update(listing("Board", "Board"))
    assert tracker.ports[0] is first
    assert [port.place for port in tracker.ports] == [0, 1]


@pytest.mark.parametrize(
    ("system", "before", "after", "left"),
    [
        ("darwin", ["X", "A", "Y", "A"], ["X", "Y", "A"], 3),
        ("darwin", ["A", "Y", "A", "X"], ["A", "Y", "X"], 0),
        ("win32", ["A 0", "Y 1", "A 2"], ["Y 0", "A 1"], 2),
    ],
)
def test_neighbours_tell_which_of_two_of_a_name_has_gone(system, before, after, left):
    tracker, ports = tracked(system, *before)
    tracker.update(listing(*after))
    (port,) = [p for p in tracker.ports if p.name.startswith("A")]
    assert port is ports[left]
    assert not port.uncertain
    assert port.place == after.index(port.name)


def test_of_two_neighbours_of_a_name_none_is_given_up_until_one_is_heard():
    tracker, (first, second) = tracked("darwin", "A", "A")
    tracker.update(listing("A"))
    assert tracker.ports == [first, second]
    assert first.uncertain
    assert second.uncertain
    tracker.update(listing("A", "Z"))  # another comes meanwhile
    tracker.heard(second)
    assert first not in tracker.ports
    assert second in tracker.ports
    assert not second.uncertain


def test_uncertain_port_to_which_nothing_can_be_sent_has_gone():
    tracker, (first, second) = tracked("darwin", "A", "A")
    tracker.failed(first)  # a fault that passes, of a port that is there
    assert tracker.ports == [first, second]
    tracker.update(listing("A"))
    tracker.failed(first)
    assert tracker.ports == [second]
    assert not second.uncertain


def test_what_is_left_of_two_of_a_name_is_new_where_one_was_not_opened():
    tracker, (first, second) = tracked("darwin", "A", "A")
    tracker.update(listing("A"), opened=[first])
    (left,) = tracker.ports
    assert left not in (first, second)
    assert not left.uncertain


def test_return_of_one_of_two_uncertain_ports_makes_both_new():
    tracker, old = tracked("darwin", "A", "A")
    tracker.update(listing("A"))
    tracker.update(listing("A", "A"))
    assert len(tracker.ports) == 2
    assert not any(port in old or port.uncertain for port in tracker.ports)


def test_port_that_was_heard_stays_when_the_other_returns():
    tracker, (_, second) = tracked("darwin", "A", "A")
    tracker.update(listing("A"))
    tracker.heard(second)
    tracker.update(listing("A", "A"))
    assert second in tracker.ports
    assert len(tracker.ports) == 2
    tracker.update([])
    assert tracker.ports == []
