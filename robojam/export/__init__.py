"""MIDI: how ports speak, who holds them, what is learnt of a controller, files."""
