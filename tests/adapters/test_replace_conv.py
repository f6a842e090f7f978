"""Any host's backbone becomes an ADC backbone and computes what it did."""
import pytest
import torch
from mmengine.registry import DefaultScope
from torch import nn
from torch.nn.utils import parametrizations

import mmdense.locations  # noqa: F401
from mmdense.adapters.replace_conv import replace_conv
from mmdense.modules.adaptive_dilated_conv import AdaptiveDilatedConv2d
from mmdense.registry import MODELS

ADC = dict(type='mmdense.AdaptiveDilatedConv2d')
HRNET = dict(
    stage1=dict(
        num_modules=1,
        num_branches=1,
        block='BOTTLENECK',
        num_blocks=(1, ),
        num_channels=(16, )),
    stage2=dict(
        num_modules=1,
        num_branches=2,
        block='BASIC',
        num_blocks=(1, 1),
        num_channels=(8, 16)),
    stage3=dict(
        num_modules=1,
        num_branches=3,
        block='BASIC',
        num_blocks=(1, 1, 1),
        num_channels=(8, 16, 32)),
    stage4=dict(
        num_modules=1,
        num_branches=4,
        block='BASIC',
        num_blocks=(1, 1, 1, 1),
        num_channels=(8, 16, 32, 64)))
HRFORMER = dict(
    drop_path_rate=0.,
    with_rpe=True,
    stage1=HRNET['stage1'],
    **{
        f'stage{s}': dict(
            num_modules=1,
            num_branches=s,
            block='HRFORMERBLOCK',
            window_sizes=(7, ) * s,
            num_heads=(1, 2, 4, 8)[:s],
            mlp_ratios=(2, ) * s,
            num_blocks=(1, ) * s,
            num_channels=(8, 16, 32, 64)[:s])
        for s in (2, 3, 4)
    })
RESNET = dict(depth=50, base_channels=8)
CASES = [
    ('mmpose', dict(type='ResNet', **RESNET), r'layer\d\.\d+\.conv2', 16),
    ('mmpose', dict(type='HRNet', extra=HRNET),
     r'(layer1|stage\d)\..*\.conv2', 10),
    ('mmpose', dict(type='HRFormer', extra=HRFORMER), r'layer1\..*\.conv2', 1),
    ('mmpose', dict(type='ShuffleNetV2', widen_factor=0.5),
     r'layers\..*branch2\.1\.conv', 16),
    ('mmpose',
     dict(
         type='mmdet.CSPNeXt', deepen_factor=0.167, widen_factor=0.125),
     r'stage\d\..*\.blocks\.\d\.conv1\.conv', 4),
    ('mmseg', dict(type='ResNetV1c', **RESNET), r'layer\d\.\d+\.conv2', 16),
    ('mmseg', dict(type='HRNet', extra=HRNET),
     r'(layer1|stage\d)\..*\.conv2', 10),
    ('mmdet', dict(type='ResNet', **RESNET), r'layer\d\.\d+\.conv2', 16),
    ('mmdet', dict(type='HRNet', extra=HRNET),
     r'(layer1|stage\d)\..*\.conv2', 10),
    ('mmdet', dict(type='ResNeXt', groups=4, base_width=8, **RESNET),
     r'layer\d\.\d+\.conv2', 16),
]


def build(host, backbone):
    pytest.importorskip(host)
    with DefaultScope.overwrite_default_scope(host):
        model = MODELS.build(dict(backbone))
        model.eval()  # the hosts' own train() returns nothing
        return model


def build_adc(host, backbone, pattern):
    return build(
        host,
        dict(
            type='mmdense.ReplaceConv',
            backbone=backbone,
            conv=dict(ADC),
            pattern=pattern))


@pytest.mark.parametrize(
    'host, backbone, pattern, count',
    CASES,
    ids=[f'{host}-{cfg["type"]}' for host, cfg, _, _ in CASES])
