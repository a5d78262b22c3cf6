"""Drawing of the window: theme, text, strokes, forecast, frame and panels."""

__all__ = [
    "display", "font_runs", "forecast_view", "frame", "panels", "scene", "sprites",
    "stroke_image", "strokes_view", "text", "text_fit", "theme", "timeline", "widgets",
]  # fmt: skip
