"""Pads in browsers: their page, a web server in a process of its own, and the engine's port."""

__all__ = [
    "bounded_socket", "certificate", "limits", "osc_listening", "osc_query", "osc_sockets",
    "own_clock", "pad_sound", "port", "program", "protocol", "room", "server",
]  # fmt: skip
