"""Mask R-CNN's recipes against the paper's numbers, formulas and ablations."""
import copy
import functools
import json
import math
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip('mmdet')

from mmdet.registry import MODELS, TASK_UTILS  # noqa: E402
from mmengine.config import Config  # noqa: E402
from mmengine.registry import DefaultScope  # noqa: E402
from mmengine.runner import Runner  # noqa: E402
from mmengine.structures import InstanceData  # noqa: E402

from mmdense.datasets import make_detection_set  # noqa: E402

CONFIGS = Path(__file__).parents[2] / 'configs' / 'mmdet' / 'mask_rcnn'
C4, FPN = ('mask-rcnn_r50-c4_8xb2-160k_coco',
           'mask-rcnn_r50-fpn_8xb2-160k_coco')
RESNEXT = 'mask-rcnn_x101-64x4d-fpn_8xb1-160k_coco'
SOFTMAX = 'mask-rcnn-softmax_r50-c4_8xb2-160k_coco'
FASTER = 'faster-rcnn-roialign_r101-fpn_8xb2-160k_coco'
QUICK = 'mask-rcnn_r18-fpn_quick_synthetic'
FULL = sorted(path.stem for path in CONFIGS.glob('*_coco.py'))
CLASSES = ('car', 'cat')


@pytest.fixture(autouse=True)
def mmdet_scope():
    with DefaultScope.overwrite_default_scope('mmdet'):
        yield


parsed = functools.cache(Config.fromfile)


def load(name):
    return copy.deepcopy(parsed(CONFIGS / f'{name}.py'))


def differences(ours, theirs, at=''):
    """Dotted names of the values that are not in both."""
    if not (isinstance(ours, dict) and isinstance(theirs, dict)):
        return set() if ours == theirs else {at}
    return {
        name
        for key in (set(ours) | set(theirs)) - {'_scope_'}
        for name in differences(
            ours.get(key, '-'), theirs.get(key, '-'), f'{at}.{key}'.strip('.'))
    }


# What the README's table says.
BOTH = {
    'rpn_head.loss_bbox.type', 'rpn_head.loss_bbox.beta',
    'rpn_head.loss_bbox.loss_weight', 'roi_head.bbox_head.loss_bbox.type',
    'roi_head.bbox_head.loss_bbox.beta',
    'roi_head.bbox_head.loss_bbox.loss_weight',
    'roi_head.bbox_roi_extractor.roi_layer.sampling_ratio',
    'roi_head.bbox_roi_extractor.roi_layer.aligned'
}
OURS = {
    C4: ('mask-rcnn_r50-caffe-c4_1x_coco', BOTH | {
        'roi_head.shared_head.stride',
        'roi_head.bbox_roi_extractor.roi_layer.output_size',
        'train_cfg.rcnn.sampler.num', 'test_cfg.rpn.max_per_img'
    }),
    FPN: ('mask-rcnn_r50-caffe_fpn_1x_coco', BOTH | {
        'roi_head.mask_roi_extractor.roi_layer.sampling_ratio',
        'roi_head.mask_roi_extractor.roi_layer.aligned',
        'train_cfg.rpn_proposal.max_per_img',
        'train_cfg.rcnn.assigner.match_low_quality'
    }),
}


@pytest.mark.parametrize('name', OURS)
def test_model_differs_from_the_hosts_where_the_readme_says(name, tmp_path):
    host, expected = OURS[name]
    file = tmp_path / 'host.py'
    file.write_text(f"_base_ = 'mmdet::mask_rcnn/{host}.py'")
    theirs, ours = parsed(file), load(name)
    assert differences(ours.model.to_dict(),
                       theirs.model.to_dict()) == expected
    changed = differences(ours.to_dict(), theirs.to_dict())
    assert {key for key in changed if key.split('.')[0].endswith('dataloader')
            or 'evaluator' in key} == set()


