"""Dials: shares of their way and values."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robojam.window.input.dials import DIALS


@pytest.mark.parametrize("dial", DIALS.values(), ids=DIALS)
@given(share=st.floats(0, 1))
def test_dial_shows_the_share_that_it_was_turned_to(dial, share):
    value = dial.value(share)
    assert dial.control.low <= value <= dial.control.high
    assert dial.share(value) == pytest.approx(share, abs=0.05)
    assert dial.text(value)


@pytest.mark.parametrize(("name", "dial"), DIALS.items())
def test_dial_has_the_name_of_its_control_or_a_part_of_it(name, dial):
    assert name.startswith(dial.dial.short.rstrip("."))
