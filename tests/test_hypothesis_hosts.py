"""Any arguments for what configs name: models, steps, metrics and hooks.

What a class hands on to its host is right always: a wrong one is the host's
to refuse.
"""
import functools
import math
import re
import tempfile
from collections import OrderedDict
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import cv2
import numpy as np
import pytest
import scipy.io
import torch
import torch.nn.functional as F
from any_arguments import (
    FLAG,
    arguments,
    attempt,
    close,
    mirrored,
    profile,
    refusal_names,
    seeded,
    tensor,
)
from any_arguments import WRONG as MISTAKES
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from mmengine.registry import DefaultScope
from scipy import ndimage
from torch import nn

from mmdense.datasets.border_weights import border_weights
from mmdense.metrics.cell_overlap import cell_overlaps
from mmdense.metrics.membrane_errors import (
    pixel_error,
    rand_error,
    warping_error,
)
from mmdense.metrics.segmentation_scores import (
    confusion_matrix,
    segmentation_scores,
)
from mmdense.modules import u_net
from mmdense.modules.feature_shift import FeatureShiftModule
from mmdense.modules.rearrangement import unfold

SEED = st.integers(0, 99)
WIDTH = st.integers(1, 3)
WRONG = st.one_of(MISTAKES, st.sampled_from([
    {}, [], [0, 0], [1, 'a'], (0.5, ), dict(type=None), dict(type=[1]),
    dict(type='VGG16', dropout=2), dict(type='AlexNet', depth=3),
    dict(type='GoogLeNet', dropout='a'),
    dict(type='FeaturePyramidAttention', kernel_sizes='a'),
    dict(type='SqueezeExciteAttention', reduction=99),
    dict(type='RoIPool', output_size='a'), dict(type='RoIPool', bins=2),
    dict(type='RoIWarp', output_size=2, pool_mode='min'),
    dict(type='RoIWarp', output_size=2, sampling_ratio=-1),
    dict(shift_channels=0), dict(attention='x'), dict(kernel_size=2),
    dict(low_channels=3), dict(tile='a'), dict(tile=(2, 2))]))
# A registry has its own words for an unknown type of these.
BUILT = ('metric', 'norm_cfg')
# To these it is an option as any other.
UNTYPED = ('shift', 'upsample', 'test_cfg')


@pytest.fixture(autouse=True)
def no_host_in_charge(monkeypatch):
    """A default scope that an earlier test has left behind does not count."""
    monkeypatch.setattr(DefaultScope, '_instance_dict', OrderedDict())


class Case(NamedTuple):
    """A registered class: what it is to do, and what it is built from."""
    works: Callable  # of what was built, all that it was given, and a seed
    own: dict = {}
    host: dict = {}


def cases(table):
    return st.fixed_dictionaries({
        name: st.tuples(
            arguments(WRONG, **case.own) if case.own else st.just(({}, None)),
            st.fixed_dictionaries(case.host))
        for name, case in table.items()})


def registered(name):
    from mmdense import registry
    kinds = [getattr(registry, kind).module_dict for kind in registry.__all__]
    return next(kind[name] for kind in kinds if name in kind)


@torch.no_grad()
def build_and_use(table, drawn, seed):
    for name, ((own, spoilt), host) in drawn.items():
        wrong = own.get(spoilt)
        options = list(wrong) if isinstance(wrong, dict) else []
        if spoilt in BUILT and 'type' in options:
            continue
        everything = dict(own, **host)
        try:
            built = seeded(functools.partial(registered(name), **everything))
            table[name].works(built, everything, seed)
        except (TypeError, ValueError) as error:
            if spoilt is None:
                raise
            if spoilt not in UNTYPED:
                options = [name for name in options if name != 'type']
            refusal_names(error, [spoilt, *options])


def any_of(table):
    """The test of a table's classes, without the host's imports in it."""
    # Every host is imported by the first type built: not in an example.
    import mmdense.locations  # noqa: F401

    @settings(profile)
    @given(cases(table), SEED)
    def test(drawn, seed):
        build_and_use(table, drawn, seed)

    test()


def alone(network, maps, whole):
    """What the first sample gives does not depend on the second."""
    assert torch.isfinite(whole).all()
    close(whole[:1], network([m if m is None else m[:1] for m in maps]))


def folded_head(head, given, seed):
    x = tensor((2, given['upscale']**2 * given['in_channels'], 2, 3), seed)
    layer = head.final_layer
    close(head((x, )), F.conv2d(
        unfold(x, given['upscale']), layer.weight, layer.bias))


def predictors(head, given, seed):
    early, last = given['early_channels'], given['predictors']
    feats = [tensor((2, c, 2 + k % 3, 3), seed + k) for k, c in enumerate(
        [*early, *[given['in_channels']] * last])]
    out = head.eval()(feats)
    assert list(out) == [*(f'E{k + 1}' for k in range(len(early))),
                         *(f'P{k + 1}' for k in range(last))]
    for maps in out.values():
        assert maps.shape == (2, given['out_channels'], *feats[-1].shape[2:])
    for name in out:
        alone(lambda feats, name=name: head(feats)[name], feats, out[name])


