"""Figures of predictions beside the truth, in numpy: no host."""
