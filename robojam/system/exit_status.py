"""Exit statuses by which robojam's programs tell each other why they ended."""

from __future__ import annotations

#: The window: there is no display to open it on.
NO_DISPLAY = 3
