"""Clocks of other programs and players: followers and schedules (pure), and Link's program.

Each gives one value, `robojam.beats.Beats`: the beat as a function of time. The processes
that hold MIDI ports and JACK are in `robojam.ports`; the engine's clock is
`robojam.engine.beat_clock`.
"""

__all__ = ["messages", "midi_clock", "tap", "ticks"]
