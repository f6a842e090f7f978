"""Every head of ours takes the losses that mmpose's HeatmapHead takes."""
import itertools

import pytest
import torch

pytest.importorskip('mmpose')

import mmpose.models  # noqa: E402, F401
from mmengine.registry import DefaultScope  # noqa: E402
from mmengine.structures import InstanceData, PixelData  # noqa: E402
from mmpose.registry import MODELS  # noqa: E402
from mmpose.structures import PoseDataSample  # noqa: E402

from mmdense.modules.rearrangement import fold  # noqa: E402

JOINTS, UPSCALE = 4, 2
LOSSES = sorted(
    name for name, kind in MODELS.module_dict.items()
    if kind.__module__.startswith('mmpose.models.losses'))
# Losses of coordinates or of rows: a plain HeatmapHead computes something of
# heatmaps with them, but nothing that folding could keep.
NOT_FOR_HEATMAPS = {
    'MLECCLoss': 'a softmax over each row, for SimCC',
    'MPJPELoss': 'a distance over the last axis, for coordinates',
    'MPJPEVelocityJointLoss': 'a distance over the last axis, of sequences',
    'SoftWingLoss': 'a sum over the second to last axis, for coordinates',
    'WingLoss': 'a sum over the second to last axis, for coordinates',
}
OPTIONS = {'KeypointOHKMMSELoss': dict(topk=2)}


@pytest.fixture(autouse=True)
def mmpose_scope():
    with DefaultScope.overwrite_default_scope('mmpose'):
        yield


def samples():
    generator = torch.Generator().manual_seed(0)
    batch = []
    for _ in range(3):
        sample = PoseDataSample()
        heatmaps = torch.rand(JOINTS, 8, 6, generator=generator).double()
        heatmaps[:, 3, 4] = 1  # a peak, as FocalHeatmapLoss wants
        sample.gt_fields = PixelData(heatmaps=heatmaps)
        sample.gt_instance_labels = InstanceData(
            keypoint_weights=torch.tensor([[1., 0., .5, 2.]]).double())
        batch.append(sample)
    return batch


def outcome(head, *inputs):
    """The losses, or the error's text."""
    try:
        return head.loss(*inputs)
    except Exception as error:
        return repr(error)


def heads(loss):
    common = dict(in_channels=3, out_channels=JOINTS, loss=loss)
    host = MODELS.build(
        dict(common, type='HeatmapHead', deconv_out_channels=None,
             deconv_kernel_sizes=None)).double()
    folded = MODELS.build(
        dict(common, type='mmdense.FoldedHeatmapHead',
             upscale=UPSCALE)).double()
    # Values between 0 and 1, of which FocalHeatmapLoss takes logarithms.
    torch.nn.init.normal_(
        host.final_layer.weight, std=0.05,
        generator=torch.Generator().manual_seed(1))
    torch.nn.init.constant_(host.final_layer.bias, 0.5)
    folded.load_state_dict(host.state_dict())
    return host, folded


@pytest.mark.filterwarnings('ignore')
def test_folding_keeps_every_loss_of_heatmaps():
    generator = torch.Generator().manual_seed(2)
    x = torch.randn(3, 3, 8, 6, generator=generator).double()
    differs, fails = set(), []
    for name, weighted in itertools.product(LOSSES, (False, True)):
        loss = dict(type=name, **OPTIONS.get(name, {}))
        if weighted:
            loss['use_target_weight'] = True
        try:
            host, folded = heads(loss)
        except TypeError as error:
            fails.append(f'{name}: {error}')
            continue
        wanted = outcome(host, (x, ), samples())
        got = outcome(folded, (fold(x, UPSCALE), ), samples())
        if not isinstance(wanted, dict):
            assert not isinstance(got, dict), (name, wanted, got)
            fails.append(f'{name}, use_target_weight={weighted}: {wanted}')
            continue
        try:
            torch.testing.assert_close(got, wanted, equal_nan=True)
        except AssertionError:
            differs.add(name)
        else:
            # Two NaN are equal, whatever they were computed from.
            if not wanted['loss_kpt'].isfinite():
                fails.append(f'{name}: {wanted["loss_kpt"]}')
    print('mmpose itself fails with', *fails, sep='\n')
    assert differs == set(NOT_FOR_HEATMAPS), NOT_FOR_HEATMAPS


@pytest.mark.filterwarnings('ignore')
def test_every_predictor_has_the_losses_of_the_host():
    generator = torch.Generator().manual_seed(3)
    feats = [
        torch.randn(3, 8, *size, generator=generator)
        for size in ((8, 6), (4, 3), (8, 6))
    ]
    common = dict(
        type='mmdense.MultiPredictorHead', in_channels=8,
        out_channels=JOINTS, predictors=2, early_channels=[8], groups=4)
    works = set()
    for name, weighted in itertools.product(LOSSES, (False, True)):
        loss = dict(type=name, **OPTIONS.get(name, {}))
        if weighted:
            loss['use_target_weight'] = True
        try:
            head = MODELS.build(dict(common, loss=loss))
            host = MODELS.build(
                dict(type='HeatmapHead', in_channels=JOINTS,
                     out_channels=JOINTS, final_layer=None, loss=loss,
                     deconv_out_channels=None, deconv_kernel_sizes=None))
        except TypeError:
            continue
        got = outcome(head, feats, samples())
        for key, maps in head(feats).items():
            wanted = outcome(host, (maps, ), samples())
            assert isinstance(got, dict) == isinstance(wanted, dict), name
            if isinstance(wanted, dict):
                torch.testing.assert_close(
                    got[f'loss_{key}'], wanted['loss_kpt'], equal_nan=True)
                works.add(name)
    assert {'KeypointMSELoss', 'CombinedTargetMSELoss', 'AdaptiveWingLoss',
            'KeypointOHKMMSELoss', 'FocalHeatmapLoss', 'L1Loss'} <= works