def test_a_backbone_of_any_host(host, backbone, pattern, count):
    torch.manual_seed(0)
    plain = build(host, backbone)
    plain.init_weights()
    adaptive = build_adc(host, backbone, pattern)
    assert type(adaptive) is type(plain)
    # The host's own initialisation must leave the rates at 1.
    adaptive.init_weights()
    missing, unexpected = adaptive.load_state_dict(
        plain.state_dict(), strict=False)
    layers = [
        m for m in adaptive.modules() if isinstance(m, AdaptiveDilatedConv2d)
    ]
    assert len(layers) == count
    assert unexpected == []
    assert len(missing) == 4 * count
    assert all('.rate_regression.fc' in name for name in missing)
    x = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        torch.testing.assert_close(
            adaptive(x), plain(x), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('case', [0, 1, 5, 6], ids=lambda k: '-'.join(
    (CASES[k][0], CASES[k][1]['type'])))
def test_a_hosts_random_start_leaves_every_pixels_rate_at_one(case):
    host, backbone, pattern, count = CASES[case]
    network = build(
        host,
        dict(
            type='mmdense.ReplaceConv',
            backbone=backbone,
            conv=dict(type='mmdense.ScaleAdaptiveConv2d'),
            pattern=pattern))
    network.init_weights()
    layers = [
        m for m in network.modules()
        if type(m).__name__ == 'ScaleAdaptiveConv2d'
    ]
    assert len(layers) == count
    for layer in layers:
        x = torch.randn(1, layer.in_channels, 5, 4)
        assert layer.rate_regression(x).eq(1).all()


def test_init_weights_keeps_the_rates_of_a_trained_checkpoint(tmp_path):
    trained = build_adc(*CASES[0][:3])
    layer = trained.layer4[0].conv2
    torch.nn.init.constant_(layer.rate_regression.fc2.offset, 0.5)
    path = tmp_path / 'backbone.pth'
    torch.save(dict(state_dict=trained.state_dict()), path)
    backbone = dict(
        CASES[0][1], init_cfg=dict(type='Pretrained', checkpoint=str(path)))
    loaded = build_adc('mmpose', backbone, CASES[0][2])
    loaded.init_weights()
    assert loaded.layer4[0].conv2.rate_regression.fc2.offset.eq(0.5).all()


def test_a_segmentors_pretrained_weights_reach_its_backbone(tmp_path):
    """mmsegmentation writes ``model.pretrained`` into its config."""
    host, backbone, pattern, _ = CASES[5]
    plain = build(host, backbone)
    torch.nn.init.constant_(plain.layer1[0].conv1.weight, 0.25)
    path = tmp_path / 'backbone.pth'
    torch.save(plain.state_dict(), path)
    adaptive = build(
        host,
        dict(
            type='mmdense.ReplaceConv',
            backbone=backbone,
            conv=dict(ADC),
            pattern=pattern,
            pretrained=str(path)))
    adaptive.init_weights()
    assert adaptive.layer1[0].conv1.weight.eq(0.25).all()


@pytest.mark.parametrize('pattern, message', [
    (r'layer9\..*', r"'layer9\\\\\.\.\*' matches no layer of ResNet; its "
     'convolutions are conv1, '),
    (r'layer1\.0\.bn2',
     r"convolutions only, got 'layer1.0.bn2' \(.*BatchNorm2d\)"),
])
def test_a_pattern_that_is_off_is_refused(pattern, message):
    with pytest.raises(ValueError, match=message):
        build_adc('mmpose', CASES[0][1], pattern)


def test_an_unknown_layer_is_named():
    backbone = dict(
        type='mmdense.ReplaceConv',
        backbone=CASES[0][1],
        conv=dict(type='NoSuchConv'),
        pattern=CASES[0][2])
    with pytest.raises(KeyError, match="'NoSuchConv'.* 'layer1.0.conv2'"):
        build('mmpose', backbone)


def test_an_even_kernel_names_the_layer():
    backbone = dict(
        type='mmdense.ReplaceConv',
        backbone=dict(
            type='mmdet.SwinTransformer',
            embed_dims=8,
            depths=(1, 1, 1, 1),
            num_heads=(1, 1, 1, 1)),
        conv=dict(ADC),
        pattern=r'patch_embed\.projection')
    with pytest.raises(
            ValueError, match="for layer 'patch_embed.projection'.*be odd"):
        build('mmdet', backbone)


def test_a_setting_the_layer_refuses_names_the_layer():
    backbone = dict(
        type='mmdense.ReplaceConv',
        backbone=CASES[0][1],
        conv=dict(ADC, groups_of_rates=3),
        pattern=CASES[0][2])
    with pytest.raises(ValueError, match="for layer 'layer1.0.conv2'.*got 3"):
        build('mmpose', backbone)


def test_random_numbers_of_the_rest_of_the_model_stay():
    host, backbone, pattern, _ = CASES[0]
    torch.manual_seed(0)
    build(host, backbone)
    expected = torch.rand(3)
    torch.manual_seed(0)
    build_adc(host, backbone, pattern)
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize('host', ['mmpose', 'mmseg', 'mmdet'])
def test_a_frozen_stage_stays_frozen(host):
    """Before ``train()`` too: DistributedDataParallel looks once."""
    backbone = dict(type='ResNet', depth=18, base_channels=8, frozen_stages=1)
    pytest.importorskip(host)
    with DefaultScope.overwrite_default_scope(host):
        model = replace_conv(
            backbone, dict(ADC), r'conv1|layer\d\.\d+\.conv2')
    for name, parameter in model.named_parameters():
        frozen = name.startswith(('conv1', 'bn1', 'layer1'))
        assert parameter.requires_grad is not frozen, name


def test_checkpointed_blocks_have_the_gradients_of_plain_ones():
    gradients = []
    for with_cp in (False, True):
        torch.manual_seed(0)
        model = build_adc('mmpose', dict(CASES[0][1], with_cp=with_cp),
                          CASES[0][2])
        model.train()
        model(torch.ones(2, 3, 32, 32).requires_grad_())[0].sum().backward()
        gradients.append([
            layer.rate_regression.fc2.offset.grad for layer in model.modules()
            if isinstance(layer, AdaptiveDilatedConv2d)])
    torch.testing.assert_close(*gradients)


class Holder(nn.Module):
    """Stands for a backbone, of whatever layers."""

    def __init__(self, layer, second=None):
        super().__init__()
        self.layer, self.second = layer, second or layer


def replace(layer, pattern='layer', **more):
    return MODELS.build(
        dict(type='mmdense.ReplaceConv', conv=dict(ADC), pattern=pattern,
             backbone=dict(type=Holder, layer=layer, **more)))


@pytest.mark.parametrize('pattern', ['layer', 'second', 'layer|second'])
def test_a_layer_in_two_places_is_replaced_by_one(pattern):
    model = replace(nn.Conv2d(4, 4, 3), pattern)
    assert isinstance(model.layer, AdaptiveDilatedConv2d)
    assert model.second is model.layer


def test_a_weight_of_two_layers_stays_one():
    layers = nn.Conv2d(4, 4, 3), nn.Conv2d(4, 4, 3, stride=2)
    layers[1].weight = layers[0].weight
    model = replace(layers[0], 'layer|second', second=layers[1])
    assert model.layer.weight is model.second.weight is layers[0].weight
    assert model.layer.rate_regression is not model.second.rate_regression


def of_mmcv(name):
    bricks = pytest.importorskip('mmcv.cnn')
    return getattr(bricks, name, None) or getattr(
        pytest.importorskip('mmcv.cnn.bricks'), name)


def hooked(layer):
    layer.register_forward_hook(lambda module, x, out: 2 * out)
    return layer


@pytest.mark.parametrize('layer, message', [
    (lambda: of_mmcv('ConvWS2d')(4, 4, 3), r'\(ConvWS2d\) with a forward'),
    (lambda: of_mmcv('ConvAWS2d')(4, 4, 3), r'\(ConvAWS2d\) with'),
    (lambda: of_mmcv('Conv2dAdaptivePadding')(4, 4, 3),
     r'\(Conv2dAdaptivePadding\) with'),
    (lambda: pytest.importorskip('timm.layers').StdConv2d(4, 4, 3),
     r'\(StdConv2d\) with'),
    (lambda: pytest.importorskip('timm.layers').Conv2dSame(4, 4, 3),
     r'\(Conv2dSame\) with'),
    (lambda: replace(nn.Conv2d(4, 4, 3)).layer,
     r'\(AdaptiveDilatedConv2d\) with'),
    (lambda: nn.utils.spectral_norm(nn.Conv2d(4, 4, 3)), 'parametrised'),
    (lambda: parametrizations.weight_norm(nn.Conv2d(4, 4, 3)),
     'parametrised'),
    (lambda: hooked(nn.Conv2d(4, 4, 3)), 'hooked'),
    (lambda: nn.Conv2d(4, 4, 3, padding=1, padding_mode='reflect'),
     "of padding_mode='reflect'"),
    (lambda: nn.Conv2d(4, 4, 1), r'\(Conv2d\) of 1x1'),
    (lambda: nn.Conv3d(4, 4, 3), r'\(Conv3d\)'),
])
def test_what_computes_something_else_is_refused_by_name(layer, message):
    with pytest.raises(
            ValueError,
            match=f"^ReplaceConv: pattern must .*, got 'layer' .*{message}"):
        replace(layer())


def test_mmcvs_own_convolution_is_replaced():
    layer = of_mmcv('Conv2d')(4, 4, 3, bias=False)
    model = replace(layer)
    assert isinstance(model.layer, AdaptiveDilatedConv2d)
    assert model.layer.weight is layer.weight
