"""What users' own data sets most often hold that no training says."""
import copy
import json
import logging
from types import SimpleNamespace

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.registry import DATASETS, DefaultScope
from PIL import Image

from mmdense.datasets.checks import labels as label_check
from mmdense.datasets.checks.data import (
    DataWarning,
    config_faults,
)
from mmdense.engine.data_check_hook import DataCheckHook

TWO = ('ground', 'cell')
LOAD = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations')]


@pytest.fixture
def mmseg():
    pytest.importorskip('mmseg.datasets')


def picture(shape=(20, 30, 3), top=256, dtype=np.uint8):
    return np.random.default_rng(0).integers(0, top, shape, dtype)


def seg_set(folder, labels, images=None, classes=TWO, steps=LOAD, model=None,
            **options):
    """A config of as many samples as there are labels."""
    for name, pictures in dict(
            images=images or [picture()] * len(labels), labels=labels).items():
        (folder / name).mkdir()
        for k, one in enumerate(pictures):
            path = folder / name / f'{k:03}.png'
            one = one if isinstance(one, Image.Image) else \
                Image.fromarray(np.asarray(one))
            one.save(path, exif=one.getexif())
    return Config(dict(
        default_scope='mmseg',
        model=dict(decode_head=dict(num_classes=9), **(model or {})),
        train_dataloader=dict(dataset=dict(
            type='BaseSegDataset',
            data_root=str(folder),
            data_prefix=dict(img_path='images', seg_map_path='labels'),
            img_suffix='.png',
            metainfo=dict(classes=classes),
            pipeline=steps,
            **options))))


def label(*values, shape=(20, 30), dtype=np.uint8):
    return np.resize(np.array(values, dtype), shape)


def faults(config, **options):
    return list(config_faults(config, 'train_dataloader', **options))


@pytest.mark.parametrize('decode', [False, True])
def test_labels_of_0_and_255_train_on_background_alone(mmseg, tmp_path,
                                                       decode):
    config = seg_set(tmp_path, [label(0, 255)] * 3)
    fault, = faults(config, decode=decode)
    assert fault == (
        'labels of 2 classes must show more than one, got 3 labels with the '
        'values [0] (ground) alone, and 255, which is ignored; '
        "dict(type='mmdense.LabelsFromValues', values=[0, 255]) behind "
        'LoadAnnotations makes 0, 1 of them')
    steps = [*LOAD, dict(type='mmdense.LabelsFromValues', values=[0, 255]),
             dict(type='mmdense.BorderWeights', frequencies=[.5, .5]),
             dict(type='mmdense.MirrorPad', context=2)]
    config.train_dataloader.dataset.pipeline = steps
    assert faults(config) == []


def test_a_class_that_a_label_in_the_middle_shows_is_found(
        mmseg, tmp_path, monkeypatch):
    monkeypatch.setattr(label_check, 'READ', 2)
    labels = [label(0, 255)] * 6
    labels[4] = label(0, 1)
    assert faults(seg_set(tmp_path, labels)) == []


def test_labels_from_1_lose_a_class_with_reduce_zero_label(mmseg, tmp_path):
    config = seg_set(tmp_path, [label(0, 1)], reduce_zero_label=True)
    assert 'reduce_zero_label=True has made 255 of 0' in faults(config)[0]


@pytest.mark.parametrize('values, found', [
    ((0, 1, 7), '[7]'),
    (range(0, 250, 10), '[10, 20, 30, 40, 50, 60, 70, 80, 90, 100, ... 24 '
     'in all]'),
])
def test_values_above_the_classes_are_named(mmseg, tmp_path, values, found):
    fault, = faults(seg_set(tmp_path, [label(0, 1), label(*values)]))
    assert fault == (
        f'{tmp_path}/labels/001.png: labels must be 0 to 1 for the 2 classes,'
        f' or 255 where nothing counts, got {found}')


def test_values_of_a_picture_get_their_remedy(mmseg, tmp_path):
    fault, = faults(seg_set(
        tmp_path, [label(0, 128, 255)] * 2, classes=(*TWO, 'rim')))
    assert fault.startswith(f'{tmp_path}/labels/000.png (and 1 more): ')
    assert 'got [128]; ' in fault and 'values=[0, 128, 255])' in fault


def test_label_pictures_in_colour_are_named(mmseg, tmp_path):
    colours = np.tile(np.array([[0, 0, 0], [255, 0, 9]], np.uint8),
                      (20, 15, 1))
    fault, = faults(seg_set(tmp_path, [label(0, 1), colours]))
    assert 'labels/001.png: a label picture must have one value a' in fault
    assert '[(0, 0, 0), (255, 0, 9)]' in fault


