"""A head of several predictors, each with a loss of its own."""
from collections.abc import Sequence

import torch
from mmengine.structures import PixelData
from mmpose.evaluation.functional import pose_pck_accuracy
from mmpose.models.heads.base_head import BaseHead
from mmpose.models.utils.tta import flip_heatmaps
from mmpose.registry import KEYPOINT_CODECS
from mmpose.registry import MODELS as HOST_MODELS
from mmpose.utils.tensor_utils import to_numpy
from torch import Tensor, nn

from mmdense.arguments import check_positive, check_positives
from mmdense.modules.keypoint_predictor import ENLARGED, KeypointPredictor
from mmdense.registry import MODELS

MSE = dict(type='KeypointMSELoss', use_target_weight=True)


@MODELS.register_module()
class MultiPredictorHead(BaseHead):
    """Early stage predictors E1, E2, ... and predictors P1, P2, ...

    T. Qi et al., *Spatial Shortcut Network*, arXiv:1904.03141, Section 3.3
    and Figure 2. All predict the same keypoints at the size of the last
    feature, and all are trained; the last one, P4 in the paper, is the
    network's answer. The paper does not describe the early predictors. With
    ``early='features'`` every parameter count it prints comes out; with
    ``'heatmaps'`` they are the other predictors behind one more convolution.

    With ``test_cfg=dict(every_predictor=True)`` each instance also carries
    ``<name>_keypoints`` and ``<name>_scores`` (:class:`OfPredictor`).

    Args:
        in_channels (int): Channels of the features of P1, P2, ...
        out_channels (int): Number of keypoints.
        predictors (int): How many P there are.
        early_channels (Sequence[int]): Channels of the features of E1, E2,
            ..., which come first.
        early (str): ``'features'``: these are enlarged before the last
            convolution, and channels reduced only where they differ;
            ``'heatmaps'``: reduced always, and the heatmaps enlarged.
        groups (int): Groups of the group norms.
        loss, decoder, init_cfg: As in ``HeatmapHead``.

    Raises:
        TypeError: If an argument is not an integer.
        ValueError: If ``early`` is another, a number is below 1, or ``groups``
            does not divide ``in_channels``; in ``forward``, if the number of
            features is not that of the predictors.
    """

    def __init__(self,
                 in_channels: int,
                 out_channels: int,
                 predictors: int = 4,
                 early_channels: Sequence[int] = (),
                 early: str = 'features',
                 groups: int = 32,
                 loss: dict = MSE,
                 decoder: dict | None = None,
                 init_cfg: dict | list[dict] | None = None):
        check_positive(
            in_channels=in_channels,
            out_channels=out_channels,
            predictors=predictors,
            groups=groups)
        check_positives(early_channels=early_channels)
        if early not in ENLARGED:
            raise ValueError(f'early must be one of {ENLARGED}, got {early!r}')
        if in_channels % groups:
            raise ValueError(f'groups must be a divisor of in_channels = '
                             f'{in_channels}, got {groups}')
        super().__init__(init_cfg)
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.loss_module = HOST_MODELS.build(loss)
        self.decoder = decoder and KEYPOINT_CODECS.build(decoder)
        self.predictors = nn.ModuleDict({
            f'E{i}': KeypointPredictor(
                channels,
                out_channels,
                in_channels,
                reduce=early == 'heatmaps' or channels != in_channels,
                enlarge=early,
                groups=groups)
            for i, channels in enumerate(early_channels, 1)
        })
        for i in range(1, predictors + 1):
            self.predictors[f'P{i}'] = KeypointPredictor(
                in_channels, out_channels, in_channels, groups=groups)

    @property
    def names(self) -> list[str]:
        """The predictors, in the order of the features; the last answers."""
        return list(self.predictors)

    def forward(self,
                feats: Sequence[Tensor],
                names: Sequence[str] | None = None) -> dict[str, Tensor]:
        """Predict with all predictors, or some.

        Args:
            feats (Sequence[Tensor]): One for each predictor, in the order of
                ``names``, (N, C_i, H_i, W_i).
            names (Sequence[str], optional): Predictors to use.

        Returns:
            dict[str, Tensor]: Heatmaps by predictor, (N, K, H, W) with the
            last feature's H and W.
        """
        if len(feats) != len(self.predictors):
            raise ValueError(
                'MultiPredictorHead: feats must be a feature for each of '
                f'{self.names}, got {len(feats)}')
        return {
            name: predictor(x, feats[-1])
            for (name, predictor), x in zip(
                self.predictors.items(), feats, strict=True)
            if names is None or name in names
        }

    def loss(self,
             feats: Sequence[Tensor],
             batch_data_samples: list,
             train_cfg: dict | None = None) -> dict:
        """Return ``loss_<name>`` of each predictor, accuracy of the last."""
        predicted = self.forward(feats)
        heatmaps = torch.stack(
            [d.gt_fields.heatmaps for d in batch_data_samples])
        weights = torch.cat([
            d.gt_instance_labels.keypoint_weights for d in batch_data_samples
        ])
        losses = {
            f'loss_{name}': self.loss_module(maps, heatmaps, weights)
            for name, maps in predicted.items()
        }
        if (train_cfg or {}).get('compute_acc', True):
            _, accuracy, _ = pose_pck_accuracy(
                to_numpy(predicted[self.names[-1]]),
                to_numpy(heatmaps),
                mask=to_numpy(weights) > 0)
            losses['acc_pose'] = heatmaps.new_tensor(accuracy)
        return losses

    def predict(self,
                feats: Sequence[Tensor] | list[Sequence[Tensor]],
                batch_data_samples: list,
                test_cfg: dict | None = None):
        """Predict with the last predictor; options as in ``HeatmapHead``."""
        test_cfg = test_cfg or {}
        names = self.names
        if not test_cfg.get('every_predictor', False):
            names = names[-1:]
        if test_cfg.get('flip_test', False):
            feats, flipped = feats
            flipped = self.forward(flipped, names)
        maps = self.forward(feats, names)
        if test_cfg.get('flip_test', False):
            maps = {
                name: (maps[name] + flip_heatmaps(
                    flipped[name],
                    flip_mode=test_cfg.get('flip_mode', 'heatmap'),
                    flip_indices=batch_data_samples[0].flip_indices,
                    shift_heatmap=test_cfg.get('shift_heatmap', False))) * 0.5
                for name in names
            }
        instances = self.decode(maps[names[-1]])
        for name in names if test_cfg.get('every_predictor', False) else ():
            for instance, own in zip(
                    instances, self.decode(maps[name]), strict=True):
                instance.set_field(own.keypoints, f'{name}_keypoints')
                instance.set_field(own.keypoint_scores, f'{name}_scores')
        if test_cfg.get('output_heatmaps', False):
            fields = [
                PixelData(heatmaps=one) for one in maps[names[-1]].detach()
            ]
            return instances, fields
        return instances
