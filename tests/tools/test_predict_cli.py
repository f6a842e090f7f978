"""tools/predict.py draws and writes what each host's own functions say."""
import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from by_path import load_tool
from PIL import Image

from mmdense.datasets import make_pose_set
from mmdense.networks import build_model, load_config
from mmdense.networks.trained import load_network

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = dict(
    mmpose='mmpose/flattenet/td-hm_flattenet-res18_quick_synthetic-128x96.py',
    mmseg='mmseg/flattenet/flattenet_r18_quick_synthetic-128x128.py',
    mmdet='mmdet/adaptive_dilated_conv/centernet_adc-r18_quick_synthetic.py')

# What the checkpoint says of its classes counts, not what the config says.
SEEN = dict(
    classes=('nothing', 'somebody'), palette=[[0, 0, 0], [255, 0, 255]])


@pytest.fixture(scope='module')
def tool():
    return load_tool('predict')


@pytest.fixture(scope='module')
def people(tmp_path_factory):
    """A folder with 3 images, and the boxes of the people in them."""
    folder = tmp_path_factory.mktemp('people')
    make_pose_set(folder, 1, 3, difficulty='easy', size=(96, 72), workers=1)
    boxes = folder / 'annotations' / 'person_keypoints_val.json'
    wanted = [i['file_name'] for i in json.loads(boxes.read_text())['images']]
    (folder / 'some').mkdir()
    for name in wanted:
        shutil.copy(folder / 'images' / name, folder / 'some')
    return folder / 'some', boxes


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    """Config and checkpoint of a host, as an untrained network leaves it."""
    folder, made = tmp_path_factory.mktemp('weights'), {}

    def of(host):
        pytest.importorskip(host)
        if host not in made:
            path = ROOT / 'configs' / CONFIGS[host]
            torch.manual_seed(0)
            model = build_model(load_config(path))
            made[host] = str(path), str(folder / f'{host}.pth')
            if host == 'mmdet':
                model.bbox_head.wh_head[-1].bias.data.fill_(8.)
            meta = dict(dataset_meta=SEEN) if host == 'mmseg' else {}
            torch.save(
                dict(meta=meta, state_dict=model.state_dict()), made[host][1])
        return made[host]

    return of


def run(tool, given, images, out, *more):
    """The images' records, after a run of the tool that must succeed."""
    argv = [*given, str(images), '--out', str(out), *more]
    assert tool.main(argv) == 0
    found = json.loads((out / 'predictions.json').read_text())
    assert found['skipped'] == {}
    for record in found['images']:
        picture = cv2.imread(str(out / record['image']))
        assert picture.shape == (record['height'], record['width'], 3)
    return found


def changed(out, images, name):
    """Share of pixels that differ between image and picture, far enough."""
    a, b = (cv2.imread(str(f / name)).astype(int) for f in (out, images))
    return (np.abs(a - b).max(2) > 60).mean()


def test_pose_is_the_hosts(tool, trained, people, tmp_path):
    given, (images, _) = trained('mmpose'), people
    from mmpose.apis import inference_topdown, init_model
    found = run(tool, given, images, tmp_path, '--threshold', '-9')
    model = init_model(*given, device='cpu')
    assert len(found['images']) == 3
    for record in found['images']:
        name = record['image']
        sample, = inference_topdown(model, str(images / name))
        person, = record['instances']
        assert person['bbox'] == [0, 0, record['width'], record['height']]
        assert list(person['keypoints'])[0] == 'nose'
        np.testing.assert_allclose(
            np.array(list(person['keypoints'].values()))[:, :2],
            sample.pred_instances.keypoints[0])
        assert 0.005 < changed(tmp_path, images, name) < 0.5


def test_pose_goes_by_the_boxes_given(tool, trained, people, tmp_path):
    images, boxes = people
    found = run(tool, trained('mmpose'), images, tmp_path, '--boxes',
                str(boxes))
    coco = json.loads(boxes.read_text())
    wanted = {image['file_name']: [] for image in coco['images']}
    names = {image['id']: image['file_name'] for image in coco['images']}
    for annotation in coco['annotations']:
        x, y, w, h = annotation['bbox']
        wanted[names[annotation['image_id']]].append([x, y, x + w, y + h])
    for record in found['images']:
        got = [person['bbox'] for person in record['instances']]
        np.testing.assert_allclose(got, wanted[record['image']], atol=0.01)