def shift_resnet(net, given, seed):
    from mmpose.models.backbones import ResNet
    x = tensor((2, 3, net.stride, 2 * net.stride), seed)
    net.eval()  # the host's returns nothing
    whole, = net(x)
    alone(lambda maps: net(*maps)[0], [x], whole)
    shifts = [m for m in net.modules() if isinstance(m, FeatureShiftModule)]
    stages = given['num_stages']
    if given['shift'] is not None:
        # Of two blocks a stage, no second one but the first stage's.
        assert len(shifts) == stages + 1
        if given['first_shift_channels']:
            assert len(shifts[0].shift.offset) == given['first_shift_channels']
        return
    plain = ResNet(**{
        name: value[:stages] if name in ('strides', 'dilations') else value
        for name, value in given.items() if 'shift' not in name})
    plain.load_state_dict(net.state_dict())
    plain.eval()
    close(plain(x)[0], whole)


STRIDES = st.lists(st.integers(1, 2), min_size=4, max_size=4)
POSE_MODELS = {
    'FoldedHeatmapHead': Case(folded_head, dict(
        in_channels=WIDTH, out_channels=WIDTH, upscale=WIDTH)),
    'MultiPredictorHead': Case(predictors, dict(
        in_channels=st.sampled_from([4, 8]), out_channels=WIDTH,
        predictors=WIDTH,
        early_channels=st.lists(st.sampled_from([3, 4]), max_size=2),
        early=st.sampled_from(['features', 'heatmaps']),
        groups=st.sampled_from([1, 2, 4]))),
    'ShiftResNet': Case(shift_resnet, dict(
        shift=st.fixed_dictionaries(dict(
            shift_channels=st.integers(1, 4),
            attention=st.sampled_from(['softplus', 'sigmoid', None]))),
        first_shift_channels=st.one_of(st.none(), st.integers(1, 4)),
        num_stages=st.integers(1, 4), strides=STRIDES, dilations=STRIDES),
        dict(depth=st.just(18), stem_channels=st.just(4),
             base_channels=st.just(4), out_indices=st.just((0, )))),
}


def test_models_for_poses():
    pytest.importorskip('mmpose')
    any_of(POSE_MODELS)


JOINTS = ['head', 'neck', 'hip', 'knee']


def person(rng, joints=4):
    truth = rng.uniform(20, 80, (1, joints, 2))
    return dict(
        pred_instances=dict(
            keypoints=truth + rng.normal(0, 9, truth.shape),
            keypoint_scores=np.ones((1, joints))),
        gt_instances=dict(
            keypoints=truth, keypoints_visible=rng.random((1, joints)) < 0.8,
            bboxes=np.array([[10., 10, 90, 90]]),
            head_size=np.array([[rng.integers(0, 3) * 8.]])))


def arrays(people):
    """Moved distances and visible joints, a row a person."""
    truth, found = (np.concatenate([p[of]['keypoints'] for p in people])
                    for of in ('gt_instances', 'pred_instances'))
    seen = np.concatenate(
        [p['gt_instances']['keypoints_visible'] for p in people])
    return truth, found, seen


def of_predictor(metric, given, seed):
    from mmpose.registry import METRICS
    people = [person(np.random.default_rng(seed + k)) for k in range(3)]
    expected = METRICS.build(given['metric'])
    expected.process(None, people)
    for p in people:
        own = p['pred_instances']
        own[f'{given["predictor"]}_keypoints'] = own['keypoints'].copy()
        own[f'{given["predictor"]}_scores'] = own['keypoint_scores']
        own['keypoints'] = own['keypoints'] + 50
        # An image that the network sees as it is.
        p.update(input_size=np.array([9, 9]), input_scale=np.array([9, 9]),
                 input_center=np.array([4.5, 4.5]))
    metric.process(None, people)
    assert metric.evaluate(3) == expected.evaluate(3)


def torso_pck(metric, given, seed):
    people = [person(np.random.default_rng(seed + k)) for k in range(3)]
    metric.dataset_meta = dict(
        keypoint_name2id={name: k for k, name in enumerate(JOINTS)})
    metric.process(None, people)
    ends = [JOINTS.index(name) for name in given['ends']]
    shares = []
    truth, found, seen = arrays(people)
    for joint in range(4):
        hits = [math.dist(truth[p, joint], found[p, joint])
                < given['thr'] * math.dist(*truth[p, ends])
                for p in range(3) if seen[p, joint] and seen[p, ends].all()]
        shares += [sum(hits) / len(hits)] if hits else []
    assert metric.evaluate(3)['tPCK'] == pytest.approx(
        sum(shares) / len(shares) if shares else 0)


def mpii_pckh(metric, given, seed):
    people = [person(np.random.default_rng(seed + k), 16) for k in range(3)]
    metric.process(None, people)
    truth, found, seen = arrays(people)
    shares = [
        math.dist(truth[p, joint], found[p, joint] + 1) / head
        for p in range(3) for joint in range(16)
        if (head := people[p]['gt_instances']['head_size'][0, 0])
        and seen[p, joint] and joint not in (6, 7)]
    with np.errstate(all='ignore'):
        got = metric.evaluate(3)
    for name, level in (('PCKh@0.5', 0.5), ('PCKh@0.1', 0.1)):
        assert got[name] == pytest.approx(100 * sum(
            share < level for share in shares) / max(1, len(shares)))


def mpii_predictions(metric, given, seed):
    people = [dict(person(np.random.default_rng(seed + k), 16), id=-k)
              for k in range(3)]
    metric.process(None, people)
    assert metric.evaluate(3) == {}
    preds = scipy.io.loadmat(given['out'])['preds']
    np.testing.assert_allclose(preds[::-1], arrays(people)[1] + 1)


