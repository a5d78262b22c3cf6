"""Training: models from corpora, with one process or several, from nothing or fine-tuned."""

__all__ = ["batches", "checkpoint", "distributed", "finetune", "plots", "trainer"]
