"""FCN's networks of colour and depth, and what they read."""
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DATASETS, MODELS, TRANSFORMS, DefaultScope
from mmengine.runner import Runner

pytest.importorskip('mmseg')

from mmcv.transforms import Compose  # noqa: E402

from mmdense import networks  # noqa: E402
from mmdense.datasets import make_room_set  # noqa: E402
from mmdense.datasets.hha import hha  # noqa: E402
from mmdense.mmseg.prediction import predict  # noqa: E402

CONFIGS = Path(__file__).resolve().parents[2] / 'configs/mmseg/fcn'
NARROW = dict(type='VGG16', base_channels=2, fc_channels=8)


@pytest.fixture(autouse=True)
def mmseg_scope():
    with DefaultScope.overwrite_default_scope('mmseg'):
        yield


@pytest.fixture
def scene(tmp_path, monkeypatch):
    """Two pictures in the layout of the recipes."""
    monkeypatch.chdir(tmp_path)
    root = tmp_path / 'data/nyudv2'
    for name in ('images', 'depth', 'labels'):
        (root / name).mkdir(parents=True)
    rng = np.random.default_rng(0)
    for name in ('a', 'b'):
        cv2.imwrite(str(root / f'images/{name}.jpg'),
                    rng.integers(0, 255, (40, 60, 3), dtype=np.uint8))
        depth = np.linspace(800, 4000, 2400).reshape(40, 60)
        cv2.imwrite(str(root / f'depth/{name}.png'), depth.astype(np.uint16))
        cv2.imwrite(str(root / f'labels/{name}.png'),
                    rng.integers(0, 41, (40, 60), dtype=np.uint8))
    for part in ('train', 'test'):
        (root / f'{part}.txt').write_text('a\nb\n')
    return root


def load(scene, parts, *steps):
    results = Compose([
        dict(type='LoadImageFromFile'),
        dict(type='mmdense.LoadDepth'), *steps,
        dict(type='mmdense.StackParts', parts=parts)
    ])(dict(img_path=str(scene / 'images/a.jpg')))
    return results['img']


def test_channels_are_colours_then_metres_then_hha(scene):
    image = load(scene, ['colour', 'depth', 'hha'],
                 dict(type='mmdense.EncodeHHA', gravity=(0, 1, 0)))
    colours = cv2.imread(str(scene / 'images/a.jpg'))
    assert image.shape == (40, 60, 7) and image.dtype == np.float32
    assert np.array_equal(image[..., :3], colours[..., ::-1])
    assert image[0, 0, 3] == np.float32(.8) and image[-1, -1, 3] == 4
    assert np.array_equal(image[..., 4:],
                          hha(image[..., 3], gravity=(0, 1, 0)))
    assert np.array_equal(load(scene, ['depth'])[..., 0], image[..., 3])


@pytest.mark.parametrize('step, message', [
    (dict(type='mmdense.StackParts', parts=['hha']), 'put EncodeHHA'),
    (dict(type='mmdense.StackParts', parts=['depth']), 'put LoadDepth'),
    (dict(type='mmdense.EncodeHHA'), 'put LoadDepth'),
    (dict(type='mmdense.LoadDepth'), 'img_path must name'),
])
def test_what_must_come_before_is_named(step, message):
    with pytest.raises((KeyError, ValueError), match=message):
        TRANSFORMS.build(step)(dict(img=np.zeros((4, 4, 3), np.uint8)))


@pytest.mark.parametrize('picture', [
    np.zeros((60, 40), np.uint16), np.zeros((40, 60, 3), np.uint8)])
def test_another_picture_than_a_depth_is_named(scene, picture):
    cv2.imwrite(str(scene / 'depth/a.png'), picture)
    with pytest.raises(ValueError, match=r'size of the image, \(40, 60\)'):
        load(scene, ['depth'])


@pytest.mark.parametrize('parts', [[], ['color'], ['depth', 'x']])
def test_unknown_parts_are_named(parts):
    with pytest.raises(ValueError, match='parts must be some of'):
        TRANSFORMS.build(dict(type='mmdense.StackParts', parts=parts))


def classifier(**options):
    return MODELS.build(dict(
        type='mmdense.ConvolutionalClassifier',
        classifier=dict(NARROW, dropout=0, **options)))


def test_depth_starts_with_the_mean_of_the_colours_weights(tmp_path):
    plain = classifier()
    torch.save(plain.state_dict(), tmp_path / 'colours.pth')
    fused = classifier(in_channels=4)
    fused.init_cfg = dict(
        type='Pretrained', checkpoint=str(tmp_path / 'colours.pth'))
    fused.init_weights()
    weight = plain.network.features[0].weight
    assert torch.equal(
        fused.network.features[0].weight,
        torch.cat([weight, weight.mean(1, keepdim=True)], 1))
    # A grey image whose depth looks like it: a third brighter to the layer.
    grey = torch.rand(1, 1, 20, 30)
    first, last = (n.network.features[0] for n in (plain, fused))
    torch.testing.assert_close(
        last(grey.expand(-1, 4, -1, -1)),
        first(grey.expand(-1, 3, -1, -1)) * 4 / 3)
    # Its own weights load as they are.
    again = classifier(in_channels=4)
    again.load_state_dict(fused.state_dict())
    assert torch.equal(again.network.features[0].weight,
                       fused.network.features[0].weight)
    with pytest.raises(ValueError, match='in_channels'):
        classifier(in_channels=2)


