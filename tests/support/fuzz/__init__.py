"""Fuzzing of every parser and of the whole engine: generators, checks, shrinking.

tests/test_fuzz.py runs all targets for some seconds, and benchmarks/fuzz.py for hours.
"""

from support.fuzz import engine, files, texts, window, wire
from support.fuzz.core import Meter, Target, TimeMeter, WorkMeter, fault_of, shrink

__all__ = ["TARGETS", "Meter", "Target", "TimeMeter", "WorkMeter", "fault_of", "shrink"]

_MODULES = (wire, texts, files, window, engine)
#: All targets by name.
TARGETS: dict[str, Target] = {
    target.name: target for module in _MODULES for target in module.TARGETS
}
