"""Half precision and torch.compile: every module, and a step of each method.
"""
import math
from pathlib import Path

import pytest
import torch

import mmdense
from mmdense.modules.adaptive_dilated_conv import (
    AdaptiveDilatedConv2d,
    DilationRateRegression,
)
from mmdense.modules.convolutional_classifier import ConvolutionalVGG16
from mmdense.modules.feature_pyramid_attention import FeaturePyramidAttention
from mmdense.modules.feature_shift import (
    ChannelShift,
    CorrelationAttention,
    FeatureShiftModule,
)
from mmdense.modules.flattening import (
    DepthwiseSeparableGroupConv,
    FlatteningModule,
    RegularConv,
)
from mmdense.modules.global_attention_upsample import GlobalAttentionUpsample
from mmdense.modules.global_net import GlobalNet
from mmdense.modules.keypoint_predictor import KeypointPredictor
from mmdense.modules.overlap_tile import overlap_tile
from mmdense.modules.rearrangement import Rearrangement
from mmdense.modules.skip_fusion import SkipFusion
from mmdense.modules.squeeze_excite_attention import SqueezeExciteAttention
from mmdense.modules.u_net import UNet

CONFIGS = Path(__file__).resolve().parents[1] / 'configs'
HALF, FULL = 'half', torch.float32
FINE, COARSE = (2, 8, 12, 10), (2, 8, 6, 5)


class Called(torch.nn.Module):
    """A module that wants to be called in a way of its own."""

    def __init__(self, module, call):
        super().__init__()
        self.module = module
        self.call = call

    def forward(self, *maps):
        return self.call(self.module, *maps)


def skip_fusion():
    fusion = SkipFusion(
        [8, 8], 3, [dict(factor=2, crop=1), dict(factor=4, crop=2)])
    for score in fusion.scores:  # which begin at zero
        torch.nn.init.normal_(score.weight)
    return fusion


# A module, the shapes it is given in float32, and the dtype it returns under
# autocast: a shift keeps that of its input, and so does the module that adds
# what it shifted.
CASES = dict(
    adaptive=(lambda: AdaptiveDilatedConv2d(8, 4, 3, padding=1), [FINE],
              HALF),
    rates=(lambda: DilationRateRegression(8, 4), [FINE], FULL),
    shift=(lambda: ChannelShift(8), [FINE], FULL),
    correlation=(lambda: CorrelationAttention(8, 4, 'softplus'), [FINE],
                 HALF),
    gate=(lambda: CorrelationAttention(8, 4, 'sigmoid'), [FINE], HALF),
    feature_shift=(lambda: FeatureShiftModule(8, 6), [FINE], FULL),
    light_shift=(lambda: FeatureShiftModule(8, 6, 'sigmoid'), [FINE], FULL),
    group_conv=(lambda: DepthwiseSeparableGroupConv(8, 2, 4), [FINE], HALF),
    regular=(lambda: RegularConv(8), [FINE], HALF),
    flattening=(lambda: FlatteningModule(
        8, 2, [dict(groups_first=2, groups_second=4)]), [FINE], HALF),
    rearrangement=(lambda: Rearrangement(8, 2), [FINE], FULL),
    pyramid=(lambda: FeaturePyramidAttention(8, 4, 4), [FINE], HALF),
    squeeze=(lambda: SqueezeExciteAttention(8, 4, 2), [FINE], HALF),
    upsample=(lambda: GlobalAttentionUpsample(8, 8, 4), [FINE, COARSE], HALF),
    global_net=(lambda: GlobalNet([8, 8], 4, 2), [[FINE, COARSE]], HALF),
    predictor=(lambda: KeypointPredictor(8, 3, 8, groups=2), [COARSE, FINE],
               HALF),
    # Its first map is the image itself.
    classifier=(lambda: Called(
        ConvolutionalVGG16(2, 4, dropout=0), lambda m, x: m(x)[1:]),
                [(1, 3, 32, 48)], HALF),
    skip_fusion=(lambda: Called(
        skip_fusion(), lambda m, *maps: m(maps, (48, 40))),
                 [(2, 8, 16, 14), COARSE], HALF),
    u_net=(lambda: UNet(1, 2, depth=1, dropout=0), [(1, 1, 44, 28)], HALF),
    overlap_tile=(lambda: Called(
        UNet(1, 2, depth=1, dropout=0),
        lambda m, x: overlap_tile(m, x, (28, 28), 8, 2)), [(1, 1, 30, 20)],
                  HALF))


