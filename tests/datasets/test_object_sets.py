"""Scenes of VOC's things: labels, boxes and masks agree with each other."""
import json
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest
from PIL import Image

from mmdense.datasets import make_detection_set, make_segmentation_set
from mmdense.datasets.synthetic.objects import VOC_CLASSES, object_scene
from mmdense.datasets.synthetic.segmentation import label_map, voc_palette

HEIGHT, WIDTH = 96, 128


@pytest.fixture(scope='module')
def segmentation(tmp_path_factory):
    return make_segmentation_set(
        tmp_path_factory.mktemp('segmentation') / 'set', train=20, val=4,
        size=(HEIGHT, WIDTH), seed=2, workers=1)


@pytest.fixture(scope='module')
def detection(tmp_path_factory):
    return make_detection_set(
        tmp_path_factory.mktemp('detection') / 'set', train=20, val=4,
        size=(HEIGHT, WIDTH), seed=2, workers=1)


def test_labels_are_background_classes_or_rim(segmentation):
    found = set()
    for path in (segmentation / 'VOC2012/SegmentationClass').iterdir():
        picture = Image.open(path)
        labels = np.array(picture)
        assert picture.mode == 'P' and labels.shape == (HEIGHT, WIDTH)
        found |= set(np.unique(labels).tolist())
    # Twenty pictures run through the twenty classes.
    assert found == {*range(21), 255}


def test_label_files_carry_the_colours_of_voc(segmentation):
    path = next((segmentation / 'VOC2012/SegmentationClass').iterdir())
    palette = np.array(Image.open(path).getpalette()).reshape(-1, 3)
    assert palette[:3].tolist() == [[0, 0, 0], [128, 0, 0], [0, 128, 0]]
    assert palette[15].tolist() == [192, 128, 128]
    assert palette[255].tolist() == [224, 224, 192]


def test_every_thing_keeps_some_of_its_label_inside_a_rim():
    for index in range(20):
        _, things = object_scene(
            np.random.default_rng(index), (64, 64), 'hard', index,
            VOC_CLASSES)
        labels = label_map((64, 64), things)
        assert (labels == 255).any()
        for label, mask in things:
            assert (labels[mask] == label + 1).any()
            assert set(np.unique(labels[mask])) <= {label + 1, 255}


def test_a_large_thing_never_touches_the_background():
    mask = np.zeros((40, 40), bool)
    mask[10:30, 10:30] = True
    labels = label_map((40, 40), [(4, mask)])
    assert labels[20, 20] == 5 and labels[0, 0] == 0
    near = cv2.dilate((labels == 5).astype(np.uint8), np.ones((3, 3)))
    assert not (near.astype(bool) & (labels == 0)).any()


def test_fewer_classes_are_numbered_in_their_order(tmp_path):
    root = make_segmentation_set(
        tmp_path / 'set', train=4, val=0, size=(64, 64), workers=1,
        classes=('sofa', 'bird'), difficulty='easy')
    first = np.array(Image.open(root / 'VOC2012/SegmentationClass/'
                                '00000001.png'))
    assert set(np.unique(first)) <= {0, 1, 2, 255} and (first == 1).any()
    with pytest.raises(ValueError, match='classes must be .* got unicorn'):
        make_segmentation_set(tmp_path / 'x', classes=('sofa', 'unicorn'))
    with pytest.raises(ValueError, match='got none'):
        make_segmentation_set(tmp_path / 'x', classes=())


def test_mmseg_reads_the_segmentation_set(segmentation):
    pytest.importorskip('mmseg')
    from mmseg.datasets import PascalVOCDataset
    root = segmentation / 'VOC2012'
    data = PascalVOCDataset(
        data_root=str(root), ann_file='ImageSets/Segmentation/train.txt',
        data_prefix=dict(img_path='JPEGImages',
                         seg_map_path='SegmentationClass'),
        pipeline=[dict(type='LoadImageFromFile'),
                  dict(type='mmseg.LoadAnnotations')])
    assert len(data) == 20
    item = data[3]
    assert item['img'].shape == (HEIGHT, WIDTH, 3)
    wants = np.array(Image.open(root / 'SegmentationClass/00000004.png'))
    np.testing.assert_array_equal(item['gt_seg_map'], wants)
    assert data.metainfo['classes'][1:] == VOC_CLASSES
    np.testing.assert_array_equal(data.metainfo['palette'],
                                  voc_palette()[:21])


