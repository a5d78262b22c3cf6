"""The window's panel of recorded jams."""
