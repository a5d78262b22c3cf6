"""Every parser and the whole engine with random inputs, the same ones in each run.

benchmarks/fuzz.py runs the same targets for hours, with inputs that differ each time.
"""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.fuzz import TARGETS, Meter, WorkMeter, shrink

#: Examples of the targets that take long for each input; of the others, _MANY.
_EXAMPLES = {"engine": 40, "corpus": 60, "window": 60, "toml": 60, "model": 60}
_MANY = 120
#: Inputs whose work is counted: large ones, too.
_COUNTED = {"engine": 12, "corpus": 60, "window": 60}


@pytest.mark.parametrize("name", TARGETS)
def test_any_input_is_read_or_refused_for_a_reason(name):
    target = TARGETS[name]

    @settings(max_examples=_EXAMPLES.get(name, _MANY))
    @given(st.randoms(use_true_random=False))
    def check(random):
        target.check(target.generate(random), Meter())

    check()


@pytest.mark.parametrize("name", [name for name, each in TARGETS.items() if each.work])
def test_work_of_any_input_is_bounded(name):
    target = TARGETS[name]
    random, most, value = Random(name), 0, None
    for _ in range(_COUNTED.get(name, 400)):
        generated, meter = target.generate(random), WorkMeter()
        target.check(generated, meter)
        if meter.most > most:
            most, value = meter.most, generated
    assert target.work is not None
    assert 0 < most <= target.work, repr(value)[:2000]


def test_smallest_failing_input_is_found():
    value = (7, "noise", [b"abc", b"xBoomx", b""])
    assert shrink(value, lambda v: any(b"Boom" in part for part in v[2])) == (0, "", [b"Boom"])
    assert shrink((100, 2.5), lambda v: v[0] > 11 and v[1] > 0) == (12, 1.0)
