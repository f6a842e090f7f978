"""The counts against torch's flop counter, hand arithmetic and the papers."""
import json
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from mmdense import networks
from mmdense.analysis import complexity, paper_figures
from mmdense.analysis.complexity import count
from mmdense.analysis.paper_figures import prints_as
from mmdense.modules.adaptive_dilated_conv import AdaptiveDilatedConv2d


def flop_counter_macs(model, *args, **kwargs):
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(*args, **kwargs)
    assert counter.get_total_flops() % 2 == 0
    return counter.get_total_flops() // 2


class Flattened(nn.Module):
    """A network with every kind of layer that counts, and a shared one."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, (3, 5), stride=(2, 1), padding=(1, 0))
        self.norm = nn.BatchNorm2d(8)
        self.grouped = nn.Conv2d(8, 16, 3, groups=4, dilation=2, bias=False)
        self.up = nn.ConvTranspose2d(16, 8, 4, stride=(2, 3), groups=2)
        self.shared = nn.Conv2d(8, 8, 1)
        self.line = nn.Conv1d(8, 4, 3)
        self.head = nn.Linear(4, 5)

    def forward(self, x):
        x = self.up(self.grouped(self.norm(self.stem(x)).relu()))
        x = self.shared(self.shared(x)).mean(2)
        return self.head(self.line(x).transpose(1, 2))


def test_equals_the_flop_counter_on_every_kind_of_layer():
    model, x = Flattened(), torch.zeros(2, 3, 17, 14)
    expected = flop_counter_macs(model, x)
    result = count(model, x)
    assert expected > 0
    assert (result.total.macs, result.unowned_macs) == (expected, 0)


def test_equals_the_flop_counter_on_a_pose_network_with_deconvolutions():
    pytest.importorskip('mmpose')
    config = Config(dict(
        default_scope='mmpose',
        model=dict(
            type='TopdownPoseEstimator',
            backbone=dict(type='ResNet', depth=18),
            head=dict(
                type='HeatmapHead', in_channels=512, out_channels=16,
                loss=dict(type='KeypointMSELoss')))))
    model = networks.build_model(config).to('meta')
    x = torch.empty(1, 3, 96, 64, device='meta')
    expected = flop_counter_macs(model, x, None, mode='tensor')
    result, device = complexity.count_model(model, (96, 64))
    assert (result.total.macs, device) == (expected, 'meta')
    parts = [result.modules[name].macs for name in ('backbone', 'head')]
    assert sum(parts) == expected and min(parts) > 0


def test_equals_the_flop_counter_on_a_segmentation_network():
    pytest.importorskip('mmseg')
    config = Config(dict(
        default_scope='mmseg',
        model=dict(
            type='EncoderDecoder',
            backbone=dict(type='ResNetV1c', depth=18),
            decode_head=dict(
                type='PSPHead', in_channels=512, channels=32, in_index=3,
                num_classes=7),
            auxiliary_head=dict(
                type='FCNHead', in_channels=256, channels=16, in_index=2,
                num_classes=7))))
    model = networks.build_model(config).to('meta')
    x = torch.empty(1, 3, 64, 96, device='meta')
    expected = flop_counter_macs(model, x, None, mode='tensor')
    result, _ = complexity.count_model(model, (64, 96))
    assert result.total.macs == expected
    assert result.idle == ['auxiliary_head']


def test_a_transposed_convolution_counts_by_input_and_in_papers_by_output():
    result = count(nn.ConvTranspose2d(3, 5, 4, stride=2, padding=1),
                   torch.zeros(1, 3, 6, 7))
    assert result.total.macs == 3 * 5 * 16 * 6 * 7
    assert result.total.paper_macs == 3 * 5 * 16 * 12 * 14


def test_a_deformable_convolution_counts_as_kernel_plus_offsets():
    ops = pytest.importorskip('mmcv.ops')
    layer = ops.ModulatedDeformConv2dPack(4, 6, 3, stride=2, padding=1)
    result, device = complexity.count_model(
        Host(layer), (9, 12), channels=4)
    kernel, offset = 6 * 4 * 9, 27 * 4 * 9
    assert device == 'meta'
    assert result.total.macs == (kernel + offset) * 5 * 6
    # The papers' rule sees the layer whole, then the nested one again.
    bias = 6 + 27
    assert result.total.params == kernel + offset + bias
    assert result.total.paper_params == kernel + 2 * offset + bias + 27


class Host(nn.Module):
    """A layer with the calling convention of a host's model."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, inputs, data_samples=None, mode='tensor'):
        return self.layer(inputs)


