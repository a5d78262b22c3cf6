"""robojam: a partner to jam with on a touch surface."""

__version__ = "0.1.0"
