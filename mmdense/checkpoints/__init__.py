"""Checkpoint files: read safely, written whole, published, converted."""