POSE_METRICS = {
    'MpiiPredictions': Case(mpii_predictions, dict(out=st.just(
        str(Path(tempfile.gettempdir()) / 'mmdense_any_arguments.mat')))),
    'MpiiPCKh': Case(mpii_pckh),
    'OfPredictor': Case(of_predictor, dict(
        predictor=st.sampled_from(['P1', 'E2']), metric=st.fixed_dictionaries(
            dict(type=st.just('PCKAccuracy'), thr=st.floats(0.01, 1),
                 norm_item=st.sampled_from(['bbox', 'head']))))),
    'TorsoPCK': Case(torso_pck, dict(
        thr=st.floats(0.01, 1),
        ends=st.permutations(JOINTS).map(lambda names: names[:2]))),
}


def test_metrics_of_poses():
    pytest.importorskip('mmpose')
    any_of(POSE_METRICS)
    name_metrics()


@settings(profile)
@given(arguments(
    WRONG, evaluator=st.one_of(
        st.just(dict(type='A')), st.lists(st.sampled_from([
            dict(type='A', prefix='0.1'), dict(type='B')]), max_size=2)),
    names=st.lists(st.sampled_from(['E1', 'P1']), max_size=2)))
def name_metrics(case):
    from mmdense.mmpose.of_predictor import by_predictor
    configs = attempt(by_predictor, case)
    if configs is None:
        return
    given, _ = case
    metrics = given['evaluator']
    metrics = [metrics] if isinstance(metrics, dict) else metrics
    assert [c['metric']['prefix'] for c in configs] == [
        f'{name}/{m["prefix"]}' if 'prefix' in m else name
        for name in given['names'] for m in metrics]


def of_backbone(given, seed, sizes):
    """A backbone's outputs: those that a head looks at, None elsewhere."""
    maps = [None] * 4
    for k, (channels, index) in enumerate(zip(
            given['in_channels'], given['in_index'], strict=True)):
        maps[index] = tensor((2, channels, *sizes[k]), seed + k)
    return maps


STREAMS = [(8, 6), (4, 3), (2, 2), (1, 1)]


def hrnet_v2(head, given, seed):
    maps = of_backbone(given, seed, STREAMS)
    layer = head.eval().convs[0].conv
    layer.bias.data = tensor(layer.bias.shape, seed)
    x = torch.cat([
        F.interpolate(maps[index], STREAMS[0], mode='bilinear')
        for index in given['in_index']], 1)
    x = F.conv2d(x, layer.weight, layer.bias) / 1.00001**.5
    close(head(maps), F.conv2d(
        x.relu(), head.conv_seg.weight, head.conv_seg.bias))


def hrnet_ocr(head, given, seed):
    maps = of_backbone(given, seed, STREAMS)
    maps.append(tensor((2, 3, *STREAMS[0]), seed))
    whole = head.eval()(maps[:4], maps[4])
    assert whole.shape == maps[4].shape
    alone(lambda maps: head(maps[:4], maps[4]), maps, whole)


def aspp(head, given, seed):
    x = tensor((2, given['in_channels'], 4, 5), seed)
    whole = head.eval()([x])
    assert whole.shape == (2, 3, 4, 5)
    assert head.bottleneck.conv.kernel_size == (1, 1)
    alone(head, [x], whole)


def pyramid_attention(head, given, seed):
    maps = of_backbone(given, seed, STREAMS)
    whole = head.eval()(maps)
    size = STREAMS[0 if given['upsample'] is not None else 2]
    assert whole.shape == (2, 3, *size)
    alone(head, maps, whole)


def fcn_head(head, given, seed):
    (first, second) = given['upsampling']
    sides = [[k * first['factor'] + first['crop'] for k in (3, 4)]]
    image = [(k * first['factor'] + 1) * second['factor'] - second['crop']
             for k in (3, 4)]
    maps = of_backbone(given, seed, [image, *sides, (2, 3)])
    whole = head(maps)
    assert whole.shape == (2, 3, *image)
    alone(head, maps, whole)


def classifier(net, given, seed):
    image = tensor((2, 3, 24, 33), seed)
    maps = net.eval()(image)
    assert maps[0] is image and len(maps) == 4
    alone(lambda maps: net(*maps)[-1], [image], maps[-1])


def folded_fcn(head, given, seed):
    x = tensor((2, given['upscale']**2 * given['in_channels'], 2, 3), seed)
    layer = head.conv_seg
    close(head((x, )), F.conv2d(
        unfold(x, given['upscale']), layer.weight, layer.bias))


def late_fusion(net, given, seed):
    image = tensor((2, 6, 24, 33), seed)
    maps = net.eval()(image)
    assert maps[0].shape == image.shape and len(maps) == 4
    first = net.streams[0](image[:, :3])[-1]
    close(maps[-1].chunk(2, 1)[0], first)


HEAD = dict(num_classes=st.just(3))
NORM = dict(HEAD, norm_cfg=st.just(dict(type='BN')))
FOUR = dict(in_channels=st.lists(WIDTH, min_size=4, max_size=4),
            in_index=st.permutations(range(4)))
THREE = dict(in_channels=st.lists(WIDTH, min_size=3, max_size=3),
             in_index=st.permutations(range(4)).map(lambda k: k[:3]))
STEP = st.fixed_dictionaries(dict(
    factor=st.integers(1, 3), crop=st.integers(0, 2)))
