"""The ADC recipes of mmpose: what is replaced, counted and scheduled."""
import re
from pathlib import Path

import pytest
import torch
from mmengine.registry import DefaultScope

pytest.importorskip('mmpose')

from mmengine.config import Config  # noqa: E402
from mmengine.optim import build_optim_wrapper  # noqa: E402

from mmdense.modules.adaptive_dilated_conv import (  # noqa: E402
    AdaptiveDilatedConv2d,
)
from mmdense.registry import MODELS  # noqa: E402

FOLDER = (
    Path(__file__).parents[2] / 'configs' / 'mmpose' / 'adaptive_dilated_conv')
HOST = 'mmpose::body_2d_keypoint/topdown_heatmap/coco/'
# Layers replaced; parameters with a hidden width of a fourth and of the whole
# of the input. tests/test_configs.py counts the recipes themselves.
COUNTS = {
    'res50_4xb32-140e': (16, 34633153, 36522193),
    'res101_4xb32-140e': (33, 54187777, 57751249),
    'res152_4xb32-140e': (50, 70294977, 75237585),
    'hrnet-w32_4xb32-210e': (108, 29261297, 31406897),
    'hrnet-w48_4xb32-210e': (108, 65207649, 69998817),
}


def load(name, size='256x192'):
    return Config.fromfile(FOLDER / f'td-hm_{name}_coco-{size}.py')


def on_meta(model):
    with DefaultScope.overwrite_default_scope('mmpose'), torch.device('meta'):
        return MODELS.build(model)


def parameters(model):
    return sum(p.numel() for p in on_meta(model).parameters())


@pytest.mark.parametrize('name', COUNTS)
def test_the_networks_have_the_counted_parameters(name):
    count, *adaptive = COUNTS[name]
    config = load(f'adc-{name}')
    network = on_meta(config.model)
    layers = {
        key: module
        for key, module in network.named_modules()
        if isinstance(module, AdaptiveDilatedConv2d)
    }
    assert len(layers) == count
    assert all(layer.kernel_size == (3, 3) and
               layer.rate_regression.fc2.out_features == layer.in_channels
               for layer in layers.values())
    for share, wanted in zip((1 / 4, 1), adaptive, strict=True):
        config.model.backbone.conv.hidden_ratio = share
        assert parameters(config.model) == wanted


def test_hrnet_is_replaced_in_every_block_and_nowhere_else():
    network = on_meta(load('adc-hrnet-w32_4xb32-210e').model).backbone
    replaced = {
        name
        for name, module in network.named_modules()
        if isinstance(module, AdaptiveDilatedConv2d)
    }
    blocks = {
        f'{name}.conv2'
        for name, module in network.named_modules()
        if type(module).__name__ in ('Bottleneck', 'BasicBlock')
    }
    assert replaced == blocks
    assert sum(name.startswith('layer1.') for name in replaced) == 4


@pytest.mark.parametrize('size', ['256x192', '384x288'])
@pytest.mark.parametrize('name', COUNTS)
def test_training_is_the_papers(name, size):
    for config in load(name, size), load(f'adc-{name}', size):
        epochs, milestones = ((210, [170, 200]) if 'hrnet' in name else
                              (140, [90, 110]))
        assert config.train_cfg.max_epochs == epochs
        schedule, = config.param_scheduler
        assert (schedule.type, schedule.milestones) == ('MultiStepLR',
                                                        milestones)
        assert config.optim_wrapper.optimizer.type == 'Adam'
        assert config.optim_wrapper.optimizer.lr == 1e-3
        data = config.train_dataloader
        assert 4 * data.batch_size == config.auto_scale_lr.base_batch_size
        transforms = {t.type: t for t in data.dataset.pipeline}
        height, width = map(int, size.split('x'))
        assert transforms['TopdownAffine'].input_size == (width, height)
        assert transforms['RandomBBoxTransform'].rotate_factor == 30
        assert transforms['RandomBBoxTransform'].scale_factor == (0.7, 1.3)


@pytest.mark.parametrize('groups', [2, 4, 8])
def test_table_2_has_as_many_rates_as_it_says(groups):
    network = on_meta(load(f'adc-g{groups}-res50_4xb32-140e').model)
    layers = [
        m for m in network.modules() if isinstance(m, AdaptiveDilatedConv2d)
    ]
    assert len(layers) == 16
    assert {m.rate_regression.fc2.out_features for m in layers} == {groups}


