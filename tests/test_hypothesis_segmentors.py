"""Any arguments for heads, backbones and segmentors."""
import math

import pytest
import torch
import torch.nn.functional as F
from any_arguments import (
    FLAG,
    arguments,
    close,
    profile,
    refusal_names,
    tensor,
)
from any_registered import (
    WIDTH,
    WRONG,
    any_arguments_of,
    assert_alone,
    no_host_in_charge,
    registered,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from mmdense.modules import u_net
from mmdense.modules.rearrangement import unfold

pytest.importorskip('mmseg')


HEAD = dict(num_classes=st.just(3))
NORM = dict(HEAD, norm_cfg=st.just(dict(type='BN')))
FOUR = dict(in_channels=st.lists(WIDTH, min_size=4, max_size=4),
            in_index=st.permutations(range(4)))
THREE = dict(in_channels=st.lists(WIDTH, min_size=3, max_size=3),
             in_index=st.permutations(range(4)).map(lambda k: k[:3]))
STEP = st.fixed_dictionaries(dict(
    factor=st.integers(1, 3), crop=st.integers(0, 2)))
STREAMS = [(8, 6), (4, 3), (2, 2), (1, 1)]


def of_backbone(given, seed, sizes):
    """A backbone's outputs: those that a head looks at, None elsewhere."""
    maps = [None] * 4
    for k, (channels, index) in enumerate(zip(
            given['in_channels'], given['in_index'], strict=True)):
        maps[index] = tensor((2, channels, *sizes[k]), seed + k)
    return maps


@any_arguments_of('HRNetV2Head', **FOUR, host=NORM)
def test_hrnet_v2_head(head, given, seed):
    maps = of_backbone(given, seed, STREAMS)
    layer = head.eval().convs[0].conv
    layer.bias.data = tensor(layer.bias.shape, seed)
    x = torch.cat([
        F.interpolate(maps[index], STREAMS[0], mode='bilinear')
        for index in given['in_index']], 1)
    x = F.conv2d(x, layer.weight, layer.bias) / 1.00001**.5
    close(head(maps), F.conv2d(
        x.relu(), head.conv_seg.weight, head.conv_seg.bias))


@any_arguments_of('HRNetOCRHead', **FOUR, host=NORM)
def test_hrnet_ocr_head(head, given, seed):
    maps = of_backbone(given, seed, STREAMS)
    maps.append(tensor((2, 3, *STREAMS[0]), seed))
    whole = head.eval()(maps[:4], maps[4])
    assert whole.shape == maps[4].shape
    assert_alone(lambda maps: head(maps[:4], maps[4]), maps, whole)


@any_arguments_of(
    'PointwiseASPPHead', host=dict(
        NORM, in_channels=WIDTH, channels=WIDTH, in_index=st.just(0),
        dilations=st.lists(WIDTH, min_size=1, max_size=3)))
def test_pointwise_aspp_head(head, given, seed):
    x = tensor((2, given['in_channels'], 4, 5), seed)
    whole = head.eval()([x])
    assert whole.shape == (2, 3, 4, 5)
    assert head.bottleneck.conv.kernel_size == (1, 1)
    assert_alone(head, [x], whole)


@any_arguments_of(
    'PyramidAttentionHead', **THREE, channels=st.integers(2, 4),
    attention=st.sampled_from([
        dict(type='FeaturePyramidAttention', kernel_sizes=(3, 1)),
        dict(type='FeaturePyramidAttention', pyramid_channels=1),
        dict(type='SqueezeExciteAttention', reduction=1)
    ]), upsample=st.sampled_from([{}, dict(kernel_size=1)]),
    norm_cfg=st.just(dict(type='BN')), host=HEAD)
def test_pyramid_attention_head(head, given, seed):
    maps = of_backbone(given, seed, STREAMS)
    whole = head.eval()(maps)
    size = STREAMS[0 if given['upsample'] is not None else 2]
    assert whole.shape == (2, 3, *size)
    assert_alone(head, maps, whole)


@any_arguments_of(
    'FCNSkipHead', **THREE, upsampling=st.lists(STEP, min_size=2, max_size=2),
    host=HEAD)
def test_fcn_skip_head(head, given, seed):
    (first, second) = given['upsampling']
    sides = [[k * first['factor'] + first['crop'] for k in (3, 4)]]
    image = [(k * first['factor'] + 1) * second['factor'] - second['crop']
             for k in (3, 4)]
    maps = of_backbone(given, seed, [image, *sides, (2, 3)])
    whole = head(maps)
    assert whole.shape == (2, 3, *image)
    assert_alone(head, maps, whole)


@any_arguments_of(
    'FoldedFCNHead', in_channels=WIDTH, upscale=st.integers(1, 3), host=HEAD)
def test_folded_fcn_head(head, given, seed):
    x = tensor((2, given['upscale']**2 * given['in_channels'], 2, 3), seed)
    layer = head.conv_seg
    close(head((x, )), F.conv2d(
        unfold(x, given['upscale']), layer.weight, layer.bias))


@any_arguments_of(
    'ConvolutionalClassifier', classifier=st.fixed_dictionaries(
        dict(
            type=st.just('VGG16'), base_channels=st.integers(1, 2),
            fc_channels=WIDTH, dropout=st.sampled_from([0, 0.5]))))
def test_convolutional_classifier(net, given, seed):
    image = tensor((2, 3, 24, 33), seed)
    maps = net.eval()(image)
    assert maps[0] is image and len(maps) == 4
    assert_alone(lambda maps: net(*maps)[-1], [image], maps[-1])


@any_arguments_of(
    'LateFusion', streams=st.just([
        dict(
            type='mmdense.ConvolutionalClassifier', classifier=dict(
                type='VGG16', base_channels=1, fc_channels=2))
    ] * 2), channels=st.just([3, 3]))
def test_late_fusion(net, given, seed):
    image = tensor((2, 6, 24, 33), seed)
    maps = net.eval()(image)
    assert maps[0].shape == image.shape and len(maps) == 4
    first = net.streams[0](image[:, :3])[-1]
    close(maps[-1].chunk(2, 1)[0], first)


@any_arguments_of(
    'ValidUNet', in_channels=WIDTH, base_channels=WIDTH,
    depth=st.integers(1, 2), dropout=st.sampled_from([0, 0.5]))
def test_valid_u_net(net, given, seed):
    side = u_net.covering_size(1, given['depth'])
    x = tensor((1, given['in_channels'], side, side), seed)
    out, = net.eval()(x)
    assert out.shape == (1, given['base_channels'],
                         *[side - 2 * net.context] * 2)
    close(out, net.net(x))


@any_arguments_of('ValidConvHead', in_channels=WIDTH, weighted=FLAG, host=HEAD)
def test_valid_conv_head(head, given, seed):
    from mmengine.structures import PixelData
    from mmseg.structures import SegDataSample
    x = tensor((2, given['in_channels'], 4, 5), seed)
    logits = head((x, ))
    close(logits, F.conv2d(x, head.conv_seg.weight, head.conv_seg.bias))
    rng = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, 3, (2, 1, 6, 9), generator=rng)
    weights = torch.rand(2, 1, 6, 9, generator=rng)
    losses = head.loss_by_feat(logits, [
        SegDataSample(gt_sem_seg=PixelData(data=label),
                      gt_weight_map=PixelData(data=weight))
        for label, weight in zip(labels, weights, strict=True)])
    terms = F.cross_entropy(logits, labels[:, 0, 1:5, 2:7], reduction='none')
    if given['weighted']:
        terms = terms * weights[:, 0, 1:5, 2:7]
    close(losses['loss_ce'], terms.mean())


