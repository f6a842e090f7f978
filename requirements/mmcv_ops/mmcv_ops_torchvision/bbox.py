"""Overlaps of boxes."""
import torch
from torch import Tensor


def bbox_overlaps(bboxes1: Tensor, bboxes2: Tensor, ious: Tensor, mode: int,
                  aligned: bool, offset: int) -> None:
    """Writes ious (m, n), or (m,) of each pair where ``aligned``.

    Args:
        mode (int): 0 divides by the union's area, 1 by the first box's.
        offset (int): Added to every width and height.
    """
    if not aligned:
        bboxes1 = bboxes1[:, None]
    corner = torch.maximum(bboxes1[..., :2], bboxes2[..., :2])
    size = torch.minimum(bboxes1[..., 2:], bboxes2[..., 2:]) - corner + offset
    shared = size.clamp(min=0).prod(-1)
    area, area2 = ((boxes[..., 2:] - boxes[..., :2] + offset).prod(-1)
                   for boxes in (bboxes1, bboxes2))
    ious.copy_(shared / (area if mode else area + area2 - shared))
