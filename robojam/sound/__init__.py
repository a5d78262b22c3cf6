"""Built-in synthesiser: every touch of the jam, human and machine, as sound.

It runs in a process of its own, because its arithmetic would delay the engine. In the order
in which a touch travels: `output` (in the engine), `messages` (bytes between the processes),
`program` (the other process), `device`, `synth`, `voices`, `instruments`, `reverb`. Names of
scales and instruments, and the pitch of x, are in `robojam.music`.
"""

__all__ = [
    "device", "instruments", "messages", "metronome", "output", "program", "reverb", "synth",
    "voices",
]  # fmt: skip
