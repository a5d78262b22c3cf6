"""The whole picture: surface, forecast, strokes, edge, and the frame around them."""

from __future__ import annotations

from dataclasses import replace

import pygame

from robojam.window.client.state import ForecastComponent, WindowState
from robojam.window.recordings.playback import RecordingPlayback
from robojam.window.view.beat_view import draw_beat
from robojam.window.view.faders_view import FadersView
from robojam.window.view.forecast_view import ForecastView
from robojam.window.view.frame import FrameText, frame_text
from robojam.window.view.health_light import draw_health_light
from robojam.window.view.panels import Panel
from robojam.window.view.strokes_view import StrokesView, draw_recalled
from robojam.window.view.text import TextRenderer
from robojam.window.view.text_fit import ColourRole, TextRuns, wrap_text
from robojam.window.view.theme import THEMES, Colour, Metrics, Theme, mix, rotated_size
from robojam.window.view.timeline import draw_timeline
from robojam.window.view.widgets import HitBox, Widgets


class Scene:
    """Draws the state of a window, and keeps what does not change from frame to frame."""

    def __init__(self) -> None:
        self.text = TextRenderer()
        self._widgets = Widgets(self.text)
        self._strokes = StrokesView()
        self._recording = StrokesView()
        self._forecast = ForecastView()
        self._faders = FadersView(self.text)
        self._playback: RecordingPlayback | None = None
        self._covered = 0
        self._canvas: pygame.Surface | None = None
        self._last_frame: tuple[object, ...] = ()
        self._frame_boxes: tuple[list[pygame.Rect], list[HitBox]] = ([], [])
        #: Boxes that can be pressed, as drawn last; later ones lie above earlier ones.
        self.hit_boxes = self._widgets.hit_boxes

    def close(self) -> None:
        """End the search for fonts, before pygame quits."""
        self.text.system_fonts.close()

    def invalidate(self) -> None:
        """Draw the frame again next time, because the screen's content may be lost."""
        self._last_frame = ()

    def is_animating(self, state: WindowState, now: float) -> bool:
        """Return whether the picture changes with time alone, without a new message."""
        if self.text.incomplete or state.is_animating(now):
            return True
        return self._forecast.is_animating(_rotated_forecast(state, now), now)

    def draw(
        self, screen: pygame.Surface, state: WindowState, now: float, *,
        panel: Panel | None = None, playback: RecordingPlayback | None = None,
        frame: FrameText | None = None,
    ) -> list[pygame.Rect]:  # fmt: skip
        """Draw the state at a time (seconds); return the boxes of the text.

        panel is the open panel, playback the open recording, frame the text of the frame if
        it is known already.
        """
        theme, quarter_turns = THEMES[state.view.theme], state.view.quarter_turns
        size = rotated_size(screen.get_size(), quarter_turns)
        metrics = Metrics.for_size(size, has_text=theme.has_text, scale=state.view.scale)
        metrics = replace(metrics, quarter_turns=quarter_turns)
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
        if frame.light:
            draw_health_light(screen, frame.light, metrics, theme)
        if metrics.text and (beat := state.beat_clock.at(now)) is not None:
            draw_beat(screen, beat, metrics, theme, self.text)
        # A theme without text shows what was asked for: a panel with its notices, a question.
        shows_text = theme.has_text or panel is not None
        notices = frame.notices if shows_text else frame.asked
        hint = frame.hint if shows_text else ()
        if metrics.text and not theme.has_text:
            self._widgets.draw_help_mark(screen, trouble=frame.trouble)
        if metrics.text and (panel is not None or notices or any(hint)):
            rotated_box = metrics.rotate_box(metrics.surface_box)
            if quarter_turns:
                surface = screen.subsurface(rotated_box)
                canvas.blit(pygame.transform.rotate(surface, 90 * quarter_turns), box)
            free = pygame.Rect(box.topleft, (box.width, self._draw_notices(box, notices)))
            if panel is not None:
                self._draw_panel(canvas, panel, free, playback, state.view.panel_part)
            else:
                self._draw_hint(free, hint)
            if quarter_turns:
                text = pygame.transform.rotate(canvas.subsurface(box), -90 * quarter_turns)
                screen.blit(text, rotated_box[:2])
        return list(self.text.written)

    def _text_canvas(self, screen: pygame.Surface, metrics: Metrics) -> pygame.Surface:
        """Return the surface for text: the screen, or an unrotated canvas if it is rotated."""
        if not metrics.quarter_turns:
            return screen
        if self._canvas is None or self._canvas.get_size() != (metrics.width, metrics.height):
            self._canvas = pygame.Surface((metrics.width, metrics.height), depth=32)
            self.invalidate()
        return self._canvas

    def _draw_surface(
        self, screen: pygame.Surface, state: WindowState, now: float, metrics: Metrics,
        theme: Theme, panel: Panel | None, playback: RecordingPlayback | None,
    ) -> None:  # fmt: skip
        """Draw forecast and strokes at their rotated places: to rotate them later is slower."""
        surface = screen.subsurface(metrics.rotate_box(metrics.surface_box))
        if state.faders.count:
            self._faders.draw(surface, state.faders, now, metrics, theme)
        else:
            self._forecast.draw(surface, _rotated_forecast(state, now), now, theme)
        if playback is not self._playback:
            self._playback, self._recording = playback, StrokesView()
        if playback is not None:
            above = metrics
            left, top, width, height = metrics.surface_box
            free = height - self._covered  # above a panel at the bottom
            if metrics.text and panel and panel.at_bottom and free >= height // 3:
                above = replace(metrics, surface_box=(left, top, width, free))
            part = screen.subsurface(metrics.rotate_box(above.surface_box))
            if playback.faders.count:
                self._faders.draw(part, playback.faders, playback.at, above, theme)
            else:
                self._recording.draw(part, playback.strokes, playback.at, above, theme)
        if state.faders.count:
            return
        if state.pending_touches and state.view.show_forecast:
            pending = state.pending_touches.values()
            self._strokes.draw_pending(surface, pending, now, metrics, theme)
        draw_recalled(surface, state.recalled, now, metrics, theme)
        self._strokes.draw(surface, state.strokes, now, metrics, theme)

    def _draw_frame(self, screen: pygame.Surface, frame: FrameText) -> bool:
        """Draw the frame if its text has changed; return whether it was drawn."""
        metrics, theme = self._widgets.metrics, self._widgets.theme
        content = (metrics, theme, frame.top, frame.bottom)
        changed = content != self._last_frame
        if changed:
            self._last_frame = content
            screen.fill(theme.frame)
            self.text.written.clear()
            self.hit_boxes.clear()
            if not metrics.is_bare:
                self._draw_rows(frame)
            elif metrics.text:
                self._widgets.add_corner_buttons()
            self._frame_boxes = (list(self.text.written), list(self.hit_boxes))
        self.text.written[:], self.hit_boxes[:] = self._frame_boxes
        return changed

    def _draw_rows(self, frame: FrameText) -> None:
        metrics, draw_row = self._widgets.metrics, self._widgets.draw_row
        top, low = metrics.bar_height // 2, metrics.height - metrics.bar_height // 2
        if metrics.rows == 1:
            draw_row((*frame.top[0][:2], *frame.top[1], *frame.top[0][2:]), top)
            draw_row((*frame.bottom[0], *frame.bottom[1]), low)
            return
        for i in (0, 1):
            draw_row(frame.top[i], top + i * metrics.row_step)
            draw_row(frame.bottom[i], low + (i - 1) * metrics.row_step)

    def _draw_edge(
        self, screen: pygame.Surface, box: pygame.Rect, turn: ColourRole,
        left: tuple[float, float] | None,
    ) -> None:  # fmt: skip
        """Draw the edge in the colour of the turn, and a bar for the time that is left."""
        metrics, theme = self._widgets.metrics, self._widgets.theme
        colour = theme.edge if turn is ColourRole.MUTED else self._widgets.colour(turn)
        outer = box if metrics.is_bare else box.inflate(2 * metrics.edge, 2 * metrics.edge)
        radius = 0 if metrics.is_bare else round(metrics.text * 0.5)

        def draw(colour: Colour, rect: pygame.Rect, width: int, radius: int) -> None:
            rotated = metrics.rotate_box((rect.left, rect.top, rect.width, rect.height))
            pygame.draw.rect(screen, colour, rotated, width, border_radius=radius)

        if radius:  # the frame covers the surface's square corners
            draw(theme.frame, outer.inflate(radius, radius), radius, radius)
        has_bar = turn is ColourRole.MACHINE and left is not None
        draw(mix(theme.frame, colour, 0.35) if has_bar else colour, outer, metrics.edge, radius)
        if has_bar and left is not None and left[1] > 0:
            length = round((outer.width - 2 * radius) * left[0] / left[1])
            bar = pygame.Rect(0, outer.top, length, 2 * metrics.edge)
            bar.centerx = outer.centerx
            draw(colour, bar, 0, metrics.edge)

    def _draw_panel(
        self, screen: pygame.Surface, panel: Panel, box: pygame.Rect,
        playback: RecordingPlayback | None, part: int,
    ) -> None:  # fmt: skip
        metrics = self._widgets.metrics
        room = box.inflate(-2 * metrics.margin, -2 * metrics.margin)
        if room.width < 100 or room.height < 60:
            return
        backdrop = self._widgets.draw_panel(panel, room, part)
        self._covered = backdrop.height + metrics.margin if panel.at_bottom else 0
        for hit_box in self.hit_boxes:
            if hit_box.action == "scrub" and playback is not None:
                place = pygame.Rect(hit_box.box)
                draw_timeline(screen, place, playback, self._widgets.theme)

    def _draw_hint(self, box: pygame.Rect, hint: tuple[str, ...]) -> None:
        metrics = self._widgets.metrics
        room = box.width - 2 * metrics.margin
        if box.height < 5 * metrics.text:
            return
        middle = box.centery - round(metrics.text * 0.9)
        for index, line in enumerate(hint):
            size = metrics.text if index else round(metrics.text * 1.25)
            while size > 8 and self.text.width(line, size) > room:
                size -= 1
            colour = self._widgets.colour(ColourRole.MUTED if index else ColourRole.TEXT)
            left = box.centerx - self.text.width(line, size) // 2
            self.text.write(self._widgets.screen, line, (left, middle), size, colour)
            middle += round(metrics.text * 1.9)

    def _draw_notices(self, box: pygame.Rect, notices: TextRuns) -> int:
        """Draw the notices from the bottom up; return the height that is left above them."""
        metrics = self._widgets.metrics
        size, pad = metrics.text, round(metrics.text * 0.7)
        step = self.text.height(size)
        room = box.width - 2 * metrics.margin - 2 * pad
        bottom = box.bottom - metrics.margin if notices else box.bottom
        for notice in reversed(notices):
            lines = wrap_text(
                notice.text, width=room, lines=2,
                measure=lambda text: self.text.width(text, size),
            )  # fmt: skip
            width = max((self.text.width(line, size) for line in lines), default=0)
            backdrop = pygame.Rect(0, 0, width + 2 * pad, step * len(lines) + pad)
            backdrop.midbottom = box.centerx, bottom
            if not lines or backdrop.top < box.top + metrics.margin:
                break
            colour = self._widgets.colour(notice.role)
            self._widgets.draw_backdrop(backdrop, colour)
            for index, line in enumerate(lines):
                middle = backdrop.top + pad // 2 + step * index + step // 2
                left_middle = (backdrop.left + pad, middle)
                self.text.write(self._widgets.screen, line, left_middle, size, colour)
            bottom = backdrop.top - pad // 2
        return bottom - box.top


def _rotated_forecast(state: WindowState, now: float) -> tuple[ForecastComponent, ...]:
    """Return the forecast, rotated as the picture is."""
    turns = state.view.quarter_turns
    return tuple(component.rotated(turns) for component in state.current_forecast(now))