def built(case):
    make, shapes, dtype = case
    torch.manual_seed(0)
    module = make().eval()

    def draw(shape):
        if isinstance(shape, list):
            return [draw(s) for s in shape]
        return torch.randn(shape)

    return module, [draw(shape) for shape in shapes], dtype


HALVES = pytest.mark.parametrize('half_dtype', [torch.bfloat16, torch.float16],
                                 ids=['bfloat16', 'float16'])


@HALVES
@pytest.mark.parametrize('name', CASES)
def test_autocast_stays_near_float32(name, half_dtype):
    module, maps, dtype = built(CASES[name])
    dtype = half_dtype if dtype == HALF else dtype
    with torch.no_grad():
        full = module(*maps)
        with torch.autocast('cpu', half_dtype):
            half = module(*maps)
    full, half = ([o] if isinstance(o, torch.Tensor) else o
                  for o in (full, half))
    for a, b in zip(full, half, strict=True):
        assert b.dtype == dtype and torch.isfinite(b).all()
        scale = a.abs().max()
        assert scale > 0
        torch.testing.assert_close(
            b.float() / scale, a / scale, rtol=0, atol=0.03)


@HALVES
@pytest.mark.parametrize('name', CASES)
def test_autocast_trains(name, half_dtype):
    module, maps, _ = built(CASES[name])
    with torch.autocast('cpu', half_dtype):
        out = module.train()(*maps)
    out = [out] if isinstance(out, torch.Tensor) else out
    parameters = list(module.parameters())
    if not parameters:
        return
    sum(o.float().square().mean() for o in out).backward()
    for parameter in parameters:
        assert parameter.grad.dtype == torch.float32
        assert torch.isfinite(parameter.grad).all()


def test_positions_keep_float32():
    """In bfloat16 a shift of 100.25 pixels would be one of 100."""
    shift = ChannelShift(1)
    with torch.no_grad():
        shift.offset.copy_(torch.tensor([[0., -100.25]]))
    x = torch.zeros(1, 1, 1, 128)
    x[..., 101] = 1
    with torch.autocast('cpu', torch.bfloat16), torch.no_grad():
        out = shift(x.bfloat16())
    assert out.dtype == torch.bfloat16
    assert out[0, 0, 0, 0] == 0.25 and out[0, 0, 0, 1] == 0.75


def test_rates_keep_float32():
    """In bfloat16 a rate of 1.001 would be one of 1."""
    layer = AdaptiveDilatedConv2d(1, 1, 3, padding=1)
    torch.nn.init.constant_(layer.rate_regression.fc2.offset, 0.001)
    with torch.autocast('cpu', torch.bfloat16), torch.no_grad():
        rate = layer.rate_regression(torch.ones(1, 1, 4, 4).bfloat16())
    assert rate.item() == pytest.approx(1.001, abs=1e-6)


SMALL = dict(
    flattenet='mmpose/flattenet/td-hm_flattenet-res18_quick_synthetic-128x96',
    adaptive='mmpose/adaptive_dilated_conv/'
    'td-hm_adc-res18_quick_synthetic-128x96',
    shortcut='mmpose/spatial_shortcut/'
    'td-hm_ssn-3block-k256_quick_synthetic-128x96',
    pyramid='mmseg/pyramid_attention/'
    'pyramid-attention_r18-d16_quick_synthetic-128x128',
    adaptive_segmentation='mmseg/adaptive_dilated_conv/'
    'fcn_adc-r50-d8_quick_synthetic-128x128',
    fcn='mmseg/fcn/fcn-8s_vgg16_quick_synthetic-128x128',
    u_net='mmseg/unet/unet-narrow_quick_synthetic-284x284',
    hrnet_v1='mmpose/hrnet/td-hm_hrnetv1-w8_quick_synthetic-128x96',
    hrnet_v2='mmseg/hrnet/hrnetv2_w8_quick_synthetic-128x128',
    centernet='mmdet/flattenet/centernet-flattenet_r18_quick_synthetic')
MASK_RCNN = dict(
    mask_rcnn='mmdet/mask_rcnn/mask-rcnn_r18-fpn_quick_synthetic',
    hrnet_v2p='mmdet/hrnet/mask-rcnn_hrnetv2p-w8_quick_synthetic')


