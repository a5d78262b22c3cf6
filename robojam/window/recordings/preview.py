"""Sender of a recording that plays in the window to the engine, which sounds it."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass

from robojam.touch import Phase
from robojam.window.client.link import MessageSender
from robojam.window.recordings.playback import RecordingPlayback

#: Seconds by which touches are sent before they are due: longer than a frame takes.
AHEAD = 0.06
#: Seconds between messages that the preview goes on; without them the engine lifts fingers.
KEEP_ALIVE = 0.5


@dataclass(slots=True)
class PreviewPlayer:
    """Sends the touches of a recording shortly before they are due."""

    sender: MessageSender
    _playback: RecordingPlayback | None = None
    _seeks: int = 0
    _next: int = 0
    _kept_alive_at: float = float("-inf")

    def follow(self, playback: RecordingPlayback | None, now: float) -> int:
        """Send the touches that are soon due (now is in seconds); return their number.

        Without a playback, or with one that is held, end the preview.
        """
        if playback is None or not playback.playing:
            self._end()
            return 0
        if playback is not self._playback or playback.seeks != self._seeks:
            self._end()
            self._playback, self._seeks = playback, playback.seeks
            self._next = bisect_left(playback.times, playback.played_from)
        if now - self._kept_alive_at >= KEEP_ALIVE:
            self.sender.send("/robojam/audition", "i", 1)
            self._kept_alive_at = now
        first = self._next
        self._next = bisect_right(
            playback.times, playback.at + AHEAD * playback.speed, lo=first
        )
        for event in playback.touches[first : self._next]:
            touch = event.touch
            wait = max(0.0, event.t - playback.at) / playback.speed
            address, who = f"/robojam/audition/{touch.phase}", touch.who
            if touch.phase is Phase.UP:
                self.sender.send(address, "sif", who, touch.id, wait)
            else:
                self.sender.send(address, "sifff", who, touch.id, touch.x, touch.y, wait)
        return self._next - first

    def _end(self) -> None:
        if self._playback is not None:
            self.sender.send("/robojam/audition", "i", 0)
            self._playback, self._kept_alive_at = None, float("-inf")
