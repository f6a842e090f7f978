import copy
import functools
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config, ConfigDict
from mmengine.registry import DefaultScope
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

pytest.importorskip('mmseg')

from mmcv.transforms import Compose  # noqa: E402
from mmengine.structures import PixelData  # noqa: E402
from mmseg.registry import MODELS  # noqa: E402
from mmseg.structures import SegDataSample  # noqa: E402

from mmdense.modules import once  # noqa: E402

CONFIGS = Path(__file__).parents[2] / 'configs/mmseg/pyramid_attention'
VOC = '_r101-d16_1xb16-40k_voc12aug-512x512'
# Parameters and multiply-adds at 512x512 with 21 classes: conv and linear
# weights times output positions. The paper prints neither.
ROWS = {
    'pyramid-attention': (81368277, 84065058816),
    'linear': (42666965, 58944651264),
    'squeeze-excite': (43449429, 59443281920),
    'feature-pyramid-c333-max': (50824917, 60896313344),
    'feature-pyramid-c333-ave': (50824917, 60896313344),
    'feature-pyramid-c333-max-gp': (51349717, 60896837632),
    'feature-pyramid-c333-ave-gp': (51349717, 60896837632),
    'feature-pyramid-c357-max': (76515029, 67070328832),
    'feature-pyramid-c357-ave': (76515029, 67070328832),
    'feature-pyramid-c357-max-gp': (77039829, 67070853120),
    'feature-pyramid-c357-ave-gp': (77039829, 67070853120),
    'pspnet': (65708501, 78291402752),
    'deeplabv3': (84846037, 101057036288),
    'global-upsample-3x3': (47284437, 76436996096),
    'global-upsample-gp-1x1': (44271317, 61405265920),
    'global-upsample-gp-3x3': (47941333, 76437651456),
}
OURS = [
    name for name in ROWS if name not in ('linear', 'pspnet', 'deeplabv3')
]
# The other widths somebody may have built, on the same network.
WIDTHS = [(256, 1, 48107862, 76463423136), (32, 1, 43375862, 61118433952),
          (21, 21, 45210002, 60885749451),
          (512, 512, 135841237, 111331246080)]
SMALL = dict(
    type='mmdense.PyramidAttentionHead',
    in_channels=[4, 6, 8, 12],
    in_index=[0, 1, 2, 3],
    channels=5,
    num_classes=3,
    dropout_ratio=0)
PYRAMID = dict(type='FeaturePyramidAttention', pyramid_channels=5)


@pytest.fixture(autouse=True)
def mmseg_scope():
    with DefaultScope.overwrite_default_scope('mmseg'):
        yield


@functools.cache
def parsed(name):
    return Config.fromfile(CONFIGS / f'{name}.py')


def config(name):
    cfg = copy.deepcopy(parsed(name))
    cfg.model.pretrained = None
    return cfg


def randomise(module, seed=0):
    """Values no two of which agree, norms' statistics included; eval mode."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in module.state_dict().items():
            if value.is_floating_point():
                spread = torch.rand(value.shape, generator=generator)
                value.copy_(spread + 0.5 if 'running_var' in name else spread -
                            0.3)
    return module.eval()


def build(**options):
    return MODELS.build({**SMALL, 'attention': PYRAMID, **options})


def features(*sizes, channels=(4, 6, 8, 12), batch=2):
    generator = torch.Generator().manual_seed(1)
    sizes = sizes or ((16, 24), (8, 12), (4, 6), (4, 6))
    return tuple(
        torch.randn(batch, c, h, w, generator=generator)
        for c, (h, w) in zip(channels, sizes, strict=True))


def count(part, *inputs):
    """Parameters, multiply-adds and output of a part on the meta device."""
    part.eval()  # which mmseg's ResNet does not return
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        outputs = part(*inputs)
    params = sum(p.numel() for p in part.parameters())
    return params, counter.get_total_flops() // 2, outputs


@functools.cache
def backbone():
    """The network's ResNet-101 at 512x512, counted once for all rows."""
    cfg = config('pyramid-attention' + VOC).model.backbone
    with torch.device('meta'):
        return count(MODELS.build(cfg), torch.empty(1, 3, 512, 512))


