"""Corpora: performances from any program, read, cleaned, joined, split and summarised."""

__all__ = ["corpus", "formats", "infer_phase", "split", "stored_rows", "summary", "units"]
