"""Sockets and devices: UDP, OSC outputs, TUIO input, MIDI ports, discovery."""

__all__ = [
    "discovery", "engine_link", "interface", "midi", "midi_client", "midi_process",
    "midi_tracker", "osc_out", "osc_scheduled", "process_client", "tuio_in", "udp",
]  # fmt: skip
