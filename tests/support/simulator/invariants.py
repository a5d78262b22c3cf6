"""Promises that every simulated run keeps; each function raises AssertionError where not."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import dropwhile, islice, pairwise
from pathlib import Path
from typing import Any, Final

import msgspec

from robojam.engine.monitors import MONITOR_LIFE
from robojam.engine.senders import DOUBLED
from robojam.jam.events import ControlChanged, TouchPlayed
from robojam.jam.protocols import Player
from robojam.sessions.last_lines import complete, write_unbegun
from robojam.sessions.regenerate import first_difference, regenerate
from robojam.sessions.session import (
    EndEvent,
    Session,
    SessionError,
    SessionEvent,
    SetEvent,
    TouchEvent,
    read,
)
from robojam.touch import Phase, is_machine
from robojam.web.protocol import LETTERS
from robojam.wire import native, osc
from support.fuzz.engine import LARGEST, largest_container
from support.simulator.disk import Disk, Take, fingers_down
from support.simulator.musicians import NEAR, Serial
from support.simulator.pads import SECRET
from support.simulator.process import Process, Published

#: Seconds by which a touch may be late: the system wakes the loop late, other things that are
#: due come first, and the clock is looked at.
MOST_LATE: Final = 0.005
#: Seconds before a kill from which on what was heard may be lost.
MOST_LOST: Final = 0.0001
#: The same of a recording that goes on from another one, which is completed in its place.
MOST_LOST_AT_FIRST: Final = 0.010
#: Packets that are read in one turn of the loop, and not handled yet where that is the last.
_BURST: Final = 128


def check_process(process: Process, disk: Disk, load: Callable[..., Player]) -> None:
    """Check one process that has ended, or was killed."""
    check_counts(process)
    check_fingers(process)
    check_deadlines(process)
    check_receivers(process)
    check_humans(process)
    check_keyboard(process)
    check_recordings(process, disk, load)


def check_counts(process: Process) -> None:
    """Nothing raised, and no table has grown beyond its bound."""
    assert "error" not in process.engine._counts.dropped
    if process.errors:
        raise process.errors[0]
    largest = largest_container(process.engine)
    assert largest <= LARGEST, f"a table has {largest} entries"


def check_fingers(process: Process) -> None:
    """Each finger lands, slides and lifts in this order; after the end none is down."""
    down = fingers_down(process.before)
    for event in process.tape.touches():
        touch = event.touch
        finger = touch.who, touch.id
        assert (finger in down) == (touch.phase is not Phase.DOWN), (
            f"{touch} at {event.t}: it was {'down' if finger in down else 'not down'}"
        )
        (down.discard if touch.phase is Phase.UP else down.add)(finger)
    if process.killed_at is None:
        assert not down, f"left down after the end: {down}"
        assert not process.output.down, "left down at the output"
        assert not process.monitor.down, "left down at the monitor"
        synthesiser = process.synthesiser
        if synthesiser is not None and synthesiser.is_there:
            assert not synthesiser.on, f"notes go on after the end: {synthesiser.on}"


def check_deadlines(process: Process) -> None:
    """No touch of the machine is played before it is due, nor late without a reason."""
    world, t = process.world, float("-inf")
    for each in process.machine_touches():
        late = each.now - each.at
        assert late > -1e-9, f"{-1000 * late:.3f} ms early: {each}"
        late -= world.stalled_between(each.at, each.now)
        assert late < MOST_LATE, f"{1000 * late:.3f} ms late: {each}"
    for each in process.tape.published:  # times of a take never go back
        if isinstance(each.event, TouchPlayed) and not is_machine(each.event.touch.who):
            assert each.at >= t or each.event.t == 0.0, f"{t - each.at} s back: {each}"
            t = max(t, each.at) if each.event.t else each.at


def check_receivers(process: Process) -> None:
    """Output and monitor got what was played: all of it, once, and in its order."""
    touches = process.tape.touches()
    packets = [native.encode_touch(each.touch, each.dt) for each in touches]
    begun = process.tape.published[: process.tape.opened]
    opened = sum(isinstance(each.event, TouchPlayed) for each in begun)
    at_output = [*_landing(touches[:opened]), *process.tape.lifts, *touches[opened:]]
    of_machine = [
        native.encode_touch(each.touch, each.dt)
        for each in at_output
        if is_machine(each.touch.who)
    ]
    was_killed = process.killed_at is not None
    _check_received(process.output.packets, of_machine, 1 if was_killed else 0)
    # A monitor that could not renew for too long has missed something.
    lapsed = any(
        process.world.stalled_between(end - MONITOR_LIFE, end) > MONITOR_LIFE / 2
        for _, end in process.world.stalls
    )
    if process.monitor.first is not None and not lapsed:
        rest = packets[process.monitor.first :]
        _check_received(process.monitor.packets, rest, len(rest) if was_killed else 0)


def _landing(touches: Sequence[TouchPlayed]) -> Iterator[TouchPlayed]:
    """Yield what a resumed engine plays as it begins: each finger lands first at its output."""
    landed: set[tuple[str, int]] = set()
    for each in touches:
        finger = each.touch.who, each.touch.id
        if each.touch.phase is Phase.MOVE and finger not in landed:
            landing = msgspec.structs.replace(each.touch, phase=Phase.DOWN)
            yield msgspec.structs.replace(each, touch=landing)
        else:
            yield each
        landed.add(finger)


def _check_received(received: list[bytes], sent: list[bytes], missing: int) -> None:
    """Check what was received; missing: how many of the last may be missing."""
    for number, (got, expected) in enumerate(zip(received, sent, strict=False)):
        assert got == expected, f"packet {number}: {osc.decode(got)} for {osc.decode(expected)}"
    assert len(received) <= len(sent), f"{len(received) - len(sent)} packets too many"
    assert len(received) >= len(sent) - missing, f"{len(sent) - len(received)} never came"


def check_humans(process: Process) -> None:
    """Each touch of a human that was read is played once, or its drop is counted."""
    received: Counter[int] = Counter()
    times: Counter[int] = Counter()  # that each may be played
    for packet, read_at in process.endpoint.sockets[0].received.items():
        if packet.startswith((b"/robojam/down\0", b"/robojam/move\0", b"/touch\0")):
            (message,), _ = osc.decode(packet)
            number = Serial.of(float(message.args[-2]))
            received[number] = len(read_at)
            # A copy that was read later, as after a stall, is another touch. The engine looks
            # at the clock after it has read.
            times[number] = 1 + sum(
                b - a >= 0.98 * DOUBLED or process.world.stalled_between(a, b + 1e-4) > 0.0
                for a, b in pairwise(read_at)
            )
    for number in _from_pages(process):
        received[number] += 1
        times[number] += 1
    for number, owed, count in _tracked(process):
        received[number] += owed
        times[number] += count
    played = Counter(
        Serial.of(each.event.touch.x)
        for each in process.tape.published
        if isinstance(each.event, TouchPlayed)
        and each.event.touch.who.startswith("human")
        and each.event.touch.phase is not Phase.UP
        and not each.of_keyboard
    )
    twice = [number for number, count in played.items() if count > max(1, times[number])]
    assert not twice, f"played twice: touches {twice[:5]}"
    strangers = played.keys() - times.keys()
    assert not strangers, f"played without being sent: {sorted(strangers)[:5]}"
    left = received.total() - sum(played[number] for number in +received)
    dropped = sum(process.engine._counts.dropped.values())
    waiting = process.engine.reception.waiting
    if process.killed_at is not None:
        waiting += _BURST
    lost = sorted(+received - played)
    assert left <= dropped + waiting, (
        f"{left} touches were neither played nor counted as dropped ({dropped}); not played "
        f"are {lost[:5]}"
    )


def check_keyboard(process: Process) -> None:
    """Each key that was read lands once, or its drop is counted."""
    keys = 0 if process.midi_client is None else process.midi_client.played
    landed = sum(
        each.of_keyboard
        and isinstance(each.event, TouchPlayed)
        and each.event.touch.phase is Phase.DOWN
        for each in process.tape.published
    )
    assert landed <= keys, f"{landed} keys have landed, and {keys} were played"
    dropped = sum(process.engine._counts.dropped.values())
    waiting = process.engine.reception.waiting + _BURST * (process.killed_at is not None)
    assert keys - landed <= dropped + waiting, (
        f"{keys - landed} of {keys} keys have neither landed, nor were they counted as dropped"
    )


def check_pads(process: Process, heard: Sequence[tuple[Any, ...]]) -> None:
    """Check that pages are shown what was played, in this order, and none of it twice."""
    played = iter(process.tape.touches())
    for who, letter, finger, x, y, dt in heard:
        shown = who, letter, finger, x, y, dt
        assert any(
            (e.touch.who, LETTERS[e.touch.phase], e.touch.id, e.touch.x, e.touch.y, e.dt)
            == shown
            for e in played
        ), f"pages are shown what was not played, or twice: {shown}"


def _from_pages(process: Process) -> Iterator[int]:
    """Yield the numbers of the touches that came from pages."""
    if process.pad_socket is None:
        return
    for packet in process.pad_socket.socket.received:
        if packet[:1] in (b"", SECRET[:1].encode()):
            continue
        for kind, *item in msgspec.msgpack.decode(packet):
            if kind == "t":
                yield from (Serial.of(place[0]) for _, _, *place in item[1] if place)


def _tracked(process: Process) -> Iterator[tuple[int, int, int]]:
    """Yield the touches in frames of TUIO: number, how often owed, how often it may be played.

    A frame says where fingers are: what is late, or comes twice, is left out, and counted
    nowhere. So only the new frames of trackers of which nothing is lost are owed.
    """
    for packet, read_at in process.endpoint.tuio.socket.received.items():
        messages = osc.decode(packet)[0]
        near = any(m.args[0] == "source" and m.args[1].startswith(NEAR) for m in messages)
        is_new = messages[-1].args[1] > 0
        for message in messages:
            if message.args[0] == "set":
                yield Serial.of(message.args[2]), near and is_new, len(read_at)


# -- recordings ------------------------------------------------------------------------------


def check_recordings(process: Process, disk: Disk, load: Callable[..., Player]) -> None:
    """Each recording holds what was played, and the machine's part can be made again."""
    recorder, published = process.recorder, process.tape.published
    assert recorder is not None
    for number, take in enumerate(recorder.takes):
        is_last = number == len(recorder.takes) - 1
        cut = process.killed_at if is_last and take.end is None else None
        end = take.end if take.end is not None else len(published)
        _check_recording(process, disk, take, published[take.begin : end], cut, load)


