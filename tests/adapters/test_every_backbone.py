"""Every backbone of the hosts starts as it was, adaptive or not.

Under one seed, its ``init_weights`` run, a network whose convolutions are all
adaptive has the plain one's values and computes what the plain one computes.
"""
import contextlib
import importlib
import inspect
import re
from pathlib import Path

import pytest
import torch
from mmengine.logging import MMLogger
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import DefaultScope
from torch import nn

from mmdense.adapters.replace_conv import replace_conv
from mmdense.modules.adaptive_dilated_conv import AdaptiveDilatedConv2d
from mmdense.registry import MODELS

ROOT = Path(__file__).resolve().parents[2]
ADC = dict(type='mmdense.AdaptiveDilatedConv2d')
STAGES = dict(
    stage1=dict(
        num_modules=1, num_branches=1, block='BOTTLENECK', num_blocks=(1, ),
        num_channels=(16, )),
    **{
        f'stage{s}': dict(
            num_modules=1, num_branches=s, block='BASIC', num_blocks=(1, ) * s,
            num_channels=(8, 16, 32, 64)[:s])
        for s in (2, 3, 4)
    })
STDC = dict(
    stdc_type='STDCNet1', in_channels=3, channels=(8, 16, 32, 64, 128),
    bottleneck_type='cat', norm_cfg=dict(type='BN'), act_cfg=dict(type='ReLU'))
TWINS = dict(
    embed_dims=(8, 8, 8, 8), depths=(1, 1, 1, 1), num_heads=(1, 1, 1, 1),
    mlp_ratios=(1, 1, 1, 1))
HRFORMER = dict(
    drop_path_rate=0., with_rpe=True, stage1=STAGES['stage1'],
    **{
        f'stage{s}': dict(
            STAGES[f'stage{s}'], block='HRFORMERBLOCK', mlp_ratios=(2, ) * s,
            window_sizes=(7, ) * s, num_heads=(1, 2, 4, 8)[:s])
        for s in (2, 3, 4)
    })
LITE = dict(
    stem=dict(stem_channels=8, out_channels=8, expand_ratio=1),
    num_stages=1,
    with_head=False,
    stages_spec=dict(
        num_modules=(1, ), num_branches=(2, ), num_blocks=(1, ),
        module_type=('LITE', ), with_fuse=(True, ), reduce_ratios=(2, ),
        num_channels=((8, 16), )))
SMALL = dict(base_channels=8)
PYRAMID = dict(
    embed_dims=8, num_layers=(1, 1, 1, 1), num_heads=(1, 1, 1, 1),
    mlp_ratios=(1, 1, 1, 1))
HOURGLASS = dict(
    downsample_times=1, num_stacks=1, feat_channel=16,
    stage_channels=(256, 16), stage_blocks=(1, 1))
REGNET = dict(
    arch=dict(w0=8, wa=8., wm=1.5, group_w=8, depth=5, bot_mul=1.),
    stem_channels=8, base_channels=8)
