"""FlatteNet's predictor on the coarse grid."""
import torch
from mmpose.evaluation.functional import pose_pck_accuracy
from mmpose.models.heads import HeatmapHead
from mmpose.utils.tensor_utils import to_numpy
from torch import Tensor

from mmdense.arguments import check_positive
from mmdense.modules.rearrangement import fold, unfold
from mmdense.registry import MODELS

MSE = dict(type='KeypointMSELoss', use_target_weight=True)


@MODELS.register_module()
class FoldedHeatmapHead(HeatmapHead):
    """Predicts on the coarse grid and folds the target instead.

    X. Cai and Y.-F. Pu, *FlatteNet*, arXiv:1909.09961, Section III-C. Loss,
    gradients, predictions and parameter names are those of ``HeatmapHead``
    without deconvolutions behind the same ``FlatteningNeck``, so checkpoints
    go either way; this one needs the neck's ``rearrange=False``.

    Args:
        in_channels (int): Channels of one descriptor, those of the coarse
            feature divided by ``upscale ** 2``.
        out_channels (int): Number of keypoints.
        upscale (int): The neck's ``upscale``.
        loss, decoder, init_cfg: As in ``HeatmapHead``. The loss may weight or
            rank keypoints; it must not use neighbouring pixels.

    Raises:
        TypeError, ValueError: If a number is not a positive integer.
        ValueError: In ``loss``, if the heatmaps of the samples have not
            ``upscale`` times the size of the feature; in ``forward``, if it
            has other channels.
    """

    def __init__(self,
                 in_channels: int,
                 out_channels: int,
                 upscale: int,
                 loss: dict = MSE,
                 decoder: dict | None = None,
                 init_cfg: dict | list[dict] | None = None):
        check_positive(
            in_channels=in_channels,
            out_channels=out_channels,
            upscale=upscale)
        super().__init__(
            in_channels,
            out_channels,
            deconv_out_channels=None,
            deconv_kernel_sizes=None,
            loss=loss,
            decoder=decoder,
            init_cfg=init_cfg)
        self.upscale = upscale

    def coarse(self, feats: tuple[Tensor]) -> Tensor:
        """Predict each position of each grid with the shared convolution.

        Args:
            feats (tuple[Tensor]): The last is (N, u^2 * in_channels, H, W),
                channels position-major.

        Returns:
            Tensor: ``P`` of eq. 8, shape (N, u^2 * out_channels, H, W).
        """
        x = feats[-1]
        n, c, h, w = x.shape
        grid = self.upscale**2
        if c != grid * self.in_channels:
            raise ValueError(
                f'FoldedHeatmapHead: channels of the feature must be '
                f'{grid} x {self.in_channels}, got {c}; does the neck have '
                'rearrange=False?')
        # Positions join the batch: the same weights at each of them.
        x = self.final_layer(x.reshape(n * grid, self.in_channels, h, w))
        return x.reshape(n, grid * self.out_channels, h, w)

    def forward(self, feats: tuple[Tensor]) -> Tensor:
        """Predict heatmaps on the fine grid, shape (N, K, H * u, W * u)."""
        return unfold(self.coarse(feats), self.upscale)

    def loss(self,
             feats: tuple[Tensor],
             batch_data_samples: list,
             train_cfg: dict | None = None) -> dict:
        """Compute the host's losses between ``P`` and the folded target."""
        predicted = self.coarse(feats)
        heatmaps = torch.stack(
            [d.gt_fields.heatmaps for d in batch_data_samples])
        self._check_sizes(predicted, heatmaps)
        weights = torch.cat([
            d.gt_instance_labels.keypoint_weights for d in batch_data_samples
        ])
        losses = dict(
            loss_kpt=self.loss_module(
                self._by_keypoint(predicted),
                self._by_keypoint(fold(heatmaps, self.upscale)), weights))
        if (train_cfg or {}).get('compute_acc', True):
            fine = unfold(predicted.detach(), self.upscale)
            _, accuracy, _ = pose_pck_accuracy(
                to_numpy(fine),
                to_numpy(heatmaps),
                mask=to_numpy(weights) > 0)
            losses['acc_pose'] = heatmaps.new_tensor(accuracy)
        return losses

    def _check_sizes(self, predicted: Tensor, heatmaps: Tensor) -> None:
        """Raise if the target is of another size; say which sizes fit."""
        u = self.upscale
        h, w = predicted.shape[2:]
        got = tuple(heatmaps.shape[2:])
        if got != (h * u, w * u):
            raise ValueError(
                f'FoldedHeatmapHead: heatmap_size must be {w * u} x {h * u} '
                f'(width, height), a map of {w} x {h} with upscale={u}, got '
                f'{got[1]} x {got[0]}; at stride 4 both sides of input_size '
                f'must be multiples of {4 * u}, and the backbone must end at '
                f'stride {4 * u}, without dilations')

    def _by_keypoint(self, coarse: Tensor) -> Tensor:
        """Rearrange (N, u^2 * K, H, W) to (N, K, u^2 * H, W).

        A keypoint keeps a channel of its own, so weights of shape (N, K) and
        losses that compare keypoints mean what they mean on the fine grid.
        """
        n, _, h, w = coarse.shape
        coarse = coarse.reshape(n, -1, self.out_channels, h, w)
        return coarse.transpose(1, 2).flatten(2, 3)
