"""HRNetV2p's recipes in mmdet: the pyramid, the host's system, ADC."""
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

pytest.importorskip('mmdet')

from mmdet.registry import MODELS  # noqa: E402
from mmengine.config import Config  # noqa: E402
from mmengine.registry import DefaultScope  # noqa: E402

from mmdense.modules.adaptive_dilated_conv import (  # noqa: E402
    AdaptiveDilatedConv2d,
)

CONFIGS = Path(__file__).parents[2] / 'configs' / 'mmdet' / 'hrnet'
HOSTS = {
    'faster-rcnn_hrnetv2p-w32': 'faster-rcnn_hrnetv2p-w32-1x_coco',
    'faster-rcnn_hrnetv2p-w40': 'faster-rcnn_hrnetv2p-w40-1x_coco',
    'mask-rcnn_hrnetv2p-w32': 'mask-rcnn_hrnetv2p-w32-1x_coco',
    'mask-rcnn_hrnetv2p-w40': 'mask-rcnn_hrnetv2p-w40_1x_coco',
}


@pytest.fixture(autouse=True)
def mmdet_scope():
    with DefaultScope.overwrite_default_scope('mmdet'):
        yield


load = Config.fromfile


@pytest.mark.parametrize('name', HOSTS)
def test_recipe_is_the_hosts_with_checkpoints_checked(name, tmp_path):
    file = tmp_path / 'host.py'
    file.write_text(f"_base_ = 'mmdet::hrnet/{HOSTS[name]}.py'")
    ours, theirs = load(CONFIGS / f'{name}_1x_coco.py'), load(file)
    del ours.default_hooks['check']
    for config in (ours, theirs):
        config.model.pop('_scope_', None)
    assert ours.to_dict() == theirs.to_dict()


def small_streams(height=32, width=48):
    generator = torch.Generator().manual_seed(0)
    return [
        torch.randn(2, channels, height >> level, width >> level,
                    generator=generator)
        for level, channels in enumerate((2, 3, 4, 5))
    ]


def test_pyramid_averages_the_mix_of_all_streams():
    """Figure 4c, from the formula: resize, concatenate, 1x1, average."""
    cfg = load(CONFIGS / 'faster-rcnn_hrnetv2p-w32_1x_coco.py').model.neck
    neck = MODELS.build(dict(cfg, in_channels=[2, 3, 4, 5], out_channels=6))
    assert cfg.in_channels == [32, 64, 128, 256]
    streams = small_streams()
    mix = neck.reduction_conv.conv
    assert mix.kernel_size == (1, 1) and mix.in_channels == 14
    joined = torch.cat([
        F.interpolate(x, size=(32, 48), mode='bilinear') for x in streams
    ], 1)
    mixed = torch.einsum('oi,nihw->nohw', mix.weight[:, :, 0, 0], joined)
    mixed = mixed + mix.bias[:, None, None]
    levels = neck(streams)
    assert len(levels) == 5
    for i, (level, conv) in enumerate(
            zip(levels, neck.fpn_convs, strict=True)):
        side = 2**i
        pooled = mixed.unfold(2, side, side).unfold(3, side, side).mean(
            (4, 5))
        expected = F.conv2d(pooled, conv.conv.weight, conv.conv.bias,
                            padding=1)
        torch.testing.assert_close(level, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('name', HOSTS)
def test_adc_recipe_wraps_the_plain_ones_backbone(name):
    ours = load(CONFIGS / f'{name.replace("-w", "-adc-w")}_1x_coco.py')
    theirs = load(CONFIGS / f'{name}_1x_coco.py')
    assert ours.model.backbone.backbone == theirs.model.backbone
    assert ours.model.backbone.conv == dict(
        type='mmdense.AdaptiveDilatedConv2d')
    assert ours.optim_wrapper.paramwise_cfg == dict(
        custom_keys=dict(rate_regression=dict(decay_mult=0)))
    assert {
        key for key in ours.model if ours.model[key] != theirs.model[key]
    } == {'backbone'}


def test_adc_replaces_a_convolution_in_every_block():
    config = load(CONFIGS / 'faster-rcnn_hrnetv2p-adc-w32_1x_coco.py')
    narrow = load(CONFIGS / 'mask-rcnn_hrnetv2p-w8_quick_synthetic.py')
    backbone = MODELS.build(
        dict(config.model.backbone, backbone=narrow.model.backbone))
    layers = [
        m for m in backbone.modules() if isinstance(m, AdaptiveDilatedConv2d)
    ]
    # Blocks: 2 of the first stage, 2 in each of 2, 3 and 4 streams.
    assert len(layers) == 2 + 2 * (2 + 3 + 4)


def test_quick_recipe_differs_from_mask_rcnns_in_backbone_and_neck():
    ours = load(CONFIGS / 'mask-rcnn_hrnetv2p-w8_quick_synthetic.py')
    theirs = load(CONFIGS.parent / 'mask_rcnn' /
                  'mask-rcnn_r18-fpn_quick_synthetic.py')
    assert {key for key in theirs if ours[key] != theirs[key]} == {'model'}
    assert {
        key for key in theirs.model if ours.model[key] != theirs.model[key]
    } == {'backbone', 'neck'}