def _check_recording(
    process: Process,
    disk: Disk,
    take: Take,
    published: list[Published],
    cut: float | None,
    load: Callable[..., Player],
) -> None:
    expected = list(take.before) + [_recorded(each) for each in published]
    touches = sum(isinstance(each, TouchEvent) for each in expected)
    path = next(reversed(take.paths), None)
    if process.killed_at is not None:
        path = path or _unbegun(process, disk, take)
        if path is not None:
            complete(path, path.read_bytes(), disk.memory)
    session = None if path is None else _read(path, is_cut=process.killed_at is not None)
    was_well = not disk.troubles
    if session is None:
        if was_well or not take.before:
            most = MOST_LOST_AT_FIRST if take.before else MOST_LOST
            _check_lost(process, _from_first_touch(published), most)
        return
    if session.header.continues is not None:  # the disk has lost the beginning, and it is told
        return
    events = [each for each in session.events if not isinstance(each, EndEvent)]
    expected = _without_idle_panics(expected, events)
    for index, (got, wanted) in enumerate(zip(events, expected, strict=False)):
        assert _same(got, wanted), f"{path}, event {index}: {got} for {wanted}"
    assert len(events) <= len(expected), f"{path} holds {len(events) - len(expected)} too many"
    missing = len(expected) - len(events)
    if missing and process.killed_at is None and touches:
        closed_at = take.closed_at or process.world.now
        assert disk.is_bad_near(closed_at), (
            f"{path}: {missing} of {len(expected)} events are missing"
        )
    elif missing and cut is not None and was_well:
        is_begun = missing <= len(published)
        most = MOST_LOST if is_begun else MOST_LOST_AT_FIRST
        _check_lost(process, published[max(0, len(published) - missing) :], most)
    _check_regeneration(session, load)


