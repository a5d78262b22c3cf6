"""Corpora: performances from any program, cleaned, joined, split and summarised."""
