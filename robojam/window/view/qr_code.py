"""QR code of a text, as a picture. The package segno makes it, where it is installed."""

from __future__ import annotations

from functools import lru_cache

import pygame

#: Width of the light border that readers need, in modules, and the fewest pixels of a module.
BORDER, LEAST_PIXELS = 4, 2


@lru_cache(maxsize=4)
def qr_modules(text: str) -> tuple[bytes, ...]:
    """Return the rows of modules, 1 for a dark one; none where segno is not installed."""
    try:
        import segno
    except ImportError:
        return ()
    return tuple(bytes(row) for row in segno.make_qr(text, error="m").matrix)


def draw_qr_code(screen: pygame.Surface, text: str, box: pygame.Rect) -> pygame.Rect | None:
    """Draw the code of a text in the middle of a box, dark on light, and return its own box.

    Each module is a whole number of pixels wide. Return None where there is no room, or no
    package that makes codes.
    """
    rows = qr_modules(text)
    side = len(rows) + 2 * BORDER
    pixels = min(box.width, box.height) // side
    if not rows or pixels < LEAST_PIXELS:
        return None
    square = pygame.Rect(0, 0, pixels * side, pixels * side)
    square.center = box.center
    pygame.draw.rect(screen, (255, 255, 255), square)
    for y, row in enumerate(rows, BORDER):
        for x, is_dark in enumerate(row, BORDER):
            if is_dark:
                corner = (square.left + x * pixels, square.top + y * pixels)
                screen.fill((0, 0, 0), (corner, (pixels, pixels)))
    return square
