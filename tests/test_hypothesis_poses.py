"""Any arguments for heads, backbones and metrics of poses."""
import math
import tempfile
from pathlib import Path

import numpy as np
import pytest
import scipy.io
import torch.nn.functional as F
from any_arguments import arguments, attempt, close, profile, tensor
from any_registered import WIDTH, WRONG, any_arguments_of, assert_alone
from hypothesis import given, settings
from hypothesis import strategies as st

from mmdense.modules.feature_shift import FeatureShiftModule
from mmdense.modules.rearrangement import unfold

pytest.importorskip('mmpose')


@any_arguments_of(
    'FoldedHeatmapHead', in_channels=WIDTH, out_channels=WIDTH, upscale=WIDTH)
def test_folded_heatmap_head(head, given, seed):
    x = tensor((2, given['upscale']**2 * given['in_channels'], 2, 3), seed)
    layer = head.final_layer
    close(head((x, )), F.conv2d(
        unfold(x, given['upscale']), layer.weight, layer.bias))


@any_arguments_of(
    'MultiPredictorHead', in_channels=st.sampled_from([4, 8]),
    out_channels=WIDTH, predictors=WIDTH,
    early_channels=st.lists(st.sampled_from([3, 4]), max_size=2),
    early=st.sampled_from(['features', 'heatmaps']),
    groups=st.sampled_from([1, 2, 4]))
def test_multi_predictor_head(head, given, seed):
    early, last = given['early_channels'], given['predictors']
    feats = [tensor((2, c, 2 + k % 3, 3), seed + k) for k, c in enumerate(
        [*early, *[given['in_channels']] * last])]
    out = head.eval()(feats)
    assert list(out) == [*(f'E{k + 1}' for k in range(len(early))),
                         *(f'P{k + 1}' for k in range(last))]
    for maps in out.values():
        assert maps.shape == (2, given['out_channels'], *feats[-1].shape[2:])
    for name in out:
        assert_alone(
            lambda feats, name=name: head(feats)[name], feats, out[name])


STRIDES = st.lists(st.integers(1, 2), min_size=4, max_size=4)


@any_arguments_of(
    'ShiftResNet', shift=st.fixed_dictionaries(
        dict(
            shift_channels=st.integers(1, 4),
            attention=st.sampled_from(['softplus', 'sigmoid', None]))),
    first_shift_channels=st.one_of(st.none(), st.integers(1, 4)),
    num_stages=st.integers(1, 4), strides=STRIDES, dilations=STRIDES,
    host=dict(
        depth=st.just(18), stem_channels=st.just(4),
        base_channels=st.just(4), out_indices=st.just((0, ))))
def test_shift_resnet(net, given, seed):
    from mmpose.models.backbones import ResNet
    x = tensor((2, 3, net.stride, 2 * net.stride), seed)
    net.eval()  # the host's returns nothing
    whole, = net(x)
    assert_alone(lambda maps: net(*maps)[0], [x], whole)
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


@any_arguments_of(
    'OfPredictor', predictor=st.sampled_from(['P1', 'E2']),
    metric=st.fixed_dictionaries(
        dict(
            type=st.just('PCKAccuracy'), thr=st.floats(0.01, 1),
            norm_item=st.sampled_from(['bbox', 'head']))))
def test_of_predictor(metric, given, seed):
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


@any_arguments_of(
    'TorsoPCK', thr=st.floats(0.01, 1),
    ends=st.permutations(JOINTS).map(lambda names: names[:2]))
def test_torso_pck(metric, given, seed):
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


@any_arguments_of('MpiiPCKh')
def test_mpii_pckh(metric, given, seed):
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


@any_arguments_of(
    'MpiiPredictions', out=st.just(
        str(Path(tempfile.gettempdir()) / 'mmdense_any_arguments.mat')))
def test_mpii_predictions(metric, given, seed):
    people = [dict(person(np.random.default_rng(seed + k), 16), id=-k)
              for k in range(3)]
    metric.process(None, people)
    assert metric.evaluate(3) == {}
    preds = scipy.io.loadmat(given['out'])['preds']
    np.testing.assert_allclose(preds[::-1], arrays(people)[1] + 1)


@settings(profile)
@given(arguments(
    WRONG, evaluator=st.one_of(
        st.just(dict(type='A')), st.lists(st.sampled_from([
            dict(type='A', prefix='0.1'), dict(type='B')]), max_size=2)),
    names=st.lists(st.sampled_from(['E1', 'P1']), max_size=2)))
def test_a_metric_of_a_predictor_has_its_name(case):
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
