"""Recorded sessions as other files: CSV, MIDI, corpora, pictures, sound, a page that plays."""

__all__ = ["figures", "html", "midi_file", "poster", "rice", "wav", "writers"]
