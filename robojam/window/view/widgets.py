"""Drawing of labels, buttons, panels and their cells, and the boxes that can be pressed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import pygame

from robojam.window.view.panels import Panel, PanelCell
from robojam.window.view.qr_code import draw_qr_code
from robojam.window.view.sprites import shape_sprite
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

#: Smallest text of a panel, as a share of that in the frame.
_LEAST_TEXT = 0.5
#: Height of a QR code, in rows of text.
_CODE_ROWS = 11.0
#: Characters of a button's text for which its panel becomes wider, or its text smaller.
_LONGEST = 40


class HitBox(NamedTuple):
    """Box that can be pressed, in pixels, and the action of a press.

    travel is the distance in pixels over which a finger turns a dial from end to end.
    absolute: the dial takes the value at the finger; else it turns from its value.
    """

    box: tuple[int, int, int, int]
    action: str
    travel: int
    absolute: bool

    @property
    def dial(self) -> str:
        """Name of the control that a drag turns, or ''."""
        return self.action.removeprefix("slide:") if self.action.startswith("slide:") else ""

    @property
    def knob(self) -> str:
        """Name of the mapped knob whose amount a drag turns, or ''."""
        kind, _, name = self.action.partition(":")
        return name if kind == "amount" else ""

    def contains(self, x: float, y: float) -> bool:
        """Return whether a position is in the box."""
        left, top, width, height = self.box
        return left <= x < left + width and top <= y < top + height


class Widgets:
    """Draws widgets on a screen, in one theme and size."""

    def __init__(self, text: TextRenderer) -> None:
        self.text = text
        self.hit_boxes: list[HitBox] = []

    def set_target(self, screen: pygame.Surface, theme: Theme, metrics: Metrics) -> None:
        """Set the screen, theme and metrics for all further drawing."""
        self.screen, self.theme, self.metrics = screen, theme, metrics

    def colour(self, role: ColourRole) -> Colour:
        """Return the theme's colour for a role."""
        theme = self.theme
        return {
            ColourRole.TEXT: theme.text, ColourRole.MUTED: theme.muted,
            ColourRole.HUMAN: theme.humans[0], ColourRole.MACHINE: theme.machines[0],
            ColourRole.ALERT: theme.alert, ColourRole.RECORD: theme.record,
        }[role]  # fmt: skip

    def draw_row(self, labels: Sequence[Label], middle: int) -> None:
        """Draw as many labels as fit in a row; middle is the row's y."""
        metrics = self.metrics
        right, gap = metrics.width - metrics.margin, round(metrics.text * 0.55)
        for placed in place_labels(
            labels, left=metrics.margin, right=right, gap=gap, measure=self._measure
        ):
            self._draw_label(placed, middle)

    def _measure(self, label: Label, runs: TextRuns) -> int:
        size = self.metrics.text
        length = sum(self.text.width(run.text, size) for run in runs)
        length += round(size * 0.45) * (len(runs) - 1)
        length += round(size * 1.3) if label.icon is not Icon.NONE else 0
        return length + (round(size * 1.2) if label.action else round(size * 0.4))

    def _draw_label(self, placed: PlacedLabel, middle: int) -> None:
        label, runs, left, width = placed
        metrics, size = self.metrics, self.metrics.text
        if label.action:
            height = round(size * 1.8)
            box = pygame.Rect(left, middle - height // 2, width, height)
            box.width = min(box.width, metrics.width - metrics.margin - left)
            self._draw_button(box, selected=label.selected, fill=label.fill)
            area = box.inflate(round(size * 0.5), metrics.row_step - height)
            self._add_hit_box(area, label.action, travel=max(box.width, 14 * size))
            left += round(size * 0.6)
        if label.icon is not Icon.NONE:
            self._draw_icon(label.icon, (left + size // 2, middle), size)
            left += round(size * 1.3)
        for run in runs:
            room = metrics.width - metrics.margin - left
            text = truncate(run.text, width=room, measure=lambda t: self.text.width(t, size))
            if not text:
                return
            place, colour = (left, middle), self.colour(run.role)
            left = self.text.write(self.screen, text, place, size, colour).right
            left += round(size * 0.45)

    def _draw_button(self, box: pygame.Rect, *, selected: bool, fill: float | None) -> None:
        theme, size = self.theme, self.metrics.text
        radius = round(size * 0.4)
        pygame.draw.rect(self.screen, theme.panel, box, border_radius=radius)
        if fill is not None:
            thickness = max(2, round(size * 0.14))
            track = pygame.Rect(0, 0, box.width - 2 * radius, thickness)
            track.midbottom = box.centerx, box.bottom - max(1, thickness // 2)
            colour = mix(theme.panel, theme.muted, 0.35)
            pygame.draw.rect(self.screen, colour, track, 0, thickness)
            track.width = max(thickness, round(track.width * fill))
            colour = theme.text if selected else theme.muted
            pygame.draw.rect(self.screen, colour, track, 0, thickness)
        elif selected:
            thickness = max(1, round(size * 0.09))
            pygame.draw.rect(self.screen, theme.text, box, thickness, border_radius=radius)

    def _draw_meter(self, box: pygame.Rect, share: float, colour: Colour) -> None:
        """Draw a bar that is filled up to a share (0..1), with a line below."""
        theme, radius = self.theme, round(self.metrics.text * 0.4)
        bed = mix(theme.frame, theme.panel, 0.6)
        pygame.draw.rect(self.screen, bed, box, border_radius=radius)
        length = round(box.width * share)
        if length:
            level = pygame.Rect(box.topleft, (max(length, 2 * radius), box.height))
            pygame.draw.rect(self.screen, mix(bed, colour, 0.3), level, border_radius=radius)
            thickness = max(2, self.metrics.text // 7)
            line = pygame.Rect(0, 0, level.width - radius, thickness)
            line.midbottom = level.midbottom
            pygame.draw.rect(self.screen, colour, line, border_radius=thickness)

    def _add_hit_box(
        self, box: pygame.Rect, action: str, *, travel: int = 1, absolute: bool = False
    ) -> None:
        sides = (box.left, box.top, box.width, box.height)
        self.hit_boxes.append(HitBox(sides, action, max(1, travel), absolute))

    def _draw_icon(self, icon: Icon, position: tuple[int, int], size: int) -> None:
        radius, theme = size * 0.42, self.theme
        if icon in (Icon.AWAY, Icon.ARMED, Icon.TROUBLE):
            colour = {Icon.ARMED: theme.record, Icon.TROUBLE: theme.alert}.get(
                icon, theme.muted
            )
            width = max(2, size // 10)
            pygame.draw.aacircle(self.screen, colour, position, radius * 0.9, width)
            return
        colour, radius = {
            Icon.HUMAN: (theme.humans[0], radius),
            Icon.MACHINE: (theme.machines[0], radius),
            Icon.RECORD: (theme.record, radius * 0.8),
            Icon.LIT: (theme.text, radius * 0.6),
            Icon.LIGHT: (mix(theme.frame, theme.muted, 0.45), radius * 0.6),
        }[icon]  # fmt: skip
        picture = shape_sprite(colour, radius, machine=icon is Icon.MACHINE)
        self.screen.blit(picture, picture.get_rect(center=position))

    def add_corner_buttons(self) -> None:
        """Add buttons in the upper corners: help at the left, the theme at the right.

        A theme without text has these alone: `draw_help_mark` shows where the first is.
        """
        side = self._corner
        self._add_hit_box(pygame.Rect(0, 0, side, side), "help")
        self._add_hit_box(pygame.Rect(self.metrics.width - side, 0, side, side), "theme")

    @property
    def _corner(self) -> int:
        return round(min(self.metrics.width, self.metrics.height) / 18)

    def draw_help_mark(self, screen: pygame.Surface, *, trouble: bool) -> None:
        """Draw a faint mark where the help button of a theme without text is.

        It is bright when something does not work.
        """
        theme, side, size = self.theme, self._corner, self.metrics.text
        colour = theme.alert if trouble else mix(theme.surface, theme.muted, 0.4)
        picture = pygame.Surface((side, side), pygame.SRCALPHA)
        left = (side - self.text.width("?", size)) // 2
        self.text.write(picture, "?", (left, side // 2), size, colour)
        self.text.written.pop()
        turned = pygame.transform.rotate(picture, -90 * self.metrics.quarter_turns)
        screen.blit(turned, self.metrics.rotate_box((0, 0, side, side))[:2])

    def draw_backdrop(self, box: pygame.Rect, colour: Colour) -> None:
        """Draw the background of text on the surface."""
        radius, width = round(self.metrics.text * 0.5), max(1, self.metrics.edge // 2)
        pygame.draw.rect(self.screen, self.theme.frame, box, border_radius=radius)
        edge = mix(self.theme.panel, colour, 0.4)
        pygame.draw.rect(self.screen, edge, box, width, border_radius=radius)

    def draw_panel(self, panel: Panel, box: pygame.Rect, part: int = 0) -> pygame.Rect:
        """Draw a panel within a box, but not its timeline; return its own box.

        Where not all rows fit, one part of them is drawn, with a button for the next.
        """
        least = max(7, round(self.metrics.text * _LEAST_TEXT))
        row_count = sum(map(_height, panel.rows))
        for size in range(max(self.metrics.text, least), least - 1, -1):
            pad, gap = round(size * 0.8), max(2, round(size * 0.4))
            needed_width = max(self._min_width(row, size, gap) for row in panel.rows) + 2 * pad
            for step in (round(size * f) for f in (2.2, 2.0, 1.8, 1.6, 1.45)):
                height = round(row_count * step) + gap * (len(panel.rows) - 1) + 2 * pad
                if height <= box.height and (needed_width <= box.width or size == least):
                    break
            if height <= box.height and needed_width <= box.width:
                break
        rows = panel.rows
        if height > box.height and len(rows) > 2:  # smaller text could not be read
            *body, last = rows
            count = max(1, (box.height - 2 * pad - step) // (step + gap))
            parts = -(-len(body) // count)
            begin = part % parts * count
            rows = (*body[begin : begin + count], (*last, PanelCell("next", "next-part")))
            height = (len(rows) * (step + gap)) - gap + 2 * pad
        width = min(box.width, max(needed_width, round(26 * size)))
        backdrop = pygame.Rect(0, 0, width, min(height, box.height))
        backdrop.center = box.center
        if panel.at_bottom:
            backdrop.width, backdrop.bottomleft = box.width, box.bottomleft
        self.draw_backdrop(backdrop, self.theme.muted)
        self._add_hit_box(backdrop, "")  # the surface below it is not played
        place = pygame.Rect(
            backdrop.left + pad, backdrop.top + pad, backdrop.width - 2 * pad, 0
        )
        for index, row in enumerate(rows):
            below = sum(round(step * _height(each)) + gap for each in rows[index + 1 :])
            room = backdrop.bottom - pad - place.top - below  # less where not all rows fit
            place.height = max(step, min(round(step * _height(row)), room))
            self._draw_cells(row, place, size, gap)
            place.top += place.height + gap
        return backdrop

    def _min_width(self, row: Sequence[PanelCell], size: int, gap: int) -> int:
        """Return the width of a row in which no text is truncated."""
        total_share = sum(cell.width_share for cell in row)

        def cell_width(cell: PanelCell) -> float:
            # Long names from outside are truncated; text for them would be too small.
            longest = _LONGEST if cell.action or cell.selected else None
            text, value_text = cell.text[:longest], cell.value_text[:longest]
            length = self.text.width(text, size) + round(size * 1.2)
            length += self.text.width(value_text, size) + size if value_text else 0
            return length * total_share / cell.width_share

        return round(max(cell_width(cell) for cell in row)) + gap * (len(row) - 1)

    def _draw_cells(
        self, row: Sequence[PanelCell], row_box: pygame.Rect, size: int, gap: int
    ) -> None:
        total_share = sum(cell.width_share for cell in row)
        unit_width = (row_box.width - gap * (len(row) - 1)) / total_share
        left = float(row_box.left)
        for cell in row:
            width = unit_width * cell.width_share
            box = pygame.Rect(round(left), row_box.top, round(width), row_box.height)
            left += width + gap
            if cell.code:
                draw_qr_code(self.screen, cell.code, box)
            elif cell.action == "scrub":
                self._add_hit_box(box, cell.action, travel=box.width, absolute=True)
            else:
                self._draw_cell(cell, box, size)

    def _draw_cell(self, cell: PanelCell, box: pygame.Rect, size: int) -> None:
        pad = round(size * (0.6 if cell.action or cell.selected or cell.disabled else 0.2))
        if cell.disabled:
            radius = round(self.metrics.text * 0.4)
            colour = mix(self.theme.frame, self.theme.panel, 0.45)
            pygame.draw.rect(self.screen, colour, box, border_radius=radius)
        elif cell.meter is not None:
            pad = round(size * 0.6)
            self._draw_meter(box, cell.meter, self.colour(cell.role))
        elif cell.action or cell.selected:
            self._draw_button(box, selected=cell.selected, fill=cell.fill)
        if cell.action:
            absolute = cell.fill is not None
            self._add_hit_box(box, cell.action, travel=box.width, absolute=absolute)

        def measure(text: str) -> int:
            return self.text.width(text, size)

        value_text = truncate(cell.value_text, width=box.width - 2 * pad, measure=measure)
        room = box.width - 2 * pad - (measure(value_text) + size // 2 if value_text else 0)
        text = truncate(cell.text, width=room, measure=measure, keep_end=cell.typed)
        pressed = cell.action and cell.fill is None and not cell.action.startswith("open")
        if not value_text and (pressed or cell.disabled):
            pad = (box.width - measure(text)) // 2  # buttons without a value are centred
        if text:
            position = (box.left + pad, box.centery)
            role = cell.role if cell.meter is None else ColourRole.TEXT
            self.text.write(self.screen, text, position, size, self.colour(role))
        if value_text:
            position = (box.right - pad - measure(value_text), box.centery)
            measured = cell.fill is not None or cell.meter is not None
            role = ColourRole.TEXT if measured else ColourRole.MUTED
            self.text.write(self.screen, value_text, position, size, self.colour(role))


def _height(row: Sequence[PanelCell]) -> float:
    """Return the height of a row of a panel, in rows of text."""
    if row[0].code:
        return _CODE_ROWS
    return 3.0 if row[0].action == "scrub" else 1.0
