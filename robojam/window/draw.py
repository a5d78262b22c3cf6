"""The whole picture: surface, light, trails, edge, and the frame around them."""

from __future__ import annotations

from dataclasses import replace

import pygame

from robojam.window.board import Board, Hit
from robojam.window.fitting import Parts, Tone, wrap
from robojam.window.frame import Words, words
from robojam.window.glow import Glow
from robojam.window.lettering import Lettering
from robojam.window.panels import Panel
from robojam.window.rerun import Rerun
from robojam.window.sprites import Sprites
from robojam.window.state import State
from robojam.window.theme import THEMES, Metrics, mix, turned
from robojam.window.timeline import Timeline
from robojam.window.trails import Trails


class Picture:
    """Draws a state; keeps what is worth keeping from frame to frame."""

    def __init__(self) -> None:
        self.lettering = Lettering()
        self._sprites = Sprites()
        self._board = Board(self.lettering, self._sprites)
        self._trails = Trails(self._sprites)
        self._again = Trails(self._sprites)
        self._glow = Glow(self._sprites)
        self._timeline = Timeline()
        self._rerun: Rerun | None = None
        self._covered = 0
        self._canvas: pygame.Surface | None = None
        self._framed: tuple[object, ...] = ()
        self._bars: tuple[list[pygame.Rect], list[Hit]] = ([], [])

    @property
    def hits(self) -> list[Hit]:
        """What can be touched, as it was drawn last; what lies above comes later."""
        return self._board.hits

    def forget(self) -> None:
        """Draw everything anew: what was on the screen may be gone."""
        self._framed = ()

    def restless(self, state: State, now: float) -> bool:
        """Whether the picture will change a moment later, though nothing comes."""
        return state.restless(now) or self._glow.restless(state.expected(now), now)

    def draw(
        self, screen: pygame.Surface, state: State, now: float, *,
        panel: Panel | None = None, rerun: Rerun | None = None, said: Words | None = None,
    ) -> list[pygame.Rect]:  # fmt: skip
        """Draw the state at an instant (seconds); return where words were written.

        panel is what lies open, rerun a recording that is looked at, said what the
        frame says, if that is known already.
        """
        quarters = state.view.quarters
        if not quarters:
            return self._draw(screen, state, now, panel, rerun, said)
        size = turned(screen.get_size(), quarters)
        if self._canvas is None or self._canvas.get_size() != size:
            self._canvas = pygame.Surface(size, depth=32)
            self.forget()
        written = self._draw(self._canvas, state, now, panel, rerun, said)
        if quarters == 2:
            screen.blit(pygame.transform.flip(self._canvas, True, True), (0, 0))
        else:
            screen.blit(pygame.transform.rotate(self._canvas, -90 * quarters), (0, 0))
        return written

    def _draw(
        self, screen: pygame.Surface, state: State, now: float,
        panel: Panel | None, rerun: Rerun | None, said: Words | None,
    ) -> list[pygame.Rect]:  # fmt: skip
        look = THEMES[state.view.theme]
        metrics = Metrics.of(screen.get_size(), words=look.words)
        said = said or words(state, now)
        self._board.begin(screen, look, metrics)
        box = pygame.Rect(metrics.play)
        self._frame(screen, said, state.view.quarters)
        play = screen.subsurface(box)
        self._glow.draw(play, state.expected(now), now, look)
        if rerun is not self._rerun:
            self._rerun, self._again = rerun, Trails(self._sprites)
        if rerun is not None:
            seen = self._above(metrics, panel)
            part = screen.subsurface(pygame.Rect(seen.play))
            self._again.draw(part, rerun.strokes, rerun.at, seen, look)
        if state.ghosts and state.view.forecast:
            self._trails.ghosts(play, state.ghosts.values(), now, metrics, look)
        self._trails.draw(play, state.strokes, now, metrics, look)
        self._edge(screen, box, said.turn, state.turn_left(now))
        if not metrics.bare:
            below = self._notices(box, said.notices)
            above = pygame.Rect(box.left, box.top, box.width, below - box.top)
            if panel is not None:
                self._panel(screen, panel, above, rerun)
            else:
                self._hint(above, said)
        return list(self.lettering.written)

    def _above(self, m: Metrics, panel: Panel | None) -> Metrics:
        """Return sizes for what is seen whole above a low panel, if there is room for it."""
        left, top, width, height = m.play
        left_over = height - self._covered
        if m.bare or panel is None or not panel.low or left_over < height // 3:
            return m
        return replace(m, play=(left, top, width, left_over))

    def _frame(self, screen: pygame.Surface, said: Words, quarters: int) -> None:
        """Draw the bars, if they say something new; else they are still there."""
        m, look = self._board.metrics, self._board.look
        here = (screen.get_size(), look, said.top, said.bottom, quarters)
        if here != self._framed:
            self._framed = here
            screen.fill(look.frame)
            self.lettering.written.clear()
            self._board.hits.clear()
            if not m.bare:
                top, low = m.bar // 2, m.height - m.bar // 2
                if m.rows == 1:
                    self._board.row((*said.top[0][:2], *said.top[1], *said.top[0][2:]), top)
                    self._board.row((*said.bottom[0], *said.bottom[1]), low)
                else:
                    for i in (0, 1):
                        self._board.row(said.top[i], top + i * m.row)
                        self._board.row(said.bottom[i], low + (i - 1) * m.row)
            elif not look.words:
                self._board.way_out()
            self._bars = (list(self.lettering.written), list(self._board.hits))
        self.lettering.written[:] = self._bars[0]
        self._board.hits[:] = self._bars[1]

    def _edge(
        self, screen: pygame.Surface, box: pygame.Rect, turn: Tone,
        left: tuple[float, float] | None,
    ) -> None:  # fmt: skip
        """Draw the edge in the colour of whose turn it is, with what is left of it."""
        m, look = self._board.metrics, self._board.look
        colour = look.edge if turn is Tone.QUIET else self._board.colour(turn)
        around = box if m.bare else box.inflate(2 * m.edge, 2 * m.edge)
        radius = 0 if m.bare else round(m.text * 0.5)
        if radius:  # the frame covers the surface's square corners
            cover = around.inflate(radius, radius)
            pygame.draw.rect(screen, look.frame, cover, radius, border_radius=radius)
        counts = turn is Tone.MACHINE and left is not None
        dim = mix(look.frame, colour, 0.35) if counts else colour
        pygame.draw.rect(screen, dim, around, m.edge, border_radius=radius)
        if counts and left is not None and left[1] > 0:
            long = round((around.width - 2 * radius) * left[0] / left[1])
            bar = pygame.Rect(0, around.top, long, 2 * m.edge)
            bar.centerx = around.centerx
            pygame.draw.rect(screen, colour, bar, border_radius=m.edge)

    # On the surface

    def _panel(
        self, screen: pygame.Surface, panel: Panel, above: pygame.Rect, rerun: Rerun | None
    ) -> None:
        m = self._board.metrics
        room = above.inflate(-2 * m.margin, -2 * m.margin)
        if room.width < 100 or room.height < 60:
            return
        pictures = self._board.panel(panel, room)
        self._covered = pictures[""].height + m.margin if panel.low else 0
        if rerun is not None and "scrub" in pictures:
            self._timeline.draw(screen, pictures["scrub"], rerun, self._board.look)

    def _hint(self, box: pygame.Rect, said: Words) -> None:
        m = self._board.metrics
        room = box.width - 2 * m.margin
        if box.height < 5 * m.text:
            return
        middle = box.centery - round(m.text * 0.9)
        for index, line in enumerate(said.hint):
            size = m.text if index else round(m.text * 1.25)
            while size > 8 and self.lettering.width(line, size) > room:
                size -= 1
            colour = self._board.colour(Tone.QUIET if index else Tone.TEXT)
            left = box.centerx - self.lettering.width(line, size) // 2
            self.lettering.write(self._board.screen, line, (left, middle), size, colour)
            middle += round(m.text * 1.9)

    def _notices(self, box: pygame.Rect, notices: Parts) -> int:
        """Write the notices from the bottom up; return where they begin, in pixels."""
        m = self._board.metrics
        size, pad = m.text, round(m.text * 0.7)
        step = self.lettering.height(size)
        room = box.width - 2 * m.margin - 2 * pad
        below = box.bottom - m.margin if notices else box.bottom
        for notice in reversed(notices):
            lines = wrap(
                notice.text, width=room, lines=2,
                measure=lambda text: self.lettering.width(text, size),
            )  # fmt: skip
            wide = max((self.lettering.width(line, size) for line in lines), default=0)
            plate = pygame.Rect(0, 0, wide + 2 * pad, step * len(lines) + pad)
            plate.midbottom = box.centerx, below
            if not lines or plate.top < box.top + m.margin:
                break
            colour = self._board.colour(notice.tone)
            self._board.plate(plate, colour)
            for index, line in enumerate(lines):
                at = plate.left + pad, plate.top + pad // 2 + step * index + step // 2
                self.lettering.write(self._board.screen, line, at, size, colour)
            below = plate.top - pad // 2
        return below