def small(method):
    from mmdense import networks
    name = (SMALL | MASK_RCNN)[method]
    pytest.importorskip(name.split('/')[0])
    return networks.load_config(CONFIGS / f'{name}.py')


@pytest.mark.parametrize('method', SMALL)
def test_a_network_is_one_graph(method):
    from mmengine.model import revert_sync_batchnorm

    from mmdense import networks
    config = small(method)
    # As on one device: the host's own synchronised norm asks for the version
    # of torch in its forward, which newer torch cannot put into a graph.
    model = revert_sync_batchnorm(networks.build_model(config)).eval()
    image = torch.zeros(1, networks.input_channels(model),
                        *networks.input_shape(config))
    torch._dynamo.reset()
    with torch.no_grad():
        found = torch._dynamo.explain(model)(image, None, mode='tensor')
    assert found.graph_break_count == 0, found.break_reasons
    assert found.graph_count == 1


@pytest.mark.slow
def test_graphs_of_two_stages_break_in_the_hosts_code_alone():
    """mmdetection looks at values between its stages."""
    from mmengine.structures import BaseDataElement

    from mmdense import networks
    model = networks.build_model(small('mask_rcnn')).eval()
    image = torch.zeros(1, 3, 128, 128)
    sample = BaseDataElement(metainfo=dict(img_shape=(128, 128)))
    torch._dynamo.reset()
    with torch.no_grad():
        found = torch._dynamo.explain(model)(image, [sample], mode='tensor')
        features = torch._dynamo.explain(model.extract_feat)(image)
    assert found.graph_break_count > 0
    for reason in found.break_reasons:
        where = reason.user_stack[-1].filename
        assert 'mmdet' in where or 'mmcv' in where or 'mmengine' in where
    assert features.graph_break_count == 0


@pytest.mark.slow
@pytest.mark.parametrize('method', SMALL)
def test_no_break_in_the_graph_of_a_loss_is_ours(method):
    from mmdense import networks
    from mmdense.analysis.benchmarks.steps import random_batch
    config = small(method)
    model = networks.build_model(config).train()
    data = model.data_preprocessor(random_batch(config, 2), True)
    torch._dynamo.reset()
    found = torch._dynamo.explain(model)(**data, mode='loss')
    assert found.graph_count
    ours = Path(mmdense.__file__).parent
    for reason in found.break_reasons:
        where = reason.user_stack[-1]
        assert not Path(where.filename).is_relative_to(ours), where


# Without an instruction for bfloat16 a step of these takes seconds.
SLOW = ('hrnet_v1', 'hrnet_v2', 'centernet')


@pytest.mark.parametrize('method', [
    pytest.param(method, marks=pytest.mark.slow if method in SLOW else [])
    for method in SMALL])
def test_mmengines_wrapper_trains(method, monkeypatch):
    """In bfloat16, on a CPU, which it takes for a GPU here."""
    from mmengine.optim.optimizer import amp_optimizer_wrapper

    from mmdense.analysis.benchmarks.steps import training_step
    monkeypatch.setattr(amp_optimizer_wrapper, 'is_cuda_available',
                        lambda: True)
    config = small(method)
    config.merge_from_dict({
        'optim_wrapper.type': 'AmpOptimWrapper',
        'optim_wrapper.dtype': 'bfloat16'
    })
    step = training_step(config, 2)
    losses = [step() for _ in range(4)]
    assert all(map(math.isfinite, losses))
    # FCN's scores begin at zero, and its first steps go past the minimum.
    assert losses[-1] < losses[0] or method == 'fcn'


# Mask R-CNN not in bfloat16, which mmcv's suppression does not take.
@pytest.mark.slow
@pytest.mark.parametrize('way, method', [
    *(('bfloat16', method) for method in SMALL),
    *(('compile', method) for method in [*SMALL, *MASK_RCNN])
])
def test_a_network_trains(method, way):
    from mmdense.analysis.benchmarks.steps import training_step
    torch._dynamo.reset()
    step = training_step(small(method), 2, way)
    losses = [step() for _ in range(4)]
    assert all(map(math.isfinite, losses))
    assert len(set(losses)) == 4
    # FCN's scores begin at zero, and its first steps go past the minimum; two
    # stages draw other regions for each step.
    assert losses[-1] < losses[0] or method in ('fcn', *MASK_RCNN)
