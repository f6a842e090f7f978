"""Section III-C: folding the target instead of the features."""
import numpy as np
import pytest
import torch
from torch import nn

pytest.importorskip('mmpose')

from mmengine.registry import init_default_scope  # noqa: E402
from mmengine.structures import InstanceData, PixelData  # noqa: E402
from mmpose.models import build_pose_estimator  # noqa: E402
from mmpose.structures import PoseDataSample  # noqa: E402

from mmdense.modules.rearrangement import KINDS  # noqa: E402

JOINTS = 5
CODEC = dict(
    type='MSRAHeatmap', input_size=(96, 64), heatmap_size=(24, 16), sigma=2)


def build(folded, kind='channel_shuffle', loss=None):
    """A small FlatteNet, in either form, stride 32 down and 8 up."""
    init_default_scope('mmpose')
    loss = loss or dict(type='KeypointMSELoss', use_target_weight=True)
    common = dict(
        in_channels=2, out_channels=JOINTS, loss=loss, decoder=CODEC)
    head = dict(type='mmdense.FoldedHeatmapHead', upscale=8, **common) \
        if folded else dict(
            type='HeatmapHead',
            deconv_out_channels=None,
            deconv_kernel_sizes=None,
            **common)
    return build_pose_estimator(
        dict(
            type='TopdownPoseEstimator',
            backbone=dict(
                type='ResNet', depth=18, base_channels=16, stem_channels=16),
            neck=dict(
                type='mmdense.FlatteningNeck',
                in_channels=128,
                upscale=8,
                rearrangement=kind,
                rearrange=not folded,
                layers=[dict(groups_first=8, groups_second=16)]),
            head=head,
            test_cfg=dict(flip_test=True))).double()


def pair(kind='channel_shuffle', loss=None):
    """The same network in both forms."""
    torch.manual_seed(0)
    plain = build(False, kind, loss)
    # The host's 0.001 would leave gradients too small to compare well.
    nn.init.normal_(plain.head.final_layer.weight)
    # Slopes of 1 would hide what lies before them.
    nn.init.uniform_(plain.neck.module.layers[0].activation.weight, 0, 0.5)
    folded = build(True, kind, loss)
    folded.load_state_dict(plain.state_dict())
    return plain, folded


def batch():
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(3, 3, 64, 96, generator=generator).double()
    samples = []
    for _ in inputs:
        sample = PoseDataSample(
            metainfo=dict(
                flip_indices=[0, 2, 1, 4, 3],
                input_center=np.zeros(2),
                input_scale=np.ones(2),
                input_size=(96, 64)))
        sample.gt_fields = PixelData(
            heatmaps=torch.rand(JOINTS, 16, 24, generator=generator).double())
        weights = torch.tensor([[1., 0., 1., .5, 2.]]).double()
        sample.gt_instance_labels = InstanceData(keypoint_weights=weights)
        sample.gt_instances = InstanceData(
            bboxes=np.zeros((1, 4)), bbox_scores=np.ones(1))
        samples.append(sample)
    return inputs, samples


def test_checkpoints_of_one_form_load_into_the_other():
    plain, folded = build(False), build(True)
    assert list(plain.state_dict()) == list(folded.state_dict())
    folded.load_state_dict(plain.state_dict(), strict=True)
    plain.load_state_dict(folded.state_dict(), strict=True)


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('loss', [
    dict(type='KeypointMSELoss', use_target_weight=True),
    dict(type='KeypointMSELoss', skip_empty_channel=True),
    dict(type='KeypointOHKMMSELoss', use_target_weight=True, topk=2),
])
def test_loss_and_every_gradient_are_equal(kind, loss):
    plain, folded = pair(kind, loss)
    inputs, samples = batch()
    samples[0].gt_fields.heatmaps[1] = 0
    results = []
    for model in (plain, folded):
        losses = model(inputs, samples, mode='loss')
        losses['loss_kpt'].backward()
        results.append(losses)
    assert results[0]['loss_kpt'] > 0
    for name in ('loss_kpt', 'acc_pose'):
        torch.testing.assert_close(
            results[1][name], results[0][name], rtol=1e-12, atol=0)
    expected = {n: p.grad for n, p in plain.named_parameters()}
    # The bias before a batch norm has a gradient of zero but for rounding:
    # what counts as equal is set by the largest of the network.
    largest = max(g.abs().max().item() for g in expected.values())
    assert largest > 0
    for name, parameter in folded.named_parameters():
        torch.testing.assert_close(
            parameter.grad,
            expected[name],
            rtol=1e-9,
            atol=1e-12 * largest,
            msg=lambda m, name=name: f'{name}: {m}')


def test_features_never_get_fine_in_training(monkeypatch):
    """Only the K heatmaps are unfolded, for the accuracy that is logged."""
    _, folded = pair()
    seen = []
    module = 'mmdense.mmpose.folded_heatmap_head.unfold'

    def spy(x, upscale, original=folded.head.loss.__globals__['unfold']):
        seen.append(tuple(x.shape))
        return original(x, upscale)

    monkeypatch.setattr(module, spy)
    out = folded.extract_feat(batch()[0])
    assert out[0].shape == (3, 128, 2, 3)
    folded(*batch(), mode='loss')
    assert seen == [(3, 64 * JOINTS, 2, 3)]


def test_predictions_are_equal_with_flip_test():
    plain, folded = pair()
    plain.eval()
    folded.eval()
    inputs, samples = batch()
    with torch.no_grad():
        heatmaps = [m(inputs, None, mode='tensor') for m in (plain, folded)]
        poses = [m(*batch(), mode='predict') for m in (plain, folded)]
    assert heatmaps[0].shape == (3, JOINTS, 16, 24)
    torch.testing.assert_close(heatmaps[1], heatmaps[0], rtol=0, atol=1e-12)
    for one, other in zip(*poses, strict=True):
        np.testing.assert_array_equal(one.pred_instances.keypoints,
                                      other.pred_instances.keypoints)


def test_rearranged_features_are_refused():
    _, folded = pair()
    folded.neck.rearrange = True
    with pytest.raises(ValueError, match='must be 64 x 2, got 2; .*neck'):
        folded(*batch(), mode='loss')


@pytest.mark.parametrize('height, width, message', [
    # 50 x 75 pixels in three columns and two rows of 32: no multiple of it
    (13, 19, r'must be 24 x 16 .*map of 3 x 2 with upscale=8, got 19 x 13; '
     r'.*input_size must be multiples of 32'),
    # a backbone that keeps stride 16
    (32, 48, r'must be 24 x 16 .*got 48 x 32; .*end at stride 32'),
])
def test_heatmaps_of_another_size_are_named(height, width, message):
    _, folded = pair()
    inputs, samples = batch()
    for sample in samples:
        del sample.gt_fields
        sample.gt_fields = PixelData(
            heatmaps=torch.zeros(JOINTS, height, width).double())
    with pytest.raises(ValueError, match=message):
        folded(inputs, samples, mode='loss')


@pytest.mark.parametrize('folded', [False, True])
def test_initial_values_survive_the_estimators_init(folded):
    """HeatmapHead sets every Conv2d it holds to Normal(0, 0.001)."""
    torch.manual_seed(0)
    model = build(folded)
    layer = model.neck.module.layers[0]
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.fill_(5)
    model.init_weights()
    assert torch.equal(layer.activation.weight,
                       torch.ones_like(layer.activation.weight))
    assert layer.second_norm.bias.abs().max() == 0
    # one over the square root of a group's fan-in, 16
    assert layer.first.weight.std().item() == pytest.approx(.25, rel=.15)
    assert model.head.final_layer.weight.std().item() < 0.002
