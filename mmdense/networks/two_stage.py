"""A two-stage detector as one graph, without the host's code between stages.

mmdetection chooses proposals and pools their features in Python code that
depends on values, which cannot be traced, and with compiled operators of mmcv.
This module does the same with the operators of torchvision, which can be
exported.
"""
import torch
from mmengine.structures import BaseDataElement
from torch import Tensor, nn
from torchvision.ops import nms, roi_align

from mmdense.networks.config_types import type_name

__all__ = ['TwoStage']

# As many as the host's own mode='tensor' puts through the mask head.
MASKS = 100


class TwoStage(nn.Module):
    """A two-stage detector: one image in, proposals and head outputs out.

    Args:
        model (nn.Module): A detector of mmdetection with ``StandardRoIHead``,
            in eval mode.

    Raises:
        ValueError: If the detector uses an NMS or a pooling that is not
            supported.
    """

    def __init__(self, model: nn.Module):
        super().__init__()
        suppression = type_name(model.rpn_head.test_cfg.nms)
        if suppression != 'nms':
            raise ValueError('TwoStage: proposals must be suppressed by nms, '
                             f'got {suppression}')
        if hasattr(model.roi_head, 'num_stages'):
            raise ValueError('TwoStage: roi_head must have one stage, got '
                             f'{type(model.roi_head).__name__}')
        for name, layer in model.named_modules():
            if '.roi_layers.' in f'.{name}' and (
                    type(layer).__name__ != 'RoIAlign'
                    or layer.pool_mode != 'avg'):
                raise ValueError(f'TwoStage: {name} must be a RoIAlign with '
                                 f"pool_mode='avg', got {layer}")
        self.model = model

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Propose regions and run the heads on them.

        Args:
            images (Tensor): (1, C, H, W), preprocessed.

        Returns:
            dict[str, Tensor]: ``rois``, R regions (0, x1, y1, x2, y2) in
            pixels, the best first; of each ``cls_score``, (R, classes + 1),
            ``bbox_pred``, (R, 4 classes), and where there is such a head, of
            the first 100, ``mask_preds``, (100, classes, h, w): logits and
            box deltas, as the heads give them.
        """
        maps = self.model.extract_feat(images)
        head = self.model.roi_head
        rois = _as_rois(self._propose(maps, images.shape[2:]))
        pooled = _pool(head.bbox_roi_extractor, maps, rois)
        if head.with_shared_head:
            pooled = head.shared_head(pooled)
        scores, deltas = head.bbox_head(pooled)
        out = dict(rois=rois, cls_score=scores, bbox_pred=deltas)
        if head.with_mask:
            pooled = _pool(head.mask_roi_extractor, maps, rois[:MASKS])
            if head.with_shared_head:
                pooled = head.shared_head(pooled)
            out['mask_preds'] = head.mask_head(pooled)
        return out

    def of_the_host(self, images: Tensor) -> dict[str, Tensor]:
        """Return what :meth:`forward` returns, computed by the host's code."""
        sample = BaseDataElement(metainfo=dict(img_shape=images.shape[2:]))
        found, = self.model.rpn_head.predict(
            self.model.extract_feat(images), [sample], rescale=False)
        values, = self.model(images, [sample], mode='tensor')
        names = ('rois', 'cls_score', 'bbox_pred', 'mask_preds')
        # The third head is not there in every detector.
        return dict(
            zip(names, (_as_rois(found.bboxes), *values), strict=False))

    def _propose(self, maps: tuple[Tensor, ...],
                 shape: tuple[int, int]) -> Tensor:
        head = self.model.rpn_head
        config = head.test_cfg
        scores, deltas = head(maps)
        priors = head.prior_generator.grid_priors(
            [s.shape[2:] for s in scores], scores[0].dtype, scores[0].device)
        found = []
        for level, (s, d, p) in enumerate(
                zip(scores, deltas, priors, strict=True)):
            s = s[0].permute(1, 2, 0).reshape(-1, head.cls_out_channels)
            s = s.sigmoid() if head.use_sigmoid_cls else s.softmax(-1)[:, :-1]
            s, best = s.squeeze(1).topk(min(config.nms_pre, len(p)))
            d = d[0].permute(1, 2, 0).reshape(-1, 4)
            boxes = head.bbox_coder.decode(p[best], d[best], max_shape=shape)
            found.append((boxes, s, torch.full_like(s, level)))
        boxes, score, level = (torch.cat(f) for f in zip(*found, strict=True))
        if config.get('min_bbox_size', -1) >= 0:
            large = (boxes[:, 2:] - boxes[:, :2] > config.min_bbox_size).all(1)
            boxes, score, level = boxes[large], score[large], level[large]
        # Levels do not suppress each other: each is moved beyond the others.
        apart = level[:, None] * (boxes.max() + 1)
        kept = nms(boxes + apart, score, config.nms.iou_threshold)
        return boxes[kept[:config.max_per_img]]


def _as_rois(boxes: Tensor) -> Tensor:
    return torch.cat([torch.zeros_like(boxes[:, :1]), boxes], 1)


def _pool(extractor: nn.Module, maps: tuple[Tensor, ...],
          rois: Tensor) -> Tensor:
    layers = extractor.roi_layers
    levels = extractor.map_roi_levels(rois, len(layers))[:, None]
    pooled = 0
    for level, (layer, features) in enumerate(
            zip(layers, maps[:len(layers)], strict=True)):
        here = levels == level
        # An empty region costs no samples.
        values = roi_align(features, rois.where(here, 0), layer.output_size,
                           layer.spatial_scale, layer.sampling_ratio,
                           layer.aligned)
        pooled = pooled + values.where(here[..., None, None], 0)
    return pooled