SEGMENTATION_HEADS = {
    'FoldedFCNHead': Case(folded_fcn, dict(
        in_channels=WIDTH, upscale=st.integers(1, 3)), HEAD),
    'HRNetV2Head': Case(hrnet_v2, FOUR, NORM),
    'HRNetOCRHead': Case(hrnet_ocr, FOUR, NORM),
    'PointwiseASPPHead': Case(aspp, {}, dict(
        NORM, in_channels=WIDTH, channels=WIDTH, in_index=st.just(0),
        dilations=st.lists(WIDTH, min_size=1, max_size=3))),
    'PyramidAttentionHead': Case(pyramid_attention, dict(
        THREE, channels=st.integers(2, 4),
        attention=st.sampled_from([
            dict(type='FeaturePyramidAttention', kernel_sizes=(3, 1)),
            dict(type='FeaturePyramidAttention', pyramid_channels=1),
            dict(type='SqueezeExciteAttention', reduction=1)]),
        upsample=st.sampled_from([{}, dict(kernel_size=1)]),
        norm_cfg=st.just(dict(type='BN'))), HEAD),
    'FCNSkipHead': Case(fcn_head, dict(
        THREE, upsampling=st.lists(STEP, min_size=2, max_size=2)), HEAD),
    'ConvolutionalClassifier': Case(classifier, dict(
        classifier=st.fixed_dictionaries(dict(
            type=st.just('VGG16'), base_channels=st.integers(1, 2),
            fc_channels=WIDTH, dropout=st.sampled_from([0, 0.5]))))),
    'LateFusion': Case(late_fusion, dict(
        streams=st.just([dict(
            type='mmdense.ConvolutionalClassifier',
            classifier=dict(type='VGG16', base_channels=1, fc_channels=2))
        ] * 2), channels=st.just([3, 3]))),
}


def test_heads_for_segmentation():
    pytest.importorskip('mmseg')
    any_of(SEGMENTATION_HEADS)


def valid_u_net(net, given, seed):
    side = u_net.covering_size(1, given['depth'])
    x = tensor((1, given['in_channels'], side, side), seed)
    out, = net.eval()(x)
    assert out.shape == (1, given['base_channels'],
                         *[side - 2 * net.context] * 2)
    close(out, net.net(x))


def valid_conv_head(head, given, seed):
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


def tiles(model, given, seed):
    image = tensor((1, 1, 5 + seed % 7, 9), seed)
    whole = model.eval().inference(image, [])
    assert whole.shape == (1, 3, *image.shape[2:])
    model.test_cfg = dict(tile=(40, 40))
    close(model.inference(image, []), whole)


SMALL = dict(type='mmdense.ValidUNet', in_channels=1, base_channels=2, depth=1)
UNPADDED = {
    'ValidUNet': Case(valid_u_net, dict(
        in_channels=WIDTH, base_channels=WIDTH, depth=st.integers(1, 2),
        dropout=st.sampled_from([0, 0.5]))),
    'ValidConvHead': Case(valid_conv_head, dict(
        in_channels=WIDTH, weighted=FLAG), HEAD),
    'OverlapTileSegmentor': Case(tiles, dict(
        test_cfg=st.builds(lambda h, w: dict(tile=(2 * h, 2 * w)),
                           st.integers(9, 12), st.integers(9, 12))),
        dict(backbone=st.just(SMALL), decode_head=st.just(dict(
            type='mmdense.ValidConvHead', in_channels=2, num_classes=3)))),
}


def views_merged(model, given, seed):
    from mmengine.structures import PixelData
    from mmseg.structures import SegDataSample
    logits = tensor((3, 2, 4, 5), seed)
    merged, = model.merge_preds([[
        SegDataSample(seg_logits=PixelData(data=view)) for view in logits]])
    mean = logits.softmax(1).mean(0)
    close(merged.seg_logits.data.softmax(0), mean)
    assert torch.equal(merged.pred_sem_seg.data[0], mean.argmax(0))


class Tested(nn.Module):
    def test_step(self, data):
        raise NotImplementedError


UNPADDED['ProbabilityTTAModel'] = Case(
    views_merged, {}, dict(module=st.builds(Tested)))


def test_a_u_net_in_its_host():
    pytest.importorskip('mmseg')
    any_of(UNPADDED)


def picture(seed):
    rng = np.random.default_rng(seed)
    size = rng.integers(2, 9, 2)
    label = rng.integers(0, 2, size).astype(np.uint8)
    return dict(
        img=rng.integers(0, 256, (*size, 3)).astype(np.uint8),
        gt_seg_map=label, seg_fields=['gt_seg_map'], img_shape=tuple(size),
        seg_map_path='x.png')


def labels_from_values(step, given, seed):
    rng = np.random.default_rng(seed)
    values = [*given['values'], *[-3, 8, 256, 70_000][:seed % 5]]
    label = rng.choice(values, (2, 5)).astype(
        [np.uint8, np.uint16, np.int32, np.int64][seed % 4])
    if seed % 4 == 0 and max(given['values']) > 255:
        with pytest.raises(ValueError, match='must fit the 8 bits of x.png'):
            step(dict(picture(seed), gt_seg_map=label))
        return
    strange = sorted(set(label.ravel().tolist()) - set(given['values']))
    results = dict(picture(seed), gt_seg_map=label)
    if strange:
        with pytest.raises(ValueError, match=rf'x\.png: .*{strange[-1]}'):
            step(results)
        return
    assert step(results)['gt_seg_map'].tolist() == [
        [list(given['values']).index(v) for v in row]
        for row in label.tolist()]