CSP = dict(deepen_factor=0.167, widen_factor=0.125)
# One small network of each class that has a layer to replace.
NETWORKS = dict(
    mmpose=dict(
        AlexNet=dict(),
        CPM=dict(in_channels=3, out_channels=2, feat_channels=8,
                 middle_channels=8, num_stages=2),
        CSPDarknet=CSP,
        CSPNeXt=CSP,
        ResNet=dict(depth=18, **SMALL),
        ResNetV1d=dict(depth=18, **SMALL),
        HourglassNet=HOURGLASS,
        HourglassAENet=dict(
            downsample_times=2, feat_channels=8, stage_channels=(8, 8, 8)),
        HRNet=dict(extra=STAGES),
        HRFormer=dict(extra=HRFORMER),
        LiteHRNet=dict(extra=LITE),
        MobileNetV2=dict(widen_factor=0.25),
        MobileNetV3=dict(),
        MSPN=dict(unit_channels=8, num_stages=1, num_units=2,
                  num_blocks=(1, 1)),
        PyramidVisionTransformerV2=PYRAMID,
        ResNeXt=dict(depth=50, groups=4, width_per_group=8, **SMALL),
        RegNet=REGNET,
        ResNeSt=dict(depth=50, **SMALL),
        RSN=dict(unit_channels=8, num_stages=1, num_units=2,
                 num_blocks=(1, 1)),
        SCNet=dict(depth=50, num_stages=2, strides=(1, 2),
                   dilations=(1, 1), out_indices=(1, ), **SMALL),
        SEResNet=dict(depth=50, **SMALL),
        SEResNeXt=dict(depth=50, groups=4, width_per_group=8, **SMALL),
        ShuffleNetV1=dict(widen_factor=0.5),
        ShuffleNetV2=dict(widen_factor=0.5),
        VGG=dict(depth=11),
        ViPNAS_MobileNetV3=dict(dep=(None, 1, 1, 1, 1, 1, 1)),
        ViPNAS_ResNet=dict(depth=50, dep=(None, 1, 1, 1, 1),
                           wid=(16, 16, 16, 32, 32)),
    ),
    mmseg=dict(
        BiSeNetV1=dict(
            backbone_cfg=dict(type='ResNet', depth=18, **SMALL),
            spatial_channels=(8, 8, 8, 16), context_channels=(16, 32, 64),
            out_channels=16),
        BiSeNetV2=dict(),
        CGNet=dict(num_channels=(8, 16, 32), num_blocks=(1, 1),
                   reductions=(2, 2)),
        DDRNet=dict(channels=8, ppm_channels=8),
        ERFNet=dict(),
        FastSCNN=dict(),
        ResNet=dict(depth=18, **SMALL),
        ResNetV1c=dict(depth=18, **SMALL),
        ResNetV1d=dict(depth=18, **SMALL),
        HRNet=dict(extra=STAGES),
        ICNet=dict(backbone_cfg=dict(type='ResNetV1c', depth=18, **SMALL),
                   layer_channels=(16, 64), psp_out_channels=16),
        MixVisionTransformer=dict(
            embed_dims=8, num_layers=(1, 1, 1, 1), num_heads=(1, 1, 1, 1)),
        MobileNetV2=dict(widen_factor=0.25),
        MobileNetV3=dict(),
        MSCAN=dict(embed_dims=(8, 8, 8, 8), depths=(1, 1, 1, 1)),
        PIDNet=dict(channels=8, ppm_channels=8),
        ResNeSt=dict(depth=50, stem_channels=16, **SMALL),
        ResNeXt=dict(depth=50, groups=4, base_width=8, **SMALL),
        STDCNet=STDC,
        STDCContextPathNet=dict(
            backbone_cfg=dict(type='STDCNet', **STDC),
            last_in_channels=(128, 64), out_channels=16,
            ffm_cfg=dict(in_channels=48, out_channels=16, scale_factor=4)),
        PCPVT=TWINS,
        SVT=dict(TWINS, windiow_sizes=(7, 7, 7, 7), sr_ratios=(4, 2, 1, 1)),
        TIMMBackbone=dict(model_name='test_resnet', pretrained=False),
        UNet=dict(base_channels=4),
    ),
    mmdet=dict(
        CSPDarknet=CSP,
        CSPNeXt=CSP,
        Darknet=dict(depth=1),
        ResNet=dict(depth=18, **SMALL),
        ResNetV1d=dict(depth=18, **SMALL),
        DetectoRS_ResNet=dict(depth=50, **SMALL),
        DetectoRS_ResNeXt=dict(depth=50, groups=4, base_width=8, **SMALL),
        HourglassNet=HOURGLASS,
        HRNet=dict(extra=STAGES),
        MobileNetV2=dict(widen_factor=0.25),
        PyramidVisionTransformerV2=PYRAMID,
        ResNeXt=dict(depth=50, groups=4, base_width=8, **SMALL),
        RegNet=REGNET,
        Res2Net=dict(depth=50, base_width=8, **SMALL),
        ResNeSt=dict(depth=50, **SMALL),
        SSDVGG=dict(depth=11),
        TridentResNet=dict(
            depth=50, num_branch=3, test_branch_idx=1, num_stages=3,
            strides=(1, 2, 2), dilations=(1, 1, 1), out_indices=(2, ),
            trident_dilations=(1, 2, 3), **SMALL),
    ))
