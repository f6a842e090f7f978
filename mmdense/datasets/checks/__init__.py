"""Checks of a data set: its annotations, images and labels."""
