"""Inbox of an engine: what has been received and is not handled yet, in fair order. Pure.

Reading a packet is quick, and handling it may not be. So packets are read at once, and wait
here: those of each sender in a queue of their own. The queues take turns, a few requests at a
time, so that a long packet or a flood delays its own sender's packets alone. This machine's
senders together have every second turn.
"""

from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, Iterator
from typing import Final

from msgspec import Struct, field

from robojam.limits import ExpiringTable
from robojam.ports.udp import Address
from robojam.wire.native import Input

#: Most packets of one sender that wait, and their bytes.
MAX_PACKETS: Final = 512
MAX_BYTES: Final = 1 << 17
#: Most senders of this machine, and of others, that have a queue of their own, and the seconds
#: for which they keep it. Those who come when all have theirs share one.
MAX_SENDERS: Final = 64
PLACE_LIFE: Final = 60.0
#: Requests of one packet that are handled before another sender's.
PIECE: Final = 8


class Packet(Struct):
    """Packet that was received at an instant (s).

    read returns its requests, each with its source, when it is its turn; from then on they
    are `requests`. sender is None for a device. size is in bytes. work is how much work its
    requests have been so far.
    """

    read: Callable[[], Iterator[tuple[str, Input]]]
    sender: Address | None
    arrival: float
    size: int = 0
    requests: Iterator[tuple[str, Input]] | None = None
    work: int = 0


class _Queue(Struct):
    packets: deque[Packet] = field(default_factory=deque)
    size: int = 0  # bytes


class _Group:
    """Queues of the senders of this machine, or of all others; those that wait, by turns."""

    def __init__(self) -> None:
        self.places = ExpiringTable[Hashable, bool](MAX_SENDERS, PLACE_LIFE)
        self.queues: OrderedDict[Hashable, _Queue] = OrderedDict()


class Inbox:
    """Packets that wait, in a queue for each sender; `waiting` is their number."""

    def __init__(self) -> None:
        self._here, self._others = self._groups = _Group(), _Group()
        self._next = 0
        self.waiting = 0

    def add(self, sender: Hashable, packet: Packet, *, is_here: bool) -> bool:
        """Add a packet to the queue of a sender; return whether there was place for it.

        is_here says whether the sender is on this machine.
        """
        group = self._here if is_here else self._others
        if not group.places.use(sender, packet.arrival):
            if len(group.places) < MAX_SENDERS:
                group.places.put(sender, True, packet.arrival)
            else:
                sender = None
        queue = group.queues.get(sender) or _Queue()
        if len(queue.packets) >= MAX_PACKETS or queue.size + packet.size > MAX_BYTES:
            return False
        group.queues[sender] = queue
        queue.packets.append(packet)
        queue.size += packet.size
        self.waiting += 1
        return True

    def handle(self, handle: Callable[[Packet], bool]) -> None:
        """Handle a piece of the packet whose turn it is; there must be one.

        handle returns whether the packet is done. If not, it goes on at its sender's next turn.
        """
        queues = self._groups[self._next].queues or self._groups[1 - self._next].queues
        self._next = 1 - self._next
        sender, queue = queues.popitem(last=False)
        done = True
        try:
            done = handle(queue.packets[0])
        finally:
            if done:
                queue.size -= queue.packets.popleft().size
                self.waiting -= 1
            if queue.packets:
                queues[sender] = queue