ABLATED = {
    SOFTMAX: {
        'roi_head.mask_head.type', 'roi_head.mask_head.loss_mask.use_mask'
    },
    'mask-rcnn-roialign-max_r50-c4_8xb2-160k_coco': {
        'roi_head.bbox_roi_extractor.roi_layer.pool_mode'
    },
    **{
        f'mask-rcnn-{layer}_r50-c4_8xb2-160k_coco': {
            'roi_head.bbox_roi_extractor.type',
            *(f'roi_head.bbox_roi_extractor.roi_layer.{key}'
              for key in ('type', 'sampling_ratio', 'aligned', *more))
        }
        for layer, *more in (('roipool', ), ('roiwarp-max', 'pool_mode'),
                             ('roiwarp-ave', 'pool_mode'))
    },
}


@pytest.mark.parametrize('name', ABLATED)
def test_an_ablation_changes_one_thing(name):
    changed = differences(load(name).to_dict(), load(C4).to_dict())
    assert changed == {f'model.{key}' for key in ABLATED[name]}


def test_faster_rcnn_is_mask_rcnn_without_its_mask_branch():
    ours, theirs = load(FASTER), load('mask-rcnn_r101-fpn_8xb2-160k_coco')
    changed = differences(ours.to_dict(), theirs.to_dict())
    assert {key for key in changed if key.startswith('model.')} == {
        'model.type', 'model.data_preprocessor.pad_mask',
        'model.roi_head.mask_head', 'model.roi_head.mask_roi_extractor'
    }
    assert ours.model.roi_head.mask_head is None
    for loader in (ours.train_dataloader, ours.test_dataloader):
        [step] = [s for s in loader.dataset.pipeline
                  if s.type == 'LoadAnnotations']
        assert not step.get('with_mask') and step.with_bbox
    assert ours.test_evaluator.metric == 'bbox'
    assert sorted(theirs.test_evaluator.metric) == ['bbox', 'segm']


@pytest.mark.parametrize('name', FULL)
def test_schedule_is_that_of_section_3_1(name):
    config = load(name)
    resnext = name == RESNEXT
    assert config.train_cfg.type == 'IterBasedTrainLoop'
    assert config.train_cfg.max_iters == 160000
    assert config.optim_wrapper.optimizer == dict(
        type='SGD', lr=0.01 if resnext else 0.02, momentum=0.9,
        weight_decay=1e-4)
    warmup, steps = config.param_scheduler
    assert warmup.end == 500 and not warmup.by_epoch
    assert (steps.milestones, steps.gamma) == ([120000], 0.1)
    assert not steps.by_epoch
    batch = config.train_dataloader.batch_size
    assert batch == (1 if resnext else 2)
    assert config.auto_scale_lr.base_batch_size == 8 * batch
    for loader in (config.train_dataloader, config.test_dataloader):
        [step] = [s for s in loader.dataset.pipeline if s.type == 'Resize']
        assert step.keep_ratio and min(step.scale) == 800


@pytest.mark.parametrize('name', [C4, FPN])
def test_anchors_have_five_scales_and_three_ratios(name):
    anchors = TASK_UTILS.build(
        load(name).model.rpn_head.anchor_generator).base_anchors
    assert len(anchors) == (1 if name == C4 else 5)
    boxes = torch.cat(anchors)
    width, height = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    found = sorted((round((w * h).item()**0.5), round((h / w).item(), 1))
                   for w, h in zip(width, height, strict=True))
    assert found == sorted((side, ratio) for side in (32, 64, 128, 256, 512)
                           for ratio in (0.5, 1.0, 2.0))


