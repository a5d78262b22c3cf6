"""Reasons of a refusal: short, whatever was given."""

import msgspec

from robojam.wire.midi.styles import Style
from robojam.wire.refusal import explain


def test_reason_is_short_however_long_the_value():
    for given in ({"kind": "=" * 5000}, {"k" * 5000: 1}):
        try:
            msgspec.convert(given, Style)
        except msgspec.ValidationError as error:
            assert len(explain(error, given, ["kind"])) < 400
        else:
            raise AssertionError("it was taken")
