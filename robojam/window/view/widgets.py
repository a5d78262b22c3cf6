"""Draws words, chips and cells, and remembers what of them can be touched."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import pygame

from robojam.window.view.panels import Panel, PanelCell
from robojam.window.view.sprites import Sprites
from robojam.window.view.text import TextRenderer
from robojam.window.view.text_fit import (
    ColourRole,
    Icon,
    Label,
    PlacedLabel,
    TextRuns,
    place_labels,
    truncate,
)
from robojam.window.view.theme import Colour, Metrics, Theme, mix


class HitBox(NamedTuple):
    """A place that can be touched: left, top, width, height (pixels), and what it does.

    span is how far a finger goes, in pixels, to turn a control all the way; exact,
    that it stands where the finger is.
    """

    box: tuple[int, int, int, int]
    action: str
    travel: int
    absolute: bool

    def contains(self, x: float, y: float) -> bool:
        """Whether a place is inside."""
        left, top, width, height = self.box
        return left <= x < left + width and top <= y < top + height

    def fraction(self, x: float) -> float:
        """How far from its left end to its right end a place is."""
        return (x - self.box[0]) / max(1, self.box[2] - 1)


class Widgets:
    """Writes in one theme and one size."""

    def __init__(self, text: TextRenderer, sprites: Sprites) -> None:
        self.text, self._sprites = text, sprites
        self.hit_boxes: list[HitBox] = []

    def set_target(self, screen: pygame.Surface, theme: Theme, metrics: Metrics) -> None:
        """Draw from now on here, like this."""
        self.screen, self.theme, self.metrics = screen, theme, metrics

    def colour(self, role: ColourRole) -> Colour:
        """Return the colour of a tone."""
        theme = self.theme
        return {
            ColourRole.TEXT: theme.text,
            ColourRole.MUTED: theme.muted,
            ColourRole.HUMAN: theme.humans[0],
            ColourRole.MACHINE: theme.machines[0],
            ColourRole.ALERT: theme.alert,
            ColourRole.RECORD: theme.record,
        }[role]

    # -- the bars ----------------------------------------------------------------------------

    def draw_row(self, labels: Sequence[Label], middle: int) -> None:
        """Draw labels in a row, as many as there is room for."""
        metrics = self.metrics
        placed = place_labels(
            labels,
            left=metrics.margin,
            right=metrics.width - metrics.margin,
            gap=round(metrics.text * 0.55),
            measure=self._measure,
        )
        for label in placed:
            self._draw_label(label, middle)

    def _measure(self, label: Label, runs: TextRuns) -> int:
        size = self.metrics.text
        length = sum(self.text.width(run.text, size) for run in runs)
        length += round(size * 0.45) * (len(runs) - 1)
        length += round(size * 1.3) if label.icon is not Icon.NONE else 0
        return length + (round(size * 1.2) if label.action else round(size * 0.4))

    def _draw_label(self, placed: PlacedLabel, middle: int) -> None:
        metrics, label = self.metrics, placed.label
        size, left = metrics.text, placed.left
        if label.action:
            high = round(size * 1.8)
            box = pygame.Rect(left, middle - high // 2, placed.width, high)
            box.width = min(box.width, metrics.width - metrics.margin - left)
            self._draw_button(box, selected=label.selected, fill=label.fill)
            reach = box.inflate(round(size * 0.5), metrics.row_step - high)
            self._add_hit_box(reach, label.action, travel=max(box.width, 14 * size))
            left += round(size * 0.6)
        if label.icon is not Icon.NONE:
            self._draw_icon(label.icon, (left + size // 2, middle), size)
            left += round(size * 1.3)
        for run in placed.runs:
            room = metrics.width - metrics.margin - left
            text = truncate(run.text, width=room, measure=lambda t: self.text.width(t, size))
            if not text:
                return
            where = self.text.write(
                self.screen, text, (left, middle), size, self.colour(run.role)
            )
            left = where.right + round(size * 0.45)

    def _draw_button(self, box: pygame.Rect, *, selected: bool, fill: float | None) -> None:
        theme, size = self.theme, self.metrics.text
        radius = round(size * 0.4)
        pygame.draw.rect(self.screen, theme.panel, box, border_radius=radius)
        if fill is not None:
            thick = max(2, round(size * 0.14))
            track = pygame.Rect(0, 0, box.width - 2 * radius, thick)
            track.midbottom = box.centerx, box.bottom - max(1, thick // 2)
            pygame.draw.rect(self.screen, mix(theme.panel, theme.muted, 0.35), track, 0, thick)
            track.width = max(thick, round(track.width * fill))
            pygame.draw.rect(
                self.screen, theme.text if selected else theme.muted, track, 0, thick
            )
        elif selected:
            thick = max(1, round(size * 0.09))
            pygame.draw.rect(self.screen, theme.text, box, thick, border_radius=radius)

    def _add_hit_box(
        self, box: pygame.Rect, action: str, *, travel: int = 1, absolute: bool = False
    ) -> None:
        place = (box.left, box.top, box.width, box.height)
        self.hit_boxes.append(HitBox(place, action, max(1, travel), absolute))

    def _draw_icon(self, icon: Icon, at: tuple[int, int], size: int) -> None:
        radius, theme = size * 0.42, self.theme
        if icon in (Icon.AWAY, Icon.ARMED):
            colour = theme.record if icon is Icon.ARMED else theme.muted
            pygame.draw.aacircle(self.screen, colour, at, radius * 0.9, max(2, size // 10))
            return
        picture = {
            Icon.HUMAN: lambda: self._sprites.disc(theme.humans[0], radius),
            Icon.MACHINE: lambda: self._sprites.diamond(theme.machines[0], radius),
            Icon.RECORD: lambda: self._sprites.disc(theme.record, radius * 0.8),
            Icon.LIT: lambda: self._sprites.disc(theme.text, radius * 0.6),
            Icon.LIGHT: lambda: self._sprites.disc(
                mix(theme.frame, theme.muted, 0.45), radius * 0.6
            ),
        }[icon]()
        self.screen.blit(picture, picture.get_rect(center=at))

    def add_theme_button(self) -> None:
        """Where no words are, a corner leads back to them."""
        side = round(min(self.metrics.width, self.metrics.height) / 24)
        self._add_hit_box(pygame.Rect(self.metrics.width - side, 0, side, side), "theme")

    # -- plates and panels -------------------------------------------------------------------

    def draw_backdrop(self, box: pygame.Rect, colour: Colour) -> None:
        """Draw what words on the surface stand on."""
        theme, metrics = self.theme, self.metrics
        radius = round(metrics.text * 0.5)
        pygame.draw.rect(self.screen, theme.frame, box, border_radius=radius)
        edge = mix(theme.panel, colour, 0.4)
        pygame.draw.rect(
            self.screen, edge, box, max(1, metrics.edge // 2), border_radius=radius
        )

    def draw_panel(self, panel: Panel, box: pygame.Rect) -> dict[str, pygame.Rect]:
        """Draw a panel within a box; return where its pictures go, by their action.

        By no action, where the panel is.
        """
        tall = sum(3.0 if row[0].action == "scrub" else 1.0 for row in panel.rows)
        for size in range(self.metrics.text, 6, -1):
            pad, gap = round(size * 0.8), max(2, round(size * 0.4))
            need = max(self._min_width(row, size, gap) for row in panel.rows) + 2 * pad
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
        wide = box.width if panel.at_bottom else min(box.width, max(need, round(26 * size)))
        backdrop = pygame.Rect(0, 0, wide, min(high, box.height))
        backdrop.center = box.center
        if panel.at_bottom:
            backdrop.midbottom = box.midbottom
        self.draw_backdrop(backdrop, self.theme.muted)
        reach = (backdrop.left, backdrop.top, backdrop.width, backdrop.height)
        self.hit_boxes.append(
            HitBox(reach, "", 1, False)
        )  # what lies below is not touched through it
        pictures = {"": backdrop}
        top = backdrop.top + pad
        for row in rows:
            row_high = step * (3 if row[0].action == "scrub" else 1)
            self._draw_cells(
                row,
                pygame.Rect(backdrop.left + pad, top, wide - 2 * pad, row_high),
                size,
                gap,
                pictures,
            )
            top += row_high + gap
        return pictures

    def _min_width(self, row: Sequence[PanelCell], size: int, gap: int) -> int:
        """How wide a row must be for nothing in it to be cut."""
        all_wide = sum(cell.width_share for cell in row)

        def cell_width(cell: PanelCell) -> float:
            length = self.text.width(cell.text, size) + round(size * 1.2)
            length += self.text.width(cell.value_text, size) + size if cell.value_text else 0
            return length * all_wide / cell.width_share

        return round(max(cell_width(cell) for cell in row)) + gap * (len(row) - 1)

    def _draw_cells(
        self, row: Sequence[PanelCell], box: pygame.Rect, size: int, gap: int,
        pictures: dict[str, pygame.Rect],
    ) -> None:  # fmt: skip
        unit = (box.width - gap * (len(row) - 1)) / sum(cell.width_share for cell in row)
        left = float(box.left)
        for cell in row:
            place = pygame.Rect(
                round(left), box.top, round(unit * cell.width_share), box.height
            )
            left += unit * cell.width_share + gap
            if cell.action == "scrub":
                pictures[cell.action] = place
                self._add_hit_box(place, cell.action, travel=place.width, absolute=True)
                continue
            self._draw_cell(cell, place, size)

    def _draw_cell(self, cell: PanelCell, place: pygame.Rect, size: int) -> None:
        pad = (
            round(size * 0.6)
            if cell.action or cell.selected or cell.disabled
            else round(size * 0.2)
        )
        if cell.disabled:
            radius = round(self.metrics.text * 0.4)
            pale = mix(self.theme.frame, self.theme.panel, 0.45)
            pygame.draw.rect(self.screen, pale, place, border_radius=radius)
        elif cell.action or cell.selected:
            self._draw_button(place, selected=cell.selected, fill=cell.fill)
        if cell.action:
            self._add_hit_box(
                place, cell.action, travel=place.width, absolute=cell.fill is not None
            )

        def measure(text: str) -> int:
            return self.text.width(text, size)

        value_text = truncate(cell.value_text, width=place.width - 2 * pad, measure=measure)
        room = place.width - 2 * pad - (measure(value_text) + size // 2 if value_text else 0)
        text = truncate(cell.text, width=room, measure=measure)
        pressed = cell.action and cell.fill is None and not cell.action.startswith("open")
        if not value_text and (pressed or cell.disabled):
            pad = (place.width - measure(text)) // 2  # what is only pressed is centred
        if text:
            at = (place.left + pad, place.centery)
            self.text.write(self.screen, text, at, size, self.colour(cell.role))
        if value_text:
            at = (place.right - pad - measure(value_text), place.centery)
            role = ColourRole.TEXT if cell.fill is not None else ColourRole.MUTED
            self.text.write(self.screen, value_text, at, size, self.colour(role))