@pytest.mark.parametrize('name, rois', [(C4, 64), (FPN, 512)])
def test_rois_are_positive_from_iou_half_and_one_in_four(name, rois):
    cfg = load(name).model.train_cfg.rcnn
    truth = InstanceData(
        bboxes=torch.tensor([[0., 0., 100., 100.]]), labels=torch.tensor([7]))
    # Boxes 100 wide inside the object: the IoU is their height.
    heights = torch.linspace(0.01, 0.99, 2000).double()
    boxes = torch.zeros(2000, 4)
    boxes[:, 2], boxes[:, 3] = 100, heights * 100
    priors = InstanceData(priors=boxes)
    assigned = TASK_UTILS.build(cfg.assigner).assign(priors, truth)
    positive = assigned.gt_inds > 0
    assert torch.equal(positive, boxes[:, 3] / 100 >= 0.5)
    torch.manual_seed(0)
    result = TASK_UTILS.build(cfg.sampler).sample(assigned, priors, truth)
    assert len(result.pos_inds) == rois // 4
    assert len(result.neg_inds) == rois * 3 // 4


def shapes_of_heads(name):
    """Sides and channels inside the heads, of three RoIs, on meta."""
    config = load(name)
    with torch.device('meta'):
        head = MODELS.build(
            dict(config.model.roi_head, train_cfg=config.model.train_cfg.rcnn,
                 test_cfg=config.model.test_cfg.rcnn))
    box = head.bbox_roi_extractor
    sides = {'box RoI': box.roi_layers[0].output_size}
    x = torch.empty(3, box.out_channels, *sides['box RoI'], device='meta')
    if head.with_shared_head:
        x = head.shared_head(x)
        sides['shared'] = tuple(x.shape[1:])
    scores, deltas = head.bbox_head(x)
    sides.update(scores=scores.shape[1], deltas=deltas.shape[1])
    if not head.share_roi_extractor:
        mask = head.mask_roi_extractor
        sides['mask RoI'] = mask.roi_layers[0].output_size
        x = torch.empty(3, mask.out_channels, *sides['mask RoI'],
                        device='meta')
    sides['masks'] = tuple(head.mask_head(x).shape[1:])
    return sides, head


def test_heads_have_the_shapes_of_figure_4():
    sides, head = shapes_of_heads(C4)
    assert sides == {
        'box RoI': (7, 7), 'shared': (2048, 7, 7), 'scores': 81,
        'deltas': 320, 'masks': (80, 14, 14)
    }
    assert head.shared_head.layer4[0].conv2.stride == (1, 1)
    assert head.mask_head.upsample.out_channels == 256
    sides, head = shapes_of_heads(FPN)
    assert sides == {
        'box RoI': (7, 7), 'scores': 81, 'deltas': 320,
        'mask RoI': (14, 14), 'masks': (80, 28, 28)
    }
    assert [(c.conv.out_channels, c.conv.kernel_size)
            for c in head.mask_head.convs] == [(256, (3, 3))] * 4
    assert [fc.out_features for fc in head.bbox_head.shared_fcs] == [1024] * 2


@pytest.mark.parametrize('name, size', [(C4, 14), (FPN, 28)])
def test_mask_targets_have_the_size_of_the_masks(name, size):
    assert load(name).model.train_cfg.rcnn.mask_size == size


class Sampled:
    """What a mask head asks of a sampling result."""

    def __init__(self, boxes, inds, labels):
        self.pos_priors = self.pos_bboxes = torch.tensor(boxes).float()
        self.pos_assigned_gt_inds = torch.tensor(inds)
        self.pos_gt_labels = torch.tensor(labels)


def two_objects():
    """Two 8x8 objects, a square and a triangle, seen whole by two RoIs."""
    from mmdet.structures.mask import BitmapMasks
    masks = np.zeros((2, 16, 16), np.uint8)
    masks[0, 2:6, 4:8] = 1
    masks[1, 8:, 8:] = np.tril(np.ones((8, 8), np.uint8))
    truth = InstanceData(masks=BitmapMasks(masks, 16, 16))
    sampled = Sampled([[0., 0., 8., 8.], [8., 8., 16., 16.]], [0, 1], [2, 0])
    inside = masks[0, :8, :8], masks[1, 8:, 8:]
    return [sampled], [truth], Config(dict(mask_size=8)), inside


def mask_head(name, **options):
    cfg = dict(load(name).model.roi_head.mask_head, **options)
    cfg.update(num_classes=3, in_channels=4, conv_out_channels=4)
    return MODELS.build(cfg)