def weights_of_borders(step, given, seed):
    options = {k: v for k, v in given.items() if k != 'cache_dir'}
    with tempfile.TemporaryDirectory() as folder:
        if step.cache_dir is not None:
            step.cache_dir = Path(folder) / step.cache_dir
        for _ in range(2):
            results = step(picture(seed))
            np.testing.assert_array_equal(
                results['gt_weight_map'],
                border_weights(results['gt_seg_map'], **options))
    assert results['seg_fields'] == ['gt_seg_map', 'gt_weight_map']


def elastic(step, given, seed):
    before, after = picture(seed), step(picture(seed))
    for key in ('img', 'gt_seg_map'):
        assert after[key].shape == before[key].shape
        assert after[key].dtype == before[key].dtype
        if given['std'] == 0:
            np.testing.assert_array_equal(after[key], before[key])
    assert after['gt_seg_map'].max() < 2


def mirror_pad(step, given, seed):
    before, after, margin = picture(seed), step(picture(seed)), step.context
    for key in ('img', 'gt_seg_map'):
        height, width = before[key].shape[:2]
        rows, columns = (
            [mirrored(k - margin, side) for k in range(side + 2 * margin)]
            for side in (height, width))
        np.testing.assert_array_equal(
            after[key], before[key][rows][:, columns])
    assert after['img_shape'] == after['img'].shape[:2]


def pack(step, given, seed):
    results = picture(seed)
    with pytest.raises(KeyError, match='put BorderWeights earlier'):
        step(results)
    results['gt_weight_map'] = np.random.default_rng(seed).random(
        results['img_shape'])
    packed = step(results)
    assert packed['inputs'].shape == (3, *results['img_shape'])
    np.testing.assert_array_equal(
        packed['data_samples'].gt_weight_map.data[0],
        results['gt_weight_map'])


def picture_of(ids, suffix, folder='label'):
    root = Path(tempfile.mkdtemp())
    (root / folder).mkdir()
    (root / 'label').mkdir(exist_ok=True)
    assert cv2.imwrite(str(root / folder / f'a.{suffix}'), ids)
    return dict(seg_map_path=str(root / f'label/a.{suffix}'), seg_fields=[])


def numbers(seed):
    rng = np.random.default_rng(seed)
    return rng.choice([0, 1, 255, 256, 65_535], rng.integers(2, 9, 2)).astype(
        np.uint16)


def labels_loaded(step, given, seed):
    ids = numbers(seed)
    results = step(picture_of(ids, ['png', 'tif'][seed % 2]))
    np.testing.assert_array_equal(results['gt_seg_map'], ids)
    assert results['seg_fields'] == ['gt_seg_map']
    assert step(dict(img=0)) == dict(img=0)


def instances_loaded(step, given, seed):
    ids = numbers(seed)
    results = step(picture_of(ids, ['png', 'tif'][seed % 2],
                              given['folder'] or 'label'))
    np.testing.assert_array_equal(results['gt_instance_map'], ids)
    assert results['seg_fields'] == ['gt_instance_map']


def masked(step, given, seed):
    ids = numbers(seed)
    label = np.where(ids > 0, 3, given['background']).astype(np.uint8)
    label[0] = given['ignore_index']
    results = step(dict(gt_instance_map=ids, gt_seg_map=label.copy(),
                        seg_map_path='x', seg_fields=[]))
    reach = given['margin']
    for y, x in np.ndindex(*ids.shape):
        near = ids[max(0, y - reach):y + reach + 1,
                   max(0, x - reach):x + reach + 1]
        cut = ids[y, x] and set(near.ravel().tolist()) - {0, int(ids[y, x])}
        cut = cut and label[y, x] != given['ignore_index']
        assert results['gt_seg_map'][y, x] == (
            given['background'] if cut else label[y, x])


def pack_instances(step, given, seed):
    results = picture(seed)
    with pytest.raises(KeyError, match='put LoadInstances earlier'):
        step(results)
    results['gt_instance_map'] = 300 * results['gt_seg_map'].astype(np.uint16)
    packed = step(results)
    np.testing.assert_array_equal(
        packed['data_samples'].gt_instance_map.data[0],
        results['gt_instance_map'])


def depth_of(step, given, seed):
    found = picture_of(numbers(seed), 'png', given['folder'])
    path = Path(found['seg_map_path']).parents[1] / given['folder'] / 'a.png'
    depth = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    path.rename(path.with_suffix(given['suffix']))
    results = step(dict(
        img=np.zeros((*depth.shape, 3)),
        img_path=str(path.parents[1] / 'images' / 'a.jpg')))
    np.testing.assert_allclose(
        results['depth'], depth * given['unit'], rtol=1e-6)


def hha_of(step, given, seed):
    depth = numbers(seed).astype(np.float32)
    assert step(dict(depth=depth))['hha'].shape == (*depth.shape, 3)


def stacked(step, given, seed):
    image = picture(seed)['img']
    found = step(dict(img=image, depth=image[..., 0] / 9, hha=image / 3))
    sizes = dict(colour=3, depth=1, hha=3)
    assert found['img'].shape == (
        *image.shape[:2], sum(sizes[part] for part in given['parts']))