@pytest.mark.parametrize('name, layer, own', [
    ('dc', 'DeformConv2dPack', 'conv_offset'),
    ('sac', 'ScaleAdaptiveConv2d', 'rate_regression'),
])
def test_table_3_has_the_rivals_at_the_same_places(name, layer, own):
    config = load(f'{name}-res50_4xb32-140e').model.backbone
    config.backbone.update(base_channels=8, init_cfg=None)
    with DefaultScope.overwrite_default_scope('mmpose'):
        rival = MODELS.build(config)
        plain = MODELS.build(config.backbone)
    plain.init_weights()
    replaced = {
        key
        for key, m in rival.named_modules() if type(m).__name__ == layer
    }
    assert replaced == {
        f'layer{k + 1}.{i}.conv2'
        for k, blocks in enumerate((3, 4, 6, 3)) for i in range(blocks)
    }
    missing, unexpected = rival.load_state_dict(
        plain.state_dict(), strict=False)
    assert unexpected == [] and all(f'.{own}.' in key for key in missing)
    # mmcv's operator, of 'dc', wants maps no smaller than its kernel.
    x = torch.randn(1, 3, 96, 128, generator=torch.Generator().manual_seed(0))
    rival.eval(), plain.eval()
    with torch.no_grad():
        torch.testing.assert_close(
            rival(x), plain(x), rtol=1e-4, atol=1e-4)


README, = re.findall(r'```python\n(_base_.*?)```',
                     (FOLDER / 'README.md').read_text(), re.S)


def replaced(base, pattern):
    """A stock config's six lines."""
    lines, _, _ = README.rpartition('pattern=')
    _, _, lines = lines.partition('\n')
    return f"_base_ = '{base}'\n{lines}pattern=r'{pattern}'))\n"


@pytest.mark.parametrize('lines, count', [
    (README, 108),
    (replaced(f'{HOST}td-hm_res50_8xb64-210e_coco-256x192.py',
              r'layer\d\.\d+\.conv2'), 16),
    (replaced('mmpose::body_2d_keypoint/rtmpose/coco/'
              'rtmpose-t_8xb256-420e_coco-256x192.py',
              r'stage\d\..*\.blocks\.\d\.conv1\.conv'), 4),
], ids=['HRNet', 'ResNet', 'CSPNeXt'])
def test_six_lines_turn_a_stock_config_into_an_adc_config(
        tmp_path, lines, count):
    assert len(lines.splitlines()) <= 6
    file = tmp_path / 'adc.py'
    file.write_text(lines)
    config = Config.fromfile(file)
    backbone = config.model.backbone.backbone
    backbone.init_cfg = None
    # The same network, narrow.
    if backbone.type == 'HRNet':
        for stage in backbone.extra.values():
            stage.num_channels = [c // 4 for c in stage.num_channels]
        config.model.head.in_channels = 8
    elif backbone.type == 'ResNet':
        backbone.base_channels = 8
        config.model.head.in_channels = 256
    else:
        pytest.importorskip('mmdet')  # CSPNeXt is registered there
    with DefaultScope.overwrite_default_scope('mmpose'):
        network = MODELS.build(config.model)
    network.init_weights()
    check_rates_are_one(network, count)


def check_rates_are_one(network, count):
    layers = [
        m for m in network.modules() if isinstance(m, AdaptiveDilatedConv2d)
    ]
    assert len(layers) == count
    for layer in layers:
        rate = layer.rate_regression(torch.randn(2, layer.in_channels, 3, 5))
        assert rate.eq(1).all()


def test_the_regression_can_have_its_own_learning_rate_and_no_decay():
    config = load('adc-res50_4xb32-140e')
    network = on_meta(config.model)
    wrapper = build_optim_wrapper(
        network,
        dict(
            type='OptimWrapper',
            optimizer=dict(type='AdamW', lr=1e-3, weight_decay=1e-2),
            paramwise_cfg=dict(
                custom_keys=dict(
                    rate_regression=dict(lr_mult=0.1, decay_mult=0)))))
    regression = {
        id(p)
        for name, p in network.named_parameters() if 'rate_regression' in name
    }
    assert len(regression) == 4 * 16
    for group in wrapper.optimizer.param_groups:
        settings = group['lr'], group['weight_decay']
        for parameter in group['params']:
            own = id(parameter) in regression
            assert settings == pytest.approx((1e-4, 0) if own else
                                             (1e-3, 1e-2))
            regression.discard(id(parameter))
    assert not regression
