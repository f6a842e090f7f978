"""PCK relative to the torso, for any data set that has one."""
from unittest import mock

import numpy as np
from mmpose.evaluation.metrics import PCKAccuracy

from mmdense.arguments import check_positive_number, check_sequence
from mmdense.registry import METRICS


@METRICS.register_module()
class TorsoPCK(PCKAccuracy):
    """Share of joints within ``thr`` torsos of the truth, as ``tPCK``.

    mmpose's ``norm_item='torso'`` measures from joint 4 to joint 5, which
    are a torso's ends in JHMDB alone. Here the ends are named; the default
    is the diagonal common on Leeds Sports Pose (Y. Yang and D. Ramanan,
    *Articulated Human Detection with Flexible Mixtures of Parts*, TPAMI
    2013: PCK; left shoulder to right hip). A person with an end that is not
    annotated, or both in one place, is not counted.

    Args:
        thr (float): Threshold, in torsos.
        ends (tuple[str, str]): Names of the torso's two joints.
        prefix (str, optional): Prefix of the result's name, as in mmpose.

    Raises:
        TypeError: If ``ends`` is not a list or tuple.
        ValueError: If ``thr`` is not a positive number, or ``ends`` are not
            two names; at the first result, if the data set has no such joint.
    """

    def __init__(self,
                 thr: float = 0.2,
                 ends: tuple[str, str] = ('left_shoulder', 'right_hip'),
                 prefix: str | None = None):
        check_positive_number(thr=thr)
        check_sequence(ends=ends)
        if len(ends) != 2 or ends[0] == ends[1] or not all(
                isinstance(name, str) for name in ends):
            raise ValueError(f'ends must be two names of joints, got {ends!r}')
        super().__init__(thr=thr, norm_item='torso', prefix=prefix)
        self.ends = tuple(ends)

    def process(self, data_batch, data_samples: list[dict]) -> None:
        """Process a batch as the host does, with the torso of each person."""
        ids = self.dataset_meta['keypoint_name2id']
        missing = [name for name in self.ends if name not in ids]
        if missing:
            raise ValueError(f'ends must be joints out of {sorted(ids)}, got '
                             f'{self.ends}')
        ends = [ids[name] for name in self.ends]
        # Joints 4 and 5 are not asked for, and need not be there.
        with mock.patch.object(self, 'norm_item', []):
            super().process(data_batch, data_samples)
        for result in self.results[-len(data_samples):]:
            first, second = result['gt_coords'][0][ends]
            torso = np.linalg.norm(first - second)
            # A measure of 0 tells the host to leave the person out.
            known = result['mask'][0][ends].all()
            result['torso_size'] = np.full((1, 2), torso if known else 0.)