def test_mask_loss_is_the_mean_over_the_true_class_alone():
    samples, truths, cfg, inside = two_objects()
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 3, 8, 8, generator=generator).requires_grad_()
    loss = mask_head(C4).loss_and_target(
        x, samples, truths, cfg)['loss_mask']['loss_mask']
    terms = []
    for roi, (true, mask) in enumerate(zip((2, 0), inside, strict=True)):
        for row in range(8):
            for column in range(8):
                p = 1 / (1 + math.exp(-x[roi, true, row, column].item()))
                terms.append(-math.log(p if mask[row, column] else 1 - p))
    assert loss.item() == pytest.approx(sum(terms) / len(terms), rel=1e-5)
    loss.backward()
    assert x.grad[0, 2].abs().min() > 0 and x.grad[1, 0].abs().min() > 0
    assert x.grad[0, :2].abs().max() == 0 and x.grad[1, 1:].abs().max() == 0


def test_softmax_lets_classes_and_background_compete():
    samples, truths, cfg, inside = two_objects()
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 4, 8, 8, generator=generator).requires_grad_()
    loss = mask_head(SOFTMAX).loss_and_target(
        x, samples, truths, cfg)['loss_mask']['loss_mask']
    terms = []
    for roi, (true, mask) in enumerate(zip((2, 0), inside, strict=True)):
        for row in range(8):
            for column in range(8):
                powers = [math.exp(v) for v in x[roi, :, row, column]]
                wanted = true if mask[row, column] else 3
                terms.append(-math.log(powers[wanted] / sum(powers)))
    assert loss.item() == pytest.approx(sum(terms) / len(terms), rel=1e-5)
    loss.backward()
    assert x.grad.abs().amin((2, 3)).min() > 0


def test_softmax_cuts_the_probability_of_the_boxs_class_at_a_half():
    head = mask_head(SOFTMAX)
    x = torch.zeros(1, 4, 2, 2)
    # Class 1 has 0.6, 0.4, 0.5 and a hair less; 0 and background the rest.
    for at, p in zip(((0, 0), (0, 1), (1, 0), (1, 1)), (0.6, 0.4, 0.5, 0.49),
                     strict=True):
        x[0, 1, at[0], at[1]] = math.log(3 * p / (1 - p))
    found = InstanceData(
        bboxes=torch.tensor([[0., 0., 2., 2.]]), labels=torch.tensor([1]),
        scores=torch.ones(1))
    meta = dict(scale_factor=(1., 1.), ori_shape=(2, 2))
    [found] = head.predict_by_feat((x, ), [found], [meta],
                                   Config(dict(mask_thr_binary=0.499)))
    assert found.masks.tolist() == [[[True, False], [True, False]]]


@pytest.mark.parametrize('name', [C4, SOFTMAX])
def test_no_positive_roi_gives_no_mask_loss(name):
    head = mask_head(name)
    x = head(torch.zeros(0, 4, 7, 7))
    _, truths, cfg, _ = two_objects()
    empty = Sampled([], [], [])
    empty.pos_priors = torch.zeros(0, 4)
    empty.pos_gt_labels = torch.zeros(0, dtype=torch.long)
    empty.pos_assigned_gt_inds = torch.zeros(0, dtype=torch.long)
    loss = head.loss_and_target(x, [empty], truths,
                                cfg)['loss_mask']['loss_mask']
    loss.backward()
    assert loss == 0


def test_softmax_refuses_masks_of_no_class():
    cfg = load(SOFTMAX).model.roi_head.mask_head
    with pytest.raises(ValueError, match='must be False, got True'):
        MODELS.build(dict(cfg, class_agnostic=True))