# Classes with nothing to replace, or that cannot be built here.
EVEN = 'its convolutions cut patches, with an even kernel'
WITHOUT = dict(
    mmpose=dict(
        DSTFormer='it has no convolution',
        PyramidVisionTransformer=EVEN,
        SwinTransformer=EVEN,
        TCN='its convolutions have one axis',
        V2VNet='its convolutions have three axes'),
    mmseg=dict(
        BEiT=EVEN,
        DeconvModule='it is the upsampling of UNet, transposed',
        InterpConv='it is the upsampling of UNet, 1x1',
        MAE=EVEN,
        SwinTransformer=EVEN,
        VisionTransformer=EVEN,
        VPD='it needs the packages and weights of Stable Diffusion'),
    mmdet=dict(
        EfficientNet='its convolutions pad their input (Conv2dAdaptivePadding)'
        ', which ReplaceConv refuses',
        PyramidVisionTransformer=EVEN,
        SwinTransformer=EVEN))


def registered(host):
    importlib.import_module(f'{host}.models')
    registry = importlib.import_module(f'{host}.registry').MODELS
    return {
        name for name, kind in registry.module_dict.items()
        if inspect.isclass(kind)
        and kind.__module__.startswith(f'{host}.models.backbones')
    }


@pytest.fixture(autouse=True)
def quiet():
    """Without a line of the log for each parameter of each network."""
    logger = MMLogger.get_current_instance()
    level = logger.level
    logger.setLevel('ERROR')
    yield
    logger.setLevel(level)


@pytest.mark.parametrize('host', NETWORKS)
def test_no_registered_backbone_is_left_out(host):
    pytest.importorskip(host)
    covered = {*NETWORKS[host], *WITHOUT[host]}
    exceptions = '\n'.join(f'{k}: {v}' for k, v in WITHOUT[host].items())
    assert registered(host) == covered, (
        f'{sorted(registered(host) ^ covered)} of {host} must be in NETWORKS, '
        f'or in WITHOUT with the reason:\n{exceptions}')


def build(host, backbone):
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope(host):
        model = MODELS.build(dict(backbone))
        model.init_weights()
    model = revert_sync_batchnorm(model).double()
    model.eval()  # the hosts' own train() returns nothing
    return model


def is_replaceable(module):
    # mmcv has a class of this name for empty maps.
    return (type(module).__name__ == 'Conv2d'
            and max(module.kernel_size) > 1
            and all(k % 2 for k in module.kernel_size))


@contextlib.contextmanager
def outputs_of(modules):
    """Within it, a dictionary holds what each module that ran put out."""
    outputs = {}
    handles = [
        module.register_forward_hook(
            lambda _, __, out, name=name: outputs.update({name: out}))
        for name, module in modules.items()
    ]
    yield outputs
    for handle in handles:
        handle.remove()


def patterns():
    """(class, host or none) to the pattern that the page gives for it."""
    page = ROOT / 'configs/mmpose/adaptive_dilated_conv/README.md'
    table = page.read_text().partition('| Backbone | `pattern` |')[2]
    found = {}
    for line in table.partition('\n\n')[0].splitlines()[2:]:
        names, pattern = re.split(r'(?<!\\)\|', line)[1:3]
        for name in re.sub(r'\(.*?\)', '', names).split(','):
            kind, _, host = name.strip().partition(' of ')
            found[kind, host] = pattern.strip(' `').replace(r'\|', '|')
    return found


