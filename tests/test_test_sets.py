"""Results of test sets, whose truth is not public: the pages' own commands.

Networks are smaller and data synthetic; what a page sets stays.
"""
import json
import re
import shlex
from argparse import ArgumentParser
from pathlib import Path

import numpy as np
import pytest
from mmengine.config import DictAction
from mmengine.runner import Runner
from PIL import Image

from mmdense.networks import load_config

CONFIGS = Path(__file__).resolve().parents[1] / 'configs'
PEOPLE = 3


def options_of(page, word):
    """The ``--cfg-options`` of a page's command that has ``word`` in it."""
    block, = (block for block in re.findall(
        r'^```bash\n(.*?)^```', (CONFIGS / page / 'README.md').read_text(),
        re.M | re.S) if word in block)
    command, = (line for line in block.replace('\\\n', ' ').splitlines()
                if word in line)
    words = shlex.split(command)
    parser = ArgumentParser()
    parser.add_argument('--cfg-options', nargs='+', action=DictAction)
    return parser.parse_args(
        words[words.index('--cfg-options'):]).cfg_options


def scored(config, options, work_dir):
    """Run the config's test, as its host's script does."""
    config.merge_from_dict(options)
    config.merge_from_dict({
        'test_dataloader.num_workers': 0,
        'test_dataloader.persistent_workers': False,
        'work_dir': str(work_dir / 'work'),
        'experiment_name': f'{work_dir.name}-test-set',
    })
    return Runner.from_cfg(config).test()


def draw(folder, names, size=(120, 90)):
    folder.mkdir(parents=True)
    for i, name in enumerate(names):
        pixels = np.random.default_rng(i).integers(0, 255, (*size[::-1], 3))
        Image.fromarray(pixels.astype('uint8')).save(folder / name)


def draw_test_dev(folder):
    """COCO's layout: images, their list without annotations, boxes found."""
    names = [f'{i:012}.jpg' for i in (7, 9)]
    draw(folder / 'data/coco/test2017', names)
    listed = dict(
        images=[dict(id=int(n[:-4]), file_name=n, width=120, height=90)
                for n in names],
        categories=[dict(id=i + 1, name=n) for i, n in enumerate(
            ('person', 'car', 'cat'))])
    path = folder / 'data/coco/annotations/image_info_test-dev2017.json'
    path.parent.mkdir()
    path.write_text(json.dumps(listed))
    found = [dict(image_id=i, category_id=1, bbox=[5, 6, 50, 70], score=.9)
             for i in (7, 7, 9)]
    path = (folder / 'data/coco/person_detection_results'
            / 'COCO_test-dev2017_detections_AP_H_609_person.json')
    path.parent.mkdir()
    path.write_text(json.dumps(found))


def written(folder):
    return sorted(path for path in folder.rglob('*') if path.is_file()
                  and 'work' not in path.parts and 'data' not in path.parts)


def test_keypoints_of_coco_test_dev(tmp_path, monkeypatch):
    pytest.importorskip('mmpose')
    draw_test_dev(tmp_path)
    monkeypatch.chdir(tmp_path)
    page = 'mmpose/spatial_shortcut'
    config = load_config(
        CONFIGS / page / 'td-hm_ssn-3block-k256_1xb16-400k_coco-256x192.py')
    config.merge_from_dict({
        'model.backbone.stem_channels': 8,
        'model.backbone.base_channels': 4,
        'model.backbone.norm_cfg.num_groups': 4,
        'model.backbone.shift.shift_channels': 6,
        'model.head.in_channels': 16,
        'model.head.groups': 4,
    })
    assert scored(config, options_of(page, 'test-dev'), tmp_path) == {}
    path, = written(tmp_path)
    results = json.loads(path.read_text())
    assert {r['image_id'] for r in results} == {7, 9}
    assert all(len(r['keypoints']) == 3 * 17 for r in results)


def test_masks_of_coco_test_dev(tmp_path, monkeypatch):
    pytest.importorskip('mmdet')
    draw_test_dev(tmp_path)
    monkeypatch.chdir(tmp_path)
    page = 'mmdet/mask_rcnn'
    config = load_config(
        CONFIGS / page / 'mask-rcnn_r18-fpn_quick_synthetic.py')
    config.merge_from_dict({
        'test_dataloader.dataset.data_root': 'data/coco/',
        # An untrained network finds nothing it is sure of.
        'model.test_cfg.rcnn.score_thr': 0.,
        'model.test_cfg.rcnn.max_per_img': 3,
    })
    assert scored(config, options_of(page, 'test-dev'), tmp_path) == {}
    boxes, masks = written(tmp_path)
    assert (boxes.name, masks.name) == ('mask-rcnn.bbox.json',
                                        'mask-rcnn.segm.json')
    assert all(r['category_id'] in (1, 2, 3) and r['segmentation']['size'] ==
               [90, 120] for r in json.loads(masks.read_text()))


