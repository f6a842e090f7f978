"""Broken data stops a training by name, and what was saved stays whole."""
import json
import re
import shutil
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from by_path import load_tool
from mmengine.config import Config
from mmengine.runner import Runner
from PIL import Image, UnidentifiedImageError

import mmdense.registry  # noqa: F401 - checkpoints load
from mmdense.datasets import (
    make_detection_set,
    make_pose_set,
    make_segmentation_set,
)
from mmdense.datasets.checks.data import config_faults
from mmdense.datasets.checks.image_files import file_fault

ROOT = Path(__file__).resolve().parents[1]
CONFIGS = ROOT / 'configs'
POSE = (CONFIGS / 'mmpose' / 'flattenet' /
        'td-hm_flattenet-res18_quick_synthetic-128x96.py')
SEGMENTATION = (CONFIGS / 'mmseg' / 'flattenet' /
                'flattenet_r18_quick_synthetic-128x128.py')
DETECTION = (CONFIGS / 'mmdet' / 'adaptive_dilated_conv' /
             'centernet_adc-r18_quick_synthetic.py')
PERSONS = 'annotations/person_keypoints_train.json'
VALIDATION = 'annotations/person_keypoints_val.json'
OBJECTS = 'annotations/instances_train.json'


@pytest.fixture(scope='module')
def originals(tmp_path_factory):
    folder = tmp_path_factory.mktemp('data')
    small = dict(train=4, val=2, size=(128, 96), workers=1)
    make_pose_set(folder / 'pose', **small)
    make_segmentation_set(
        folder / 'segmentation', classes=('person', ), **small)
    make_detection_set(
        folder / 'detection', classes=('person', 'car', 'bottle', 'chair'),
        **small)
    return folder


@pytest.fixture
def data(originals, tmp_path):
    return Path(shutil.copytree(originals, tmp_path / 'data'))


def config_of(path, root, val=False, **changes):
    cfg = Config.fromfile(path)
    # One process, so that an error is the host's own.
    for split in ('train', 'val', 'test'):
        loader = cfg[f'{split}_dataloader']
        loader.update(batch_size=2, num_workers=0, persistent_workers=False)
        dataset = loader.dataset
        while 'dataset' in dataset:
            dataset = dataset.dataset
        dataset.data_root = f'{root}/'
    if not val:
        cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    cfg.test_cfg = cfg.test_dataloader = cfg.test_evaluator = None
    cfg.merge_from_dict(changes)
    return cfg


def train(path, root, work_dir, check=True, **changes):
    cfg = config_of(path, root, **changes)
    cfg.work_dir = str(work_dir)
    cfg.experiment_name = f'faults-{time.time_ns()}'
    cfg.train_cfg = dict(by_epoch=True, max_epochs=2)
    # mmsegmentation's own sampler has no end, and an epoch with it none.
    cfg.train_dataloader.sampler = dict(type='DefaultSampler', shuffle=True)
    cfg.param_scheduler = None
    cfg.default_hooks.checkpoint.update(by_epoch=True, interval=1)
    if check:
        cfg.custom_hooks = [dict(type='mmdense.DataCheckHook', decode=True)]
    return Runner.from_cfg(cfg).train()


def edit(path, change):
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def first_image(root):
    return sorted(root.rglob('*.jpg'))[0]


def cut(path):
    path.write_bytes(path.read_bytes()[:-200])


def nan(content):
    content['annotations'][1]['keypoints'][3] = float('nan')


def twice(content):
    content['annotations'][1]['id'] = content['annotations'][0]['id']


POSE_FAULTS = dict(
    missing=(lambda root: first_image(root).unlink(), 'jpg: no such file'),
    empty=(lambda root: first_image(root).write_bytes(b''),
           'jpg: the file is empty'),
    corrupt=(lambda root: first_image(root).write_bytes(b'x' * 500),
             'jpg: does not decode'),
    cut=(lambda root: cut(first_image(root)), 'jpg: does not decode'),
    nan=(lambda root: edit(root / PERSONS, nan),
         r'train.json.annotations.1.keypoints.3 is not finite'),
    twice=(lambda root: edit(root / PERSONS, twice),
           r'annotation \d+: the annotation id is there twice'))


def faults_of(path, root):
    return list(
        config_faults(
            config_of(path, root), 'train_dataloader', decode=True))


