"""Sockets and devices: UDP, OSC outputs, TUIO input, MIDI ports, discovery."""