def test_nobody_is_drawn_where_the_boxes_show_nobody(
        tool, trained, people, tmp_path):
    images, boxes = people
    coco = json.loads(boxes.read_text())
    names = [image['file_name'] for image in coco['images']]
    nobody = tmp_path / 'nobody.json'
    nobody.write_text(json.dumps(dict(images=coco['images'][:2],
                                      annotations=[])))
    argv = [*trained('mmpose'), str(images), '--out', str(tmp_path / 'out'),
            '--boxes', str(nobody)]
    assert tool.main(argv) == 1
    found = json.loads((tmp_path / 'out/predictions.json').read_text())
    assert [r['instances'] for r in found['images']] == [[], []]
    assert changed(tmp_path / 'out', images, names[0]) == 0
    assert list(found['skipped']) == names[2:]


def test_masks_are_the_hosts(tool, trained, people, tmp_path):
    given, (images, _) = trained('mmseg'), people
    from mmseg.apis import inference_model, init_model
    from pycocotools.mask import decode
    found = run(tool, given, images, tmp_path)
    assert found['names'] == list(SEEN['classes'])
    model = init_model(*given, device='cpu')
    record = found['images'][0]
    wanted = inference_model(model, str(images / record['image']))
    got = np.full((record['height'], record['width']), -1)
    for part in record['instances']:
        mask = decode(part['segmentation']).astype(bool)
        got[mask] = found['names'].index(part['name'])
        assert mask.sum() == part['pixels']
    np.testing.assert_array_equal(
        got, wanted.pred_sem_seg.data[0].numpy())
    assert changed(tmp_path, images, record['image']) > 0


def test_boxes_are_the_hosts(tool, trained, people, tmp_path):
    given, (images, _) = trained('mmdet'), people
    from mmdet.apis import inference_detector, init_detector
    found = run(tool, given, images, tmp_path, '--threshold', '0')
    model = init_detector(*given, device='cpu')
    for record in found['images']:
        wanted = inference_detector(
            model, str(images / record['image'])).pred_instances
        got = record['instances']
        assert len(got) == len(wanted) > 0
        scores = [one['score'] for one in got]
        assert scores == sorted(wanted.scores.tolist(), reverse=True)
        best = int(wanted.scores.argmax())
        np.testing.assert_allclose(got[0]['bbox'], wanted.bboxes[best])
        assert got[0]['name'] == found['names'][wanted.labels[best]]
        assert changed(tmp_path, images, record['image']) > 0


def test_changes_to_the_config_are_taken(tool, trained, people, tmp_path):
    found = run(tool, trained('mmdet'), people[0], tmp_path, '--cfg-options',
                'model.test_cfg.topk=2')
    assert [len(r['instances']) for r in found['images']] == [2, 2, 2]


# CenterNet's own pipeline takes no grey images.
GREY = dict(
    CONFIGS, mmdet='mmdet/mask_rcnn/mask-rcnn_r18-fpn_quick_synthetic.py')


def grey(host, folder):
    """Config and checkpoint of an untrained network for grey images."""
    base = ROOT / 'configs' / GREY[host]
    steps = [dict(step) for step in
             load_config(base).test_dataloader.dataset.pipeline]
    steps[0]['color_type'] = 'grayscale'
    config = folder / 'grey.py'
    config.write_text(
        f'_base_ = {str(base)!r}\n'
        'model = dict(backbone=dict(in_channels=1), data_preprocessor=dict('
        'mean=[127.], std=[58.], bgr_to_rgb=False))\n'
        f'test_dataloader = dict(dataset=dict(pipeline={steps!r}))\n')
    torch.manual_seed(0)
    model = build_model(load_config(config))
    torch.save(dict(state_dict=model.state_dict()), folder / 'grey.pth')
    return str(config), str(folder / 'grey.pth')