@pytest.mark.parametrize('fault', POSE_FAULTS)
def test_a_fault_among_people_is_named(data, fault):
    pytest.importorskip('mmpose')
    root = data / 'pose'
    assert faults_of(POSE, root) == []
    damage, message = POSE_FAULTS[fault]
    damage(root)
    found, = faults_of(POSE, root)
    assert re.search(message, found)


@pytest.mark.parametrize('path, kind', [
    (POSE, 'pose'),
    pytest.param(SEGMENTATION, 'segmentation', marks=pytest.mark.slow),
    pytest.param(DETECTION, 'detection', marks=pytest.mark.slow),
])
def test_a_training_stops_before_its_first_step(data, tmp_path, path, kind):
    pytest.importorskip(path.relative_to(CONFIGS).parts[0])
    root = data / kind
    for image in root.rglob('*.jpg'):
        cut(image)
    if kind == 'segmentation':
        root = root / 'VOC2012'
    with pytest.raises(ValueError, match='jpg: does not decode'):
        train(path, root, tmp_path / 'run')
    assert not list((tmp_path / 'run').glob('*.pth'))


def test_what_was_saved_stays_whole(data, tmp_path):
    """The host's own error, met in the second epoch."""
    pytest.importorskip('mmpose')
    root, run = data / 'pose', tmp_path / 'run'
    train(POSE, root, run, **{
        'default_hooks.checkpoint.max_keep_ckpts': -1})
    (run / 'epoch_2.pth').unlink()
    (run / 'last_checkpoint').write_text(str(run / 'epoch_1.pth'))
    image = first_image(root)
    image.unlink()
    with pytest.raises(FileNotFoundError, match=image.name):
        train(POSE, root, run, check=False, resume=True)
    assert torch.load(run / 'epoch_1.pth')['meta']['epoch'] == 1


VALIDATION_FAULTS = dict(
    missing=(lambda root: validation_image(root).unlink(), 'no such file'),
    cut=(lambda root: cut(validation_image(root)), 'does not decode'),
    nan=(lambda root: edit(root / VALIDATION, nan),
         'keypoints.3 is not finite'))


def validation_image(root):
    content = json.loads((root / VALIDATION).read_text())
    return root / 'images' / content['images'][0]['file_name']


@pytest.mark.parametrize('fault', VALIDATION_FAULTS)
def test_a_fault_of_the_validation_set_stops_a_training_as_well(
        data, tmp_path, fault):
    pytest.importorskip('mmpose')
    root, (damage, message) = data / 'pose', VALIDATION_FAULTS[fault]
    damage(root)
    with pytest.raises(ValueError, match=r'the validation set has faults:\n'
                       f'.*{message}'):
        train(POSE, root, tmp_path / 'run', val=True)
    assert not list((tmp_path / 'run').glob('*.pth'))


def host_of(path):
    return path.relative_to(CONFIGS).parts[0]


def spoilt(change, name):
    return lambda root: edit(root / name, change)


def all_of(suffix, damage):
    def each(root):
        for file in sorted(root.rglob(f'*.{suffix}')):
            damage(file)
    return each


# Every sample of a list of four has the fault, so that each is met.
MISSING = all_of('jpg', Path.unlink), 'jpg: no such file'
CORRUPT = all_of('jpg', lambda file: file.write_bytes(b'x' * 500)), \
    'jpg: does not decode'
EMPTY = 'Expecting value: line 1 column 1'
HOST_FAULTS = {
    POSE: dict(
        missing=MISSING, corrupt=CORRUPT,
        nan=(spoilt(nan, PERSONS),
             r'annotation \d+: annotation.keypoints is not finite'),
        twice=POSE_FAULTS['twice'],
        no_json=(lambda root: (root / PERSONS).write_bytes(b''), EMPTY)),
    SEGMENTATION: dict(
        missing=MISSING, corrupt=CORRUPT,
        missing_label=(all_of('png', Path.unlink), 'png: no such file'),
        size=(all_of('png', lambda file: enlarge(file)),
              'png: is 200 x 50, its image 96 x 128')),
    DETECTION: dict(
        missing=MISSING, corrupt=CORRUPT,
        nan=(spoilt(lambda content: box(content), OBJECTS),
             r'annotation.* is not finite'),
        twice=(spoilt(twice, OBJECTS), r'instances_train.json.* not unique'),
        no_json=(lambda root: (root / OBJECTS).write_bytes(b''), EMPTY)),
}