STEPS = {
    'LoadDepth': Case(depth_of, dict(
        folder=st.sampled_from(['depth', 'raw']),
        suffix=st.sampled_from(['.png', '.tif']),
        unit=st.sampled_from([1, 0.001]))),
    'EncodeHHA': Case(hha_of, dict(
        camera=st.sampled_from([(9, 9, 2, 2), [500., 500., 320., 240.]]),
        gravity=st.sampled_from([None, (0, 1, 0)]),
        radius=st.integers(1, 3))),
    'StackParts': Case(stacked, dict(parts=st.lists(
        st.sampled_from(['colour', 'depth', 'hha']), min_size=1,
        max_size=3))),
    'LoadLabels': Case(labels_loaded),
    'LoadInstances': Case(instances_loaded, dict(
        folder=st.sampled_from([None, 'instance']))),
    'MaskFromInstances': Case(masked, dict(
        margin=st.integers(0, 2), background=st.integers(0, 1),
        ignore_index=st.sampled_from([255, 7]))),
    'PackInstanceSegInputs': Case(pack_instances),
    'LabelsFromValues': Case(labels_from_values, dict(values=st.lists(
        st.sampled_from([0, 1, 7, 128, 255, 300, 65_535]), min_size=1,
        max_size=4, unique=True))),
    'BorderWeights': Case(weights_of_borders, dict(
        cache_dir=st.sampled_from([None, 'maps', Path('maps')]),
        cell=st.integers(0, 2), w0=st.sampled_from([1, 10.]),
        sigma=st.sampled_from([0.5, 5]), ignore_index=st.sampled_from(
            [255, 1]), frequencies=st.sampled_from([None, (0.25, 0.75)]))),
    'ElasticDeformation': Case(elastic, dict(
        std=st.sampled_from([0, 1, 10.]), grid=st.integers(2, 4))),
    'MirrorPad': Case(mirror_pad, dict(context=st.integers(0, 9))),
    'PackWeightedSegInputs': Case(pack),
}


def test_steps_of_a_pipeline():
    pytest.importorskip('mmseg')
    any_of(STEPS)


def judged(metric, seed):
    """What a metric has seen: logits and truth of two images."""
    rng = np.random.default_rng(seed)
    samples = []
    for _ in range(2):
        logits = torch.from_numpy(rng.normal(size=(2, 6, 7)))
        truth = rng.choice([0, 1, 1, metric.__dict__.get('ignore_index', 0)],
                           (1, 6, 7))
        samples.append(dict(
            seg_logits=dict(data=logits),
            pred_sem_seg=dict(data=logits.argmax(0)[None]),
            gt_sem_seg=dict(data=torch.from_numpy(truth))))
    metric.dataset_meta = dict(classes=['a', 'b'])
    metric.process({}, samples)
    return metric.evaluate(2), samples


def membranes(metric, given, seed):
    found, samples = judged(metric, seed)
    maps = [(s['seg_logits']['data'].softmax(0)[given['cell']].numpy(),
             s['gt_sem_seg']['data'][0].numpy() == given['cell'],
             s['gt_sem_seg']['data'][0].numpy() != given['ignore_index'])
            for s in samples]
    for error in (pixel_error, rand_error, warping_error):
        means = [np.mean([error(p > level, truth, counted)
                          for p, truth, counted in maps])
                 for level in given['thresholds']]
        name = error.__name__
        assert found[name] == pytest.approx(min(means))
        assert found[f'{name}_threshold'] == given['thresholds'][
            np.argmin(means)]


def overlaps(metric, given, seed):
    found, samples = judged(metric, seed)
    each = []
    for s in samples:
        truth = s['gt_sem_seg']['data'][0].numpy()
        masks = (s['pred_sem_seg']['data'][0].numpy(), truth)
        each += cell_overlaps(*(
            ndimage.label((mask == given['cell'])
                          & (truth != given['ignore_index']))[0]
            for mask in masks)).tolist()
    np.testing.assert_allclose(
        found['SEG'], np.mean(each) if each else math.nan)


def four_scores(metric, given, seed):
    found, samples = judged(metric, seed)
    truth, predicted = (
        np.stack([s[key]['data'].numpy() for s in samples])
        for key in ('gt_sem_seg', 'pred_sem_seg'))
    scores = segmentation_scores(
        confusion_matrix(truth, predicted, 2, given['ignore_index']))
    for name, value in found.items():
        np.testing.assert_allclose(value, 100 * scores[name], atol=0.006)


def several(evaluator, given, seed):
    from mmdense.mmseg.evaluation import SegMetric
    assert len(evaluator.metrics) == 1 + (given['output_dir'] is not None)
    counts = type('Counts', (SegMetric, ), dict(
        judge=lambda self, sample: sample,
        compute_metrics=lambda self, results: dict(n=sum(results))))
    metric = counts(keep_results=True)
    metric.process({}, [seed, 2])
    assert metric.evaluate(2) == dict(n=seed + 2)


def cells(dataset, given, seed):
    assert not dataset.METAINFO


def sequences(dataset, given, seed):
    assert dataset.metainfo['classes'] == ('background', 'cell')
    with pytest.raises(FileNotFoundError, match='got no such pair'):
        dataset.full_init()


def scenes(dataset, given, seed):
    assert len(dataset.metainfo['classes']) == len(set(
        dataset.metainfo['classes']))
    assert len(dataset.metainfo['palette']) == len(
        dataset.metainfo['classes'])
    assert dataset.reduce_zero_label is given['reduce_zero_label']


IGNORED = st.sampled_from([255, 0, 1])
SCENES = Case(scenes, dict(reduce_zero_label=FLAG),
              dict(lazy_init=st.just(True)))
