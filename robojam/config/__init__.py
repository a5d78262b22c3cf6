"""Options of a jam: their table, the resolution of what is given, and network addresses."""

__all__ = ["addresses", "load", "options"]