def test_an_unmodulated_deformable_convolution_counts_too():
    ops = pytest.importorskip('mmcv.ops')
    layer = ops.DeformConv2dPack(4, 6, 3, padding=1, groups=2)
    result, device = complexity.count_model(Host(layer), (5, 7), channels=4)
    assert device == 'meta'
    assert result.total.macs == (6 * 2 * 9 + 18 * 4 * 9) * 5 * 7


def test_an_adaptive_dilated_convolution_counts_as_the_one_it_replaces():
    layer = AdaptiveDilatedConv2d(
        8, 6, 3, stride=2, padding=1, bias=False, hidden_ratio=0.5)
    result, device = complexity.count_model(Host(layer), (9, 12), channels=8)
    kernel, regression = 8 * 6 * 9, 8 * 4 + 4 * 8
    assert device == 'meta' and result.unowned_macs == 0
    assert result.total.macs == kernel * 5 * 6 + regression
    assert result.total.params == kernel + regression + 4 + 8


def test_an_attention_layer_counts_its_projections_only():
    layer = nn.MultiheadAttention(8, 2, batch_first=True)
    x = torch.zeros(1, 5, 8)
    assert count(layer, x, x, x).total.macs == 4 * 8 * 8 * 5


def test_a_convolution_outside_any_layer_is_reported_not_counted():

    class Loose(nn.Module):

        def forward(self, x):
            return nn.functional.conv2d(x, x.new_zeros(2, 3, 3, 3))

    result = count(Loose(), torch.zeros(1, 3, 6, 7))
    assert result.total.macs == 0
    assert result.unowned_macs == 2 * 3 * 9 * 4 * 5


def test_papers_layer_rule_skips_prelu_and_counts_batch_norm():
    model = nn.Sequential(
        nn.Conv2d(3, 4, 1), nn.PReLU(4), nn.BatchNorm2d(4),
        nn.GroupNorm(2, 4))
    total = count(model, torch.zeros(1, 3, 2, 2)).total
    assert total.params == 16 + 4 + 8 + 8
    assert total.paper_params == 16 + 8


def test_a_weight_shared_by_two_modules_is_counted_once():
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    model[1].weight = model[0].weight
    assert count(model, torch.zeros(1, 4)).total.params == 16 + 8


def test_counting_leaves_no_hook_behind():
    model = Flattened()
    count(model, torch.zeros(1, 3, 17, 14))
    assert not any(m._forward_hooks or m._forward_pre_hooks
                   for m in model.modules())


def test_a_network_that_reads_values_is_counted_on_the_processor():

    class Reads(nn.Module):

        def forward(self, x):
            return x if x.sum().item() > 1e9 else x[:, :1]

    result, device = complexity.count_model(
        Host(nn.Sequential(nn.Conv2d(3, 2, 1), Reads())), (4, 5))
    assert (result.total.macs, device) == (3 * 2 * 20, 'cpu')


def test_an_image_that_does_not_fit_names_the_size():
    model = Host(nn.Conv2d(3, 2, 7))
    with pytest.raises(ValueError, match='an image of 4x5 does not run'):
        complexity.count_model(model, (4, 5))


TWO_STAGE = 'mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py'


