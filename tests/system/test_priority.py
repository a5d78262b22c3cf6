"""What the system is asked for, and that nothing is wrong where it refuses."""

import os
import sys
import threading

import pytest

from robojam.system import priority
from robojam.system.priority import (
    ORDINARY,
    RAISED,
    REAL_TIME,
    adopt_main_priority,
    raise_priority,
)

linux = pytest.mark.skipif(sys.platform != "linux", reason="as Linux has it")


def in_thread(act):
    """What act returns in a thread of its own, whose priority ends with it."""
    found = []
    thread = threading.Thread(target=lambda: found.append(act()))
    thread.start()
    thread.join()
    return found[0]


def test_it_says_what_was_got():
    assert in_thread(raise_priority) in (REAL_TIME, RAISED, ORDINARY)


@linux
def test_real_time_is_for_this_thread_and_what_it_starts_has_it_not():
    def look():
        if raise_priority() != REAL_TIME:
            return None
        policy = os.sched_getscheduler(0)
        return policy & ~os.SCHED_RESET_ON_FORK, in_thread(lambda: os.sched_getscheduler(0))

    found = in_thread(look)
    assert found in (None, (os.SCHED_RR, os.SCHED_OTHER))
    assert os.sched_getscheduler(0) == os.SCHED_OTHER


@linux
def test_what_is_refused_is_not_asked_for_again(monkeypatch):
    def refuse(*_):
        raise PermissionError

    monkeypatch.setattr(os, "sched_setscheduler", refuse)
    niced = []
    monkeypatch.setattr(os, "setpriority", lambda *a: niced.append(a))
    assert raise_priority() == RAISED
    assert niced == [(os.PRIO_PROCESS, 0, -10)]
    monkeypatch.setattr(os, "setpriority", refuse)
    assert raise_priority() == ORDINARY


@linux
def test_a_thread_keeps_up_with_the_main_one_alone(monkeypatch):
    asked = []
    monkeypatch.setattr(os, "sched_setscheduler", lambda *a: asked.append(a[:2]))
    adopt_main_priority()  # the main thread is an ordinary one
    assert asked == []
    real_time = os.SCHED_RR | os.SCHED_RESET_ON_FORK
    monkeypatch.setattr(os, "sched_getscheduler", lambda _: real_time)
    adopt_main_priority()
    assert asked == [(0, real_time)]


@pytest.mark.parametrize("system", ["darwin", "win32", "sunos5"])
def test_where_a_system_lacks_it_nothing_is_raised(monkeypatch, system):
    """Here the other systems' libraries are missing, as they are on their odd versions."""
    monkeypatch.setattr(priority.sys, "platform", system)
    adopt_main_priority()
    if sys.platform != system:
        assert raise_priority() == ORDINARY
