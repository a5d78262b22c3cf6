"""Input of the window: pointers, keys and dials."""

__all__ = ["dials", "fingers", "key_events", "keyboard", "keys", "touch_devices"]