def test_the_score_of_late_fusion_is_the_sum_of_both_scores():
    stream = dict(
        type='mmdense.ConvolutionalClassifier',
        classifier=dict(NARROW, dropout=0))
    fused = MODELS.build(dict(
        type='mmdense.LateFusion', streams=[stream, stream],
        channels=[3, 3]))
    head = dict(
        type='mmdense.FCNSkipHead', in_index=[0, 2, 3], num_classes=5,
        upsampling=[dict(factor=2, crop=5), dict(factor=16, crop=27)])
    both = MODELS.build(dict(head, in_channels=[6, 32, 16]))
    ones = [MODELS.build(dict(head, in_channels=[3, 16, 8]))
            for _ in range(2)]
    for k, score in enumerate(both.fusion.scores):
        torch.nn.init.normal_(score.weight)
        torch.nn.init.normal_(score.bias)
        halves = score.weight.chunk(2, 1)
        for one, half in zip(ones, halves, strict=True):
            one.fusion.scores[k].weight.data = half.clone()
        ones[0].fusion.scores[k].bias.data = score.bias.data.clone()
        torch.nn.init.zeros_(ones[1].fusion.scores[k].bias)
    image = torch.rand(1, 6, 25, 37)
    with torch.no_grad():
        found = both(fused(image))
        wanted = sum(one(stream(part)) for one, stream, part in zip(
            ones, fused.streams, image.split(3, 1), strict=True))
    assert found.shape == (1, 5, 25, 37)
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match='one number for each'):
        MODELS.build(dict(
            type='mmdense.LateFusion', streams=[stream], channels=[3, 3]))


def narrowed(name):
    config = Config.fromfile(CONFIGS / f'{name}_1xb20-100k_nyudv2-480x640.py')
    backbone = config.model.backbone
    streams = backbone.get('streams', [backbone])
    for stream in streams:
        stream.init_cfg = None
        stream.classifier.update(base_channels=2, fc_channels=8)
    first, *others, last = config.model.decode_head.in_channels
    config.model.decode_head.in_channels = [
        first, *(channels // 32 for channels in others), 8 * len(streams)]
    return config


def test_the_parameters_of_the_four_inputs():
    def parameters(name):
        model = networks.build_model(narrowed(name))
        return sum(p.numel() for p in model.parameters())

    colours = parameters('fcn-32s_vgg16')
    assert parameters('fcn-32s_vgg16-hha') == colours
    # The first layer is 2 channels wide here, its kernels are 3x3.
    assert parameters('fcn-32s_vgg16-rgbd') == colours + 2 * 9
    # Two networks; 40 scores have one bias.
    assert parameters('fcn-32s_vgg16-rgb-hha') == 2 * colours - 40


@pytest.mark.parametrize('name, channels', [
    ('fcn-32s_vgg16-rgbd', 4), ('fcn-32s_vgg16-hha', 3),
    ('fcn-16s_vgg16-rgb-hha', 6)])
def test_a_recipe_trains_and_tests_on_its_layout(
        scene, tmp_path, name, channels):
    config = narrowed(name)
    assert networks.input_channels(
        networks.build_model(config)) == channels
    config.load_from = None
    config.optim_wrapper.optimizer.lr = 1e-4
    config.train_dataloader.batch_size = 2
    for loader in (config.train_dataloader, config.val_dataloader):
        loader.update(num_workers=0, persistent_workers=False)
    config.train_cfg.update(max_iters=1, val_interval=1)
    config.work_dir = str(tmp_path / 'work')
    config.experiment_name = name
    runner = Runner.from_cfg(config)
    runner.train()
    scores = runner.message_hub.log_scalars
    assert np.isfinite(scores['train/loss'].current())
    assert {'val/mean_accuracy', 'val/frequency_weighted_iu'} <= set(scores)
    # A single image is read with its depth as well.
    runner.model.cfg = config
    found, = predict(runner.model, [str(scene / 'images/a.jpg')], [None])
    assert found.pred_sem_seg.data.shape == (1, 40, 60)


def test_the_quick_recipe_reads_the_rooms_it_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_room_set('data/synthetic/rooms', train=1, val=1, workers=1)
    config = Config.fromfile(
        CONFIGS / 'fcn-32s_vgg16-rgb-hha_quick_synthetic-96x128.py')
    for loader in (config.train_dataloader, config.val_dataloader):
        sample, = DATASETS.build(loader.dataset)
        assert sample['inputs'].shape == (6, 96, 128)
        labels = sample['data_samples'].gt_sem_seg.data
        assert set(labels.unique().tolist()) <= {0, 1, 2}