def count_with_backbone(head):
    params, macs, maps = backbone()
    with torch.device('meta'):
        more_params, more_macs, logits = count(MODELS.build(head), maps)
    return (params + more_params, macs + more_macs), logits.shape


@pytest.mark.parametrize('name', ROWS)
def test_a_row_has_exactly_its_parameters_and_multiply_adds(name):
    model = config(name + VOC).model
    assert model.backbone == config('pyramid-attention' + VOC).model.backbone
    assert model.get('auxiliary_head') is None
    counts, shape = count_with_backbone(model.decode_head)
    assert counts == ROWS[name]
    stride = 4 if name.startswith(('pyramid', 'global')) else 16
    assert shape == (1, 21, 512 // stride, 512 // stride)


@pytest.mark.parametrize('channels, pyramid, params, macs', WIDTHS)
def test_other_widths_have_exactly_their_counts(channels, pyramid, params,
                                                macs):
    head = config('pyramid-attention' + VOC).model.decode_head
    head.channels = channels
    head.attention.pyramid_channels = pyramid
    assert count_with_backbone(head)[0] == (params, macs)


def test_no_two_rows_build_the_same_network():
    outputs, inputs = {}, features((16, 32), (8, 16), (4, 8), (4, 8))
    for name in OURS:
        head = config(name + VOC).model.decode_head
        head.update({k: v for k, v in SMALL.items() if k != 'type'})
        head.norm_cfg = dict(type='BN')
        if head.attention and 'pyramid_channels' in head.attention:
            head.attention.pyramid_channels = 5
        if head.attention and 'Squeeze' in head.attention.type:
            head.attention.reduction = 4
        module = randomise(MODELS.build(head))
        outputs[name] = module(inputs)
    for i, one in enumerate(OURS):
        for other in OURS[:i]:
            same = outputs[one].shape == outputs[other].shape and \
                torch.allclose(outputs[one], outputs[other])
            assert not same, (one, other)


@pytest.mark.parametrize(
    'path', sorted(CONFIGS.glob('*.py')), ids=lambda path: path.stem)
def test_every_config_parses_and_states_the_papers_optimisation(path):
    cfg = config(path.stem)
    assert cfg.val_evaluator.type == 'IoUMetric'  # mIoU and aAcc
    if 'voc12aug' in path.stem or 'cityscapes' in path.stem:
        assert cfg.optim_wrapper.optimizer == dict(
            type='SGD', lr=4e-3, momentum=0.9, weight_decay=1e-4)
        (poly, ) = cfg.param_scheduler
        assert (poly.type, poly.power, poly.eta_min) == ('PolyLR', 0.9, 0)
        assert poly.end == cfg.train_cfg.max_iters
        assert cfg.train_dataloader.batch_size == 16


@pytest.mark.parametrize('name', [
    'pyramid-attention_r101-d16_1xb16-80k_cityscapes-768x768',
    'pyramid-attention_r101-d16_1xb16-20k_voc12trainval-512x512',
    'pyramid-attention_r101v1c-d16_1xb16-40k_voc12aug-512x512',
])
def test_the_other_data_sets_get_their_classes_and_crops(name):
    cfg = config(name)
    classes = 19 if 'cityscapes' in name else 21
    assert cfg.model.decode_head.num_classes == classes
    crop = 768 if 'cityscapes' in name else 512
    dataset = cfg.train_dataloader.dataset
    pipeline = dataset.get('pipeline') or dataset.datasets[0].pipeline
    (cut, ) = [step for step in pipeline if step['type'] == 'RandomCrop']
    assert cut['crop_size'] == (crop, crop)
    assert cfg.model.data_preprocessor.size == (crop, crop)


@pytest.mark.parametrize('suffix, views', [('', 12), ('_multi-scale', 6)])
def test_test_time_augmentation_makes_the_views_of_table_5(
        tmp_path, suffix, views):
    import mmcv
    mmcv.imwrite(np.zeros((40, 60, 3), np.uint8), str(tmp_path / 'a.png'))
    mmcv.imwrite(np.zeros((40, 60), np.uint8), str(tmp_path / 'b.png'))
    pipeline = Compose(
        config('pyramid-attention' + VOC + suffix).tta_pipeline)
    result = pipeline(
        dict(
            img_path=str(tmp_path / 'a.png'),
            seg_map_path=str(tmp_path / 'b.png'),
            label_map=None,
            reduce_zero_label=False,
            seg_fields=[]))
    heights = [image.shape[1] for image in result['inputs']]
    flips = [sample.metainfo['flip'] for sample in result['data_samples']] \
        if not suffix else []
    assert len(heights) == views
    assert sorted(set(heights)) == [20, 30, 40, 50, 60, 70]
    assert sum(flips) == len(flips) / 2


def test_decodes_coarse_to_fine():
    head = randomise(build())
    fine = features()
    x = head.attention(fine[3])
    for upsample, low in zip(head.upsamples, fine[2::-1], strict=True):
        x = upsample(low, x)
    torch.testing.assert_close(head(fine), head.conv_seg(x))


def test_attention_alone_reads_the_coarsest_map_only():
    head = randomise(build(upsample=None))
    one = features()
    other = (*(x + 1 for x in one[:3]), one[3])
    assert head(one).shape == (2, 3, 4, 6)
    torch.testing.assert_close(head(one), head(other))


@pytest.mark.parametrize('options', [
    dict(attention=dict(PYRAMID, pooling='max')),
    dict(attention=dict(PYRAMID, global_pooling=False)),
    dict(attention=dict(PYRAMID, kernel_sizes=(3, 5, 7))),
    dict(attention=dict(PYRAMID, pyramid_channels=2)),
    dict(attention=dict(type='SqueezeExciteAttention', reduction=2)),
    dict(attention=dict(type='SqueezeExciteAttention', reduction=3)),
    dict(attention=None),
    dict(upsample=None),
    dict(upsample=dict(kernel_size=1)),
    dict(upsample=dict(global_context=False)),
    dict(align_corners=True),
], ids=str)
def test_every_option_reaches_the_network(options):
    plain, other = randomise(build()), randomise(build(**options))
    counts = [sum(p.numel() for p in m.parameters()) for m in (plain, other)]
    inputs = features((16, 32), (8, 16), (4, 8), (4, 8))
    assert other(inputs).shape[:2] == (2, 3)
    if counts[0] == counts[1]:
        assert not torch.allclose(plain(inputs), other(inputs))


def test_align_corners_and_the_norm_reach_every_part():
    head = build(align_corners=True, norm_cfg=dict(type='GN', num_groups=1))
    resizing = [m for m in head.modules() if hasattr(m, 'align_corners')]
    assert len(resizing) == 5 and all(m.align_corners for m in resizing)
    norms = [m for m in head.modules() if isinstance(m, nn.GroupNorm)]
    convs = [m for m in head.modules() if isinstance(m, nn.Conv2d)]
    assert len(norms) == len(convs) - 1  # all but the classifier


def test_the_losss_gradient_reaches_every_parameter():
    head = build()
    samples = []
    for _ in range(2):
        label = torch.arange(32 * 48).view(1, 32, 48) % 3
        samples.append(
            SegDataSample(
                gt_sem_seg=PixelData(data=label),
                metainfo=dict(img_shape=(32, 48))))
    loss = head.loss(features(), samples, {})
    assert set(loss) == {'loss_ce', 'acc_seg'}
    loss['loss_ce'].backward()
    silent = [n for n, p in head.named_parameters() if p.grad is None]
    assert silent == []


def test_initial_values_survive_the_heads_own():
    head = build(channels=64, attention=dict(PYRAMID, pyramid_channels=32))
    head.init_weights()
    conv, norm = head.attention.lateral[0][:2]
    expected = (2 / (32 * 49))**0.5
    assert conv.weight.std().item() == pytest.approx(expected, rel=0.05)
    assert (norm.weight == 1).all() and (norm.bias == 0).all()
    reduce = head.upsamples[0].reduce[0]
    expected = (2 / (8 * 9))**0.5
    assert reduce.weight.std().item() == pytest.approx(expected, rel=0.1)
    # The classifier is mmseg's: Normal(0, 0.01).
    assert head.conv_seg.weight.std().item() == pytest.approx(0.01, rel=0.2)


def test_the_users_init_cfg_has_the_last_word():
    head = build(init_cfg=dict(type='Constant', layer='Conv2d', val=3))
    head.init_weights()
    assert (head.attention.value[0].weight == 3).all()
    assert (head.attention.value[1].weight == 1).all()
    assert (head.conv_seg.weight == 3).all()


@pytest.mark.parametrize('options, message', [
    (dict(in_channels=[4, 6, 8, 10]),
     r'in_channels must be \[4, 6, 8, 12\] for in_index=\[0, 1, 2, 3\].*'
     r'maps of \[4, 6, 8, 12\] channels, got \[4, 6, 8, 10'),
    (dict(in_index=[0, 1, 3, 2]),
     r'in_channels must be \[4, 6, 12, 8\] for in_index=\[0, 1, 3, 2\]'),
    (dict(in_index=[0, 1, 2, 4]), r'in_index must .*gives 4 of .*, got .*4\]'),
], ids=str)
def test_wrong_channels_name_the_config(options, message):
    with pytest.raises(ValueError, match='PyramidAttentionHead: ' + message):
        build(**options).eval()(features())


@pytest.mark.parametrize('head', [
    dict(type='FCNSkipHead', upsampling=[dict(factor=2, crop=0)]),
    dict(type='HRNetV2Head'),
    dict(type='PointwiseASPPHead', channels=4),
    dict(type='ValidConvHead'),
], ids=lambda head: head['type'])
def test_wrong_channels_name_the_config_of_every_head(head):
    several = dict(in_channels=[4, 5], in_index=[0, 1])
    single = dict(in_channels=5, in_index=1)
    one = head['type'] in ('PointwiseASPPHead', 'ValidConvHead')
    module = MODELS.build(
        dict(head, type=f'mmdense.{head["type"]}', num_classes=3,
             **(single if one else several)))
    with pytest.raises(ValueError, match=f'{head["type"]}: in_channels must '
                       r'be .*6\] for in_index=.*got .*5\]'):
        module.eval()(features()[:2])


def test_one_image_names_the_branch_and_the_ways_out():
    one = features(batch=1)
    with pytest.raises(ValueError, match=(
            'FeaturePyramidAttention, the global pooling branch: BatchNorm2d '
            r'must see more than one value .*got 1 \(here 1 images .*SyncBN .*'
            'GN.*global_pooling=False')):
        build(attention=dict(PYRAMID, kernel_sizes=(3, )))(one)
    without = dict(PYRAMID, global_pooling=False, kernel_sizes=(3, ))
    with pytest.raises(ValueError, match=(
            'GlobalAttentionUpsample, the weight .*global_context=False')):
        build(attention=without)(one)
    # The ways out.
    build(attention=without, upsample=dict(global_context=False))(one)
    build(norm_cfg=dict(type='GN', num_groups=1))(one)
    build().eval()(one)


def test_a_pyramid_down_to_one_position_names_the_level():
    head = build(attention=dict(PYRAMID, global_pooling=False), upsample=None)
    with pytest.raises(ValueError, match='a level of the pyramid: .*larger'):
        head(features(batch=1))


def test_few_images_warn_once():
    once._warn.cache_clear()
    head = build(upsample=None, attention=dict(PYRAMID, kernel_sizes=(3, )))
    with pytest.warns(UserWarning, match='at least 8 .*got 2 .here 2 images'):
        head(features())
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        head(features())
        once._warn.cache_clear()
        head(features(batch=8))
        head.eval()(features())


def test_the_pooled_branch_of_aspp_names_itself():
    head = MODELS.build(
        dict(type='mmdense.PointwiseASPPHead', in_channels=4, in_index=0,
             channels=4, num_classes=3, norm_cfg=dict(type='BN')))
    with pytest.raises(ValueError, match='the image pooling branch: Batch'):
        head(features(batch=1))
    assert head.eval()(features(batch=1)).shape == (1, 3, 16, 24)


@pytest.mark.parametrize('backbone, channels', [
    (dict(type='ResNet', depth=18, base_channels=4), [4, 8, 16, 32]),
    (dict(
        type='MixVisionTransformer',
        embed_dims=4,
        num_layers=[1, 1, 1, 1],
        num_heads=[1, 2, 4, 8]), [4, 8, 16, 32]),
], ids=['stride-32', 'transformer'])
@pytest.mark.parametrize('size', [(65, 97), (32, 40)])
def test_decodes_any_backbone_of_four_levels_at_any_size(
        backbone, channels, size):
    head = dict(SMALL, attention=PYRAMID)
    head['in_channels'] = channels
    model = MODELS.build(
        ConfigDict(
            type='EncoderDecoder',
            backbone=backbone,
            decode_head=head,
            test_cfg=dict(mode='whole'))).eval()
    with torch.no_grad():
        (result, ) = model.predict(torch.randn(1, 3, *size))
    assert result.pred_sem_seg.shape == size


@pytest.mark.parametrize('options, message', [
    (dict(attention=None, upsample=None), 'attention must be set, or upsamp'),
    (dict(attention=dict(type='SE')), "attention must have a type.*got 'SE'"),
    (dict(act_cfg=dict(type='GELU')), 'conv_cfg must be None and act_cfg'),
    (dict(conv_cfg=dict(type='DCNv2')), 'conv_cfg must be None and act_cfg'),
], ids=str)
def test_refuses_what_would_not_reach_the_network(options, message):
    with pytest.raises(ValueError, match=message):
        build(**options)


def test_the_same_decoder_as_segmentation_models_pytorch():
    decoder = pytest.importorskip(
        'segmentation_models_pytorch.decoders.pan.decoder',
        reason='the independent implementation is not installed')
    theirs = randomise(decoder.PANDecoder((3, 2, 4, 6, 8, 12), 5, 5))
    ours = randomise(
        build(
            attention=dict(PYRAMID, pyramid_channels=1, pooling='max'),
            align_corners=True))
    ours.conv_seg = nn.Identity()
    fpa = theirs.fpa
    pairs = [(ours.attention.value, fpa.mid[0]),
             (ours.attention.context, fpa.branch1[1]),
             (ours.attention.down[0], fpa.down1[1]),
             (ours.attention.down[1], fpa.down2[1]),
             (ours.attention.down[2], fpa.down3[1]),
             (ours.attention.lateral[0], fpa.conv1),
             (ours.attention.lateral[1], fpa.conv2),
             (ours.attention.lateral[2], fpa.down3[2])]
    gaus = (theirs.gau3, theirs.gau2, theirs.gau1)
    for mine, other in zip(ours.upsamples, gaus, strict=True):
        # The paper's gate: ReLU instead of sigmoid, none on the fine map.
        other.conv1[2] = nn.ReLU()
        other.conv2.add_relu = False
        pairs += [(mine.weight, other.conv1[1]), (mine.reduce, other.conv2)]
    with torch.no_grad():
        for mine, other in pairs:
            other.conv.bias.zero_()
            mine[0].weight.copy_(other.conv.weight)
            mine[1].load_state_dict(other.bn.state_dict())
        maps = features((32, 64), (16, 32), (8, 16), (8, 16))
        expected = theirs([None, None, *maps])
        assert expected.std() > 0.1
        torch.testing.assert_close(
            ours(maps), expected, rtol=1e-5, atol=1e-5)
