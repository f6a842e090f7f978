"""FlatteNet's detection recipes, and their network in mmdet's runner."""
import shutil
import time
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import torch

pytest.importorskip('mmdet')

from mmdet.models.test_time_augs import DetTTAModel  # noqa: E402
from mmdet.registry import DATASETS, MODELS, TRANSFORMS  # noqa: E402
from mmdet.structures import DetDataSample  # noqa: E402
from mmengine.config import Config  # noqa: E402
from mmengine.dataset import Compose  # noqa: E402
from mmengine.registry import init_default_scope  # noqa: E402
from mmengine.runner import Runner  # noqa: E402
from mmengine.structures import InstanceData  # noqa: E402

from mmdense import networks  # noqa: E402
from mmdense.datasets import make_detection_set  # noqa: E402

CONFIGS = Path(__file__).parents[2] / 'configs' / 'mmdet' / 'flattenet'
FLATTENET = 'centernet-flattenet_r101-dcnv2_1xb8-70e_voc0712'
CENTERNET = 'centernet_r101-dcnv2_1xb8-70e_voc0712'
QUICK = 'centernet-flattenet_r18_quick_synthetic'
BCCD = 'centernet-flattenet_r18_1xb8-20e_bccd'
CLASSES = ('car', 'cat', 'person')


def load(name):
    return Config.fromfile(CONFIGS / f'{name}.py')


def test_network_is_that_of_table_9():
    config = load(FLATTENET)
    neck = config.model.neck
    assert neck.upscale == 8
    assert neck.layers == [
        dict(groups_first=32, groups_second=32, kernel_size=5, multiplier=2)
    ]
    with torch.device('meta'):
        model = networks.build_model(config)
    deformable = {
        name: module
        for name, module in model.named_modules()
        if type(module).__name__ == 'ModulatedDeformConv2dPack'
    }
    assert list(deformable) == [
        f'backbone.layer4.{block}.conv2' for block in range(3)
    ]
    assert {m.deform_groups for m in deformable.values()} == {1}


@pytest.mark.parametrize('name', [FLATTENET, CENTERNET])
def test_training_is_that_of_section_4c(name):
    config = load(name)
    wrapper = config.optim_wrapper
    assert wrapper.optimizer == dict(type='Adam', lr=1.25e-4)
    assert wrapper.clip_grad is None
    [steps] = config.param_scheduler
    assert steps == dict(
        type='MultiStepLR', end=70, milestones=[45, 60], by_epoch=True)
    assert config.train_cfg.max_epochs == 70
    assert config.train_dataloader.batch_size == 8
    parts = config.train_dataloader.dataset.datasets
    assert [part.ann_file for part in parts] == [
        f'VOC20{year}/ImageSets/Main/trainval.txt' for year in ('07', '12')
    ]
    for part in parts:
        [crop] = [
            step for step in part.pipeline
            if step.type == 'RandomCenterCropPad'
        ]
        assert tuple(crop.crop_size) == (512, 512)
        assert (min(crop.ratios), max(crop.ratios)) == (0.6, 1.4)
        assert 'bbox_min_size' not in part.filter_cfg
    test = config.test_dataloader.dataset
    assert test.ann_file == 'VOC2007/ImageSets/Main/test.txt'
    assert config.test_evaluator == dict(
        type='VOCMetric', metric='mAP', eval_mode='11points')
    assert [step.prob for step in config.tta_pipeline[1].transforms[0]
            ] == [0, 1]


def test_the_two_differ_in_neck_and_backbone_alone():
    ours, theirs = load(FLATTENET), load(CENTERNET)
    assert {key for key in ours if ours[key] != theirs[key]} == {'model'}
    assert {
        key
        for key in ours.model if ours.model[key] != theirs.model[key]
    } == {'neck', 'backbone'}


@pytest.fixture(scope='module')
def scenes(tmp_path_factory):
    folder = tmp_path_factory.mktemp('scenes')
    make_detection_set(
        folder, train=6, val=2, size=(72, 100), difficulty='easy',
        classes=CLASSES, workers=1)
    return folder


def options(scenes, **changes):
    given = {
        'train_cfg.max_epochs': 1,
        'train_cfg.val_interval': 1,
        'param_scheduler.0.total_steps': 1,
        'default_hooks.checkpoint.interval': 1,
        'default_hooks.logger.interval': 1,
        'train_dataloader.batch_size': 3,
        'train_dataloader.dataset.ann_file':
        'VOC2007/ImageSets/Main/train.txt',
        'train_dataloader.dataset.metainfo.classes': CLASSES,
        'model.bbox_head.num_classes': len(CLASSES),
    }
    for split in ('train', 'val', 'test'):
        given[f'{split}_dataloader.dataset.data_root'] = f'{scenes}/'
        given[f'{split}_dataloader.dataset.metainfo.classes'] = CLASSES
        given[f'{split}_dataloader.num_workers'] = 0
        given[f'{split}_dataloader.persistent_workers'] = False
    for split in ('val', 'test'):
        given[f'{split}_dataloader.dataset.ann_file'] = \
            'VOC2007/ImageSets/Main/val.txt'
    return given | changes