def check_goes_on(old: Process, events: Sequence[SessionEvent]) -> None:
    """Check that the events that an engine goes on with are all of one that was killed.

    A take without a touch has no recording. One that the disk has cut in two files goes on from
    the second.
    """
    assert old.recorder is not None
    if not old.recorder.takes:
        return
    take = old.recorder.takes[-1]
    published = old.tape.published[take.begin :]
    heard = take.before or _from_first_touch(published)
    if take.end is not None or len(take.paths) > 1 or not heard:
        return
    expected = [*take.before, *(_recorded(each) for each in published)]
    expected = _without_idle_panics(expected, list(events))
    for index, (got, wanted) in enumerate(zip(events, expected, strict=False)):
        assert _same(got, wanted), f"it goes on with {got} for {wanted}, event {index}"
    missing = len(expected) - len(events)
    assert missing <= len(published), f"it goes on without {missing} of {len(expected)} events"
    _check_lost(old, published[len(published) - max(0, missing) :], MOST_LOST)


def _unbegun(process: Process, disk: Disk, take: Take) -> Path | None:
    """Return the recording that a killed engine had not begun, if something is left of it."""
    folder = Path(process.options.sessions)
    write_unbegun(folder, disk.memory)
    for path in folder.glob("*.jsonl"):
        with path.open("rb") as file:
            if file.readline() == take.header:
                return path
    return None


