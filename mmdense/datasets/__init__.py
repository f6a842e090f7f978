"""Seeded synthetic data sets in the formats the hosts read."""
from mmdense.datasets.synthetic.cells import make_cell_set
from mmdense.datasets.synthetic.detection import make_detection_set
from mmdense.datasets.synthetic.membranes import make_membrane_set
from mmdense.datasets.synthetic.pose import make_pose_set
from mmdense.datasets.synthetic.rooms import make_room_set
from mmdense.datasets.synthetic.segmentation import make_segmentation_set

__all__ = [
    'make_cell_set', 'make_detection_set', 'make_membrane_set',
    'make_pose_set', 'make_room_set', 'make_segmentation_set'
]