def test_a_two_stage_detector_counts_all_proposals_and_a_hundred_masks(
        tmp_path):
    pytest.importorskip('mmdet')
    file = tmp_path / 'small.py'
    file.write_text(f"_base_ = '{TWO_STAGE}'\n"
                    "model = dict(backbone=dict(depth=18), "
                    "neck=dict(in_channels=[64, 128, 256, 512]))\n")
    config = networks.load_config(file)
    assert networks.input_shape(config) == (800, 1344)
    result, device = complexity.count_model(
        networks.build_model(config), (64, 96))
    assert result.modules['rpn_head'].macs > 0
    box = 256 * 49 * 1024 + 1024**2 + 1024 * (81 + 4 * 80)
    assert device == 'meta'
    assert result.modules['roi_head.bbox_head'].macs == 1000 * box
    mask = 4 * 256**2 * 9 * 14**2 + 256**2 * 4 * 14**2 + 256 * 80 * 28**2
    assert result.modules['roi_head.mask_head'].macs == 100 * mask


@pytest.mark.parametrize('config, shape', [
    (dict(model=dict(head=dict(decoder=dict(input_size=(192, 256))))),
     (256, 192)),
    (dict(model={}, codec=[dict(input_size=(288, 384))]), (384, 288)),
    (dict(model=dict(data_preprocessor=dict(size=(512, 1024)))),
     (512, 1024)),
    (dict(model={}, crop_size=480), (480, 480)),
    (dict(
        model=dict(data_preprocessor=dict(pad_size_divisor=32)),
        train_dataloader=dict(
            dataset=dict(
                dataset=dict(pipeline=[
                    dict(type='Resize', scale=(1333, 800)),
                ])))), (800, 1344)),
    (dict(
        model={},
        train_dataloader=dict(
            dataset=dict(pipeline=[
                dict(type='RandomChoiceResize', scale=[(1, 2), (3, 4)]),
                dict(type='RandomCrop', crop_size=(320, 480)),
            ]))), (320, 480)),
])
def test_input_shape_is_height_then_width(config, shape):
    assert networks.input_shape(Config(config)) == shape


def test_a_config_without_a_size_asks_for_shape():
    config = Config(dict(model={}))
    with pytest.raises(ValueError, match='no input size: give --shape'):
        networks.input_shape(config)


def test_rounding_follows_the_printed_digits():
    assert prints_as(9.5021, '9.50') and prints_as(9.5021, '9.5')
    assert prints_as(23.9468, '23.95') and not prints_as(23.738, '23.77')
    assert prints_as(33.9994, '34')


ROW = dict(
    id='row', config=Path('a.py'), convention='paper', paper_params_M='0.01',
    paper_gflops='2.00', computed_params=12000, computed_macs=10**9)


def result_of(**tally):
    return complexity.Complexity(
        complexity.Count(**tally), {'neck': complexity.Count(params=7)})


def test_a_row_matches_by_digits_and_by_the_unit():
    good = result_of(params=12000, macs=10**9 + 10**6, paper_macs=2 * 2**30)
    row = paper_figures.compare(ROW, good)
    assert row.params_match and row.gflops_match and row.exact
    off = result_of(params=12001, macs=10**9, paper_macs=2 * 2**30)
    assert paper_figures.compare(ROW, off).exact is False
    far = result_of(params=12000, macs=10**9 + 2 * 10**6,
                    paper_macs=10**9)
    row = paper_figures.compare(ROW, far)
    assert row.exact is False and row.gflops_match is False


def test_a_row_can_ask_for_one_part_of_the_network():
    row = dict(ROW, part='neck', computed_params=7, computed_macs=None,
               paper_gflops=None)
    compared = paper_figures.compare(row, result_of(params=12000))
    assert compared.exact and compared.params == 7
    assert compared.gflops_match is None


def test_every_row_of_the_papers_is_complete():
    rows = json.loads(paper_figures.PAPER_FIGURES.read_text())
    assert len({row['id'] for row in rows}) == len(rows)
    allowed = {
        'id', 'config', 'part', 'shape', 'paper_params_M', 'paper_gflops',
        'computed_params', 'computed_macs', 'convention', 'note'
    }
    for row in rows:
        assert set(row) <= allowed, row['id']
        assert row['convention'] in paper_figures.CONVENTIONS, row['id']
        for key in ('paper_params_M', 'paper_gflops'):
            assert isinstance(row.get(key), str | None), (
                f'{row["id"]}: {key} keeps its printed digits as a string')