def _from_first_touch(published: Sequence[Published]) -> list[Published]:
    """Return what was published from the first touch on, with which a recording begins."""
    return [*dropwhile(lambda each: not isinstance(each.event, TouchPlayed), published)]


def _check_lost(process: Process, missing: list[Published], most: float) -> None:
    """What the recording of a killed engine lacks is what was played in its last moments."""
    killed_at = process.killed_at
    if killed_at is None or not missing:
        return
    first = missing[0]
    age = killed_at - first.now - process.world.stalled_between(first.now, killed_at)
    assert age <= most, f"{first} is missing, {1000 * age:.1f} ms before the kill"


def _check_regeneration(session: Session, load: Callable[..., Player]) -> None:
    made = list(regenerate(session, load(), load))
    difference = first_difference(session, made)
    if difference is None:
        return
    # Of the instant of a kill there may be what followed from a touch, without the touch.
    recorded = difference.recorded
    assert session.ended is None, f"{session.path}: {difference}"
    assert recorded is not None, f"{session.path}: {difference}"
    assert recorded.t >= session.duration, f"{session.path}: {difference}"


def _read(path: Path, *, is_cut: bool) -> Session | None:
    """Return a recording; None for one whose first line was torn by the kill."""
    try:
        session = read(path)
    except SessionError:
        assert is_cut, f"{path} cannot be read"
        return None
    assert is_cut or not session.warnings, f"{path}: {session.warnings}"
    assert not session.damaged, f"{path}: damaged lines {list(islice(session.damaged, 5))}"
    return session


def _recorded(each: Published) -> SessionEvent:
    event = each.event
    if isinstance(event, ControlChanged):
        return SetEvent(event.t, {event.name: event.value})
    return TouchEvent(event.t, event.touch)


def _same(got: SessionEvent, wanted: SessionEvent) -> bool:
    if isinstance(got, SetEvent) and isinstance(wanted, SetEvent):
        return (got.t, _plain(got.values)) == (wanted.t, _plain(wanted.values))
    return got == wanted


def _without_idle_panics(
    expected: list[SessionEvent], events: list[SessionEvent]
) -> list[SessionEvent]:
    """Leave out the panics that outputs alone got, as the jam was silent already."""
    kept: list[SessionEvent] = []
    for each in expected:
        is_panic = isinstance(each, SetEvent) and "panic" in each.values
        there = events[len(kept)] if len(kept) < len(events) else None
        if not is_panic or (there is not None and _same(there, each)):
            kept.append(each)
    return kept


def _plain(values: dict[str, Any]) -> Any:
    return json.loads(json.dumps(values))
