"""Recorded sessions written as other programs' files: CSV, MIDI, corpora, pictures, sound."""

__all__ = ["figures", "midi_file", "poster", "wav", "writers"]
