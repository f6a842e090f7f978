"""The Spatial Shortcut Network in mmpose: positions, predictors, counts."""
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip('mmpose')

from mmengine.config import Config  # noqa: E402
from mmpose.datasets.datasets.utils import (  # noqa: E402
    parse_pose_metainfo,
)
from mmpose.models import ResNet  # noqa: E402
from mmpose.registry import METRICS  # noqa: E402
from mmpose.testing import get_packed_inputs  # noqa: E402

from mmdense import networks  # noqa: E402
from mmdense.analysis import complexity  # noqa: E402
from mmdense.mmpose.multi_predictor_head import MultiPredictorHead  # noqa: E402,E501
from mmdense.mmpose.of_predictor import OfPredictor  # noqa: E402
from mmdense.mmpose.shift_resnet import ShiftResNet  # noqa: E402
from mmdense.modules.insertable import Insertable  # noqa: E402

CONFIGS = Path(__file__).parents[2] / 'configs/mmpose/spatial_shortcut'
CODEC = dict(
    type='MSRAHeatmap', input_size=(64, 96), heatmap_size=(16, 24), sigma=2)
GN = dict(type='GN', num_groups=4)


def small(**options):
    options = dict(
        stem_channels=16, base_channels=4, norm_cfg=GN,
        shift=dict(shift_channels=6)) | options
    torch.manual_seed(0)
    return ShiftResNet(50, **options)


def shifts(net):
    return {
        name: module.norm.num_features
        for name, module in net.named_children() if name.startswith('shift')
    }


def test_thirteen_modules_see_the_channels_the_counts_demand():
    assert shifts(small()) == dict(
        shift1_1=16, shift1_2=16, shift1_3=16,
        shift2_1=16, shift2_3=32, shift2_4=32,
        shift3_1=32, shift3_3=64, shift3_4=64, shift3_5=64, shift3_6=64,
        shift4_1=64, shift4_3=128)


def test_the_first_module_may_have_its_own_number_of_channels():
    net = small(first_shift_channels=3)
    assert len(net.shift1_1.shift.offset) == 3
    assert len(net.shift1_2.shift.offset) == 6


def test_without_modules_it_is_the_hosts_resnet_with_its_names():
    net = small(shift=None, out_indices=(0, 3))
    host = ResNet(50, stem_channels=16, base_channels=4, norm_cfg=GN,
                  out_indices=(0, 3))
    host.load_state_dict(net.state_dict())
    x = torch.randn(1, 3, 64, 32)
    torch.testing.assert_close(net(x), host(x))


def test_not_inserted_it_is_the_hosts_resnet():
    net = small()
    host = ResNet(50, stem_channels=16, base_channels=4, norm_cfg=GN)
    host.load_state_dict(net.state_dict(), strict=False)
    x = torch.randn(1, 3, 64, 32)
    assert not torch.allclose(net(x)[0], host(x)[0])
    for module in net.modules():
        if isinstance(module, Insertable):
            module.insert(False)
    assert torch.equal(net(x)[0], host(x)[0])


def test_the_hosts_initial_values_do_not_reach_the_modules():
    net = small(shift=dict(shift_channels=64))
    net.init_weights()
    # Kaiming of the host would give sqrt(2 / fan_out) = 0.35 for beta.
    assert net.shift1_1.beta.weight.std() < 0.15


@pytest.mark.parametrize('options, size, divisor', [
    (dict(), (64, 48), 32),
    (dict(num_stages=1, out_indices=(0, )), (62, 48), 4),
])
def test_image_sides_that_do_not_divide_are_named(options, size, divisor):
    with pytest.raises(
            ValueError,
            match=f'divisible by {divisor}, got {size[0]} x {size[1]}'):
        small(**options)(torch.zeros(1, 3, *size))


def test_host_checkpoint_of_another_k_is_refused():
    with pytest.raises(ValueError, match='1_1.shift.offset must be 8 x 2'):
        small(shift=dict(shift_channels=8)).load_state_dict(
            small().state_dict())


def head(**options):
    torch.manual_seed(0)
    return MultiPredictorHead(
        8, 17, predictors=2, early_channels=[6], groups=2, decoder=CODEC,
        **options)


def features(seed=0):
    g = torch.Generator().manual_seed(seed)
    return [
        torch.randn(2, c, h, w, generator=g)
        for c, h, w in ((6, 24, 16), (8, 12, 8), (8, 24, 16))
    ]


def samples(with_heatmap=True):
    return get_packed_inputs(
        2, input_size=(64, 96), heatmap_size=(16, 24),
        with_heatmap=with_heatmap)['data_samples']


def test_every_predictor_is_trained():
    model = head()
    losses = model.loss(features(), samples())
    assert set(losses) == {'loss_E1', 'loss_P1', 'loss_P2', 'acc_pose'}
    sum(losses[f'loss_{name}'] for name in model.names).backward()
    assert all(p.grad is not None for p in model.parameters())


