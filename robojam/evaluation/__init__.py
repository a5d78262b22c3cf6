"""Evaluation: the likelihood of held-out touches, and how like people a model plays."""

__all__ = ["likelihood", "likeness", "report"]
