"""Remapping: values made from touches, for knobs of other programs. Pure: time is an argument.

`features` measures the touches as they sound, `knob` makes a value of one feature, and `bank`
holds the knobs of one output and says which values are to be sent.
"""

__all__ = ["bank", "features", "knob"]
