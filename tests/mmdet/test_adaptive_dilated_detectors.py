"""ADC in mmdet's stock detectors, by ``dcn`` and by ``ReplaceConv``."""
import re
from pathlib import Path

import pytest
import torch
from mmengine.registry import DefaultScope

pytest.importorskip('mmdet')

from mmengine.config import Config  # noqa: E402

from mmdense.modules.adaptive_dilated_conv import (  # noqa: E402
    AdaptiveDilatedConv2d,
)
from mmdense.registry import MODELS  # noqa: E402

FOLDER = (
    Path(__file__).parents[2] / 'configs' / 'mmdet' / 'adaptive_dilated_conv')
FASTER, CENTERNET = re.findall(r'```python\n(_base_.*?)```',
                               (FOLDER / 'README.md').read_text(), re.S)


def build(cfg):
    with DefaultScope.overwrite_default_scope('mmdet'):
        return MODELS.build(cfg)


@pytest.mark.parametrize('lines, count', [(FASTER, 13), (CENTERNET, 8)],
                         ids=['Faster R-CNN', 'CenterNet'])
def test_a_stock_file_computes_what_it_did(tmp_path, lines, count):
    assert len(lines.splitlines()) <= 6
    file = tmp_path / 'adc.py'
    file.write_text(lines)
    backbone = Config.fromfile(file).model.backbone
    stock = backbone.get('backbone', backbone)
    stock.update(
        base_channels=8, stem_channels=8, init_cfg=None, norm_eval=False)
    network = build(backbone)
    torch.manual_seed(0)
    network.init_weights()
    layers = [
        m for m in network.modules() if isinstance(m, AdaptiveDilatedConv2d)
    ]
    assert len(layers) == count
    for layer in layers:
        rate = layer.rate_regression(torch.randn(2, layer.in_channels, 3, 5))
        assert rate.eq(1).all()
    for key in ('dcn', 'stage_with_dcn'):
        stock.pop(key, None)
    plain = build(stock)
    plain.load_state_dict({
        k: v
        for k, v in network.state_dict().items() if 'rate_regression' not in k
    })
    network.eval(), plain.eval()
    x = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        torch.testing.assert_close(
            network(x), plain(x), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('name, lines', [
    ('faster-rcnn_adc-r50_fpn_1x_coco', FASTER),
    ('centernet_adc-r18_8xb16-crop512-140e_coco', CENTERNET),
])
def test_our_config_has_the_network_of_the_example(tmp_path, name, lines):
    file = tmp_path / 'adc.py'
    file.write_text(lines)
    ours = Config.fromfile(FOLDER / f'{name}.py')
    assert ours.model.to_dict() == Config.fromfile(file).model.to_dict()


@pytest.mark.parametrize(
    'path', sorted(FOLDER.glob('*_coco.py')), ids=lambda path: path.stem)
def test_every_recipe_spares_the_regression_weight_decay(path):
    config = Config.fromfile(path)
    assert config.optim_wrapper.optimizer.weight_decay > 0
    keys = config.optim_wrapper.paramwise_cfg.custom_keys
    assert keys.rate_regression == dict(decay_mult=0)


def test_the_frozen_stage_keeps_its_convolutions():
    config = Config.fromfile(FOLDER / 'faster-rcnn_adc-r50_fpn_1x_coco.py')
    backbone = config.model.backbone
    with torch.device('meta'):
        network = build(backbone)
    assert backbone.frozen_stages == 1
    assert not any(
        isinstance(m, AdaptiveDilatedConv2d)
        for m in network.layer1.modules())
    assert all(p.requires_grad for name, p in network.named_parameters()
               if 'rate_regression' in name)
