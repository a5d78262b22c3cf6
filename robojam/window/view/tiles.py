"""Layer of the surface that knows which of its tiles are drawn on.

Empty tiles are neither cleared nor blitted: a frame's cost is the memory that it touches.
"""

from __future__ import annotations

from collections.abc import Iterable

import pygame

from robojam.window.view.theme import Box, Colour

#: Side of a tile, in pixels.
TILE = 128

#: Tiles by column and row.
Tiles = frozenset[tuple[int, int]]


def tiles_under(box: Box) -> Tiles:
    """Return the tiles that a box (pixels) touches."""
    left, top, width, height = box
    return frozenset(
        (column, row)
        for column in range(left // TILE, (left + width - 1) // TILE + 1)
        for row in range(top // TILE, (top + height - 1) // TILE + 1)
    )


class TileLayer:
    """Picture of a size, blank at first."""

    def __init__(self, size: tuple[int, int], blank: Colour) -> None:
        self.picture = pygame.Surface(size, depth=32)
        self.picture.fill(blank)
        self._blank = blank
        self._tiles: set[tuple[int, int]] = set()
        self._blits: list[tuple[pygame.Surface, tuple[int, int]]] | None = []

    def clear(self) -> None:
        """Make the layer blank again."""
        for part, _ in self.blits():
            part.fill(self._blank)
        self._tiles.clear()
        self._blits = None

    def mark_used(self, tiles: Iterable[Tiles]) -> None:
        """Note on which tiles the layer was drawn on."""
        self._tiles.update(*tiles)
        self._blits = None

    def blits(self) -> list[tuple[pygame.Surface, tuple[int, int]]]:
        """Return the used parts of the layer, each with its position."""
        if self._blits is None:
            within = self.picture.get_rect()
            boxes = (box.clip(within) for box in _runs(self._tiles))
            self._blits = [(self.picture.subsurface(box), box.topleft) for box in boxes if box]
        return self._blits


def _runs(tiles: set[tuple[int, int]]) -> list[pygame.Rect]:
    """Join tiles that are side by side in a row into boxes."""
    boxes: list[pygame.Rect] = []
    for row, column in sorted((row, column) for column, row in tiles):
        box = pygame.Rect(column * TILE, row * TILE, TILE, TILE)
        if boxes and boxes[-1].top == box.top and boxes[-1].right == box.left:
            boxes[-1].width += TILE
        else:
            boxes.append(box)
    return boxes
