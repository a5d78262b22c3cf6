"""Drawing of the beat: a mark for each beat of the bar at the edge of the surface, a count-in.

The marks are large enough to be read across a stage, and need no text. While the machine's
turn waits for its line, they are in its colour, and the beats that are left are counted.
"""

from __future__ import annotations

import pygame

from robojam.window.client.beat_clock import BeatShown
from robojam.window.client.state import GLOW
from robojam.window.view.text import TextRenderer
from robojam.window.view.theme import Metrics, Theme, mix

#: Marks that are shown at most; a longer bar has one bar of light.
_MOST_MARKS = 16
#: Highest count that is shown as a number.
_MOST_COUNTED = 99


def glow(shown: BeatShown) -> float:
    """Return how bright the mark of the present beat is, 1..0, as the beat passes."""
    return max(0.0, 1 - shown.part / GLOW)


def draw_beat(
    screen: pygame.Surface,
    shown: BeatShown,
    metrics: Metrics,
    theme: Theme,
    text: TextRenderer,
) -> None:
    """Draw the marks at the upper edge of the surface, and the count-in below them."""
    left, top, width, height = metrics.surface_box
    unit = min(width, height)
    size = max(4, round(unit / 42))
    count = shown.beats_per_bar if shown.beats_per_bar <= _MOST_MARKS else 1
    present = shown.beat if count > 1 else 0
    step = min(4 * size, (width - 4 * size) // max(1, count))
    first = left + (width - step * count) // 2
    middle = top + 2 * size
    counted = theme.player_colour("ai") if shown.left else theme.text
    rest = mix(theme.surface, theme.muted, 0.45)
    for i in range(count):
        on = i == present
        colour = mix(rest, counted, 0.55 + 0.45 * glow(shown)) if on else rest
        tall = size if i == 0 else max(3, round(size * 0.6))  # a bar begins
        grown = round(size * 0.5 * glow(shown)) if on else 0
        long = max(3, round(step * 0.62))
        box = (
            first + i * step + (step - long) // 2,
            middle - (tall + grown) // 2,
            long,
            tall + grown,
        )
        rotated = metrics.rotate_box(box)
        pygame.draw.rect(screen, colour, rotated, border_radius=min(rotated[2:]) // 2)
    if not theme.has_text or height < 12 * size:
        return
    colour = mix(theme.surface, theme.muted, 0.8)
    bar = text.on_background(str(shown.bar), max(10, 2 * size), colour, theme.surface)
    place = first - bar.get_width() - size, middle - bar.get_height() // 2
    _blit(screen, bar, place, metrics, theme)
    if 0 < shown.left <= _MOST_COUNTED:
        size, colour = max(12, round(unit / 6)), mix(theme.surface, counted, 0.75)
        count_in = text.on_background(str(shown.left), size, colour, theme.surface)
        place = left + (width - count_in.get_width()) // 2, middle + round(unit / 21)
        _blit(screen, count_in, place, metrics, theme)


def _blit(
    screen: pygame.Surface, picture: pygame.Surface, place: tuple[int, int], metrics: Metrics,
    theme: Theme,
) -> None:  # fmt: skip
    """Draw a picture at a place before rotation, without what is the colour of the surface."""
    rotated = pygame.transform.rotate(picture, -90 * metrics.quarter_turns)
    blend = pygame.BLEND_RGB_MIN if theme.dark_on_light else pygame.BLEND_RGB_MAX
    box = metrics.rotate_box((*place, *picture.get_size()))
    screen.blit(rotated, box[:2], special_flags=blend)
