"""Non-maximum suppression: nms, softnms, nms_match."""
import torch
import torchvision
from torch import Tensor


def _as_stored(value: float, boxes: Tensor) -> float:
    # mmcv compares in the boxes' precision: an overlap of 0.6 in float32 is
    # above 0.6 in float64, and must not be above a threshold of 0.6.
    return torch.tensor(value, dtype=boxes.dtype).item()


def _overlaps(box: Tensor, others: Tensor, offset: int = 0) -> Tensor:
    """Intersection over union of box (4,) with others (n, 4), shape (n,)."""
    corner = torch.maximum(box[:2], others[:, :2])
    size = torch.minimum(box[2:], others[:, 2:]) - corner + offset
    shared = size.clamp(min=0).prod(1)
    area = (others[:, 2:] - others[:, :2] + offset).prod(1)
    return shared / ((box[2:] - box[:2] + offset).prod() + area - shared)


def nms(boxes: Tensor, scores: Tensor, iou_threshold: float,
        offset: int) -> Tensor:
    """Indices of the boxes (n, 4) kept, highest score first."""
    if boxes.numel() == 0:
        return boxes.new_empty(0, dtype=torch.long)
    if offset:
        # A width of x2 - x1 + 1 is that of a box which ends one later.
        boxes = boxes + boxes.new_tensor([0, 0, offset, offset])
    return torchvision.ops.nms(boxes, scores, _as_stored(iou_threshold, boxes))


def softnms(boxes: Tensor, scores: Tensor, dets: Tensor, iou_threshold: float,
            sigma: float, min_score: float, method: int,
            offset: int) -> Tensor:
    """Writes boxes and decayed scores into dets (n, 5), returns the indices.

    Equal scores are taken in the order mmcv takes them: it keeps the boxes
    in one row, swaps the best to the front, and fills the place of a box
    that falls below ``min_score`` with the last of the row.

    Args:
        method (int): 0 drops a box that overlaps by ``iou_threshold`` or
            more, 1 scales its score by ``1 - overlap``, 2 scales every score
            by ``exp(-overlap ** 2 / sigma)``.
    """
    threshold = _as_stored(iou_threshold, boxes)
    row = torch.cat([boxes, scores[:, None]], 1)
    indices = torch.arange(len(row))
    step, count = 0, len(row)
    while step < count:
        best = step + int(row[step:count, 4].argmax())
        for values in (row, indices):
            values[[step, best]] = values[[best, step]]
        dets[step] = row[step]
        step += 1
        rest = row[step:count]
        overlap = _overlaps(row[step - 1, :4], rest[:, :4], offset)
        if method == 2:
            weight = torch.exp(-overlap * overlap / sigma)
        else:
            weight = torch.where(overlap >= threshold,
                                 1 - overlap if method else 0., 1.)
        rest[:, 4] *= weight
        alive = ~(rest[:, 4] < _as_stored(min_score, boxes))
        left = int(alive.sum())
        holes = (~alive[:left]).nonzero().flatten() + step
        last = alive[left:].nonzero().flatten().flip(0) + step + left
        for values in (row, indices):
            values[holes] = values[last]
        count = step + left
    return indices[:count]


def nms_match(dets: Tensor, iou_threshold: float) -> list[list[int]]:
    """Groups of dets (n, 5): the one kept, then those it suppresses."""
    threshold = _as_stored(iou_threshold, dets)
    order = dets[:, 4].argsort(descending=True)
    groups = []
    while len(order):
        best, rest = order[0], order[1:]
        suppressed = _overlaps(dets[best, :4], dets[rest, :4]) >= threshold
        groups.append([int(best), *rest[suppressed].tolist()])
        order = rest[~suppressed]
    return groups