def root_of(path, data):
    return {POSE: data / 'pose', DETECTION: data / 'detection',
            SEGMENTATION: data / 'segmentation' / 'VOC2012'}[path]


@pytest.fixture(scope='module')
def trained(originals, tmp_path_factory):
    """By config, a training's folder after its first epoch of two."""
    runs = {}

    def of(path):
        if path not in runs:
            runs[path] = tmp_path_factory.mktemp('run')
            train(path, root_of(path, originals), runs[path], **{
                'default_hooks.checkpoint.max_keep_ckpts': -1})
            (runs[path] / 'epoch_2.pth').unlink()
        return runs[path]

    return of


@pytest.mark.parametrize('path, fault', [
    pytest.param(path, fault, id=f'{host_of(path)}-{fault}',
                 marks=[] if path is POSE else pytest.mark.slow)
    for path, faults in HOST_FAULTS.items() for fault in faults])
def test_a_training_taken_up_names_the_fault_and_keeps_what_is_saved(
        data, trained, tmp_path, path, fault):
    pytest.importorskip(host_of(path))
    run = Path(shutil.copytree(trained(path), tmp_path / 'run'))
    (run / 'last_checkpoint').write_text(str(run / 'epoch_1.pth'))
    saved = (run / 'epoch_1.pth').read_bytes()
    damage, message = HOST_FAULTS[path][fault]
    damage(root_of(path, data))
    with pytest.raises((ValueError, AssertionError), match=message):
        train(path, root_of(path, data), run, resume=True)
    assert (run / 'epoch_1.pth').read_bytes() == saved
    assert [file.name for file in run.glob('*.pth')] == ['epoch_1.pth']


def seg_label(root):
    return sorted((root / 'SegmentationClass').glob('*.png'))[0]


def enlarge(path):
    with Image.open(path) as label:
        label.resize((200, 50), Image.NEAREST).save(path)


SEGMENTATION_FAULTS = dict(
    missing=(lambda root: seg_label(root).unlink(), 'png: no such file'),
    corrupt=(lambda root: seg_label(root).write_bytes(b'x' * 500),
             'png: does not decode'),
    size=(lambda root: enlarge(seg_label(root)),
          'png: is 200 x 50, its image 96 x 128'))


@pytest.mark.parametrize('fault', SEGMENTATION_FAULTS)
def test_a_fault_among_labels_is_named(data, fault):
    pytest.importorskip('mmseg')
    root = data / 'segmentation' / 'VOC2012'
    damage, message = SEGMENTATION_FAULTS[fault]
    names = [path.stem for path in sorted(root.rglob('*.png'))]
    (root / 'ImageSets' / 'Segmentation' / 'train.txt').write_text(
        '\n'.join(names))
    assert faults_of(SEGMENTATION, root) == []
    damage(root)
    found, = faults_of(SEGMENTATION, root)
    assert re.search(message, found)


def box(content):
    content['annotations'][0]['bbox'][0] = float('nan')


@pytest.mark.parametrize('change, message', [
    (box, r'instances_train.json.annotations.0.bbox.0 is not finite'),
    (twice, 'instances_train.json.* are not unique'),
])
def test_a_fault_among_boxes_is_named(data, change, message):
    pytest.importorskip('mmdet')
    root = data / 'detection'
    assert faults_of(DETECTION, root) == []
    edit(root / OBJECTS, change)
    found, = faults_of(DETECTION, root)
    assert re.search(message, found)


@pytest.mark.parametrize('split', ['train', 'val'])
def test_a_training_of_an_empty_annotation_file_names_it(
        data, tmp_path, capsys, monkeypatch, split):
    """By tools/train.py; the host's own error says no more than EMPTY."""
    pytest.importorskip('mmpose')
    train_tool = load_tool('train')
    cfg = config_of(POSE, data / 'pose', val=True)
    cfg.train_cfg = dict(by_epoch=True, max_epochs=1)
    cfg.dump(tmp_path / 'config.py')
    persons = dict(train=PERSONS, val=VALIDATION)[split]
    (data / 'pose' / persons).write_bytes(b'')
    monkeypatch.chdir(tmp_path)
    assert train_tool.main(['config.py']) == 2
    assert f'{persons}: no annotations: Expecting value' in \
        capsys.readouterr().err


