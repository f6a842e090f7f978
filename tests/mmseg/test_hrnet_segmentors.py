"""HRNetV2 in mmseg: fusion, heads and recipes against the formulas."""
import copy
import functools
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

pytest.importorskip('mmseg')

from mmcv.transforms import TRANSFORMS  # noqa: E402
from mmengine.config import Config  # noqa: E402
from mmengine.registry import DefaultScope  # noqa: E402
from mmengine.structures import PixelData  # noqa: E402
from mmseg.registry import DATASETS, MODELS  # noqa: E402
from mmseg.structures import SegDataSample  # noqa: E402

from mmdense.modules.adaptive_dilated_conv import (  # noqa: E402
    AdaptiveDilatedConv2d,
)

CONFIGS = Path(__file__).parents[2] / 'configs' / 'mmseg' / 'hrnet'
CITY = '_4xb3-120k_cityscapes-512x1024'
WIDE = ('hrnetv2_w48', 'hrnetv2_w40')
STREAMS = [2, 3, 4, 5]
SMALL = dict(in_channels=STREAMS, num_classes=3, norm_cfg=dict(type='BN'))


@pytest.fixture(autouse=True)
def mmseg_scope():
    with DefaultScope.overwrite_default_scope('mmseg'):
        yield


@functools.cache
def parsed(name):
    return Config.fromfile(CONFIGS / f'{name}.py')


def load(name):
    return copy.deepcopy(parsed(name))


def randomise(module):
    """Values no two of which agree, norms' statistics included."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, value in module.state_dict().items():
            if value.is_floating_point():
                spread = torch.rand(value.shape, generator=generator)
                value.copy_(spread + 0.5 if 'running_var' in name else spread -
                            0.3)
    module.eval()  # which mmseg's HRNet does not return
    return module


def streams(height=8, width=16, channels=STREAMS):
    generator = torch.Generator().manual_seed(1)
    return tuple(
        torch.randn(2, c, height >> level, width >> level,
                    generator=generator)
        for level, c in enumerate(channels))


def normed(x, norm):
    """A norm in eval mode, from its definition."""
    scale = norm.weight / (norm.running_var + norm.eps).sqrt()
    return (x - norm.running_mean[:, None, None]
            ) * scale[:, None, None] + norm.bias[:, None, None]


def pointwise(x, conv):
    out = torch.einsum('oi,nihw->nohw', conv.weight[:, :, 0, 0], x)
    return out if conv.bias is None else out + conv.bias[:, None, None]


def layer(x, module):
    """1x1 convolution, norm and ReLU of an mmcv ConvModule."""
    return normed(pointwise(x, module.conv), module.bn).clamp(min=0)


def joined(maps):
    size = maps[0].shape[2:]
    return torch.cat(
        [F.interpolate(x, size=size, mode='bilinear') for x in maps], 1)


def test_head_classifies_the_mix_of_all_streams():
    head = randomise(
        MODELS.build(dict(SMALL, type='mmdense.HRNetV2Head')))
    maps = streams()
    [mix] = head.convs
    assert mix.conv.weight.shape == (14, 14, 1, 1)
    assert mix.conv.bias is not None
    torch.testing.assert_close(
        head(maps), pointwise(layer(joined(maps), mix), head.conv_seg))


def test_contextual_head_attends_to_the_regions_of_the_classes():
    """OCR's equations: regions, attention with keys of 256, 1x1 of both."""
    head = randomise(
        MODELS.build(dict(SMALL, type='mmdense.HRNetOCRHead')))
    maps = streams()
    generator = torch.Generator().manual_seed(2)
    coarse = torch.randn(2, 3, 8, 16, generator=generator)
    x = F.conv2d(joined(maps), head.bottleneck.conv.weight,
                 head.bottleneck.conv.bias, padding=1)
    assert head.bottleneck.conv.bias is not None
    x = normed(x, head.bottleneck.bn).clamp(min=0)
    assert x.shape[1] == 512
    share = coarse.flatten(2).softmax(2)
    regions = torch.einsum('nkp,ncp->nck', share, x.flatten(2))[..., None]
    block = head.object_context_block

    def twice(x, modules):
        assert [m.conv.out_channels for m in modules] == [256, 256]
        return layer(layer(x, modules[0]), modules[1])

    query = twice(x, block.query_project).flatten(2)
    key = twice(regions, block.key_project).flatten(2)
    value = layer(regions, block.value_project).flatten(2)
    weights = (torch.einsum('ncp,nck->npk', query, key) / 16).softmax(2)
    context = torch.einsum('npk,nck->ncp', weights, value)
    context = layer(context.reshape(2, 256, 8, 16), block.out_project)
    both = layer(torch.cat([context, x], 1), block.bottleneck)
    torch.testing.assert_close(
        head(maps, coarse), pointwise(both, head.conv_seg), rtol=1e-4,
        atol=1e-3)
    assert head.dropout.p == 0.05