def config_for(name, scenes, work_dir, **changes):
    config = load(name)
    config.merge_from_dict(options(scenes, **changes))
    config.work_dir = str(work_dir)
    config.experiment_name = f'{Path(work_dir).name}-{time.time_ns()}'
    return config


def run(scenes, work_dir, **changes):
    return Runner.from_cfg(config_for(QUICK, scenes, work_dir, **changes))


def scalars(runner, name):
    return np.array(
        runner.message_hub.get_scalar(f'train/{name}').data[0])


def test_one_epoch_trains_and_tests(scenes, tmp_path):
    runner = run(scenes, tmp_path)
    runner.train()
    assert len(scalars(runner, 'loss')) == 2
    assert np.isfinite(scalars(runner, 'loss')).all()
    tester = run(scenes, tmp_path / 'test',
                 load_from=str(tmp_path / 'epoch_1.pth'))
    assert 0 <= tester.test()['pascal_voc/mAP'] <= 1


def test_a_crop_the_stride_does_not_divide_is_padded(scenes, tmp_path):
    """Or else the centres of 100 pixels would lie on a map of 128."""
    config = config_for(QUICK, scenes, tmp_path)
    init_default_scope('mmdet')
    model = MODELS.build(config.model)
    sample = DetDataSample(
        gt_instances=InstanceData(
            bboxes=torch.tensor([[40., 20., 60., 44.]]),
            labels=torch.tensor([1])),
        metainfo=dict(img_shape=(72, 100), ori_shape=(72, 100)))
    data = model.data_preprocessor(
        dict(
            inputs=[torch.zeros(3, 72, 100, dtype=torch.uint8)] * 2,
            data_samples=[sample, sample.clone()]),
        training=True)
    assert data['inputs'].shape == (2, 3, 96, 128)
    heatmaps = model(**data, mode='tensor')[0]
    targets, _ = model.bbox_head.get_targets(
        [s.gt_instances.bboxes for s in data['data_samples']],
        [s.gt_instances.labels for s in data['data_samples']],
        heatmaps[0].shape, data['data_samples'][0].batch_input_shape)
    peak = targets['center_heatmap_target'][0, 1].flatten().argmax()
    assert divmod(peak.item(), 32) == (32 // 4, 50 // 4)
    losses = model(**data, mode='loss')
    assert all(torch.isfinite(loss) for loss in losses.values())


@pytest.mark.parametrize('boxes', [
    [],
    [[10, 10, 10, 10]],
    [[10, 10, 40, 10]],
    [[0, 0, 0, 0]],
    [[40, 40, 10, 10]],
], ids=['none', 'point', 'line', 'corner', 'inverted'])
def test_the_loss_stays_finite_for(boxes, scenes, tmp_path):
    config = config_for(QUICK, scenes, tmp_path)
    init_default_scope('mmdet')
    model = MODELS.build(config.model)
    sample = DetDataSample(
        gt_instances=InstanceData(
            bboxes=torch.tensor(boxes).reshape(-1, 4).float(),
            labels=torch.zeros(len(boxes), dtype=torch.long)),
        metainfo=dict(img_shape=(64, 96), batch_input_shape=(64, 96)))
    losses = model.loss(torch.randn(2, 3, 64, 96), [sample, sample.clone()])
    sum(losses.values()).backward()
    assert all(torch.isfinite(loss) for loss in losses.values())
    assert all(p.grad.isfinite().all() for p in model.parameters()
               if p.grad is not None)


def rewrite(scenes, folder, boxes):
    """The set again, with only ``boxes`` (VOC's corners) in its images."""
    shutil.copytree(scenes, folder)
    for path in (folder / 'VOC2007/Annotations').iterdir():
        tree = ElementTree.parse(path)
        for thing in tree.findall('object'):
            tree.getroot().remove(thing)
        for box in boxes:
            thing = ElementTree.SubElement(tree.getroot(), 'object')
            ElementTree.SubElement(thing, 'name').text = 'cat'
            corners = ElementTree.SubElement(thing, 'bndbox')
            for tag, value in zip(('xmin', 'ymin', 'xmax', 'ymax'), box,
                                  strict=True):
                ElementTree.SubElement(corners, tag).text = str(value)
        tree.write(path)
    return folder


@pytest.mark.parametrize('name', [QUICK, BCCD])
def test_boxes_without_area_are_not_trained_on(name, scenes, tmp_path):
    """The second is BloodImage_00343's kind, the last stands in a corner."""
    folder = rewrite(scenes, tmp_path / 'set', [
        (30, 20, 60, 50), (40, 30, 40, 60), (40, 30, 60, 30), (1, 1, 1, 1)
    ])
    config = config_for(name, folder, tmp_path)
    init_default_scope('mmdet')
    dataset = DATASETS.build(config.train_dataloader.dataset)
    assert len(dataset) == 6
    for sample in dataset:
        boxes = sample['data_samples'].gt_instances.bboxes
        assert len(boxes) <= 1
        assert (boxes.widths > 0).all() and (boxes.heights > 0).all()


@pytest.mark.parametrize('name', [FLATTENET, CENTERNET, QUICK, BCCD])
def test_every_recipe_drops_boxes_without_area_before_it_crops(name):
    dataset = load(name).train_dataloader.dataset
    for part in dataset.get('datasets', [dataset]):
        steps = [step.type for step in part.pipeline]
        assert steps.index('FilterAnnotations') == \
            steps.index('LoadAnnotations') + 1
        [step] = [s for s in part.pipeline if s.type == 'FilterAnnotations']
        assert step.min_gt_bbox_wh == (0, 0) and not step.keep_empty


@pytest.mark.parametrize('boxes', [[], [(1, 1, 1, 1)]])
def test_images_without_objects_train_the_heatmap_alone(
        boxes, scenes, tmp_path):
    folder = rewrite(scenes, tmp_path / 'set', boxes)
    runner = run(folder, tmp_path / 'work',
                 **{'train_dataloader.dataset.filter_cfg.filter_empty_gt':
                    False})
    runner.train()
    assert (scalars(runner, 'loss_center_heatmap') > 0).all()
    assert (scalars(runner, 'loss_wh') == 0).all()
    assert (scalars(runner, 'loss_offset') == 0).all()
    assert all(p.isfinite().all() for p in runner.model.parameters())


def test_a_checkpoint_of_other_classes_is_refused(scenes, tmp_path):
    run(scenes, tmp_path).train()
    other = run(scenes, tmp_path / 'test',
                load_from=str(tmp_path / 'epoch_1.pth'),
                **{'model.bbox_head.num_classes': 4})
    with pytest.raises(ValueError, match=r'heatmap_head.2.weight: '
                       r'\(3, 32, 1, 1\) there, \(4, 32, 1, 1\) here'):
        other.test()


def perfect(head, boxes, labels, shape):
    """The outputs that the head should give for boxes in input pixels."""
    size = (1, head.num_classes, shape[0] // 4, shape[1] // 4)
    targets, _ = head.get_targets([boxes], [labels], size, shape)
    return ([targets['center_heatmap_target']], [targets['wh_target']],
            [targets['offset_target']])


@pytest.mark.parametrize('name', [FLATTENET, QUICK])
@pytest.mark.parametrize('view', ['plain', 'flipped'])
def test_boxes_return_to_the_image_they_came_from(name, view, tmp_path):
    """Through resizing, padding and the flip test, sides unequal."""
    config = load(name)
    init_default_scope('mmdet')
    head = MODELS.build(dict(config.model.bbox_head,
                             test_cfg=config.model.test_cfg))
    image = np.zeros((75, 201, 3), np.float32)
    boxes = torch.tensor([[20., 10., 60., 70.], [101., 5., 199., 40.]])
    results = dict(img=image, img_shape=(75, 201), ori_shape=(75, 201),
                   img_id=1, img_path='', instances=[])
    steps = config.tta_pipeline[1].transforms
    flip = dict(steps[0][['plain', 'flipped'].index(view)])
    pipeline = Compose([
        TRANSFORMS.build(step)
        for step in (flip, *steps[1], *steps[2], *steps[3], *steps[4])
    ])
    meta = dict(pipeline(results)['data_samples'].metainfo)
    scale = torch.tensor(meta['scale_factor']).repeat(2)
    border = torch.tensor(meta['border'])[[2, 0, 2, 0]]
    seen = boxes.clone()
    if view == 'flipped':
        seen[:, [0, 2]] = 201 - boxes[:, [2, 0]]
    labels = torch.tensor([1, 2])
    meta['batch_input_shape'] = meta['img_shape']
    [found] = head.predict_by_feat(
        *perfect(head, seen * scale + border, labels, meta['img_shape']),
        [meta])
    best = found.scores.argsort(descending=True)[:2]
    best = best[found.labels[best].argsort()]
    back = DetTTAModel.merge_aug_bboxes(None, [found.bboxes[best]], None,
                                        [meta])
    assert found.labels[best].tolist() == [1, 2]
    torch.testing.assert_close(back, boxes, atol=1e-2, rtol=0)
