"""The ADC recipes of mmseg, and its ``dcn`` and ``conv_cfg`` as ways in."""
import re
from pathlib import Path

import pytest
import torch
from mmengine.registry import DefaultScope

pytest.importorskip('mmseg')

from mmengine.config import Config  # noqa: E402
from mmengine.optim import build_optim_wrapper  # noqa: E402

from mmdense.modules.adaptive_dilated_conv import (  # noqa: E402
    AdaptiveDilatedConv2d,
)
from mmdense.registry import MODELS  # noqa: E402

FOLDER = (
    Path(__file__).parents[2] / 'configs' / 'mmseg' / 'adaptive_dilated_conv')
NAMES = ('fcn', 'psanet', 'deeplabv3', 'deeplabv3plus')
STOCK = '_r50-d8_4xb2-40k_cityscapes-769x769.py'


def build(cfg, device='cpu'):
    with DefaultScope.overwrite_default_scope('mmseg'), torch.device(device):
        return MODELS.build(cfg)


def adaptive_layers(network):
    return {
        name: module
        for name, module in network.named_modules()
        if isinstance(module, AdaptiveDilatedConv2d)
    }


@pytest.mark.parametrize('name', NAMES)
def test_the_backbones_dilations_are_multiplied(name):
    config = Config.fromfile(
        FOLDER / f'{name}_adc-r50-d8_4xb2-40k_cityscapes-769x769.py')
    layers = adaptive_layers(build(config.model.backbone, 'meta'))
    assert len(layers) == 16
    # What the stock backbone has: 1 and 2 in the third and 2 and 4 in the
    # last stage, the first block of a stage at the smaller.
    assert [layer.dilation[0] for layer in layers.values()
            ] == [1] * 7 + [1] + [2] * 5 + [2] + [4] * 2


@pytest.mark.parametrize('name', NAMES)
def test_only_backbone_check_and_weight_decay_differ_from_the_host(
        tmp_path, name):
    ours = Config.fromfile(
        FOLDER / f'{name}_adc-r50-d8_4xb2-40k_cityscapes-769x769.py')
    stock = tmp_path / 'stock.py'
    stock.write_text(f"_base_ = 'mmseg::{name}/{name}{STOCK}'")
    host = Config.fromfile(stock)
    assert ours.model.backbone.pop('dcn').type.endswith('DilatedConv2d')
    assert all(ours.model.backbone.pop('stage_with_dcn'))
    del ours.default_hooks['check'], ours.optim_wrapper['paramwise_cfg']
    assert ours.to_dict() == host.to_dict()


def test_weight_decay_spares_the_regression():
    config = Config.fromfile(
        FOLDER / 'fcn_adc-r50-d8_4xb2-40k_cityscapes-769x769.py')
    network = build(config.model.backbone, 'meta')
    wrapper = build_optim_wrapper(network, config.optim_wrapper)
    decays = {
        id(p): group['weight_decay']
        for group in wrapper.optimizer.param_groups for p in group['params']
    }
    for name, parameter in network.named_parameters():
        assert decays[id(parameter)] == (0 if 'rate_regression' in name else
                                         5e-4), name


README, = re.findall(r'```python\n(_base_.*?)```',
                     (FOLDER / 'README.md').read_text(), re.S)
EVERYWHERE = f"""_base_ = 'mmseg::fcn/fcn{STOCK}'
model = dict(
    backbone=dict(conv_cfg=dict(type='mmdense.AdaptiveDilatedConv2d')))
"""


@pytest.mark.parametrize('lines, count', [(README, 16), (EVERYWHERE, 55)],
                         ids=['dcn', 'conv_cfg'])
def test_a_stock_file_computes_what_it_did(tmp_path, lines, count):
    assert len(lines.splitlines()) <= 6
    file = tmp_path / 'adc.py'
    file.write_text(lines)
    small = dict(base_channels=8, stem_channels=8, norm_cfg=dict(type='BN'))
    backbone = Config.fromfile(file).model.backbone
    backbone.update(small)
    network = build(backbone)
    torch.manual_seed(0)
    network.init_weights()
    layers = adaptive_layers(network)
    assert len(layers) == count
    for layer in layers.values():
        rate = layer.rate_regression(torch.randn(2, layer.in_channels, 3, 5))
        assert rate.eq(1).all()
    for key in ('dcn', 'stage_with_dcn', 'conv_cfg'):
        backbone.pop(key, None)
    plain = build(backbone)
    state = network.state_dict()
    plain.load_state_dict(
        {k: v for k, v in state.items() if 'rate_regression' not in k})
    network.eval(), plain.eval()
    x = torch.randn(1, 3, 32, 48)
    with torch.no_grad():
        torch.testing.assert_close(
            network(x), plain(x), rtol=1e-4, atol=1e-4)