@pytest.mark.filterwarnings('ignore')
def test_softmax_takes_mmdets_losses_of_softmax_alone():
    """The others are refused, or raise; none gives a number of sigmoids."""
    samples, truths, cfg, inside = two_objects()
    x = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    labels = torch.stack([
        torch.where(torch.from_numpy(mask) > 0, true, 3)
        for true, mask in zip((2, 0), inside, strict=True)
    ])
    takes, refused = {}, {}
    for name, kind in MODELS.module_dict.items():
        if not kind.__module__.startswith('mmdet.models.losses'):
            continue
        try:
            head = mask_head(SOFTMAX, loss_mask=dict(type=name))
            loss = head.loss_and_target(
                x, samples, truths, cfg)['loss_mask']['loss_mask']
        except Exception as error:
            refused[name] = repr(error)
        else:
            takes[name] = loss
    print('refused:', *refused.items(), sep='\n')
    assert set(takes) == {'CrossEntropyLoss'}
    torch.testing.assert_close(
        takes['CrossEntropyLoss'],
        torch.nn.functional.cross_entropy(x, labels))
    assert 'must be a loss of softmax' in refused['FocalLoss']


def extract(name, maps, rois):
    extractor = dict(load(name).model.roi_head.bbox_roi_extractor)
    extractor['out_channels'] = maps.shape[1]
    return MODELS.build(extractor)((maps, ), torch.tensor(rois))


def ramp(height, width):
    """f(y, x) = 3 y + x, of which bilinear interpolation is exact."""
    return (3. * torch.arange(height)[:, None] + torch.arange(width))[None,
                                                                      None]


def sampled_bins(x1, y1, x2, y2, take):
    """7x7 bins of four samples of the ramp each, corners in map pixels."""
    width, height = (x2 - x1) / 7, (y2 - y1) / 7
    return torch.tensor([[
        take([
            3 * (y1 + (row + dy) * height) + x1 + (column + dx) * width
            for dy in (0.25, 0.75) for dx in (0.25, 0.75)
        ]) for column in range(7)
    ] for row in range(7)])


def mean(values):
    return sum(values) / len(values)


# Corners no rounding leaves alone; the halves are those of a stride of 16.
BOX = (40., 24., 190., 131.)


@pytest.mark.parametrize('name, take', [
    (C4, mean), ('mask-rcnn-roialign-max_r50-c4_8xb2-160k_coco', max)
], ids=['ave', 'max'])
def test_roi_align_takes_four_exact_samples_a_bin(name, take):
    found = extract(name, ramp(12, 16), [[0., *BOX]])
    x1, y1, x2, y2 = (side / 16 for side in BOX)
    torch.testing.assert_close(found[0, 0],
                               sampled_bins(x1, y1, x2, y2, take))


@pytest.mark.parametrize('kind, take', [('ave', mean), ('max', max)])
def test_roi_warp_samples_a_rounded_roi(kind, take):
    found = extract(f'mask-rcnn-roiwarp-{kind}_r50-c4_8xb2-160k_coco',
                    ramp(12, 16), [[0., *BOX]])
    # 2.5, 1.5, 11.875 and 8.1875, halves upwards; the last pixel is inside.
    torch.testing.assert_close(found[0, 0],
                               sampled_bins(3., 2., 13., 9., take))


def test_roi_pool_takes_maxima_of_whole_pixels():
    generator = torch.Generator().manual_seed(0)
    maps = torch.randn(2, 3, 12, 16, generator=generator)
    found = extract('mask-rcnn-roipool_r50-c4_8xb2-160k_coco', maps,
                    [[1., *BOX]])
    x1, y1, x2, y2 = 3, 2, 12, 8
    for row in range(7):
        for column in range(7):
            height, width = (y2 - y1 + 1) / 7, (x2 - x1 + 1) / 7
            bin_ = maps[1, :,
                        y1 + math.floor(row * height):
                        y1 + math.ceil((row + 1) * height),
                        x1 + math.floor(column * width):
                        x1 + math.ceil((column + 1) * width)]
            assert torch.equal(found[0, :, row, column], bin_.amax((1, 2)))