def answer(config, checkpoint, image):
    """A test's own pipeline and network, step by step, for an image file."""
    from mmengine.dataset import Compose, pseudo_collate
    from mmengine.registry import DefaultScope
    config = load_config(config)
    model = load_network(config, checkpoint)
    width, height = Image.open(image).size
    given = dict(model.dataset_meta, img_path=str(image), img_id=0,
                 bbox=np.array([[0, 0, width, height]], np.float32),
                 bbox_score=np.ones(1, np.float32))
    with DefaultScope.overwrite_default_scope(config.default_scope):
        data = Compose([
            step for step in config.test_dataloader.dataset.pipeline
            if step['type'] != 'LoadAnnotations'])(given)
        with torch.no_grad():
            return model.test_step(pseudo_collate([data]))[0]


@pytest.mark.parametrize('host', GREY)
def test_an_image_is_read_as_the_config_says(tool, people, tmp_path, host):
    """A network of one channel, which stops at an image of three."""
    pytest.importorskip(host)
    given = grey(host, tmp_path)
    found = run(tool, given, people[0], tmp_path / 'out', '--threshold', '0')
    record = found['images'][0]
    wanted, got = answer(*given, people[0] / record['image']), \
        record['instances']
    if host == 'mmpose':
        np.testing.assert_allclose(
            np.array(list(got[0]['keypoints'].values()))[:, :2],
            wanted.pred_instances.keypoints[0])
    elif host == 'mmseg':
        _, counts = wanted.pred_sem_seg.data.unique(return_counts=True)
        assert [part['pixels'] for part in got] == counts.tolist()
    else:
        assert len(got) > 0
        assert [one['score'] for one in got] == sorted(
            wanted.pred_instances.scores.tolist(), reverse=True)


def test_a_picture_lies_as_the_network_saw_the_image(
        tool, trained, people, tmp_path):
    """A camera's note says: turned by a quarter. Some loaders heed it not."""
    base, checkpoint = trained('mmseg')
    images = tmp_path / 'images'
    images.mkdir()
    exif = Image.Exif()
    exif[274] = 6
    with Image.open(next(people[0].iterdir())) as image:
        size = image.size
        image.save(images / 'turned.jpg', exif=exif)
    pipeline = load_config(base).test_dataloader.dataset.pipeline
    for kind, (width, height) in dict(
            color=size[::-1], unchanged=size).items():
        steps = [dict(step) for step in pipeline]
        steps[0]['color_type'] = kind
        config = tmp_path / f'{kind}.py'
        config.write_text(f'_base_ = {base!r}\ntest_dataloader = '
                          f'dict(dataset=dict(pipeline={steps!r}))\n')
        record, = run(tool, (str(config), checkpoint), images,
                      tmp_path / kind)['images']
        assert (record['width'], record['height']) == (width, height)
        assert record['instances'][0]['segmentation']['size'] == [
            height, width]


def test_a_box_of_negative_size_is_left_out(
        tool, trained, people, tmp_path):
    """CenterNet gives such boxes, and mmdet's visualizer stops at them."""
    config, checkpoint = trained('mmdet')
    weights = torch.load(checkpoint)['state_dict']
    weights['bbox_head.wh_head.2.bias'].fill_(-8.)
    torch.save(dict(state_dict=weights), tmp_path / 'negative.pth')
    found = run(tool, (config, str(tmp_path / 'negative.pth')), people[0],
                tmp_path / 'out', '--threshold', '0')
    assert [r['instances'] for r in found['images']] == [[], [], []]