def test_a_training_without_samples_is_named(data, tmp_path, capsys,
                                             monkeypatch):
    """The host's own error: need at least one array to concatenate."""
    pytest.importorskip('mmpose')
    cfg = config_of(POSE, data / 'pose')
    cfg.dump(tmp_path / 'config.py')
    edit(data / 'pose' / PERSONS,
         lambda content: content.update(annotations=[]))
    monkeypatch.chdir(tmp_path)
    assert load_tool('train').main(['config.py', '--cfg-options', 'a=1']) == 2
    assert re.search(f'error: .*{PERSONS} .4 images, 0 annotations, 1 categor'
                     'ies.: holds no sample\n', capsys.readouterr().err)


def test_an_image_may_be_large(tmp_path, monkeypatch):
    path = tmp_path / 'large.png'
    Image.new('L', (300, 100)).save(path)
    # Above twice the limit Pillow raises.
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 10_000)
    assert file_fault(path, decode=True) == (None, (300, 100))
    assert Image.MAX_IMAGE_PIXELS == 10_000


def test_what_opencv_alone_reads_is_an_image(tmp_path):
    path = tmp_path / 'floats.tif'
    noise = np.random.default_rng(0).random((80, 100, 3)).astype(np.float32)
    cv2.imwrite(str(path), noise)
    with pytest.raises(UnidentifiedImageError):
        Image.open(path)
    assert file_fault(path, decode=True) == (None, (100, 80))
    cut(path)
    assert file_fault(path, decode=False)[0].startswith('does not decode')


@pytest.mark.parametrize('name', [
    'map.npy', 'brain.nii.gz', 'slice.dcm', 'cells.h5', 'scene.hdf5',
    'label.mat', 'light.exr', 'frame'])
def test_what_no_image_library_knows_has_to_be_there(tmp_path, name):
    path = tmp_path / name
    assert file_fault(path, decode=True) == ('no such file', None)
    path.touch()
    assert file_fault(path, decode=True) == ('the file is empty', None)
    path.write_bytes(b'\x89HDF\r\n\x1a\n' + bytes(500))
    assert file_fault(path, decode=True) == (None, None)


@pytest.mark.parametrize('suffix', ['jpg', 'png', 'bmp', 'tif', 'webp', 'gif'])
def test_a_cut_off_image_does_not_decode(tmp_path, suffix):
    path = tmp_path / f'image.{suffix}'
    noise = np.random.default_rng(0).integers(0, 256, (80, 100, 3), np.uint8)
    Image.fromarray(noise).save(path)
    assert file_fault(path, decode=True) == (None, (100, 80))
    data = path.read_bytes()
    for share in (0.001, 0.2, 0.9):
        path.write_bytes(data[:max(1, int(share * len(data)))])
        assert file_fault(path, decode=True)[0].startswith('does not decode')


@pytest.fixture
def check_data():
    return load_tool('check_data').main


@pytest.mark.parametrize('content', ['', '{"images": ['])
def test_an_empty_annotation_file_is_named(data, tmp_path, capsys, content,
                                           check_data):
    """The hosts' own error names no file."""
    pytest.importorskip('mmpose')
    config = tmp_path / 'config.py'
    config_of(POSE, data / 'pose').dump(config)
    assert check_data([str(config)]) == 0
    (data / 'pose' / PERSONS).write_text(content)
    assert check_data([str(config)]) == 1
    assert f'{PERSONS}: no annotations' in capsys.readouterr().out


def test_warnings_leave_the_exit_status(data, tmp_path, capsys, check_data):
    pytest.importorskip('mmpose')
    config = tmp_path / 'config.py'
    config_of(POSE, data / 'pose').dump(config)
    image = first_image(data / 'pose')
    deep = cv2.imread(str(image)).astype(np.uint16) * 16
    for path in (data / 'pose').rglob('*.jpg'):
        path.write_bytes(cv2.imencode('.png', deep)[1])
    assert check_data([str(config)]) == 0
    out = capsys.readouterr().out
    assert re.search('warning: .*holds 16 bits a pixel, values up to', out)
    assert out.endswith('0 faults in 1 data sets, 1 warnings\n')


@pytest.mark.parametrize('content, message', [
    (None, 'gone.py: no such config'),
    ("default_scope = 'mmpose'; model = dict()",
     'must have a dataset in one of train_dataloader'),
])
def test_what_has_no_data_set_is_not_without_faults(tmp_path, capsys,
                                                    check_data, content,
                                                    message):
    path = tmp_path / 'gone.py'
    if content is not None:
        path.write_text(content)
    assert check_data([str(path)]) == 2
    assert message in capsys.readouterr().err
