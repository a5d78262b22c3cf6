"""Timeline of a recording: the humans' touches above, the machine's below."""

from __future__ import annotations

from functools import lru_cache

import pygame

from robojam.touch import Phase, is_machine
from robojam.window.recordings.playback import RecordingPlayback
from robojam.window.view.sprites import DIAMOND, diamond_corners
from robojam.window.view.theme import Theme, mix


def draw_timeline(
    screen: pygame.Surface, box: pygame.Rect, playback: RecordingPlayback, theme: Theme
) -> None:
    """Draw the strip of a recording, and the position of its playback, into a box."""
    screen.blit(_strip(box.size, playback, theme), box)
    share = playback.at / playback.duration if playback.duration else 0.0
    x = box.left + round(share * (box.width - 1))
    thickness = max(2, box.height // 24)
    pygame.draw.line(screen, theme.text, (x, box.top), (x, box.bottom - 1), thickness)
    pygame.draw.circle(screen, theme.text, (x, box.top + thickness), thickness * 2)


@lru_cache(maxsize=1)
def _strip(size: tuple[int, int], playback: RecordingPlayback, theme: Theme) -> pygame.Surface:
    """Return the strip: each finger's x over time, a mark at its landing, a line while down."""
    width, height = size
    strip = pygame.Surface(size, depth=32)
    strip.fill(theme.frame)
    lane = height // 2
    for top in (0, lane):
        box = pygame.Rect(0, top, width, lane - 1)
        pygame.draw.rect(strip, theme.surface, box, border_radius=max(2, height // 20))
    last: dict[tuple[str, int], tuple[float, float]] = {}
    length = playback.duration or 1.0
    dot = max(2.0, height / 26)
    for event in playback.touches:
        touch = event.touch
        key = (touch.who, touch.id)
        if touch.phase is Phase.UP:
            last.pop(key, None)
            continue
        machine = is_machine(touch.who)
        inner = lane - 1 - 4 * dot
        at = (
            dot + event.t / length * (width - 1 - 2 * dot),
            (lane if machine else 0) + 2 * dot + (1 - touch.x) * inner,
        )
        colour = theme.player_colour(touch.who)
        if key in last and touch.phase is Phase.MOVE:
            pygame.draw.aaline(strip, mix(theme.surface, colour, 0.85), last[key], at, 2)
        elif machine:
            pygame.draw.polygon(strip, colour, diamond_corners(*at, dot * DIAMOND))
        else:
            pygame.draw.aacircle(strip, colour, at, dot)
        last[key] = at
    return strip
