"""FlatteNet's predictor of classes on the coarse grid."""
import torch.nn.functional as F
from mmengine.structures import PixelData
from mmseg.models.decode_heads import FCNHead
from mmseg.structures import SegDataSample
from torch import Tensor

from mmdense.arguments import check_positive
from mmdense.modules.rearrangement import fold, unfold
from mmdense.registry import MODELS


@MODELS.register_module()
class FoldedFCNHead(FCNHead):
    """Predicts on the coarse grid and folds the labels instead.

    X. Cai and Y.-F. Pu, *FlatteNet*, arXiv:1909.09961, Section III-C.
    Predictions and parameter names are those of ``FCNHead`` with
    ``num_convs=0, kernel_size=1, concat_input=False`` behind the same
    ``FlatteningNeck``, so checkpoints go either way; this one needs the
    neck's ``rearrange=False``.

    The loss is that of Equations 5 to 9: labels are downsampled to the fine
    grid, a pixel of the middle for each position, and folded. ``FCNHead``
    enlarges the logits to the labels' size instead (Equation 4), so the two
    losses differ unless labels come at the fine grid's size.

    Args:
        in_channels (int): Channels of one descriptor, those of the coarse
            feature divided by ``upscale ** 2``.
        num_classes (int): Number of classes.
        upscale (int): The neck's ``upscale``.
        **kwargs: Of mmseg's ``BaseDecodeHead`` but ``channels``,
            ``input_transform`` and ``dropout_ratio``. A loss may weight or
            rank pixels; it must not use neighbouring ones.

    Raises:
        TypeError, ValueError: If a number is not a positive integer; in
            ``forward``, if the feature has other channels.
    """

    def __init__(self, in_channels: int, num_classes: int, upscale: int,
                 **kwargs):
        check_positive(
            in_channels=in_channels, num_classes=num_classes, upscale=upscale)
        super().__init__(
            num_convs=0,
            kernel_size=1,
            concat_input=False,
            in_channels=in_channels,
            channels=in_channels,
            num_classes=num_classes,
            dropout_ratio=0,
            **kwargs)
        self.upscale = upscale

    def coarse(self, inputs: tuple[Tensor, ...]) -> Tensor:
        """Predict each position of each grid with the shared convolution.

        Args:
            inputs (tuple[Tensor]): That at ``in_index`` is (N, u^2 *
                in_channels, H, W), channels position-major.

        Returns:
            Tensor: ``P`` of Equation 8, (N, u^2 * out_channels, H, W).
        """
        x = self._transform_inputs(inputs)
        n, c, h, w = x.shape
        grid = self.upscale**2
        if c != grid * self.in_channels:
            raise ValueError(
                f'FoldedFCNHead: channels of the feature must be {grid} x '
                f'{self.in_channels}, got {c}; does the neck have '
                'rearrange=False?')
        # Positions join the batch: the same weights at each of them.
        x = self.cls_seg(x.reshape(n * grid, self.in_channels, h, w))
        return x.reshape(n, grid * self.out_channels, h, w)

    def forward(self, inputs: tuple[Tensor, ...]) -> Tensor:
        """Predict logits on the fine grid, (N, out_channels, H * u, W * u)."""
        return unfold(self.coarse(inputs), self.upscale)

    def loss(self, inputs: tuple[Tensor, ...], batch_data_samples: list,
             train_cfg: dict) -> dict:
        """Compute the host's losses between ``P`` and the folded labels."""
        coarse = self.coarse(inputs)
        size = [self.upscale * side for side in coarse.shape[-2:]]
        labels = self._stack_batch_gt(batch_data_samples)  # (N, 1, H, W)
        fine = F.interpolate(labels.float(), size, mode='nearest-exact')
        target = self._by_class(fold(fine.to(labels), self.upscale), 1)
        return self.loss_by_feat(
            self._by_class(coarse, self.out_channels),
            [SegDataSample(gt_sem_seg=PixelData(data=one)) for one in target])

    def _by_class(self, coarse: Tensor, classes: int) -> Tensor:
        """Rearrange (N, u^2 * K, H, W) to (N, K, u^2 * H, W).

        Images stay apart, so that a loss that is summed image by image means
        what it means on the fine grid.
        """
        n, _, h, w = coarse.shape
        coarse = coarse.reshape(n, -1, classes, h, w)
        return coarse.transpose(1, 2).flatten(2, 3)