JUDGES = {
    'MembraneMetric': Case(membranes, dict(
        cell=st.integers(0, 1), thresholds=st.lists(
            st.sampled_from([0, 0.25, 0.5, 1]), min_size=1, max_size=3),
        ignore_index=IGNORED)),
    'CellOverlapMetric': Case(overlaps, dict(
        cell=st.integers(0, 1), background=st.integers(0, 1),
        ignore_index=IGNORED)),
    'SegEvaluator': Case(several, {}, dict(
        output_dir=st.sampled_from([None, tempfile.gettempdir()]),
        metrics=st.just([dict(type='mmdense.SegmentationScores')]))),
    'CellDataset': Case(cells, {}, dict(lazy_init=st.just(True))),
    'CellTrackingDataset': Case(sequences, dict(
        sequences=st.sampled_from([['01'], ('01', '02')]),
        truth=st.sampled_from(['ST', 'GT'])),
        dict(lazy_init=st.just(True), data_root=st.just('x'))),
    'SegmentationScores': Case(four_scores, dict(ignore_index=IGNORED)),
    'NYUDv2Dataset': SCENES,
    'SIFTFlowDataset': SCENES,
    'SIFTFlowGeometryDataset': SCENES,
}


def test_metrics_and_data_sets_of_segmentation():
    pytest.importorskip('mmseg')
    any_of(JUDGES)


CONFIG = st.one_of(WRONG, st.sampled_from([
    dict(type='A'), dict(type='B', kind=1), [1, 2], (True, 3)]))


@settings(profile)
@given(CONFIG)
def configs_checked(value):
    from mmdense.adapters.initial_values import OwnValuesFirst
    from mmdense.adapters.norms import norm_from
    from mmdense.arguments import (
        check_config,
        check_options,
        check_positives,
    )
    options = isinstance(value, dict)
    for check, right in (
            (check_positives, isinstance(value, list | tuple) and all(
                isinstance(v, int) and v >= 1 for v in value)),
            (check_options, options),
            (check_config, options and 'type' in value),
            (functools.partial(check_config, 'A'),
             options and value.get('type') == 'A')):
        try:
            check(name=value)
        except (TypeError, ValueError) as error:
            refusal_names(error, ['name'])
            assert not right
        else:
            assert right
    try:
        norm_from(value)
    except (TypeError, ValueError) as error:
        refusal_names(error, ['norm_cfg'])
        assert not (options and 'type' in value)
    else:
        assert options and 'type' in value
    part = OwnValuesFirst([dict(type='Constant', layer='Linear', val=2.)])
    part.layer = torch.nn.Linear(1, 1)
    part.init_weights()
    assert part.layer.weight == 2


def test_a_check_of_configs_refuses_what_it_says():
    pytest.importorskip('mmcv')
    import mmdense.locations  # noqa: F401
    configs_checked()


@settings(profile)
@given(arguments(
    WRONG, in_channels=st.lists(WIDTH, min_size=2, max_size=2),
    in_index=st.permutations(range(2))))
def maps_of_a_head(case):
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


def test_a_head_says_which_maps_it_cannot_take():
    pytest.importorskip('mmseg')
    maps_of_a_head()


def masks(head, given, seed):
    x = tensor((2, given['in_channels'], 3, 4), seed)
    whole = head(x)
    assert whole.shape == (2, given['num_classes'] + 1, 6, 8)
    alone(lambda maps: head(*maps), [x], whole)


def lite(net, given, seed):
    x = tensor((2, 3, 33, 40), seed)
    maps = net.eval()(x)
    assert [len(m[0]) for m in maps] == [
        (32, 16, 24)[k] for k in sorted(given['out_indices'])]
    alone(lambda maps: net(*maps)[-1], [x], maps[-1])


def boxes(rng, number=4):
    corners = np.sort(rng.uniform(0, 31, (number, 2, 2)), 1)
    return torch.from_numpy(np.concatenate(
        [np.zeros((number, 1)), corners.reshape(number, 4)], 1)).float()


def extracted(extractor, given, seed):
    feats = [tensor((1, 2, 8, 9), seed), tensor((1, 2, 4, 5), seed)]
    rois = boxes(np.random.default_rng(seed))
    out = extractor(feats, rois)
    assert torch.isfinite(out).all()
    # So small as these, all are of the finest map.
    close(out, extractor.roi_layers[0](feats[0], rois))


DETECTION = {
    'MultinomialMaskHead': Case(masks, dict(
        num_classes=WIDTH, class_agnostic=st.just(False)), dict(
            in_channels=WIDTH, conv_out_channels=WIDTH,
            num_convs=st.integers(1, 2))),
    'EfficientNetLite': Case(lite, {}, dict(out_indices=st.lists(
        st.integers(0, 2), min_size=1, max_size=3, unique=True))),
    'QuantizingRoIExtractor': Case(extracted, dict(
        roi_layer=st.one_of(
            st.builds(lambda n: dict(type='RoIPool', output_size=n), WIDTH),
            st.builds(lambda n, mode: dict(
                type='RoIWarp', output_size=n, pool_mode=mode,
                sampling_ratio=2), WIDTH, st.sampled_from(['avg', 'max'])))),
        dict(out_channels=st.just(2), featmap_strides=st.just([4, 8]))),
}


def test_parts_of_detectors():
    pytest.importorskip('mmdet')
    any_of(DETECTION)
    rounded_boxes()