def test_labels_of_16_bits_are_not_taken_modulo_256(mmseg, tmp_path):
    fault, = faults(seg_set(tmp_path, [label(0, 1, 256, dtype=np.uint16)]))
    assert 'reads labels of 8 bits, got the values [256]' in fault


def test_a_step_that_refuses_a_label_is_heard(mmseg, tmp_path):
    steps = [*LOAD, dict(type='mmdense.LabelsFromValues', values=[0, 255])]
    fault, = faults(seg_set(tmp_path, [label(0, 3)], steps=steps))
    assert fault.startswith(f'{tmp_path}/labels/000.png: does not load: '
                            'ValueError: pixels must be of [0, 255], got [3]')


@pytest.mark.parametrize('change, message', [
    ({}, None),
    (dict(label=label(0, 3)), 'pixels must be of [0, 1], got [3]'),
    (dict(label=label(0, shape=(20, 30))), 'must show more than one'),
    (dict(label=np.zeros((20, 30, 3), np.uint8)), 'one channel of integers'),
    (dict(ids=np.zeros((20, 30, 3), np.uint8)), 'one channel of integers'),
    (dict(ids=label(0, 7, shape=(30, 20))),
     'must have the size of gt_seg_map, (20, 30), got (30, 20)'),
    (dict(ids=None), 'No such file'),
])
@pytest.mark.parametrize('ending', ['Weighted', 'Instance'])
def test_labels_with_numbers_of_cells_are_looked_at(
        mmseg, tmp_path, change, message, ending):
    pictures = dict(
        dict(label=label(0, 1), ids=label(0, 300, dtype=np.uint16)), **change)
    config = seg_set(tmp_path, [pictures['label']], steps=[
        dict(type='LoadImageFromFile'),
        dict(type='mmdense.LoadLabels'),
        dict(type='mmdense.LabelsFromValues', values=[0, 1]),
        dict(type='mmdense.LoadInstances', folder='ids'),
        dict(type='mmdense.MaskFromInstances', margin=0),
        dict(type='mmdense.BorderWeights'),
        dict(type='mmdense.ElasticDeformation'),
        dict(type=f'mmdense.Pack{ending}SegInputs')
    ])
    (tmp_path / 'ids').mkdir()
    if pictures['ids'] is not None:
        Image.fromarray(pictures['ids']).save(tmp_path / 'ids/000.png')
    found = faults(config)
    assert len(found) == (message is not None)
    assert message is None or message in found[0]


def test_numbers_of_cells_are_looked_at_without_labels(mmseg, tmp_path):
    steps = [dict(type='LoadImageFromFile'),
             dict(type='mmdense.LoadInstances'),
             dict(type='mmdense.MaskFromInstances')]
    config = seg_set(tmp_path, [label(0, shape=(20, 30))], steps=steps)
    assert 'got 1 labels with the values [0]' in faults(config)[0]


class NeedsImage:
    """A user's own step."""

    def __call__(self, results):
        results['gt_seg_map'] = np.minimum(results['img'][..., 0], 1)
        return results


def test_labels_that_a_step_makes_of_the_image_are_not_judged(
        mmseg, tmp_path):
    config = seg_set(tmp_path, [label(0, 9)])
    assert faults(config)
    config.train_dataloader.dataset.pipeline = [*LOAD, NeedsImage()]
    assert faults(config) == []


def test_a_head_with_too_few_channels_is_named(mmseg, tmp_path):
    model = dict(auxiliary_head=[dict(num_classes=2), dict(num_classes=1)])
    fault, = faults(seg_set(tmp_path, [label(0, 1)], model=model))
    assert fault == ('num_classes of model.auxiliary_head must be 2, for the '
                     'classes ground, cell, got 1')


def test_a_set_without_samples_says_where_it_looked(mmseg, tmp_path):
    config = seg_set(tmp_path, [label(0, 1)] * 2)
    config.train_dataloader.dataset.img_suffix = '.tif'
    fault, = faults(config)
    assert fault == (f"{tmp_path}/images (img_suffix='.tif'; files: 2 "
                     '.png): holds no sample')


def turned(array, orientation=6):
    image = Image.fromarray(array)
    image.getexif()[274] = orientation
    return image