SMALL = dict(type='mmdense.ValidUNet', in_channels=1, base_channels=2, depth=1)


@any_arguments_of(
    'OverlapTileSegmentor', test_cfg=st.builds(
        lambda h, w: dict(tile=(2 * h, 2 * w)), st.integers(9, 12),
        st.integers(9, 12)),
    host=dict(
        backbone=st.just(SMALL), decode_head=st.just(
            dict(type='mmdense.ValidConvHead', in_channels=2, num_classes=3))))
def test_overlap_tile_segmentor(model, given, seed):
    image = tensor((1, 1, 5 + seed % 7, 9), seed)
    whole = model.eval().inference(image, [])
    assert whole.shape == (1, 3, *image.shape[2:])
    model.test_cfg = dict(tile=(40, 40))
    close(model.inference(image, []), whole)


class Tested(nn.Module):
    def test_step(self, data):
        raise NotImplementedError


@any_arguments_of('ProbabilityTTAModel', host=dict(module=st.builds(Tested)))
def test_probability_tta_model(model, given, seed):
    from mmengine.structures import PixelData
    from mmseg.structures import SegDataSample
    logits = tensor((3, 2, 4, 5), seed)
    merged, = model.merge_preds([[
        SegDataSample(seg_logits=PixelData(data=view)) for view in logits]])
    mean = logits.softmax(1).mean(0)
    close(merged.seg_logits.data.softmax(0), mean)
    assert torch.equal(merged.pred_sem_seg.data[0], mean.argmax(0))


