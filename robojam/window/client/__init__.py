"""The window's side of the connection to the engine."""