def test_xml_boxes_lie_inside_the_image(detection):
    paths = sorted((detection / 'VOC2007/Annotations').iterdir())
    assert len(paths) == 24
    for path in paths:
        root = ElementTree.parse(path).getroot()
        assert root.findtext('size/width') == str(WIDTH)
        assert root.findtext('filename') == f'{path.stem}.jpg'
        things = root.findall('object')
        assert things
        for thing in things:
            assert thing.findtext('name') in VOC_CLASSES
            x1, y1, x2, y2 = (int(thing.findtext(f'bndbox/{tag}'))
                              for tag in ('xmin', 'ymin', 'xmax', 'ymax'))
            assert 1 <= x1 < x2 <= WIDTH and 1 <= y1 < y2 <= HEIGHT


def decode(runs):
    """Run lengths to a mask, by the format's definition."""
    counts = runs['counts']
    flat = np.repeat(np.arange(len(counts)) % 2, counts)
    return flat.reshape(runs['size'], order='F').astype(bool)


def test_json_masks_fill_their_boxes_and_match_the_xml(detection):
    data = json.loads(
        (detection / 'annotations/instances_train.json').read_text())
    assert [c['name'] for c in data['categories']] == list(VOC_CLASSES)
    covered = {}
    for thing in data['annotations']:
        mask = decode(thing['segmentation'])
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(
            mask.any(0))
        assert thing['bbox'] == [
            columns[0], rows[0], columns[-1] - columns[0] + 1,
            rows[-1] - rows[0] + 1
        ]
        assert thing['area'] == mask.sum()
        covered.setdefault(thing['image_id'], []).append((thing, mask))
    assert len(covered) == 20
    for image, things in covered.items():
        # What is visible of two things does not overlap.
        assert sum(mask.astype(int) for _, mask in things).max() == 1
        xml = ElementTree.parse(
            detection / f'VOC2007/Annotations/{image:08d}.xml').getroot()
        names = [VOC_CLASSES[t['category_id'] - 1] for t, _ in things]
        assert [o.findtext('name') for o in xml.findall('object')] == names


def test_mmdet_reads_the_xml_set(detection):
    pytest.importorskip('mmdet')
    from mmdet.datasets import VOCDataset
    data = VOCDataset(
        data_root=str(detection), ann_file='VOC2007/ImageSets/Main/train.txt',
        data_prefix=dict(sub_data_root='VOC2007/'))
    assert len(data) == 20 and data.metainfo['dataset_type'] == 'VOC2007'
    boxes = json.loads((detection / 'annotations/instances_train.json'
                        ).read_text())['annotations']
    x, y, w, h = boxes[0]['bbox']
    first = data.get_data_info(0)['instances'][0]
    assert first['bbox'] == [x, y, x + w - 1, y + h - 1]
    assert first['bbox_label'] == boxes[0]['category_id'] - 1


def test_mmdet_reads_the_json_set_with_masks(detection):
    pytest.importorskip('mmdet')
    from mmdet.datasets import CocoDataset
    data = CocoDataset(
        data_root=str(detection), ann_file='annotations/instances_train.json',
        data_prefix=dict(img='VOC2007/JPEGImages/'),
        metainfo=dict(classes=VOC_CLASSES),
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='mmdet.LoadAnnotations', with_bbox=True, with_mask=True)
        ])
    truth = json.loads((detection / 'annotations/instances_train.json'
                        ).read_text())['annotations']
    assert len(data) == 20
    masks = data[0]['gt_masks'].masks
    assert (masks[0] > 0).sum() == truth[0]['area']
    assert data[0]['gt_bboxes_labels'][0] == truth[0]['category_id'] - 1
