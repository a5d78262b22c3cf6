"""Priorities: requests to the system, and its refusals."""

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
    """Call act in a new thread, so that no other one gets its priority; return the result."""
    results = []
    thread = threading.Thread(target=lambda: results.append(act()))
    thread.start()
    thread.join()
    return results[0]


def test_raise_priority_returns_what_was_granted():
    assert in_thread(raise_priority) in (REAL_TIME, RAISED, ORDINARY)


@linux
def test_real_time_priority_is_not_inherited_by_new_threads():
    def look():
        if raise_priority() != REAL_TIME:
            return None
        policy = os.sched_getscheduler(0)
        return policy & ~os.SCHED_RESET_ON_FORK, in_thread(lambda: os.sched_getscheduler(0))

    before = os.sched_getscheduler(0)
    policies = in_thread(look)
    assert policies in (None, (os.SCHED_RR, os.SCHED_OTHER))
    assert os.sched_getscheduler(0) == before


@linux
def test_refused_real_time_priority_falls_back_to_nice_and_then_to_none(monkeypatch):
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
def test_thread_adopts_the_main_priority_only_if_it_is_real_time(monkeypatch):
    asked = []
    monkeypatch.setattr(os, "sched_setscheduler", lambda *a: asked.append(a[:2]))
    monkeypatch.setattr(os, "sched_getscheduler", lambda _: os.SCHED_OTHER)
    adopt_main_priority()
    assert asked == []
    real_time = os.SCHED_RR | os.SCHED_RESET_ON_FORK
    monkeypatch.setattr(os, "sched_getscheduler", lambda _: real_time)
    adopt_main_priority()
    assert asked == [(0, real_time)]


@pytest.mark.parametrize("system", ["darwin", "win32", "sunos5"])
def test_missing_system_libraries_raise_nothing(monkeypatch, system):
    """The libraries of the other systems are missing here, as on odd versions of them."""
    monkeypatch.setattr(priority.sys, "platform", system)
    adopt_main_priority()
    if sys.platform != system:
        assert raise_priority() == ORDINARY