PATTERNS = patterns()
# Layers that the page's patterns name in the networks above.
COUNTS = dict(
    AlexNet=3, CPM=3, CSPDarknet=6, CSPNeXt=4, ResNet=8, ResNetV1c=8,
    ResNetV1d=8, HourglassNet=4, HourglassAENet=7, HRNet=10, HRFormer=10,
    LiteHRNet=2, MobileNetV2=17, MSPN=2, PyramidVisionTransformerV2=4,
    ResNeXt=16, RegNet=5, ResNeSt=16, RSN=20, SCNet=14, SEResNet=16,
    SEResNeXt=16, ShuffleNetV1=16, ShuffleNetV2=16, VGG=8,
    ViPNAS_MobileNetV3=6, ViPNAS_ResNet=4, BiSeNetV1=8, BiSeNetV2=11, CGNet=4,
    DDRNet=14, ERFNet=34, FastSCNN=9, ICNet=8, MixVisionTransformer=4,
    MSCAN=4, PIDNet=20, STDCNet=18, STDCContextPathNet=18, PCPVT=4, SVT=4,
    UNet=9, Darknet=5, Res2Net=48, TridentResNet=7,
    MobileNetV3=dict(mmpose=11, mmseg=7))
# Names are timm's, or go with the depth, or are of ConvAWS2d in the recipes.
ROWLESS = {'TIMMBackbone', 'SSDVGG', 'DetectoRS_ResNet', 'DetectoRS_ResNeXt'}
CASES = [(host, name) for host, networks in NETWORKS.items()
         for name in networks]


@pytest.mark.parametrize('host, name', CASES)
def test_every_backbone_starts_as_it_was(host, name, monkeypatch):
    pytest.importorskip(host)
    if name == 'TIMMBackbone':
        pytest.importorskip('timm')
    if name == 'Darknet':  # whose one depth takes seconds
        from mmdet.models import Darknet
        monkeypatch.setitem(Darknet.arch_settings, 1, (
            (1, ) * 5, ((32, 8), (8, 16), (16, 16), (16, 32), (32, 32))))
    config = dict(NETWORKS[host][name], type=name)
    plain = build(host, config)
    layers = {key: module for key, module in plain.named_modules()
              if is_replaceable(module)}
    adaptive = build(host, dict(
        type='mmdense.ReplaceConv', backbone=config,
        pattern='|'.join(map(re.escape, layers)),
        conv=dict(ADC)))
    if name == 'TridentResNet':  # leaves its own layers as memory was
        for key, parameter in plain.named_parameters():
            if not key.endswith('bias'):
                nn.init.normal_(parameter, std=0.1)
        adaptive.load_state_dict(plain.state_dict(), strict=False)
    state = adaptive.state_dict()
    for key, value in plain.state_dict().items():
        assert torch.equal(state[key], value), key
    x = torch.randn(1, 3, 64, 64, dtype=torch.float64,
                    generator=torch.Generator().manual_seed(0))
    with torch.no_grad(), outputs_of(layers) as ran, outputs_of({
            key: adaptive.get_submodule(key).rate_regression
            for key in layers}) as rates:
        torch.testing.assert_close(adaptive(x), plain(x))
    # Some hosts' backbones hold layers that they do not use.
    assert rates and rates.keys() == ran.keys()
    assert all(rate.eq(1).all() for rate in rates.values())
    if name not in ROWLESS:
        pattern = PATTERNS.get((name, host)) or PATTERNS[name, '']
        count = COUNTS[name]
        model = replace_conv(dict(type=lambda: plain), dict(ADC), pattern)
        assert sum(isinstance(m, AdaptiveDilatedConv2d)
                   for m in model.modules()) == (
                       count[host] if isinstance(count, dict) else count)


def test_the_page_has_a_pattern_for_each_backbone():
    names = {name for networks in NETWORKS.values() for name in networks}
    assert {name for name, _ in PATTERNS} == names - ROWLESS


@pytest.mark.parametrize('host, name, options', [
    ('mmpose', 'MobileNetV2', dict(widen_factor=0.25)),
    ('mmseg', 'UNet', dict(base_channels=4)),
    ('mmdet', 'CSPDarknet', CSP),
])
def test_conv_cfg_starts_as_the_convolutions_it_replaces(host, name, options):
    """mmcv's ConvModule, which skips a layer that has ``init_weights``."""
    pytest.importorskip(host)
    plain = build(host, dict(options, type=name))
    adaptive = build(host, dict(options, type=name, conv_cfg=dict(ADC)))
    state = adaptive.state_dict()
    for key, value in plain.state_dict().items():
        assert torch.equal(state[key], value), key