def test_pointwise_pyramid_joins_its_branches_by_a_1x1():
    head = randomise(
        MODELS.build(
            dict(type='mmdense.PointwiseASPPHead', in_channels=4, channels=3,
                 in_index=0, dilations=(1, 2, 3), num_classes=2,
                 norm_cfg=dict(type='BN'), dropout_ratio=0)))
    x = streams(channels=[4])[0]
    pool = layer(x.mean((2, 3), keepdim=True), head.image_pool[1])
    branches = [pool.expand(-1, -1, 8, 16)]
    for rate, module in zip((1, 2, 3), head.aspp_modules, strict=True):
        wide = F.conv2d(x, module.conv.weight, dilation=rate,
                        padding=0 if rate == 1 else rate)
        branches.append(normed(wide, module.bn).clamp(min=0))
    expected = pointwise(layer(torch.cat(branches, 1), head.bottleneck),
                         head.conv_seg)
    torch.testing.assert_close(head([x]), expected, rtol=1e-4, atol=1e-4)


def test_fusion_adds_what_each_stream_makes_of_itself():
    """Slide 53 on the last module of the quick network: strided 3x3 down,
    1x1 and bilinear up, itself unchanged."""
    network = randomise(
        MODELS.build(load('hrnetv2_w8_quick_synthetic-128x128').model.backbone)
    )
    fusion = network.stage4[-1]
    maps = streams(16, 32, [8, 16, 32, 64])
    fusion.branches = nn.ModuleList(nn.Identity() for _ in maps)
    found = fusion(list(maps))
    for r, output in enumerate(found):
        total = 0
        for x, source in enumerate(maps):
            if x < r:
                steps = fusion.fuse_layers[r][x]
                assert len(steps) == r - x
                for i, step in enumerate(steps):
                    source = normed(
                        F.conv2d(source, step[0].weight, stride=2, padding=1),
                        step[1])
                    if i < r - x - 1:
                        source = source.clamp(min=0)
            elif x > r:
                conv, norm = fusion.fuse_layers[r][x][:2]
                source = F.interpolate(
                    source, size=output.shape[2:], mode='bilinear')
                source = normed(pointwise(source, conv), norm)
            total = total + source
        torch.testing.assert_close(
            output, total.clamp(min=0), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize('name, iterations, batch, rate, classes', [
    *((f'{name}{CITY}', 120000, 3, 0.01, 19)
      for name in (*WIDE, 'hrnetv2-ocr_w48', 'deeplabv3_r101-d8',
                   'dilated-resnet_r101-d8', 'pspnet_r101-d8')),
    *((f'hrnetv2{ocr}_w48_4xb4-60k_pascal-context{kind}-480x480', 60000, 4,
       0.004, classes)
      for ocr in ('', '-ocr') for kind, classes in (('', 60), ('-59', 59))),
    *((f'hrnetv2{ocr}_w48_4xb10-110k_lip-473x473', 110000, 10, 0.007, 20)
      for ocr in ('', '-ocr')),
])
def test_schedule_and_classes_are_the_papers(
        name, iterations, batch, rate, classes):
    config = load(name)
    assert config.train_cfg.max_iters == iterations
    [decay] = config.param_scheduler
    assert decay == dict(
        type='PolyLR', eta_min=0, power=0.9, begin=0, end=iterations,
        by_epoch=False)
    assert config.train_dataloader.batch_size == batch
    optimizer = config.optim_wrapper.optimizer
    assert (optimizer.type, optimizer.lr, optimizer.momentum) == ('SGD', rate,
                                                                  0.9)
    assert optimizer.weight_decay == (1e-4 if 'context' in name else 5e-4)
    steps = [step.type for step in config.train_dataloader.dataset.pipeline]
    assert steps[2:5] == ['RandomResize', 'RandomCrop', 'RandomFlip']
    assert 'PhotoMetricDistortion' not in steps
    heads = config.model.decode_head
    heads = heads if isinstance(heads, list) else [heads]
    assert {head.num_classes for head in heads} == {classes}
    if 'ocr' in name:
        assert config.model.type == 'CascadeEncoderDecoder'
        assert [head.loss_decode.loss_weight for head in heads] == [0.4, 1]
    dataset = DATASETS.get(config.test_dataloader.dataset.type)
    assert len(dataset.METAINFO['classes']) == classes


def test_a_flip_turns_left_parts_into_right_ones():
    config = load('hrnetv2_w48_4xb10-110k_lip-473x473')
    [flip] = [
        step for step in config.train_dataloader.dataset.pipeline
        if step.type == 'RandomFlip'
    ]
    names = DATASETS.get('LIPDataset').METAINFO['classes']
    wanted = {
        (names.index(f'Left-{part}'), names.index(f'Right-{part}'))
        for part in ('arm', 'leg', 'shoe')
    }
    assert {tuple(pair) for pair in flip.swap_seg_labels} == wanted
    left, right = sorted(wanted)[0]
    label = np.array([[left, 0, 5], [right, right, 13]], np.uint8)
    flipped = TRANSFORMS.build(dict(flip, prob=1.))(
        dict(img=np.zeros((2, 3, 3), np.uint8), img_shape=(2, 3),
             gt_seg_map=label, seg_fields=['gt_seg_map']))['gt_seg_map']
    assert flipped.tolist() == [[5, 0, right], [13, left, left]]


PAIRS = [(name, name.replace('_w', '_adc-w'))
         for name in (*WIDE, 'hrnetv2-ocr_w48')]


@pytest.mark.parametrize('plain, adc', PAIRS)
def test_adc_recipe_wraps_the_plain_ones_backbone(plain, adc):
    ours, theirs = load(adc + CITY), load(plain + CITY)
    wrapped = ours.model.backbone
    assert wrapped.type == 'mmdense.ReplaceConv'
    assert wrapped.conv == dict(type='mmdense.AdaptiveDilatedConv2d')
    inner = wrapped.backbone
    for config in (inner, theirs.model.backbone):
        config.norm_cfg.pop('_scope_', None)
    assert inner == theirs.model.backbone
    assert ours.model.decode_head == theirs.model.decode_head
    assert ours.optim_wrapper.paramwise_cfg == dict(
        custom_keys=dict(rate_regression=dict(decay_mult=0)))


def test_adc_replaces_a_convolution_in_every_block():
    config = load('hrnetv2_adc-w40' + CITY).model.backbone
    narrow = load('hrnetv2_w8_quick_synthetic-128x128').model.backbone
    backbone = MODELS.build(dict(config, backbone=narrow))
    layers = [
        m for m in backbone.modules() if isinstance(m, AdaptiveDilatedConv2d)
    ]
    # Blocks: 2 of the first stage, 2 in each of 2, 3 and 4 streams.
    assert len(layers) == 2 + 2 * (2 + 3 + 4)


def test_both_heads_learn_from_one_step():
    """The cascade's two losses, through narrow streams."""
    quick = load('hrnetv2_w8_quick_synthetic-128x128').model
    heads = load('hrnetv2-ocr_w48' + CITY).model.decode_head
    narrow = dict(in_channels=[8, 16, 32, 64], norm_cfg=dict(type='BN'),
                  num_classes=2)
    model = MODELS.build(
        dict(quick, type='CascadeEncoderDecoder', num_stages=2,
             decode_head=[dict(head, **narrow) for head in heads]))
    sample = SegDataSample(
        gt_sem_seg=PixelData(data=torch.ones(1, 64, 96, dtype=torch.long)),
        metainfo=dict(img_shape=(64, 96), ori_shape=(64, 96)))
    losses = model.train().loss(torch.randn(2, 3, 64, 96),
                                [sample, sample.clone()])
    assert {'decode_0.loss_ce', 'decode_1.loss_ce'} <= set(losses)
    sum(v for k, v in losses.items() if 'loss' in k).backward()
    for name in ('decode_head.0.conv_seg', 'decode_head.1.conv_seg',
                 'backbone.conv1'):
        gradient = model.get_submodule(name).weight.grad
        assert gradient.isfinite().all() and gradient.abs().max() > 0


def test_enlarging_before_or_after_convolution_and_norm_is_one_at_test_time():
    """mmseg enlarges last, the lecture (slides 52 and 53) first."""
    from mmseg.models.backbones.hrnet import HRModule
    from mmseg.models.backbones.resnet import BasicBlock
    part = HRModule(2, BasicBlock, [1, 1], [2, 3], [2, 3])
    convolution, norm, enlarge = part.fuse_layers[0][1]
    randomise(part)
    x = torch.rand(2, 3, 5, 4, generator=torch.Generator().manual_seed(1))
    for mode, equal in ((part.eval, True), (part.train, False)):
        mode()
        ours = enlarge(norm(convolution(x)))
        lectures = norm(convolution(enlarge(x)))
        assert ours.shape == (2, 2, 10, 8)
        assert torch.allclose(ours, lectures, atol=1e-5) is equal