def naive_pool(x, roi, bins, scale):
    """The largest of each bin's pixels, 0 where there is none."""
    left, top, right, bottom = (
        math.floor(v * scale + 0.5) for v in roi[1:].tolist())
    out = torch.zeros(x.shape[1], *bins)
    for i, j in np.ndindex(*bins):
        rows, columns = (
            range(max(0, start + math.floor(k * size / n)),
                  min(end, start + math.ceil((k + 1) * size / n)))
            for k, n, start, size, end in (
                (i, bins[0], top, bottom - top + 1, x.shape[2]),
                (j, bins[1], left, right - left + 1, x.shape[3])))
        if rows and columns:
            out[:, i, j] = x[0][:, rows][:, :, columns].amax((1, 2))
    return out


@settings(profile)
@given(
    FLAG,
    arguments(WRONG, output_size=st.one_of(WIDTH, st.tuples(WIDTH, WIDTH)),
              spatial_scale=st.sampled_from([1, 0.5, 0.25])),
    arguments(WRONG, sampling_ratio=st.integers(0, 2),
              pool_mode=st.sampled_from(['avg', 'max'])), SEED)
def rounded_boxes(pool, case, more, seed):
    from mmdense.mmdet.quantizing_roi_extractor import RoIPool, RoIWarp
    given, spoilt = case
    if pool:
        layer = attempt(RoIPool, case)
    else:
        assume(not (spoilt and more[1]))  # one at a time
        layer = attempt(RoIWarp, (given | more[0], spoilt or more[1]))
    if layer is None:
        return
    x = tensor((1, 2, 12, 13), seed)
    scale = given['spatial_scale']
    rois = boxes(np.random.default_rng(seed)) * 0.25 / scale
    out = layer(x, rois)
    corners = (rois * scale + 0.5).floor() / scale
    close(out, layer(x, torch.cat([rois[:, :1], corners[:, 1:]], 1)))
    if pool:
        for roi, found in zip(rois, out, strict=True):
            close(found, naive_pool(x, roi, layer.output_size, scale))


def inserted(hook, given, seed):
    model = nn.Sequential(FeatureShiftModule(2, 2))
    hook.before_train(SimpleNamespace(
        model=model, iter=seed % 4, logger=SimpleNamespace(info=print)))
    assert model[0].is_inserted == (seed % 4 >= given['begin'])


def offsets_told(hook, given, seed):
    model, said = nn.Sequential(FeatureShiftModule(2, 4)), []
    model[0].shift.offset.data.fill_(99)
    runner = SimpleNamespace(
        model=model, iter=seed, logger=SimpleNamespace(warning=said.append))
    hook.before_train(runner)
    model(tensor((2, 2, 3, 5), seed))
    hook.after_train_iter(runner, 0)
    assert len(said) == ((seed + 1) % given['interval'] == 0)


def built(hook, given, seed):
    assert hook.priority


def rate_checked(hook, given, seed):
    weights = [nn.Parameter(torch.ones(1))]
    start = [None, 'x.pth'][seed % 2]
    runner = SimpleNamespace(
        _load_from=start, _resume=False, optim_wrapper=SimpleNamespace(
            optimizer=torch.optim.SGD(weights, lr=1e-4)))
    if start is None and given['lr'] >= 1e-4:
        with pytest.raises(ValueError, match='load_from must name'):
            hook.before_train(runner)
    else:
        hook.before_train(runner)


def optimizer():
    return torch.optim.SGD([
        dict(params=[nn.Parameter(torch.ones(1))], lr=lr, **labels)
        for lr, labels in ((1., {}), (2., dict(group='offset')))])


def scheduled(scheduler, given, seed):
    at = given.get('milestones') or [
        k * given['step_size'] for k in range(1, 9)]
    for step in range(7):
        rates = [g['lr'] for g in scheduler.optimizer.param_groups]
        decay = 0.5**sum(m <= step for m in at)
        assert rates == [
            lr * (decay if (label == given['group']) != given['inverse']
                  else 1) for lr, label in ((1, None), (2, 'offset'))]
        scheduler.optimizer.step()
        scheduler.step()


GROUP = dict(group=st.just('offset'), inverse=FLAG)
RATES = dict(optimizer=st.builds(optimizer), gamma=st.just(0.5))
ENGINE = {
    'CheckpointCheckHook': Case(built),
    'DataCheckHook': Case(built, dict(decode=FLAG)),
    'DelayedInsertionHook': Case(inserted, dict(
        begin=st.integers(0, 3), keep_wrapper=FLAG)),
    'MovementHook': Case(built),
    'OffsetCheckHook': Case(offsets_told, dict(interval=st.integers(1, 4))),
    'FineTuningCheckHook': Case(rate_checked, dict(
        lr=st.sampled_from([1e-5, 1e-4, 0.1]))),
    'GroupStepLR': Case(scheduled, GROUP, dict(
        RATES, step_size=st.integers(1, 3))),
    'GroupMultiStepLR': Case(scheduled, GROUP, dict(
        RATES, milestones=st.just([2, 3]))),
}


def test_hooks_and_schedules():
    pytest.importorskip('mmcv')
    any_of(ENGINE)


HOSTS = ('mmpose', 'mmseg', 'mmdet')


def test_every_registered_class_is_given_any_arguments():
    pytest.importorskip('mmcv')
    import mmdense.locations  # noqa: F401
    from mmdense import registry
    there = {kind.__name__ for name in registry.__all__
             for kind in getattr(registry, name).module_dict.values()
             if kind.__module__.split('.')[1] in (*HOSTS, 'engine')}
    tested = {name for table in re.findall(
        r'^    any_of\((\w+)\)$', Path(__file__).read_text(), re.M)
        for name in globals()[table]}
    assert sorted(there - tested) == []
    if all(map(find_spec, HOSTS)):
        assert sorted(tested - there) == []


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
