"""Limits of what a pad may ask for; docs/limits.md has the reasons."""

from typing import Final

#: Sockets of pages that are open: in all, and of one host. Connections in all, also of
#: requests for the page, and the seconds that one has to ask for something.
MAX_SOCKETS, MAX_OF_A_HOST = 512, 32
MAX_CONNECTIONS: Final = 1024
PATIENCE: Final = 10.0
#: Requests of one host: a second, at once; and the hosts that are remembered.
REQUESTS: Final = (50, 400)
MAX_HOSTS: Final = 1024
#: Bytes of a message, events in it, and events of a control's or a name's text.
MAX_MESSAGE: Final = 16_384
MAX_EVENTS: Final = 128
MAX_NAME, MAX_VALUE = 32, 200
#: Touches, messages and bytes of one connection: a second, and at once.
TOUCHES: Final = (1200, 1200)
MESSAGES: Final = (600, 600)
BYTES: Final = (65_536, 131_072)
#: Seconds for which a flood is slowed before its connection is closed.
MAX_SLOWED: Final = 5.0
#: Seconds until the first message, and between two questions whether a pad is there.
HELLO: Final = 5.0
HEARTBEAT: Final = 4.0
#: Seconds within which somebody who comes back is the same player.
RETURNS_WITHIN: Final = 600.0
#: Bytes that wait for a slow page, beyond which it misses pictures, and the seconds after which
#: it is closed.
MAX_UNSENT: Final = 65_536
MAX_SLOW: Final = 10.0
#: Pictures a second: to one page, and to all together.
PICTURES, ALL_PICTURES = 60.0, 2400.0
#: Events that wait for the next picture.
MAX_WAITING: Final = 4096
#: Programs that listen by OSCQuery: in all, and of one host; their commands: a second, at once.
MAX_LISTENERS, MAX_LISTENERS_OF_A_HOST = 32, 8
COMMANDS: Final = (50, 500)
#: Sockets for MIDI: in all, and of one host; bytes of a text.
MAX_MIDI_SOCKETS, MAX_MIDI_OF_A_HOST = 16, 8
MAX_MIDI_TEXT: Final = 128
#: Hosts of players who were removed, and the seconds until they may come again.
MAX_REMOVED, REMOVED_FOR = 256, 600.0

# -- the HTTP API ------------------------------------------------------------------------------

#: Bytes of a request; seconds for its body to come, and for its answer.
MAX_BODY: Final = 1 << 19
BODY_PATIENCE: Final = 10.0
DEADLINE: Final = 30.0
#: Characters of a performance of MicroJam, and of a line in it.
MAX_CSV, MAX_LINE = 1 << 18, 200
#: Touches that are continued; continuations; seconds of one, and of all of a request.
MAX_CALL: Final = 4096
MAX_COUNT: Final = 32
MAX_SECONDS, MAX_ALL_SECONDS = 60.0, 160.0
#: Continuations that wait or are played: in all, and for one host.
MAX_TAKES, MAX_TAKES_OF_A_HOST = 256, 64
#: Continuations that one process plays at a time; and beside a jam.
ROWS, ROWS_BESIDE_A_JAM = 32, 8
#: Planned continuations that one process plays at a time.
MAX_PLANS: Final = 4
