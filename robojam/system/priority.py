"""Scheduling priority of a thread that must not be late, and of a program that may be.

It is raised, on Linux, to round-robin real-time scheduling where that is allowed (root, or an
rtprio limit, which distributions for musicians give to the audio group), or else to a lower
nice value where that is allowed. macOS: the quality of service of interactive work. Windows: a
high priority class, and timers of 1 ms instead of 1/64 s.
"""

import os
import sys
from contextlib import suppress

#: Lowest real-time priority: before every ordinary program, after the audio server.
_REAL_TIME = 1
_NICE = -10
_USER_INTERACTIVE = 0x21  # QOS_CLASS_USER_INTERACTIVE, of macOS's <sys/qos.h>
_HIGH_PRIORITY_CLASS, _IDLE_PRIORITY_CLASS = 0x80, 0x40  # of Windows' SetPriorityClass
_LEAST_NICE = 19

REAL_TIME, RAISED, ORDINARY = "real-time", "raised", "ordinary"


def raise_priority() -> str:
    """Raise this thread's priority; return REAL_TIME, RAISED or ORDINARY, as granted.

    Threads and programs that are started later do not inherit a real-time priority.
    """
    import ctypes

    raised = False
    with suppress(OSError, AttributeError):
        if sys.platform == "linux":
            with suppress(OSError):
                policy = os.SCHED_RR | os.SCHED_RESET_ON_FORK
                os.sched_setscheduler(0, policy, os.sched_param(_REAL_TIME))
                return REAL_TIME
            os.setpriority(os.PRIO_PROCESS, 0, _NICE)
            raised = True
        elif sys.platform == "darwin":
            system = ctypes.CDLL(None)
            raised = system.pthread_set_qos_class_self_np(_USER_INTERACTIVE, 0) == 0
        elif sys.platform == "win32":
            ctypes.CDLL("winmm").timeBeginPeriod(1)
            kernel = ctypes.CDLL("kernel32")
            raised = kernel.SetPriorityClass(kernel.GetCurrentProcess(), _HIGH_PRIORITY_CLASS)
    return RAISED if raised else ORDINARY


def lower_priority() -> None:
    """Let this program run only where no other has anything to do, as far as possible."""
    with suppress(OSError, AttributeError):
        if sys.platform == "win32":
            import ctypes

            kernel = ctypes.CDLL("kernel32")
            kernel.SetPriorityClass(kernel.GetCurrentProcess(), _IDLE_PRIORITY_CLASS)
        else:
            os.setpriority(os.PRIO_PROCESS, 0, _LEAST_NICE)
            if sys.platform == "linux":
                os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


def adopt_main_priority() -> None:
    """Give this thread the main thread's real-time priority, if that has one.

    For a thread that holds the interpreter's lock for short times: if another program
    interrupted it then, the main thread would wait for it.
    """
    if sys.platform == "linux":
        with suppress(OSError):
            policy = os.sched_getscheduler(os.getpid())
            if policy & ~os.SCHED_RESET_ON_FORK == os.SCHED_RR:
                os.sched_setscheduler(0, policy, os.sched_param(_REAL_TIME))