@settings(profile)
@given(arguments(
    WRONG, in_channels=st.lists(WIDTH, min_size=2, max_size=2),
    in_index=st.permutations(range(2))))
def test_a_head_says_which_maps_it_cannot_take(case):
    from mmseg.models.decode_heads import FCNHead

    from mmdense.arguments import check_maps
    from mmdense.mmseg.checked_inputs import CheckedInputs
    from mmdense.mmseg.valid_u_net import WeightMapSampler
    given, spoilt = case
    try:
        check_maps(**given)
    except (TypeError, ValueError) as error:
        refusal_names(error, [spoilt])
    else:
        channels, index = given['in_channels'], given['in_index']
        assert len(channels) == len(index)
        kind = type('Head', (CheckedInputs, FCNHead), {})
        with no_host_in_charge():
            head = kind(in_channels=channels, in_index=index, channels=2,
                        input_transform='resize_concat', num_classes=3)
        maps = [None] * 2
        for one, k in zip(channels, index, strict=True):
            maps[k] = torch.zeros(2, one, 3, 4)
        assert head(maps).shape == (2, 3, 3, 4)
        maps[index[1]] = torch.zeros(2, channels[1] + 1, 3, 4)
        with pytest.raises(ValueError, match='Head: in_channels must be'):
            head(maps)
    sampler = WeightMapSampler(None)
    sampler.weights = torch.ones(1, 2, 3)
    assert sampler.sample(None, None) is sampler.weights


FOUND = [
    ('PyramidAttentionHead', dict(in_channels=8), 'in_channels must'),
    ('PyramidAttentionHead', dict(channels='a'), 'channels must'),
    ('PyramidAttentionHead', dict(attention='FeaturePyramidAttention'),
     'attention must be a dict, got str'),
    ('PyramidAttentionHead', dict(attention={}), 'attention must have a type'),
    ('ValidConvHead', dict(in_channels=None), 'in_channels must'),
    ('HRNetV2Head', dict(in_channels=None), 'in_channels must'),
    ('LabelsFromValues', dict(values=[0, 70_000]), 'values must'),
    ('LabelsFromValues', dict(values=[0, 0]), 'values must'),
    ('MembraneMetric', dict(thresholds=0.5), 'thresholds must'),
    ('MembraneMetric', dict(thresholds=()), 'thresholds must'),
    ('BorderWeights', dict(sigmma=3), 'sigmma'),
    ('ElasticDeformation', dict(std=math.nan), 'std must be at least 0'),
]
RIGHT = dict(
    PyramidAttentionHead=dict(in_channels=[2, 3], channels=2, in_index=[0, 1]),
    ValidConvHead=dict(num_classes=3), HRNetV2Head=dict(num_classes=3))


@pytest.mark.parametrize('name, wrong, message', FOUND, ids=str)
def test_what_was_found_is_named(name, wrong, message):
    pytest.importorskip('mmseg')
    import mmdense.locations  # noqa: F401
    with pytest.raises((TypeError, ValueError), match=message):
        registered(name)(**dict(RIGHT.get(name, {}), **wrong))
