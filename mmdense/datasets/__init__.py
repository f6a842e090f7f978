"""Seeded synthetic data sets in the formats the hosts read."""
from mmdense.datasets.pose import make_pose_set

__all__ = ['make_pose_set']