def test_joints_of_mpiis_test_set(tmp_path, monkeypatch):
    pytest.importorskip('mmpose')
    io = pytest.importorskip('scipy.io')
    monkeypatch.chdir(tmp_path)
    page = 'mmpose/flattenet'
    draw(tmp_path / 'data/mpii/images', ['000000009.jpg'])
    people = [dict(image='000000009.jpg', center=[60., 45], scale=0.4 + i / 10)
              for i in range(PEOPLE)]
    # Without joints, or with zeros, which the host would leave out.
    people[1].update(joints=[[0, 0]] * 16, joints_vis=[0] * 16)
    path = tmp_path / 'data/mpii/annotations/mpii_test.json'
    path.parent.mkdir()
    path.write_text(json.dumps(people))
    block, = re.findall(
        r'^```python\n([^`]*mpii_test[^`]*)^```',
        (CONFIGS / page / 'README.md').read_text(), re.M)
    exec(block, {})
    name = 'td-hm_flattenet-shufflenetv2_1xb32-140e_mpii-256x256.py'
    config = load_config(CONFIGS / page / name)
    config.model.backbone.init_cfg = None
    assert scored(config, options_of(page, 'mpii_test'), tmp_path) == {}
    path, = written(tmp_path)
    joints = io.loadmat(path)['preds']
    assert joints.shape == (PEOPLE, 16, 2) and np.isfinite(joints).all()


def test_predictions_keep_the_order_of_the_persons_and_count_from_1(tmp_path):
    pytest.importorskip('mmpose')
    io = pytest.importorskip('scipy.io')
    from mmdense.registry import METRICS
    path = tmp_path / 'made' / 'pred.mat'
    metric = METRICS.build(dict(type='mmdense.MpiiPredictions', out=str(path)))
    for i in (2, 0, 1):
        metric.process({}, [dict(id=i, pred_instances=dict(
            keypoints=np.full((1, 16, 2), i, 'float32')))])
    assert metric.evaluate(3) == {}
    assert io.loadmat(path)['preds'][:, 3, 1].tolist() == [1, 2, 3]
    with pytest.raises(ValueError, match=r"out must end in .mat, got 'a.json"):
        METRICS.build(dict(type='mmdense.MpiiPredictions', out='a.json'))


SMALL = dict(
    depth=18, stem_channels=8, base_channels=4, norm_cfg=dict(type='BN'))


def small_pyramid_attention(name):
    config = load_config(CONFIGS / 'mmseg/pyramid_attention' / f'{name}.py')
    config.model.backbone.update(SMALL)
    config.model.decode_head.update(
        in_channels=[4, 8, 16, 32], channels=4, norm_cfg=dict(type='BN'))
    config.model.decode_head.attention.pyramid_channels = 2
    config.model.pretrained = None
    return config


VOC = 'pyramid-attention_r101-d16_1xb16-20k_voc12trainval-512x512'
CITYSCAPES = 'pyramid-attention_r101-d16_1xb16-80k_cityscapes-768x768_test'


@pytest.mark.parametrize('name', [VOC, CITYSCAPES])
def test_no_labels_are_read_where_there_are_none(name):
    pytest.importorskip('mmseg')
    config = load_config(CONFIGS / 'mmseg/pyramid_attention' / f'{name}.py')
    assert 'LoadAnnotations' in str(config.val_dataloader)
    for pipeline in (config.test_dataloader, config.tta_pipeline):
        assert 'LoadAnnotations' not in str(pipeline)
    scales, flips, _ = config.tta_pipeline[1].transforms
    assert [one.scale_factor for one in scales] == [
        0.5, 0.75, 1.0, 1.25, 1.5, 1.75]
    assert [one.prob for one in flips] == [0., 1.]


def test_labels_of_the_cityscapes_test_set(tmp_path, monkeypatch):
    pytest.importorskip('mmseg')
    from types import SimpleNamespace

    from mmseg.evaluation.metrics import citys_metric

    # Its scripts are no part of the test environment. Ids as if all by 100.
    ids = {i: SimpleNamespace(id=i + 100) for i in range(19)}
    monkeypatch.setattr(
        citys_metric, 'CSLabels', SimpleNamespace(trainId2label=ids))
    monkeypatch.setattr(citys_metric, 'CSEval', SimpleNamespace())
    monkeypatch.chdir(tmp_path)
    draw(tmp_path / 'data/cityscapes/leftImg8bit/test/berlin',
         ['berlin_1_leftImg8bit.png'])
    config = small_pyramid_attention(CITYSCAPES)
    assert scored(config, {}, tmp_path) == {}
    label, = (tmp_path / 'work_dirs/cityscapes-test').iterdir()
    assert label.name == 'berlin_1_leftImg8bit.png'
    pixels = np.asarray(Image.open(label))
    assert pixels.shape == (90, 120) and pixels.min() >= 100


def test_labels_of_the_voc_test_set_at_several_scales(tmp_path, monkeypatch):
    pytest.importorskip('mmseg')
    monkeypatch.chdir(tmp_path)
    draw(tmp_path / 'data/VOCdevkit/VOC2012/JPEGImages', ['2008_000006.jpg'])
    path = (tmp_path / 'data/VOCdevkit/VOC2012'
            / 'ImageSets/Segmentation/test.txt')
    path.parent.mkdir(parents=True)
    path.write_text('2008_000006\n')
    config = small_pyramid_attention(VOC)
    config.load_from = None
    # What the host's script does of `--tta`.
    config.test_dataloader.dataset.pipeline = config.tta_pipeline
    config.tta_model.module = config.model
    config.model = config.tta_model
    assert scored(config, {}, tmp_path) == {}
    label, = (tmp_path / 'work_dirs/voc12test').iterdir()
    assert label.name == '2008_000006.png'
    assert np.asarray(Image.open(label)).shape == (90, 120)
