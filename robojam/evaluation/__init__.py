"""Evaluation: likelihood of held-out touches, and likeness of the play to people's."""

__all__ = ["likelihood", "likeness", "report"]