@pytest.mark.parametrize('color_type, right', [
    ('color', (30, 20)), ('color_ignore_orientation', (20, 30))])
def test_a_label_has_the_size_that_its_photograph_is_loaded_with(
        mmseg, tmp_path, color_type, right):
    """Stored 20 high and 30 wide, shown upright."""
    steps = [dict(LOAD[0], color_type=color_type), LOAD[1]]
    config = seg_set(tmp_path, [label(0, 1, shape=right),
                                label(0, 1, shape=right[::-1])],
                     [turned(picture())] * 2, steps=steps)
    fault, = faults(config)
    assert fault.endswith(f'001.png: is {right[0]} x {right[1]}, its image '
                          f'{right[1]} x {right[0]}')


@pytest.mark.parametrize('shape, top, dtype, warned', [
    ((20, 30), 4096, np.uint16, 'holds 16 bits a pixel, values up to 40'),
    ((20, 30, 4), 256, np.uint8, 'has 4 channels, and the pipeline reads 3'),
    ((20, 30), 256, np.uint8, None),
])
def test_what_the_loader_drops_is_a_warning(mmseg, tmp_path, shape, top,
                                            dtype, warned):
    images = [picture(shape, top, dtype)] * 2
    config = seg_set(tmp_path, [label(0, 1)] * 2, images)
    found = faults(config)
    if warned is None:
        assert found == []
        return
    warning, = found
    assert isinstance(warning, DataWarning) and warned in warning
    steps = [dict(LOAD[0], color_type='unchanged'), LOAD[1]]
    config.train_dataloader.dataset.pipeline = steps
    assert faults(config) == []


def test_a_constant_alpha_channel_is_none(mmseg, tmp_path):
    opaque = np.dstack([picture(), np.full((20, 30), 255, np.uint8)])
    assert faults(seg_set(tmp_path, [label(0, 1)], [opaque])) == []


def test_the_hook_raises_for_faults_and_logs_warnings(mmseg, tmp_path,
                                                      caplog):
    deep = [picture((20, 30), 4096, np.uint16)]
    config = seg_set(tmp_path, [label(0, 255)], deep)
    with DefaultScope.overwrite_default_scope('mmseg'):
        dataset = DATASETS.build(config.train_dataloader.dataset)
    runner = SimpleNamespace(
        cfg=config, logger=logging.getLogger('data'), val_loop=None,
        train_dataloader=SimpleNamespace(dataset=dataset))
    with pytest.raises(ValueError, match='the training set has faults:\n'
                       'labels of 2 classes must show more than one'):
        DataCheckHook().before_train(runner)
    assert 'the training set: ' in caplog.text
    assert 'holds 16 bits a pixel' in caplog.text


def persons(path, folder, ids=(1, 2)):
    """A COCO file, its ids from 1, and its two images."""
    folder.mkdir(exist_ok=True)
    for k in (1, 2):
        Image.fromarray(picture()).save(folder / f'{path.stem}{k}.png')
    points = [5, 5, 2] * 17
    path.write_text(json.dumps(dict(
        images=[dict(id=k, file_name=f'{path.stem}{k}.png', width=30,
                     height=20) for k in (1, 2)],
        annotations=[dict(
            id=i, image_id=k, category_id=1, bbox=[1, 1, 9, 9], iscrowd=0,
            area=81, keypoints=points, num_keypoints=17)
            for k, i in zip((1, 1), ids, strict=True)],
        categories=[dict(id=1, name='person')])))
    return dict(type='CocoDataset', ann_file=str(path), data_mode='topdown',
                data_prefix=dict(img=str(folder)), pipeline=[])


def pose(dataset):
    return Config(dict(
        default_scope='mmpose', train_dataloader=dict(dataset=dataset)))


def test_two_files_may_count_their_annotations_from_1(tmp_path):
    pytest.importorskip('mmpose.datasets')
    parts = [persons(tmp_path / f'{name}.json', tmp_path / 'images')
             for name in 'ab']
    combined = dict(
        type='CombinedDataset', datasets=parts,
        metainfo=dict(from_file='configs/_base_/datasets/coco.py'),
        pipeline=[dict(type='LoadImage')])
    joined = dict(type='ConcatDataset', datasets=copy.deepcopy(parts))
    for dataset in (combined, dict(type='RepeatDataset', times=2,
                                   dataset=joined)):
        assert faults(pose(dataset)) == []
    persons(tmp_path / 'b.json', tmp_path / 'images', ids=(3, 3))
    fault, = faults(pose(combined))
    assert 'b1.png, sample 1, annotation 3: the annotation id is' in fault
    (tmp_path / 'a.json').write_text('')
    assert 'a.json: no annotations' in faults(pose(combined))[0]


