"""The global net as a neck."""
import pytest
import torch

from mmdense.adapters.global_neck import GlobalNeck


def stages():
    return [
        torch.randn(1, 3, 8, 6),
        torch.randn(1, 5, 4, 3),
        torch.randn(1, 7, 2, 2)
    ]


def test_early_features_come_first_then_coarse_to_fine():
    neck = GlobalNeck([3, 5, 7], out_channels=4, early=1, groups=2)
    feats = stages()
    out = neck(feats)
    assert out[0] is feats[0]
    assert [tuple(x.shape) for x in out[1:]] == [
        (1, 4, 2, 2), (1, 4, 4, 3), (1, 4, 8, 6)]


def test_other_channels_are_named():
    neck = GlobalNeck([3, 6, 7], out_channels=4, groups=2)
    with pytest.raises(
            ValueError, match=r'must be .*\[3, 5, 7\], got \[3, 6, 7\]'):
        neck(stages())
