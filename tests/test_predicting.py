"""``mmdense.predict``: every form of image, one answer; videos; errors."""
import contextlib
import importlib
import io
import json
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmcv import VideoReader
from mmengine.model import BaseModel

import mmdense
from mmdense import __main__ as door
from mmdense import predicting
from mmdense.networks import build_model, load_config

CONFIGS = dict(
    mmpose='td-hm_flattenet-res18_quick_synthetic-128x96',
    mmseg='flattenet_r18_quick_synthetic-128x128',
    mmdet='centernet_adc-r18_quick_synthetic')
FRAMES = 5


def picture(seed, height=64, width=48):
    """Coloured, and smooth enough for a video's compression."""
    small = np.random.default_rng(seed).integers(0, 255, (4, 3, 3), np.uint8)
    return cv2.resize(small, (width, height))


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    """Config and checkpoint of a host's untrained network."""
    folder, made = tmp_path_factory.mktemp('weights'), {}

    def of(host):
        pytest.importorskip(host)
        if host not in made:
            path = folder / f'{host}.pth'
            torch.manual_seed(0)
            model = build_model(load_config(CONFIGS[host]))
            # Boxes with pixels, and maps of two classes.
            if host == 'mmdet':
                model.bbox_head.wh_head[-1].bias.data.fill_(8.)
            elif host == 'mmseg':
                torch.nn.init.normal_(model.decode_head.conv_seg.weight)
                torch.nn.init.zeros_(model.decode_head.conv_seg.bias)
            torch.save(dict(state_dict=model.state_dict()), path)
            made[host] = CONFIGS[host], path
        return made[host]

    return of


@pytest.fixture(scope='module')
def files(tmp_path_factory):
    """A folder with an image of one size and two of another."""
    folder = tmp_path_factory.mktemp('images')
    for k, height in enumerate((64, 100, 100)):
        cv2.imwrite(str(folder / f'{k}.png'), picture(k, height))
    return folder


@pytest.fixture(scope='module')
def video(tmp_path_factory):
    path = tmp_path_factory.mktemp('video') / 'clip.avi'
    writer = cv2.VideoWriter(
        str(path), cv2.VideoWriter_fourcc(*'MJPG'), 8., (48, 64))
    for k in range(FRAMES):
        writer.write(picture(k))
    writer.release()
    return path


def instances(found):
    return [record['instances'] for record in found.images]


def assert_close(got, wanted):
    """Equal numbers and names, wherever they stand, but for rounding."""
    if isinstance(wanted, dict | list):
        assert type(got) is type(wanted) and len(got) == len(wanted)
        keys = wanted if isinstance(wanted, dict) else range(len(wanted))
        for key in keys:
            if key != 'segmentation':  # a pixel between two classes may flip
                assert_close(got[key], wanted[key])
    elif isinstance(wanted, float):
        assert got == pytest.approx(wanted, rel=1e-3, abs=1e-3)
    elif isinstance(wanted, int):
        assert got == pytest.approx(wanted, abs=2)
    else:
        assert got == wanted


@pytest.mark.parametrize('host', CONFIGS)
def test_every_form_of_an_image_has_one_answer(trained, files, host):
    given, path = trained(host), files / '1.png'
    pixels = cv2.imread(str(path))
    kept = pixels.copy()
    # An array first, and a file after it: mmseg and mmdet change the loader.
    found = mmdense.predict(*given, [pixels, path, str(path), pixels])
    wanted, = instances(mmdense.predict(*given, path))
    assert len(wanted) > (host == 'mmseg')
    assert instances(found) == [wanted] * 4
    assert [r['image'] for r in found.images] == [
        '00000000.jpg', '1.png', '1.png', '00000003.jpg']
    folder = mmdense.predict(*given, files)
    assert instances(folder)[1] == wanted and len(folder.images) == 3
    np.testing.assert_array_equal(pixels, kept)


@pytest.mark.parametrize('host', CONFIGS)
def test_a_batch_has_the_answers_of_its_images(trained, files, host,
                                               monkeypatch):
    given = trained(host)
    one_by_one = mmdense.predict(*given, files)
    sizes, step = [], BaseModel.test_step
    monkeypatch.setattr(
        BaseModel, 'test_step',
        lambda model, data: sizes.append(len(data['inputs'])) or step(
            model, data))
    together = mmdense.predict(*given, files, batch_size=3)
    # CenterNet alone has no one size for all images.
    assert sizes == ([1, 2] if host == 'mmdet' else [3])
    assert_close(instances(together), instances(one_by_one))


def test_data_samples_are_the_hosts(trained, files):
    found = mmdense.predict(
        *trained('mmpose'), files, return_datasamples=True)
    from mmpose.structures import PoseDataSample
    assert [type(one) for one in found.data_samples] == [PoseDataSample] * 3
    nose = found.images[2]['instances'][0]['keypoints']['nose'][:2]
    np.testing.assert_allclose(
        found.data_samples[2].pred_instances.keypoints[0, 0], nose)


