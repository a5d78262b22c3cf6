"""Drawing of the window: theme, text, strokes, forecast, frame and panels."""
