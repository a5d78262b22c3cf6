"""Recorded jams: file format, recorder, library, playback and regeneration."""