def test_boxes_are_taken_as_arrays(trained, files):
    boxes = [np.array([[0, 0, 30, 40], [5, 5, 20, 30]]),
             np.zeros((0, 4)), np.array([[1, 2, 40, 50]])]
    found = mmdense.predict(*trained('mmpose'), files, boxes=boxes)
    assert [[one['bbox'] for one in people]
            for people in instances(found)] == [b.tolist() for b in boxes]
    one = mmdense.predict(*trained('mmpose'), files / '2.png', boxes=boxes[2])
    assert_close(instances(one)[0], instances(found)[2])


@pytest.mark.parametrize('host', CONFIGS)
def test_a_video_has_a_record_a_frame(trained, video, host, tmp_path):
    given = trained(host)
    found = mmdense.predict(*given, str(video), out=tmp_path, batch_size=2,
                            threshold=0.)
    assert [(r['image'], r['frame'], r['width'], r['height'])
            for r in found.images] == [
                ('clip.avi', k, 48, 64) for k in range(FRAMES)]
    wanted = mmdense.predict(*given, list(VideoReader(str(video))))
    assert_close(instances(found), instances(wanted))
    said = json.loads((tmp_path / 'predictions.json').read_text())
    assert said == dict(
        names=found.names, images=found.images, skipped={})
    drawn, plain = VideoReader(str(tmp_path / 'clip.mp4')), VideoReader(
        str(video))
    assert drawn.fps == 8 and drawn.resolution == (48, 64)
    frames = list(drawn)
    assert len(frames) == FRAMES
    assert all((cv2.absdiff(a, b) > 60).any()
               for a, b in zip(frames, plain, strict=True))


def test_few_frames_are_open_at_a_time(trained, video, monkeypatch):
    read, ahead = VideoReader.read, []
    frames = []
    monkeypatch.setattr(VideoReader, 'read',
                        lambda self: frames.append(1) or read(self))
    from mmdense.mmpose import prediction
    predict, done = prediction.predict, []

    def counted(model, images, boxes):
        ahead.append(len(frames) - len(done))
        done.extend(images)
        return predict(model, images, boxes)

    monkeypatch.setattr(prediction, 'predict', counted)
    found = mmdense.predict(*trained('mmpose'), video, batch_size=2)
    assert len(found.images) == len(done) == FRAMES
    # One is read to see that there is one, before the network is loaded.
    assert max(ahead) <= 2 + 1


def test_a_frame_the_host_stops_at_keeps_its_time(trained, video, tmp_path,
                                                  monkeypatch):
    from mmdense.mmpose import prediction
    predict, third = prediction.predict, picture(2)

    def stops(model, images, boxes):
        if any(cv2.absdiff(image, third).mean() < 5 for image in images):
            raise RuntimeError('out of memory')
        return predict(model, images, boxes)

    monkeypatch.setattr(prediction, 'predict', stops)
    found = mmdense.predict(*trained('mmpose'), video, out=tmp_path,
                            batch_size=FRAMES)
    assert [r['frame'] for r in found.images] == [0, 1, 3, 4]
    (name, reason), = found.skipped.items()
    assert name == 'clip.avi, frame 2' and 'out of memory' in reason
    frames = list(VideoReader(str(tmp_path / 'clip.mp4')))
    assert len(frames) == FRAMES
    assert cv2.absdiff(frames[2], third).mean() < 5


def test_a_grey_network_takes_arrays(trained, files, tmp_path):
    base, _ = trained('mmseg')
    config = tmp_path / 'grey.py'
    steps = [dict(step) for step in
             load_config(base).test_dataloader.dataset.pipeline]
    steps[0]['color_type'] = 'grayscale'
    config.write_text(
        f'_base_ = {str(mmdense.config_path(base))!r}\n'
        'model = dict(backbone=dict(in_channels=1), data_preprocessor=dict('
        'mean=[127.], std=[58.], bgr_to_rgb=False))\n'
        f'test_dataloader = dict(dataset=dict(pipeline={steps!r}))\n')
    model = build_model(load_config(config))
    torch.save(dict(state_dict=model.state_dict()), tmp_path / 'grey.pth')
    pixels = np.repeat(picture(0)[..., :1], 3, 2)  # the same to any reader
    cv2.imwrite(str(tmp_path / 'grey.png'), pixels)
    found = mmdense.predict(config, tmp_path / 'grey.pth',
                            [pixels, tmp_path / 'grey.png'])
    first, second = instances(found)
    assert first == second


class Terminal(io.StringIO):

    def isatty(self):
        return True


@pytest.mark.parametrize('terminal, bar', [(Terminal(), True),
                                           (io.StringIO(), False)])
def test_a_bar_counts_the_frames_on_a_terminal(trained, video, terminal, bar):
    with contextlib.redirect_stderr(terminal):
        mmdense.predict(*trained('mmpose'), video)
    said = terminal.getvalue()  # some hosts' warnings among it
    assert (f' {FRAMES}/{FRAMES} [' in said) is ('frame/s' in said) is bar


