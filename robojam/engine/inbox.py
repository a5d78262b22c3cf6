"""Inbox of an engine: what has been received and is not handled yet, in fair order. Pure.

Reading a packet is quick, and handling it may not be. So packets are read at once, and wait
here: those of each sender in a queue of their own. The queues take turns, a few requests at a
time, so that a long packet or a flood delays its own sender's packets alone. This machine's
senders together have every second turn.
"""

from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from typing import Final

from robojam.ports.udp import Address
from robojam.wire.native import Input

#: Most packets of one sender that wait, and most senders of this machine, and of others, whose
#: packets wait.
MAX_PACKETS: Final = 512
MAX_SENDERS: Final = 64
#: Requests of one packet that are handled before another sender's.
PIECE: Final = 8


@dataclass(slots=True)
class Packet:
    """Packet that was received at an instant: its requests, each with its source.

    sender is None for a device. work is how much work its requests have been so far.
    """

    requests: Iterator[tuple[str, Input]]
    sender: Address | None
    arrival: float
    work: int = 0


class Inbox:
    """Packets that wait, in a queue for each sender."""

    def __init__(self) -> None:
        # Of this machine's senders, and of others.
        self._queues: tuple[_Queues, _Queues] = OrderedDict(), OrderedDict()
        self._next = 0

    def __bool__(self) -> bool:
        """Return whether a packet waits."""
        return bool(self._queues[0] or self._queues[1])

    def add(self, sender: Hashable, packet: Packet, *, is_here: bool) -> bool:
        """Add a packet to the queue of a sender; return whether there was place for it.

        is_here says whether the sender is on this machine.
        """
        queues = self._queues[0 if is_here else 1]
        queue = queues.get(sender)
        if queue is None:
            if len(queues) >= MAX_SENDERS:
                return False
            queue = queues[sender] = deque()
        if len(queue) >= MAX_PACKETS:
            return False
        queue.append(packet)
        return True

    def handle(self, handle: Callable[[Packet], bool]) -> None:
        """Handle a piece of the packet whose turn it is; there must be one.

        handle returns whether the packet is done. If not, it goes on at its sender's next turn.
        """
        queues = self._queues[self._next] or self._queues[1 - self._next]
        self._next = 1 - self._next
        sender, queue = queues.popitem(last=False)
        done = True
        try:
            done = handle(queue[0])
        finally:
            if done:
                queue.popleft()
            if queue:
                queues[sender] = queue


_Queues = OrderedDict[Hashable, deque[Packet]]
