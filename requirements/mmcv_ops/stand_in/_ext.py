"""Stands in for mmcv's compiled operators beside mmcv-lite.

A compiled ``_ext`` in this folder takes precedence over this file.
"""
from mmcv_ops_torchvision import OPERATORS, STAND_IN  # noqa: F401

globals().update(OPERATORS)
