"""The whole picture: surface, light, trails, edge, and the frame around them."""

from __future__ import annotations

from dataclasses import replace

import pygame

from robojam.window.client.state import Component, WindowState
from robojam.window.recordings.playback import RecordingPlayback
from robojam.window.view.forecast_view import ForecastView
from robojam.window.view.frame import Words, words
from robojam.window.view.panels import Panel
from robojam.window.view.sprites import Sprites
from robojam.window.view.strokes_view import StrokesView
from robojam.window.view.text import TextRenderer
from robojam.window.view.text_fit import Parts, Tone, wrap
from robojam.window.view.theme import THEMES, Box, Metrics, Theme, mix, turned
from robojam.window.view.timeline import Timeline
from robojam.window.view.widgets import Hit, Widgets


class Scene:
    """Draws a state; keeps what is worth keeping from frame to frame."""

    def __init__(self) -> None:
        self.lettering = TextRenderer()
        self._sprites = Sprites()
        self._board = Widgets(self.lettering, self._sprites)
        self._trails = StrokesView(self._sprites)
        self._again = StrokesView(self._sprites)
        self._glow = ForecastView(self._sprites)
        self._timeline = Timeline()
        self._rerun: RecordingPlayback | None = None
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

    def restless(self, state: WindowState, now: float) -> bool:
        """Whether the picture will change a moment later, though nothing comes."""
        return state.restless(now) or self._glow.restless(_expected(state, now), now)

    def draw(
        self, screen: pygame.Surface, state: WindowState, now: float, *,
        panel: Panel | None = None, rerun: RecordingPlayback | None = None, said: Words | None = None,
    ) -> list[pygame.Rect]:  # fmt: skip
        """Draw the state at an instant (seconds); return where words were written.

        panel is what lies open, rerun a recording that is looked at, said what the
        frame says, if that is known already.
        """
        look, quarters = THEMES[state.view.theme], state.view.quarters
        size = turned(screen.get_size(), quarters)
        m = replace(Metrics.of(size, words=look.words), quarters=quarters)
        said = said or words(state, now)
        canvas = self._upright(screen, m)
        self._board.begin(canvas, look, m)
        box = pygame.Rect(m.play)
        if self._frame(canvas, said) and quarters:
            screen.blit(pygame.transform.rotate(canvas, -90 * quarters), (0, 0))
        self._surface(screen, state, now, m, look, panel, rerun)
        self._edge(screen, box, said.turn, state.turn_left(now))
        if not m.bare and (panel is not None or said.notices or any(said.hint)):
            place = m.turn(m.play)
            if quarters:
                below = screen.subsurface(place)
                canvas.blit(pygame.transform.rotate(below, 90 * quarters), box)
            self._words(canvas, box, said, panel, rerun)
            if quarters:
                above = canvas.subsurface(box)
                screen.blit(pygame.transform.rotate(above, -90 * quarters), place[:2])
        return list(self.lettering.written)

    def _upright(self, screen: pygame.Surface, m: Metrics) -> pygame.Surface:
        """Return what words are written on: what is turned is turned when they are."""
        if not m.quarters:
            return screen
        if self._canvas is None or self._canvas.get_size() != (m.width, m.height):
            self._canvas = pygame.Surface((m.width, m.height), depth=32)
            self.forget()
        return self._canvas

    def _surface(
        self, screen: pygame.Surface, state: WindowState, now: float, m: Metrics, look: Theme,
        panel: Panel | None, rerun: RecordingPlayback | None,
    ) -> None:  # fmt: skip
        """Draw the light and the strokes, turned as they are to be seen: most of a frame."""
        play = screen.subsurface(m.turn(m.play))
        self._glow.draw(play, _expected(state, now), now, look)
        if rerun is not self._rerun:
            self._rerun, self._again = rerun, StrokesView(self._sprites)
        if rerun is not None:
            seen = self._above(m, panel)
            part = screen.subsurface(m.turn(seen.play))
            self._again.draw(part, rerun.strokes, rerun.at, seen, look)
        if state.ghosts and state.view.forecast:
            self._trails.ghosts(play, state.ghosts.values(), now, m, look)
        self._trails.draw(play, state.strokes, now, m, look)

    def _words(
        self, canvas: pygame.Surface, box: pygame.Rect, said: Words,
        panel: Panel | None, rerun: RecordingPlayback | None,
    ) -> None:  # fmt: skip
        """Write what stands on the surface."""
        below = self._notices(box, said.notices)
        above = pygame.Rect(box.left, box.top, box.width, below - box.top)
        if panel is not None:
            self._panel(canvas, panel, above, rerun)
        else:
            self._hint(above, said)

    def _above(self, m: Metrics, panel: Panel | None) -> Metrics:
        """Return sizes for what is seen whole above a low panel, if there is room for it."""
        left, top, width, height = m.play
        left_over = height - self._covered
        if m.bare or panel is None or not panel.low or left_over < height // 3:
            return m
        return replace(m, play=(left, top, width, left_over))

    def _frame(self, screen: pygame.Surface, said: Words) -> bool:
        """Draw the bars, if they say something new; else they are still there."""
        m, look = self._board.metrics, self._board.look
        here = (m, look, said.top, said.bottom)
        new = here != self._framed
        if new:
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
        return new

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
            pygame.draw.rect(
                screen, look.frame, m.turn(_box(cover)), radius, border_radius=radius
            )
        counts = turn is Tone.MACHINE and left is not None
        dim = mix(look.frame, colour, 0.35) if counts else colour
        pygame.draw.rect(screen, dim, m.turn(_box(around)), m.edge, border_radius=radius)
        if counts and left is not None and left[1] > 0:
            long = round((around.width - 2 * radius) * left[0] / left[1])
            bar = pygame.Rect(0, around.top, long, 2 * m.edge)
            bar.centerx = around.centerx
            pygame.draw.rect(screen, colour, m.turn(_box(bar)), border_radius=m.edge)

    # On the surface

    def _panel(
        self,
        screen: pygame.Surface,
        panel: Panel,
        above: pygame.Rect,
        rerun: RecordingPlayback | None,
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


def _expected(state: WindowState, now: float) -> tuple[Component, ...]:
    """Return the forecast as it is seen, turned as the picture is."""
    return tuple(group.turned(state.view.quarters) for group in state.expected(now))


def _box(rect: pygame.Rect) -> Box:
    return rect.left, rect.top, rect.width, rect.height