@pytest.mark.parametrize('damage', [
    lambda content: b'\xff\xd8\xff no jpeg',
    lambda content: b'',
    # OpenCV reads this one, the rest grey.
    lambda content: content[:len(content) // 2]
], ids=['corrupt', 'empty', 'cut'])
def test_an_unreadable_image_is_named_and_the_rest_done(
        tool, trained, people, tmp_path, capsys, damage):
    images = tmp_path / 'images'
    shutil.copytree(people[0], images)
    names = sorted(path.name for path in images.iterdir())
    broken = images / names[1]
    broken.write_bytes(damage(broken.read_bytes()))
    (images / 'notes.txt').write_text('no image, and not taken for one')
    out = tmp_path / 'out'
    assert tool.main([*trained('mmpose'), str(images), '--out',
                      str(out)]) == 1
    assert sorted(path.name for path in out.iterdir()) == [
        names[0], names[2], 'predictions.json']
    captured = capsys.readouterr()
    assert f'skipped: {names[1]} ' in captured.err
    assert captured.out == f'wrote 2 pictures to {out}\n'


def test_an_image_the_host_stops_at_is_named_and_the_rest_done(
        tool, trained, people, tmp_path, capsys, monkeypatch):
    given, names = trained('mmpose'), sorted(
        path.name for path in people[0].iterdir())
    from mmdense.mmpose import prediction
    answer, calls = prediction.predict, []

    def stops(*arguments):
        calls.append(arguments)
        if len(calls) == 2:
            raise RuntimeError('out of memory:\ntoo large')
        return answer(*arguments)

    monkeypatch.setattr(prediction, 'predict', stops)
    argv = [*given, str(people[0]), '--out', str(tmp_path)]
    assert tool.main(argv) == 1
    err = capsys.readouterr().err
    assert f'skipped: {names[1]} (72 x 96) cannot be processed: ' \
        'RuntimeError: out of memory: too large\n' in err
    found = json.loads((tmp_path / 'predictions.json').read_text())
    assert [r['image'] for r in found['images']] == [names[0], names[2]]
    assert sorted(p.name for p in tmp_path.glob('*.jpg')) == [
        names[0], names[2]]


@pytest.mark.parametrize('change, message', [
    ("default_scope = 'mmengine'",
     "default_scope must be one of mmpose, mmseg, mmdet, got 'mmengine'"),
    ('test_dataloader = None', 'test_dataloader must have a dataset'),
    ("test_dataloader = dict(dataset=dict(data_mode='bottomup'))",
     "data_mode must be 'topdown', got 'bottomup'"),
    ("test_dataloader = dict(dataset=dict(type='Nowhere'))",
     'the test data set does not build'),
    ("visualizer = dict(type='Nobody')",
     'the visualizer of the config does not build'),
])
def test_a_config_that_will_not_do_is_one_line_and_status_two(
        tool, trained, people, tmp_path, capsys, change, message):
    base, checkpoint = trained('mmpose')
    config = tmp_path / 'config.py'
    config.write_text(f"_base_ = {base!r}\n{change}\n")
    assert tool.main([str(config), checkpoint, str(people[0]), '--out',
                      str(tmp_path / 'out')]) == 2
    captured = capsys.readouterr()
    assert message in captured.err and captured.err.count('\n') == 1
    assert captured.out == '' and not list(tmp_path.glob('out/*'))


@pytest.mark.parametrize('place, value, message', [
    (0, 'gone.py', 'gone.py: no such config'),
    (1, 'gone.pth', 'gone.pth: no such checkpoint'),
    (1, 'other.pth', "other.pth does not fit this config's network"),
    (2, 'gone', 'gone: no such image or folder'),
    (2, 'empty', 'empty, which holds none'),
    (4, 'people', 'the pictures would replace them'),
    (6, 'boxes.json', 'boxes.json must be a COCO annotation file'),
    (8, 'cuda:99', "device 'cuda:99'"),
    (4, 'boxes.json', 'boxes.json'),
])
def test_what_will_not_do_is_one_line_and_status_two(
        tool, trained, people, tmp_path, capsys, place, value, message):
    (tmp_path / 'empty').mkdir()
    (tmp_path / 'boxes.json').write_text('[]')
    torch.save(
        dict(state_dict=dict(weight=torch.ones(1))), tmp_path / 'other.pth')
    argv = [*trained('mmpose'), str(people[0]), '--out',
            str(tmp_path / 'out'), '--boxes', str(people[1]), '--device',
            'cpu']
    argv[place] = (str(people[0]) if value == 'people' else
                   value if place == 8 else str(tmp_path / value))
    assert tool.main(argv) == 2
    captured = capsys.readouterr()
    assert message in captured.err and captured.err.count('\n') == 1
    assert captured.out == ''


def test_boxes_go_with_people_only(tool, trained, people, tmp_path, capsys):
    argv = [*trained('mmseg'), str(people[0]), '--boxes', str(people[1]),
            '--out', str(tmp_path)]
    assert tool.main(argv) == 2
    assert 'boxes must go with images and a config of mmpose' in \
        capsys.readouterr().err
