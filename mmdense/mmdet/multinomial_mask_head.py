"""Masks of classes that compete for each pixel."""
import torch
from mmdet.models.roi_heads.mask_heads import FCNMaskHead
from torch import Tensor

from mmdense.arguments import check_positive
from mmdense.registry import MODELS

CROSS_ENTROPY = dict(type='CrossEntropyLoss')


@MODELS.register_module()
class MultinomialMaskHead(FCNMaskHead):
    """The mask branch with a softmax over the classes and the background.

    For a positive RoI of class ``k`` a pixel's label is ``k`` inside the
    object and background outside; the loss is the mean over RoIs and pixels
    of ``-log softmax(x)[label]``. At test time the mask of a box of class
    ``k`` is where the probability of ``k`` reaches ``mask_thr_binary``.

    Source: K. He, G. Gkioxari, P. Dollar and R. Girshick, *Mask R-CNN*, ICCV
    2017, Table 2b, "softmax". The paper does not mention the background
    channel; without one a pixel could belong to no class but some object's.

    Args:
        num_classes (int): Classes of objects; the logits have one channel
            more, the background's, at the end.
        loss_mask (dict): A softmax loss of mmdet.
        **kwargs: Of mmdet's ``FCNMaskHead``.

    Raises:
        TypeError: If ``num_classes`` is not an integer.
        ValueError: If it is below 1, ``class_agnostic`` is set (one class
            cannot compete), or the loss is one of sigmoids.
    """

    def __init__(self,
                 num_classes: int,
                 loss_mask: dict = CROSS_ENTROPY,
                 **kwargs):
        check_positive(num_classes=num_classes)
        if kwargs.get('class_agnostic'):
            raise ValueError('MultinomialMaskHead: class_agnostic must be '
                             'False, got True')
        super().__init__(
            num_classes=num_classes + 1, loss_mask=loss_mask, **kwargs)
        self.num_classes = num_classes
        for name in ('use_sigmoid', 'use_mask'):
            if getattr(self.loss_mask, name, False):
                raise ValueError(
                    'MultinomialMaskHead: loss_mask must be a loss of softmax '
                    f'such as {CROSS_ENTROPY}, got {loss_mask} with {name}')

    def loss_and_target(self, mask_preds: Tensor, sampling_results: list,
                        batch_gt_instances: list, rcnn_train_cfg) -> dict:
        """Compare ``mask_preds`` (RoIs, classes + 1, H, W) with labels."""
        masks = self.get_targets(sampling_results, batch_gt_instances,
                                 rcnn_train_cfg)
        labels = torch.cat([res.pos_gt_labels for res in sampling_results])
        if len(mask_preds) == 0:
            loss = mask_preds.sum()
        else:
            inside = masks > 0.5
            loss = self.loss_mask(
                mask_preds,
                torch.where(inside, labels[:, None, None], self.num_classes))
        return dict(loss_mask=dict(loss_mask=loss), mask_targets=masks)

    def predict_by_feat(self,
                        mask_preds: tuple[Tensor],
                        *args,
                        activate_map: bool = False,
                        **kwargs) -> list:
        """Paste the probabilities of each box's own class."""
        if not activate_map:
            # The host applies a sigmoid, which undoes the logit.
            mask_preds = tuple(x.softmax(1).logit() for x in mask_preds)
        return super().predict_by_feat(
            mask_preds, *args, activate_map=activate_map, **kwargs)
