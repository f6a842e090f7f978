"""Metrics of predictions in numpy, without a host."""
