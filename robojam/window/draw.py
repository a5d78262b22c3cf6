"""The whole picture: surface, light, trails, edge, and the frame around them."""

from __future__ import annotations

import pygame

from robojam.window import theme
from robojam.window.frame import (
    KEYS_HINT,
    Icon,
    Label,
    Parts,
    Placed,
    Tone,
    Words,
    cut,
    fit,
    words,
    wrap,
)
from robojam.window.glow import Glow
from robojam.window.keys import HELP
from robojam.window.lettering import Lettering
from robojam.window.sprites import LEVELS, Sprites
from robojam.window.state import State
from robojam.window.theme import Colour, Metrics, mix
from robojam.window.trails import Trails

_COLOURS: dict[Tone, Colour] = {
    Tone.TEXT: theme.TEXT, Tone.QUIET: theme.QUIET, Tone.CHOSEN: theme.TEXT,
    Tone.HUMAN: theme.HUMANS[0], Tone.MACHINE: theme.MACHINES[0],
    Tone.ALERT: theme.ALERT, Tone.RECORD: theme.RECORD,
}  # fmt: skip
_EDGES: dict[Tone, Colour] = {
    Tone.HUMAN: theme.HUMANS[0], Tone.MACHINE: theme.MACHINES[0], Tone.QUIET: theme.EDGE,
}  # fmt: skip


