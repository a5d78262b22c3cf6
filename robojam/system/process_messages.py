"""Datagrams between the engine and the programs that it starts: of MIDI ports and clocks.

A datagram is a letter, a byte for the number of a port, and data. The engine's end is
`robojam.ports.process_client`.
"""

from typing import Final

#: The letters: MIDI bytes of a port, either way; MIDI bytes of knobs, which nothing takes back
#: at the end; a port was opened (its full name); a port
#: is gone; an error (its text); how many MIDI systems run; the process is alive, or begins
#: now (its token); a clock: its report, or what it is to do, as JSON; what came was dropped
#: (the reason).
MESSAGE, KNOBS, OPENED, GONE, ERROR, SYSTEMS, ALIVE, CLOCK, DROPPED = tuple("mkogeshcd")
#: The number of the first output.
OUTPUTS: Final = 128
#: The number in datagrams that are about no port.
NO_PORT: Final = 255
#: The exit status where starting again would not help.
HOPELESS: Final = 3
#: Bytes of text that a datagram carries at most.
_LONGEST_TEXT = 500


def packet(letter: str, port: int = NO_PORT, data: bytes | str = b"") -> bytes:
    """Return a datagram; data that is a text is shortened."""
    payload = data.encode()[:_LONGEST_TEXT] if isinstance(data, str) else data
    return letter.encode() + bytes((port,)) + payload
