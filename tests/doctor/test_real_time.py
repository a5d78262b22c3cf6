"""The right to real-time priority: asked for in a process of its own."""

import resource
import sys

import pytest

from robojam.config.options import Options
from robojam.doctor import real_time
from robojam.doctor.checks import CHECKS
from robojam.doctor.real_time import check_real_time, granted_group
from robojam.doctor.runner import run_checks
from robojam.system.priority import ORDINARY, RAISED

linux = pytest.mark.skipif(sys.platform != "linux", reason="of Linux")

AUDIO = """\
# Provided by the jackd package.
@audio   -  rtprio     95
@audio   -  memlock    unlimited
"""


@pytest.mark.parametrize(
    ("texts", "group"),
    [
        (["", AUDIO], "audio"),
        (["@realtime hard rtprio 99\n", AUDIO], "realtime"),
        (["#@audio - rtprio 95\n@audio - rtprio 0\nanna - rtprio 9\n"], None),
        ([], None),
    ],
)
def test_group_with_the_right_is_read_from_the_limits(texts, group):
    assert granted_group(texts) == group


@linux
@pytest.mark.parametrize("granted", [ORDINARY, RAISED])
@pytest.mark.parametrize(
    ("group", "command"),
    [("realtime", "sudo usermod -aG realtime $USER"), (None, "rtprio 95' | sudo tee ")],
)
def test_where_it_is_not_granted_the_command_that_grants_it_is_named(
    monkeypatch, granted, group, command
):
    monkeypatch.setattr(real_time, "raise_priority", lambda: granted)
    monkeypatch.setattr(real_time, "granted_group", lambda _: group)
    found = check_real_time(Options())
    assert found.status == "warning"
    assert command in found.command
    limit = resource.getrlimit(resource.RLIMIT_RTPRIO)[0]
    assert f"rtprio limit {limit}" in found.found


@linux
def test_check_leaves_the_priority_of_the_command_as_it_is():
    import os

    check = next(check for check in CHECKS if check.name == "real-time")
    before = os.sched_getscheduler(0), os.getpriority(os.PRIO_PROCESS, 0)
    ((_, found),) = run_checks(Options(), [check])
    assert found.status in ("ok", "warning")
    assert (os.sched_getscheduler(0), os.getpriority(os.PRIO_PROCESS, 0)) == before