class Picture:
    """Draws a state; keeps what is worth keeping from frame to frame."""

    def __init__(self) -> None:
        self.lettering = Lettering()
        self._sprites = Sprites()
        self._trails = Trails(self._sprites)
        self._glow = Glow(self._sprites)
        self._layer: pygame.Surface | None = None

    def restless(self, state: State, now: float) -> bool:
        """Whether the picture will change a moment later, though nothing comes."""
        return state.restless(now) or self._glow.restless(state.expected(now), now)

    def draw(self, screen: pygame.Surface, state: State, now: float) -> list[pygame.Rect]:
        """Draw the state at an instant (seconds); return where words were written."""
        self.lettering.written.clear()
        metrics = Metrics.of(screen.get_size())
        said = words(state, now)
        screen.fill(theme.FRAME)
        box = pygame.Rect(metrics.play)
        pygame.draw.rect(screen, theme.SURFACE, box)
        play = screen.subsurface(box)
        self._glow.draw(play, state.expected(now), now)
        self._touches(play, state, now, metrics.head)
        self._edge(screen, box, said.turn, metrics)
        if not metrics.bare:
            self._bars(screen, said, metrics)
            below = self._notices(screen, box, said.notices, metrics)
            above = pygame.Rect(box.left, box.top, box.width, below - box.top)
            if state.help_shown:
                self._help(screen, above, metrics)
            else:
                self._hint(screen, above, said, metrics)
        return list(self.lettering.written)

    def _touches(self, play: pygame.Surface, state: State, now: float, head: float) -> None:
        if not state.strokes.seen and not state.ghosts:
            return
        if self._layer is None or self._layer.get_size() != play.get_size():
            self._layer = pygame.Surface(play.get_size(), depth=32)
        self._layer.fill((0, 0, 0))
        self._trails.ghosts(self._layer, list(state.ghosts.values()), now, head)
        self._trails.draw(self._layer, state.strokes, now, head)
        play.blit(self._layer, (0, 0), special_flags=pygame.BLEND_RGB_MAX)

    def _edge(
        self, screen: pygame.Surface, box: pygame.Rect, turn: Tone, metrics: Metrics
    ) -> None:
        colour = _EDGES[turn]
        around = box if metrics.bare else box.inflate(2 * metrics.edge, 2 * metrics.edge)
        radius = 0 if metrics.bare else round(metrics.text * 0.5)
        if radius:  # the frame covers the surface's square corners
            pygame.draw.rect(
                screen,
                theme.FRAME,
                around.inflate(radius, radius),
                radius,
                border_radius=radius,
            )
        pygame.draw.rect(screen, colour, around, metrics.edge, border_radius=radius)

    # The bars

    def _bars(self, screen: pygame.Surface, said: Words, metrics: Metrics) -> None:
        low, step = metrics.height - metrics.bar // 2, round(metrics.text * 1.8)
        rows = [(said.top, metrics.bar // 2), (said.bottom, low)]
        if metrics.rows == 2:
            above = [label for label in said.bottom if not label.right or label is KEYS_HINT]
            below = [label for label in said.bottom if label not in above]
            rows[1:] = [(tuple(above), low - step), (tuple(below), low)]
        for labels, middle in rows:
            placed = fit(
                labels,
                left=metrics.margin,
                right=metrics.width - metrics.margin,
                gap=round(metrics.text * 1.5),
                measure=lambda label, parts: self._measure(label, parts, metrics.text),
            )
            for label in placed:
                self._label(screen, label, middle, metrics)

    def _measure(self, label: Label, parts: Parts, size: int) -> int:
        length = sum(self.lettering.width(part.text, size) for part in parts)
        length += _gap(parts, size) * (len(parts) - 1)
        return length + (round(size * 1.4) if label.icon is not Icon.NONE else 0)

    def _label(
        self, screen: pygame.Surface, placed: Placed, middle: int, metrics: Metrics
    ) -> None:
        size, left = metrics.text, placed.left
        if placed.label.icon is not Icon.NONE:
            self._icon(screen, placed.label.icon, (left + size // 2, middle), size)
            left += round(size * 1.4)
        for part in placed.parts:
            room = metrics.width - metrics.margin - left
            text = cut(
                part.text, width=room, measure=lambda text: self.lettering.width(text, size)
            )
            if not text:
                return
            where = self.lettering.write(
                screen, text, (left, middle), size, _COLOURS[part.tone]
            )
            if part.tone is Tone.CHOSEN:
                line = pygame.Rect(where.left, where.bottom, where.width, max(2, size // 9))
                pygame.draw.rect(screen, theme.TEXT, line, border_radius=2)
            left = where.right + _gap(placed.parts, size)

    def _icon(self, screen: pygame.Surface, icon: Icon, at: tuple[int, int], size: int) -> None:
        radius = size * 0.42
        if icon in (Icon.AWAY, Icon.ARMED):
            colour = theme.RECORD if icon is Icon.ARMED else theme.QUIET
            pygame.draw.aacircle(screen, colour, at, radius * 0.9, max(2, size // 10))
            return
        picture = {
            Icon.HUMAN: self._sprites.disc(theme.HUMANS[0], radius, LEVELS),
            Icon.MACHINE: self._sprites.diamond(theme.MACHINES[0], radius, LEVELS),
            Icon.RECORD: self._sprites.disc(theme.RECORD, radius * 0.8, LEVELS),
        }[icon]
        screen.blit(picture, picture.get_rect(center=at))

    # On the surface

    def _hint(
        self, screen: pygame.Surface, box: pygame.Rect, said: Words, metrics: Metrics
    ) -> None:
        room = box.width - 2 * metrics.margin
        if box.height < 5 * metrics.text:
            return
        middle = box.centery - round(metrics.text * 0.9)
        for index, line in enumerate(said.hint):
            size = metrics.text if index else round(metrics.text * 1.25)
            while size > 8 and self.lettering.width(line, size) > room:
                size -= 1
            colour = theme.QUIET if index else theme.TEXT
            left = box.centerx - self.lettering.width(line, size) // 2
            self.lettering.write(screen, line, (left, middle), size, colour)
            middle += round(metrics.text * 1.9)

    def _notices(
        self, screen: pygame.Surface, box: pygame.Rect, notices: Parts, metrics: Metrics
    ) -> int:
        """Write the notices from the bottom up; return where they begin, in pixels."""
        size, pad = metrics.text, round(metrics.text * 0.7)
        step = self.lettering.height(size)
        room = box.width - 2 * metrics.margin - 2 * pad
        below = box.bottom - metrics.margin
        for notice in reversed(notices):
            lines = wrap(
                notice.text, width=room, lines=2,
                measure=lambda text: self.lettering.width(text, size),
            )  # fmt: skip
            wide = max((self.lettering.width(line, size) for line in lines), default=0)
            plate = pygame.Rect(0, 0, wide + 2 * pad, step * len(lines) + pad)
            plate.midbottom = box.centerx, below
            if not lines or plate.top < box.top + metrics.margin:
                break
            self._plate(screen, plate, _COLOURS[notice.tone], metrics)
            for index, line in enumerate(lines):
                at = plate.left + pad, plate.top + pad // 2 + step * index + step // 2
                self.lettering.write(screen, line, at, size, _COLOURS[notice.tone])
            below = plate.top - pad // 2
        return below

    def _plate(
        self, screen: pygame.Surface, plate: pygame.Rect, colour: Colour, metrics: Metrics
    ) -> None:
        radius = round(metrics.text * 0.4)
        pygame.draw.rect(screen, theme.PLATE, plate, border_radius=radius)
        edge = mix(theme.PLATE, colour, 0.4)
        pygame.draw.rect(screen, edge, plate, max(1, metrics.edge // 2), border_radius=radius)

    def _help(self, screen: pygame.Surface, box: pygame.Rect, metrics: Metrics) -> None:
        room = box.inflate(-2 * metrics.margin, -2 * metrics.margin)
        for size in range(metrics.text, 7, -1):
            keys = max(self.lettering.width(key, size) for key, _ in HELP)
            meanings = max(self.lettering.width(meaning, size) for _, meaning in HELP)
            pad, step = round(size * 1.2), round(size * 1.75)
            plate = pygame.Rect(0, 0, keys + meanings + 3 * pad, step * len(HELP) + pad)
            if plate.width <= room.width and plate.height <= room.height:
                break
        else:
            return
        plate.center = box.center
        self._plate(screen, plate, theme.QUIET, metrics)
        for index, (key, meaning) in enumerate(HELP):
            middle = plate.top + pad // 2 + step * index + step // 2
            self.lettering.write(screen, key, (plate.left + pad, middle), size, theme.TEXT)
            left = plate.left + 2 * pad + keys
            self.lettering.write(screen, meaning, (left, middle), size, theme.QUIET)


def _gap(parts: Parts, size: int) -> int:
    """Tabs and facts stand further apart than a name and its value."""
    tabs = any(part.tone is Tone.CHOSEN for part in parts)
    return round(size * (1.1 if tabs else 0.5))