# Argument, its value (of the folder with the files below), and the error.
GONE = Path('gone.png')
WRONG = [
    ('config', 'nothing-of-this-name', ValueError, 'no such config'),
    ('config', None, TypeError, 'config must be a path or a name, got None'),
    ('checkpoint', 3, TypeError, 'checkpoint must be a path or a name, got i'),
    ('checkpoint', 'other.pth', ValueError, "fit this config's network"),
    ('images', 'gone.png', ValueError, 'images must be .*gone.png: no such'),
    ('images', ['0.png', GONE], ValueError, r'images\[1\] must .*gone.png'),
    ('images', [], ValueError, 'images must have at least one'),
    ('images', 'empty', ValueError, 'images must be .*empty, which holds no'),
    ('images', 'broken.png', ValueError, 'images must be .*broken.png: does'),
    ('images', 'broken.mp4', ValueError, 'images must be a video with frames'),
    ('images', 3, TypeError, 'images must be a path or an array .*got int'),
    ('images', np.zeros((4, 4, 3)), TypeError, 'got an array of float64'),
    ('images', np.zeros((4, 4), np.uint8), ValueError, r'got shape \(4, 4\)'),
    ('images', np.zeros((0, 4, 3), np.uint8), ValueError, 'images must be an'),
    ('boxes', np.zeros((1, 3)), ValueError, r'boxes must be arrays \(N, 4\)'),
    ('boxes', np.array([[9, 9, 5, 5]]), ValueError, 'boxes must have x1 < x2'),
    ('boxes', [np.ones((1, 4))] * 2, ValueError, 'each of 1 images, got 2'),
    ('boxes', 'other.json', ValueError, 'must be a COCO annotation file'),
    ('batch_size', 0, ValueError, 'batch_size must be at least 1, got 0'),
    ('out', 3, TypeError, 'out must be a path'),
    ('out', '.', ValueError, 'out must be another folder than that of the im'),
    ('device', 'cuda:99', ValueError, "device 'cuda:99'"),
]


@pytest.mark.parametrize('name, value, kind, message', WRONG)
def test_a_wrong_argument_is_named(trained, files, tmp_path, monkeypatch, name,
                                   value, kind, message):
    monkeypatch.chdir(tmp_path)
    Path('empty').mkdir()
    pixels = (files / '0.png').read_bytes()
    Path('0.png').write_bytes(pixels)
    Path('broken.png').write_bytes(pixels[:len(pixels) // 2])
    Path('broken.mp4').write_bytes(b'no video')
    torch.save(dict(state_dict=dict(a=torch.ones(1))), 'other.pth')
    config, checkpoint = trained('mmpose')
    given = dict(config=config, checkpoint=checkpoint, images='0.png')
    with pytest.raises(kind, match=message):
        mmdense.predict(**given | {name: value})


def test_boxes_go_with_people_in_images(trained, files, video):
    for host, images in (('mmseg', files / '0.png'), ('mmpose', video)):
        with pytest.raises(ValueError, match='boxes must go with images'):
            mmdense.predict(*trained(host), images, boxes=np.ones((1, 4)))


def test_two_pictures_of_one_name_are_refused(trained, files, tmp_path):
    (tmp_path / 'other').mkdir()
    cv2.imwrite(str(tmp_path / 'other' / '0.png'), picture(7))
    both = [files / '0.png', tmp_path / 'other' / '0.png']
    assert len(mmdense.predict(*trained('mmpose'), both).images) == 2
    with pytest.raises(ValueError, match='must have different names .*0.png'):
        mmdense.predict(*trained('mmpose'), both, out=tmp_path / 'out')


def test_the_readmes_call_works(trained, files, tmp_path, monkeypatch):
    readme = Path(__file__).resolve().parents[1] / 'README.md'
    section = readme.read_text().split('\n## A trained network')[1]
    monkeypatch.chdir(tmp_path)
    weights = tmp_path / 'work_dirs/quickstart/epoch_10.pth'
    weights.parent.mkdir(parents=True)
    weights.symlink_to(trained('mmpose')[1])
    (tmp_path / 'PHOTO.jpg').symlink_to(files / '0.png')
    said = dict(mmdense=mmdense)
    exec(section.split('```python\n')[1].split('```')[0], said)
    assert all(isinstance(said[name], float) for name in ('x', 'y', 'score'))


def test_the_tool_and_the_command_are_one(monkeypatch):
    spec = importlib.util.spec_from_file_location(
        'predict_tool',
        Path(__file__).resolve().parents[1] / 'tools' / 'predict.py')
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    assert tool.main is predicting.main
    words = ['CONFIG', 'CHECKPOINT', 'clip.mp4', '--batch-size', '4']
    monkeypatch.setattr(sys, 'argv', ['mmdense', 'predict', *words])
    monkeypatch.setattr(predicting, 'main', lambda argv: argv)
    with pytest.raises(SystemExit) as ended:
        door.main()
    assert ended.value.code == words


def test_the_command_says_how_many_frames(trained, video, tmp_path, capsys):
    config, checkpoint = trained('mmpose')
    assert predicting.main([config, str(checkpoint), str(video), '--out',
                            str(tmp_path)]) == 0
    assert capsys.readouterr().out == f'wrote {FRAMES} frames to {tmp_path}\n'
