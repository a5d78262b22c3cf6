"""Filter for the engine's own messages that come back through a loop."""

from collections.abc import Hashable


class EchoFilter:
    """Record of the messages sent lately, which tells their echoes from other messages.

    A key is the part of a message that its echo has too.
    """

    def __init__(self, *, seconds: float, capacity: int, repeats: bool) -> None:
        """Remember up to `capacity` keys; a message that returns within `seconds` is an echo.

        repeats: every message with a key is an echo, not only the first.
        """
        self._seconds, self._capacity, self._repeats = seconds, capacity, repeats
        self._sent: dict[Hashable, float] = {}  # in the order of sending

    def sent(self, key: Hashable, now: float) -> None:
        """Remember a message that is sent at an instant, in seconds."""
        self._sent.pop(key, None)
        self._sent[key] = now
        if len(self._sent) > self._capacity:
            del self._sent[next(iter(self._sent))]

    def returned(self, key: Hashable, now: float) -> bool:
        """Return whether a message that is received now is an echo."""
        sent_at = self._sent.get(key) if self._repeats else self._sent.pop(key, None)
        return sent_at is not None and now - sent_at <= self._seconds
