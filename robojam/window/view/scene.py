"""The whole picture: surface, light, trails, edge, and the frame around them."""

from __future__ import annotations

from dataclasses import replace

import pygame

from robojam.window.client.state import ForecastComponent, WindowState
from robojam.window.recordings.playback import RecordingPlayback
from robojam.window.view.forecast_view import ForecastView
from robojam.window.view.frame import FrameText, frame_text
from robojam.window.view.panels import Panel
from robojam.window.view.sprites import Sprites
from robojam.window.view.strokes_view import StrokesView
from robojam.window.view.text import TextRenderer
from robojam.window.view.text_fit import ColourRole, TextRuns, wrap_text
from robojam.window.view.theme import THEMES, Box, Metrics, Theme, mix, rotated_size
from robojam.window.view.timeline import Timeline
from robojam.window.view.widgets import HitBox, Widgets


class Scene:
    """Draws a state; keeps what is worth keeping from frame to frame."""

    def __init__(self) -> None:
        self.text = TextRenderer()
        self._sprites = Sprites()
        self._widgets = Widgets(self.text, self._sprites)
        self._strokes = StrokesView(self._sprites)
        self._recording = StrokesView(self._sprites)
        self._forecast = ForecastView(self._sprites)
        self._timeline = Timeline()
        self._playback: RecordingPlayback | None = None
        self._covered = 0
        self._canvas: pygame.Surface | None = None
        self._last_frame: tuple[object, ...] = ()
        self._bars: tuple[list[pygame.Rect], list[HitBox]] = ([], [])

    @property
    def hit_boxes(self) -> list[HitBox]:
        """What can be touched, as it was drawn last; what lies above comes later."""
        return self._widgets.hit_boxes

    def invalidate(self) -> None:
        """Draw everything anew: what was on the screen may be gone."""
        self._last_frame = ()

    def is_animating(self, state: WindowState, now: float) -> bool:
        """Whether the picture will change a moment later, though nothing comes."""
        return (
            self.text.incomplete
            or state.is_animating(now)
            or self._forecast.is_animating(_rotated_forecast(state, now), now)
        )

    def draw(
        self,
        screen: pygame.Surface,
        state: WindowState,
        now: float,
        *,
        panel: Panel | None = None,
        playback: RecordingPlayback | None = None,
        frame: FrameText | None = None,
    ) -> list[pygame.Rect]:
        """Draw the state at an instant (seconds); return where words were written.

        panel is what lies open, rerun a recording that is looked at, said what the
        frame says, if that is known already.
        """
        theme, quarter_turns = THEMES[state.view.theme], state.view.quarter_turns
        size = rotated_size(screen.get_size(), quarter_turns)
        metrics = replace(
            Metrics.for_size(size, has_text=theme.has_text), quarter_turns=quarter_turns
        )
        frame = frame or frame_text(state, now)
        if self.text.incomplete:  # its fonts may have been found since the last frame
            self.text.incomplete = False
            self.invalidate()
        canvas = self._text_canvas(screen, metrics)
        self._widgets.set_target(canvas, theme, metrics)
        box = pygame.Rect(metrics.surface_box)
        if self._draw_frame(canvas, frame) and quarter_turns:
            screen.blit(pygame.transform.rotate(canvas, -90 * quarter_turns), (0, 0))
        self._draw_surface(screen, state, now, metrics, theme, panel, playback)
        self._draw_edge(screen, box, frame.turn, state.turn_left(now))
        if not metrics.is_bare and (panel is not None or frame.notices or any(frame.hint)):
            place = metrics.rotate_box(metrics.surface_box)
            if quarter_turns:
                below = screen.subsurface(place)
                canvas.blit(pygame.transform.rotate(below, 90 * quarter_turns), box)
            self._draw_text(canvas, box, frame, panel, playback)
            if quarter_turns:
                above = canvas.subsurface(box)
                screen.blit(pygame.transform.rotate(above, -90 * quarter_turns), place[:2])
        return list(self.text.written)

    def _text_canvas(self, screen: pygame.Surface, metrics: Metrics) -> pygame.Surface:
        """Return what words are written on: what is turned is turned when they are."""
        if not metrics.quarter_turns:
            return screen
        if self._canvas is None or self._canvas.get_size() != (metrics.width, metrics.height):
            self._canvas = pygame.Surface((metrics.width, metrics.height), depth=32)
            self.invalidate()
        return self._canvas

    def _draw_surface(
        self,
        screen: pygame.Surface,
        state: WindowState,
        now: float,
        metrics: Metrics,
        theme: Theme,
        panel: Panel | None,
        playback: RecordingPlayback | None,
    ) -> None:
        """Draw the light and the strokes, turned as they are to be seen: most of a frame."""
        surface = screen.subsurface(metrics.rotate_box(metrics.surface_box))
        self._forecast.draw(surface, _rotated_forecast(state, now), now, theme)
        if playback is not self._playback:
            self._playback, self._recording = playback, StrokesView(self._sprites)
        if playback is not None:
            seen = self._metrics_above_panel(metrics, panel)
            part = screen.subsurface(metrics.rotate_box(seen.surface_box))
            self._recording.draw(part, playback.strokes, playback.at, seen, theme)
        if state.pending_touches and state.view.show_forecast:
            self._strokes.draw_pending(
                surface, state.pending_touches.values(), now, metrics, theme
            )
        self._strokes.draw(surface, state.strokes, now, metrics, theme)

    def _draw_text(
        self, canvas: pygame.Surface, box: pygame.Rect, frame: FrameText,
        panel: Panel | None, playback: RecordingPlayback | None,
    ) -> None:  # fmt: skip
        """Write what stands on the surface."""
        below = self._draw_notices(box, frame.notices)
        above = pygame.Rect(box.left, box.top, box.width, below - box.top)
        if panel is not None:
            self._draw_panel(canvas, panel, above, playback)
        else:
            self._draw_hint(above, frame)

    def _metrics_above_panel(self, metrics: Metrics, panel: Panel | None) -> Metrics:
        """Return sizes for what is seen whole above a low panel, if there is room for it."""
        left, top, width, height = metrics.surface_box
        left_over = height - self._covered
        if metrics.is_bare or panel is None or not panel.at_bottom or left_over < height // 3:
            return metrics
        return replace(metrics, surface_box=(left, top, width, left_over))

    def _draw_frame(self, screen: pygame.Surface, frame: FrameText) -> bool:
        """Draw the bars, if they say something new; else they are still there."""
        metrics, theme = self._widgets.metrics, self._widgets.theme
        here = (metrics, theme, frame.top, frame.bottom)
        new = here != self._last_frame
        if new:
            self._last_frame = here
            screen.fill(theme.frame)
            self.text.written.clear()
            self._widgets.hit_boxes.clear()
            if not metrics.is_bare:
                top, low = metrics.bar_height // 2, metrics.height - metrics.bar_height // 2
                if metrics.rows == 1:
                    self._widgets.draw_row(
                        (*frame.top[0][:2], *frame.top[1], *frame.top[0][2:]), top
                    )
                    self._widgets.draw_row((*frame.bottom[0], *frame.bottom[1]), low)
                else:
                    for i in (0, 1):
                        self._widgets.draw_row(frame.top[i], top + i * metrics.row_step)
                        self._widgets.draw_row(
                            frame.bottom[i], low + (i - 1) * metrics.row_step
                        )
            elif not theme.has_text:
                self._widgets.add_theme_button()
            self._bars = (list(self.text.written), list(self._widgets.hit_boxes))
        self.text.written[:] = self._bars[0]
        self._widgets.hit_boxes[:] = self._bars[1]
        return new

    def _draw_edge(
        self, screen: pygame.Surface, box: pygame.Rect, turn: ColourRole,
        left: tuple[float, float] | None,
    ) -> None:  # fmt: skip
        """Draw the edge in the colour of whose turn it is, with what is left of it."""
        metrics, theme = self._widgets.metrics, self._widgets.theme
        colour = theme.edge if turn is ColourRole.MUTED else self._widgets.colour(turn)
        around = box if metrics.is_bare else box.inflate(2 * metrics.edge, 2 * metrics.edge)
        radius = 0 if metrics.is_bare else round(metrics.text * 0.5)
        if radius:  # the frame covers the surface's square corners
            cover = around.inflate(radius, radius)
            pygame.draw.rect(
                screen,
                theme.frame,
                metrics.rotate_box(_as_box(cover)),
                radius,
                border_radius=radius,
            )
        counts = turn is ColourRole.MACHINE and left is not None
        dim = mix(theme.frame, colour, 0.35) if counts else colour
        pygame.draw.rect(
            screen, dim, metrics.rotate_box(_as_box(around)), metrics.edge, border_radius=radius
        )
        if counts and left is not None and left[1] > 0:
            long = round((around.width - 2 * radius) * left[0] / left[1])
            bar = pygame.Rect(0, around.top, long, 2 * metrics.edge)
            bar.centerx = around.centerx
            pygame.draw.rect(
                screen, colour, metrics.rotate_box(_as_box(bar)), border_radius=metrics.edge
            )

    # On the surface

    def _draw_panel(
        self,
        screen: pygame.Surface,
        panel: Panel,
        above: pygame.Rect,
        playback: RecordingPlayback | None,
    ) -> None:
        metrics = self._widgets.metrics
        room = above.inflate(-2 * metrics.margin, -2 * metrics.margin)
        if room.width < 100 or room.height < 60:
            return
        pictures = self._widgets.draw_panel(panel, room)
        self._covered = pictures[""].height + metrics.margin if panel.at_bottom else 0
        if playback is not None and "scrub" in pictures:
            self._timeline.draw(screen, pictures["scrub"], playback, self._widgets.theme)

    def _draw_hint(self, box: pygame.Rect, frame: FrameText) -> None:
        metrics = self._widgets.metrics
        room = box.width - 2 * metrics.margin
        if box.height < 5 * metrics.text:
            return
        middle = box.centery - round(metrics.text * 0.9)
        for index, line in enumerate(frame.hint):
            size = metrics.text if index else round(metrics.text * 1.25)
            while size > 8 and self.text.width(line, size) > room:
                size -= 1
            colour = self._widgets.colour(ColourRole.MUTED if index else ColourRole.TEXT)
            left = box.centerx - self.text.width(line, size) // 2
            self.text.write(self._widgets.screen, line, (left, middle), size, colour)
            middle += round(metrics.text * 1.9)

    def _draw_notices(self, box: pygame.Rect, notices: TextRuns) -> int:
        """Write the notices from the bottom up; return where they begin, in pixels."""
        metrics = self._widgets.metrics
        size, pad = metrics.text, round(metrics.text * 0.7)
        step = self.text.height(size)
        room = box.width - 2 * metrics.margin - 2 * pad
        below = box.bottom - metrics.margin if notices else box.bottom
        for notice in reversed(notices):
            lines = wrap_text(
                notice.text, width=room, lines=2,
                measure=lambda text: self.text.width(text, size),
            )  # fmt: skip
            wide = max((self.text.width(line, size) for line in lines), default=0)
            backdrop = pygame.Rect(0, 0, wide + 2 * pad, step * len(lines) + pad)
            backdrop.midbottom = box.centerx, below
            if not lines or backdrop.top < box.top + metrics.margin:
                break
            colour = self._widgets.colour(notice.role)
            self._widgets.draw_backdrop(backdrop, colour)
            for index, line in enumerate(lines):
                at = backdrop.left + pad, backdrop.top + pad // 2 + step * index + step // 2
                self.text.write(self._widgets.screen, line, at, size, colour)
            below = backdrop.top - pad // 2
        return below


def _rotated_forecast(state: WindowState, now: float) -> tuple[ForecastComponent, ...]:
    """Return the forecast as it is seen, turned as the picture is."""
    return tuple(
        group.rotated(state.view.quarter_turns) for group in state.current_forecast(now)
    )


def _as_box(rect: pygame.Rect) -> Box:
    return rect.left, rect.top, rect.width, rect.height