def test_a_bottom_up_set_is_looked_at(tmp_path):
    pytest.importorskip('mmpose.datasets')
    dataset = dict(persons(tmp_path / 'a.json', tmp_path / 'images'),
                   data_mode='bottomup', test_mode=True)
    assert faults(pose(dataset)) == []
    persons(tmp_path / 'a.json', tmp_path / 'images', ids=(3, 3))
    fault, = faults(pose(dataset))
    assert 'annotation 3: the annotation id is there twice' in fault


def boxes(folder, names, classes, **options):
    (folder / 'images').mkdir(exist_ok=True)
    Image.fromarray(picture()).save(folder / 'images/1.png')
    path = folder / 'boxes.json'
    path.write_text(json.dumps(dict(
        images=[dict(id=1, file_name='1.png', width=30, height=20)],
        annotations=[dict(id=1, image_id=1, category_id=1, area=81,
                          bbox=[1, 1, 9, 9], iscrowd=0)],
        categories=[dict(id=k + 1, name=n) for k, n in enumerate(names)])))
    return Config(dict(
        default_scope='mmdet', train_dataloader=dict(dataset=dict(
            type='CocoDataset', ann_file=str(path), pipeline=[],
            data_prefix=dict(img=str(folder / 'images')),
            filter_cfg=dict(filter_empty_gt=True), **options,
            metainfo=dict(classes=classes)))))


EMPTY = ("(1 images, 1 annotations, 2 categories; filter_cfg={"
         "'filter_empty_gt': True}): holds no sample")


@pytest.mark.parametrize('classes, message, kind, more', [
    (('cell', ), None, None, ''),
    (('Cell', ), 'cell, rim, got Cell, which are not; metainfo', str, EMPTY),
    (('Cell', 'rim'), 'categories cell, rim, got Cell, which', str, EMPTY),
    (('cell', 'Rim'), 'cell, rim, got Rim, which', DataWarning, ''),
    (('rim', 'cell'), 'in the order of the categories, cell, rim, got rim',
     DataWarning, ''),
    ('cell', "must be a list of names, got the string 'cell'", str, ''),
])
def test_classes_are_those_of_the_categories(tmp_path, classes, message,
                                             kind, more):
    pytest.importorskip('mmdet.datasets')
    found = faults(boxes(tmp_path, ['cell', 'rim'], classes))
    if message is not None:
        fault = found.pop(0)
        assert message in fault and type(fault) is kind
    assert [f for f in found if not f.endswith(more)] == []
    assert len(found) == bool(more)


@pytest.mark.parametrize('steps, pictures, wrong', [
    ([dict(type='mmdense.LoadInstances'),
      dict(type='mmdense.MaskFromInstances')],
     [label(0, 0, 0, 7, 7, 7, 300, 300, 300, dtype=np.uint16)], 0),
    ([dict(type='mmdense.LoadLabels'),
      dict(type='mmdense.LabelsFromValues', values=[0, 256])],
     [label(0, 256, dtype=np.uint16)], 0),
    ([dict(type='mmdense.LoadLabels'),
      dict(type='mmdense.LabelsFromValues', values=[0, 256])],
     [label(0, 256, dtype=np.uint16), label(0, 9, dtype=np.uint16)], 1),
])
def test_labels_are_read_by_the_loaders_that_keep_16_bits(
        mmseg, tmp_path, steps, pictures, wrong):
    found = faults(seg_set(tmp_path, pictures, steps=[LOAD[0], *steps]))
    assert len(found) == wrong
    assert all('[9]' in fault and '001.png' in fault for fault in found)


def test_depth_beside_the_images_is_looked_at(mmseg, tmp_path):
    pytest.importorskip('mmdense.mmseg')
    config = seg_set(
        tmp_path, [label(0, 1)] * 3,
        steps=[*LOAD, dict(type='mmdense.LoadDepth', folder='metres')])
    (tmp_path / 'metres').mkdir()
    for name, shape in (('000', (20, 30)), ('001', (10, 30))):
        Image.fromarray(label(0, shape=shape)).save(
            tmp_path / 'metres' / f'{name}.png')
    size, missing = faults(config)
    assert size.endswith('metres/001.png: is 30 x 10, its image 30 x 20')
    assert 'metres/002.png: ' in missing