def test_the_last_predictor_answers():
    model = head().eval()
    (one, _), fields = model.predict(
        features(), samples(), dict(output_heatmaps=True))
    maps = model(features())['P2']
    torch.testing.assert_close(fields[0].heatmaps, maps[0])
    expected = model.decode(maps)[0]
    np.testing.assert_array_equal(one.keypoints, expected.keypoints)
    assert 'E1_keypoints' not in one


def test_a_symmetric_pair_of_images_keeps_its_answer_under_the_flip_test():
    model = head().eval()
    data = samples()
    indices = [0, 2, 1, 4, 3, *range(5, 17)]
    data[0].set_metainfo(dict(flip_indices=indices))
    maps = model(features())
    flipped = {n: m.flip(-1)[:, indices] for n, m in maps.items()}
    # What it gets is what it has predicted of it.
    model.forward = lambda feats, names=None: feats
    (one, _) = model.predict([maps, flipped], data, dict(
        flip_test=True, every_predictor=True))
    for name, expected in maps.items():
        np.testing.assert_allclose(one.get(f'{name}_keypoints'),
                                   model.decode(expected)[0].keypoints)


def test_a_wrong_number_of_features_is_named():
    with pytest.raises(ValueError, match=r"\['E1', 'P1', 'P2'\], got 2"):
        head()(features()[1:])


def test_any_metric_sees_the_predictor_it_is_given():
    """E1 is right in the image's own pixels, the answer is not."""
    metainfo = parse_pose_metainfo(
        dict(from_file='configs/_base_/datasets/coco.py'))
    right = np.random.default_rng(0).uniform(0, 60, (1, 17, 2))
    scale, center = np.array([128., 192.]), np.array([70., 80.])
    size = np.array([64, 96])
    sample = dict(
        input_size=size, input_scale=scale, input_center=center,
        gt_instances=dict(
            keypoints=right / size * scale + center - 0.5 * scale,
            keypoints_visible=np.ones((1, 17)),
            bboxes=np.array([[0., 0, 100, 100]])),
        pred_instances=dict(
            keypoints=np.full((1, 17, 2), 1e3),
            keypoint_scores=np.ones((1, 17)),
            E1_keypoints=right, E1_scores=np.ones((1, 17))))
    pck = dict(type='PCKAccuracy', thr=0.1)
    answer = METRICS.build(pck)
    own = OfPredictor('E1', dict(pck, prefix='E1'))
    for metric in (answer, own):
        metric.dataset_meta = metainfo
        metric.process(None, [sample])
    assert answer.evaluate(1)['PCK'] == 0
    assert own.evaluate(1)['E1/PCK'] == 1
    with pytest.raises(ValueError, match='pred_instances must have E9_key'):
        OfPredictor('E9', pck).process(None, [sample])


# Option A of the early predictors; the default, A', has rows in
# paper_figures.json.
@pytest.mark.parametrize('name, params, macs', [
    ('td-hm_globalnet-esp-res50_1xb16-400k_coco-256x192', 25888302,
     5847134208),
    ('td-hm_ssn-no-attention-res50_1xb16-400k_coco-256x192', 35665070,
     10678972416),
    ('td-hm_ssn-no-shift-res50_1xb16-400k_coco-256x192', 40518318,
     13094891520),
    ('td-hm_ssn-k256-res50_1xb16-400k_coco-256x192', 33219246, 9471012864),
    ('td-hm_ssn-res50_1xb16-400k_coco-384x288', 40531118, 29463505920),
])
def test_option_a_has_its_counts(name, params, macs):
    config = Config.fromfile(CONFIGS / f'{name}.py')
    config.model.head.early = 'heatmaps'
    # Building skips its random numbers on the meta device.
    with torch.device('meta'):
        model = networks.build_model(config)
    total = complexity.count_model(model, networks.input_shape(config))[0]
    assert (total.total.params, total.total.macs) == (params, macs)


@pytest.mark.parametrize(
    'path', sorted(CONFIGS.glob('*.py')), ids=lambda path: path.stem)
def test_modules_are_inserted_late_exactly_where_there_are_any(path):
    config = Config.fromfile(path)
    hooks = {hook.type for hook in config.custom_hooks}
    shifts = config.model.backbone.get('shift') is not None
    assert ('mmdense.DelayedInsertionHook' in hooks) == shifts
    assert config.find_unused_parameters == shifts
    # mmengine refuses None for a default hook that is not its own.
    assert None not in config.default_hooks.values()
    groups = [s for s in config.param_scheduler if not s.get('inverse')]
    offsets = shifts and config.model.backbone.shift.get('shifting', True)
    assert len(groups) == offsets
