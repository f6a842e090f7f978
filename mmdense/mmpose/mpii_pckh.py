"""The three MPII figures of the FlatteNet and HRNet papers."""
import numpy as np
from mmpose.evaluation.metrics import MpiiPCKAccuracy

from mmdense.registry import METRICS

# 0, 0.01, ..., 0.5 of the head length, both ends included.
THRESHOLDS = np.arange(51) / 100
# Pelvis and thorax are no part of the mean, as in MPII's own evaluation.
LEFT_OUT = (6, 7)


@METRICS.register_module()
class MpiiPCKh(MpiiPCKAccuracy):
    """PCKh@0.5, PCKh@0.1 and AUC in addition to mmpose's figures, in percent.

    A joint is right when its distance to the ground truth is below a share
    alpha of the head length. ``PCKh@alpha`` is that over all visible joints
    but pelvis and thorax; ``AUC`` is the mean of ``PCKh@alpha`` over the 51
    thresholds 0, 0.01, ..., 0.5 (X. Cai and Y.-F. Pu, *FlatteNet*,
    arXiv:1909.09961, Section IV-A.3; the step is that of the common MPII
    evaluation code, the paper names none). That code prints the 12th
    threshold, 0.11, under the name ``Mean@0.1``; here ``PCKh@0.1`` is 0.1.
    """

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Add ``PCKh@0.5``, ``PCKh@0.1`` and ``AUC`` to mmpose's figures."""
        predicted = np.concatenate([r['pred_coords'] for r in results]) + 1
        truth = np.concatenate([r['gt_coords'] for r in results])
        head = np.concatenate([r['head_size'] for r in results])[:, :1]
        # A head of length 0 is one without annotation.
        counts = np.concatenate([r['mask'] for r in results]) & (head > 0)
        counts[:, LEFT_OUT] = False
        distance = np.linalg.norm(predicted - truth, axis=-1)[counts]
        share = distance / np.broadcast_to(head, counts.shape)[counts]
        right = share[:, None] < THRESHOLDS
        pckh = 100 * right.mean(axis=0) if len(share) else 0 * THRESHOLDS
        metrics = super().compute_metrics(results)
        metrics['PCKh@0.5'] = float(pckh[50])
        metrics['PCKh@0.1'] = float(pckh[10])
        metrics['AUC'] = float(pckh.mean())
        return metrics
