"""Lets a recording that is played in the window be heard, by way of the engine."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass

from robojam.touch import Phase
from robojam.window.client.link import MessageSender
from robojam.window.recordings.playback import RecordingPlayback

#: Touches are sent so long before they are due, in seconds: longer than a frame takes.
AHEAD = 0.06
#: The engine is told that it goes on every so many seconds; else it lifts what is held.
GO_ON = 0.5


@dataclass(slots=True)
class PreviewPlayer:
    """What of a recording has been sent, and what is next."""

    sender: MessageSender
    _of: RecordingPlayback | None = None
    _jumps: int = 0
    _next: int = 0
    _told: float = float("-inf")

    def follow(self, rerun: RecordingPlayback | None, now: float) -> int:
        """Send what is soon due of a recording that has come to where it is at an instant.

        Returns how many touches were sent.
        """
        if rerun is None or not rerun.playing:
            self._end()
            return 0
        if rerun is not self._of or rerun.jumps != self._jumps:
            self._end()
            self._of, self._jumps = rerun, rerun.jumps
            self._next = bisect_left(rerun.times, rerun.since)
        if now - self._told >= GO_ON:
            self.sender.send("/robojam/audition", "i", 1)
            self._told = now
        first = self._next
        self._next = bisect_right(rerun.times, rerun.at + AHEAD * rerun.speed, lo=first)
        for event in rerun.touches[first : self._next]:
            touch = event.touch
            wait = max(0.0, event.t - rerun.at) / rerun.speed
            address, who = f"/robojam/audition/{touch.phase}", touch.who
            if touch.phase is Phase.UP:
                self.sender.send(address, "sif", who, touch.id, wait)
            else:
                self.sender.send(address, "sifff", who, touch.id, touch.x, touch.y, wait)
        return self._next - first

    def _end(self) -> None:
        if self._of is not None:
            self.sender.send("/robojam/audition", "i", 0)
            self._of, self._told = None, float("-inf")
