"""Draws words, chips and cells, and remembers what of them can be touched."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import pygame

from robojam.window.view.panels import Cell, Panel
from robojam.window.view.sprites import Sprites
from robojam.window.view.text import TextRenderer
from robojam.window.view.text_fit import Icon, Label, Parts, Placed, Tone, cut, fit
from robojam.window.view.theme import Colour, Metrics, Theme, mix


class Hit(NamedTuple):
    """A place that can be touched: left, top, width, height (pixels), and what it does.

    span is how far a finger goes, in pixels, to turn a control all the way; exact,
    that it stands where the finger is.
    """

    box: tuple[int, int, int, int]
    action: str
    span: int
    exact: bool

    def has(self, x: float, y: float) -> bool:
        """Whether a place is inside."""
        left, top, width, height = self.box
        return left <= x < left + width and top <= y < top + height

    def share(self, x: float) -> float:
        """How far from its left end to its right end a place is."""
        return (x - self.box[0]) / max(1, self.box[2] - 1)


class Widgets:
    """Writes in one theme and one size."""

    def __init__(self, lettering: TextRenderer, sprites: Sprites) -> None:
        self.lettering, self._sprites = lettering, sprites
        self.hits: list[Hit] = []

    def begin(self, screen: pygame.Surface, look: Theme, metrics: Metrics) -> None:
        """Draw from now on here, like this."""
        self.screen, self.look, self.metrics = screen, look, metrics

    def colour(self, tone: Tone) -> Colour:
        """Return the colour of a tone."""
        look = self.look
        return {
            Tone.TEXT: look.text, Tone.QUIET: look.quiet, Tone.HUMAN: look.humans[0],
            Tone.MACHINE: look.machines[0], Tone.ALERT: look.alert, Tone.RECORD: look.record,
        }[tone]  # fmt: skip

    # -- the bars ----------------------------------------------------------------------------

    def row(self, labels: Sequence[Label], middle: int) -> None:
        """Draw labels in a row, as many as there is room for."""
        m = self.metrics
        placed = fit(
            labels, left=m.margin, right=m.width - m.margin, gap=round(m.text * 0.55),
            measure=self._measure,
        )  # fmt: skip
        for one in placed:
            self._label(one, middle)

    def _measure(self, label: Label, parts: Parts) -> int:
        size = self.metrics.text
        length = sum(self.lettering.width(part.text, size) for part in parts)
        length += round(size * 0.45) * (len(parts) - 1)
        length += round(size * 1.3) if label.icon is not Icon.NONE else 0
        return length + (round(size * 1.2) if label.action else round(size * 0.4))

    def _label(self, placed: Placed, middle: int) -> None:
        m, label = self.metrics, placed.label
        size, left = m.text, placed.left
        if label.action:
            high = round(size * 1.8)
            box = pygame.Rect(left, middle - high // 2, placed.width, high)
            box.width = min(box.width, m.width - m.margin - left)
            self._chip(box, on=label.on, fill=label.fill)
            reach = box.inflate(round(size * 0.5), m.row - high)
            self._touchable(reach, label.action, span=max(box.width, 14 * size))
            left += round(size * 0.6)
        if label.icon is not Icon.NONE:
            self._icon(label.icon, (left + size // 2, middle), size)
            left += round(size * 1.3)
        for part in placed.parts:
            room = m.width - m.margin - left
            text = cut(part.text, width=room, measure=lambda t: self.lettering.width(t, size))
            if not text:
                return
            where = self.lettering.write(
                self.screen, text, (left, middle), size, self.colour(part.tone)
            )
            left = where.right + round(size * 0.45)

    def _chip(self, box: pygame.Rect, *, on: bool, fill: float | None) -> None:
        look, size = self.look, self.metrics.text
        radius = round(size * 0.4)
        pygame.draw.rect(self.screen, look.plate, box, border_radius=radius)
        if fill is not None:
            thick = max(2, round(size * 0.14))
            track = pygame.Rect(0, 0, box.width - 2 * radius, thick)
            track.midbottom = box.centerx, box.bottom - max(1, thick // 2)
            pygame.draw.rect(self.screen, mix(look.plate, look.quiet, 0.35), track, 0, thick)
            track.width = max(thick, round(track.width * fill))
            pygame.draw.rect(self.screen, look.text if on else look.quiet, track, 0, thick)
        elif on:
            thick = max(1, round(size * 0.09))
            pygame.draw.rect(self.screen, look.text, box, thick, border_radius=radius)

    def _touchable(
        self, box: pygame.Rect, action: str, *, span: int = 1, exact: bool = False
    ) -> None:
        place = (box.left, box.top, box.width, box.height)
        self.hits.append(Hit(place, action, max(1, span), exact))

    def _icon(self, icon: Icon, at: tuple[int, int], size: int) -> None:
        radius, look = size * 0.42, self.look
        if icon in (Icon.AWAY, Icon.ARMED):
            colour = look.record if icon is Icon.ARMED else look.quiet
            pygame.draw.aacircle(self.screen, colour, at, radius * 0.9, max(2, size // 10))
            return
        picture = {
            Icon.HUMAN: lambda: self._sprites.disc(look.humans[0], radius),
            Icon.MACHINE: lambda: self._sprites.diamond(look.machines[0], radius),
            Icon.RECORD: lambda: self._sprites.disc(look.record, radius * 0.8),
            Icon.LIT: lambda: self._sprites.disc(look.text, radius * 0.6),
            Icon.LIGHT: lambda: self._sprites.disc(
                mix(look.frame, look.quiet, 0.45), radius * 0.6
            ),
        }[icon]()
        self.screen.blit(picture, picture.get_rect(center=at))

    def way_out(self) -> None:
        """Where no words are, a corner leads back to them."""
        side = round(min(self.metrics.width, self.metrics.height) / 24)
        self._touchable(pygame.Rect(self.metrics.width - side, 0, side, side), "theme")

    # -- plates and panels -------------------------------------------------------------------

    def plate(self, box: pygame.Rect, colour: Colour) -> None:
        """Draw what words on the surface stand on."""
        look, m = self.look, self.metrics
        radius = round(m.text * 0.5)
        pygame.draw.rect(self.screen, look.frame, box, border_radius=radius)
        edge = mix(look.plate, colour, 0.4)
        pygame.draw.rect(self.screen, edge, box, max(1, m.edge // 2), border_radius=radius)

    def panel(self, panel: Panel, box: pygame.Rect) -> dict[str, pygame.Rect]:
        """Draw a panel within a box; return where its pictures go, by their action.

        By no action, where the panel is.
        """
        tall = sum(3.0 if row[0].action == "scrub" else 1.0 for row in panel.rows)
        for size in range(self.metrics.text, 6, -1):
            pad, gap = round(size * 0.8), max(2, round(size * 0.4))
            need = max(self._needed(row, size, gap) for row in panel.rows) + 2 * pad
            for step in (round(size * f) for f in (2.2, 2.0, 1.8, 1.6, 1.45)):
                high = round(tall * step) + gap * (len(panel.rows) - 1) + 2 * pad
                if high <= box.height and (need <= box.width or size == 7):
                    break
            if high <= box.height and need <= box.width:
                break
        rows = panel.rows
        while high > box.height and len(rows) > 1:  # smaller would not be read
            rows = (*rows[:-2], rows[-1])
            high -= step + gap
        wide = box.width if panel.low else min(box.width, max(need, round(26 * size)))
        plate = pygame.Rect(0, 0, wide, min(high, box.height))
        plate.center = box.center
        if panel.low:
            plate.midbottom = box.midbottom
        self.plate(plate, self.look.quiet)
        reach = (plate.left, plate.top, plate.width, plate.height)
        self.hits.append(Hit(reach, "", 1, False))  # what lies below is not touched through it
        pictures = {"": plate}
        top = plate.top + pad
        for row in rows:
            row_high = step * (3 if row[0].action == "scrub" else 1)
            self._cells(row, pygame.Rect(plate.left + pad, top, wide - 2 * pad, row_high), size,
                        gap, pictures)  # fmt: skip
            top += row_high + gap
        return pictures

    def _needed(self, row: Sequence[Cell], size: int, gap: int) -> int:
        """How wide a row must be for nothing in it to be cut."""
        all_wide = sum(cell.wide for cell in row)

        def one(cell: Cell) -> float:
            length = self.lettering.width(cell.text, size) + round(size * 1.2)
            length += self.lettering.width(cell.told, size) + size if cell.told else 0
            return length * all_wide / cell.wide

        return round(max(one(cell) for cell in row)) + gap * (len(row) - 1)

    def _cells(
        self, row: Sequence[Cell], box: pygame.Rect, size: int, gap: int,
        pictures: dict[str, pygame.Rect],
    ) -> None:  # fmt: skip
        unit = (box.width - gap * (len(row) - 1)) / sum(cell.wide for cell in row)
        left = float(box.left)
        for cell in row:
            place = pygame.Rect(round(left), box.top, round(unit * cell.wide), box.height)
            left += unit * cell.wide + gap
            if cell.action == "scrub":
                pictures[cell.action] = place
                self._touchable(place, cell.action, span=place.width, exact=True)
                continue
            self._cell(cell, place, size)

    def _cell(self, cell: Cell, place: pygame.Rect, size: int) -> None:
        pad = round(size * 0.6) if cell.action or cell.on or cell.off else round(size * 0.2)
        if cell.off:
            radius = round(self.metrics.text * 0.4)
            pale = mix(self.look.frame, self.look.plate, 0.45)
            pygame.draw.rect(self.screen, pale, place, border_radius=radius)
        elif cell.action or cell.on:
            self._chip(place, on=cell.on, fill=cell.fill)
        if cell.action:
            self._touchable(place, cell.action, span=place.width, exact=cell.fill is not None)

        def measure(text: str) -> int:
            return self.lettering.width(text, size)

        told = cut(cell.told, width=place.width - 2 * pad, measure=measure)
        room = place.width - 2 * pad - (measure(told) + size // 2 if told else 0)
        text = cut(cell.text, width=room, measure=measure)
        pressed = cell.action and cell.fill is None and not cell.action.startswith("open")
        if not told and (pressed or cell.off):
            pad = (place.width - measure(text)) // 2  # what is only pressed is centred
        if text:
            at = (place.left + pad, place.centery)
            self.lettering.write(self.screen, text, at, size, self.colour(cell.tone))
        if told:
            at = (place.right - pad - measure(told), place.centery)
            tone = Tone.TEXT if cell.fill is not None else Tone.QUIET
            self.lettering.write(self.screen, told, at, size, self.colour(tone))