def test_an_unknown_roi_layer_is_named():
    with pytest.raises(ValueError, match=r"\['RoIPool', 'RoIWarp'\], got 'x'"):
        MODELS.build(
            dict(type='mmdense.QuantizingRoIExtractor', out_channels=1,
                 roi_layer=dict(type='x', output_size=7),
                 featmap_strides=[16]))


@pytest.fixture(scope='module')
def scenes(tmp_path_factory):
    """Six images: the first two lose their objects, one way and another."""
    folder = tmp_path_factory.mktemp('scenes')
    make_detection_set(
        folder, train=6, val=2, size=(64, 64), difficulty='easy',
        classes=CLASSES, workers=1)
    file = folder / 'annotations/instances_train.json'
    content = json.loads(file.read_text())
    empty, flat = (image['id'] for image in content['images'][:2])
    kept = []
    for thing in content['annotations']:
        if thing['image_id'] == empty:
            continue
        if thing['image_id'] == flat:
            thing['bbox'][2] = 0
        kept.append(thing)
    file.write_text(json.dumps(dict(content, annotations=kept)))
    return folder


def runner(scenes, work_dir, **changes):
    config = load(QUICK)
    config.merge_from_dict({
        'train_cfg.max_iters': 3,
        'train_cfg.val_interval': 3,
        'param_scheduler.0.total_steps': 3,
        'default_hooks.checkpoint.interval': 3,
        'default_hooks.logger.interval': 1,
        'train_dataloader.batch_size': 2,
        'train_dataloader.batch_sampler': None,
        'train_dataloader.sampler.shuffle': False,
        'train_dataloader.dataset.filter_cfg.filter_empty_gt': False,
        'model.roi_head.bbox_head.num_classes': 2,
        'model.roi_head.mask_head.num_classes': 2,
    } | {
        f'{split}_dataloader.{key}': value
        for split in ('train', 'val', 'test') for key, value in {
            'dataset.data_root': f'{scenes}/',
            'dataset.metainfo.classes': CLASSES,
            'num_workers': 0,
            'persistent_workers': False
        }.items()
    } | {
        f'{split}_evaluator.ann_file':
        f'{scenes}/annotations/instances_val.json'
        for split in ('val', 'test')
    } | changes)
    config.work_dir = str(work_dir)
    config.experiment_name = f'{Path(work_dir).name}-{time.time_ns()}'
    return Runner.from_cfg(config)


def test_quick_recipe_trains_and_tests_with_objectless_images(
        scenes, tmp_path):
    """The first batch holds an empty image and one of boxes without area."""
    trained = runner(scenes, tmp_path)
    first = trained.train_dataloader.dataset
    assert [len(first[i]['data_samples'].gt_instances) for i in (0, 1)
            ] == [0, 0]
    assert len(first[2]['data_samples'].gt_instances) > 0
    trained.train()
    for name in ('loss_mask', 'loss_cls', 'loss_rpn_cls'):
        values = trained.message_hub.get_scalar(f'train/{name}').data[0]
        assert len(values) == 3 and np.isfinite(values).all()
    masks = trained.message_hub.get_scalar('train/loss_mask').data[0]
    assert masks[0] == 0 and masks[1] > 0
    found = runner(scenes, tmp_path / 'test',
                   load_from=str(tmp_path / 'iter_3.pth')).test()
    assert {'coco/bbox_mAP', 'coco/segm_mAP', 'coco/segm_mAP_75',
            'coco/segm_mAP_s'} <= set(found)


def test_a_mask_of_another_size_stops_training(scenes, tmp_path):
    folder = tmp_path / 'set'
    shutil.copytree(scenes, folder)
    file = folder / 'annotations/instances_train.json'
    content = json.loads(file.read_text())
    content['annotations'][-1]['segmentation'] = dict(
        size=[10, 10], counts=[50, 20, 30])
    file.write_text(json.dumps(content))
    dataset = runner(folder, tmp_path / 'work').train_dataloader.dataset
    with pytest.raises(ValueError, match='reshape|same shape'):
        dataset[5]
