"""The engine: one loop that owns the clock and the ports, and lets the jam happen."""
