"""FlatteNet's segmentation recipes, and their network in mmseg's runner."""
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

pytest.importorskip('mmseg')

from mmengine.config import Config  # noqa: E402
from mmengine.runner import Runner  # noqa: E402
from mmseg.structures import SegDataSample  # noqa: E402
from torch import nn  # noqa: E402

from mmdense import networks  # noqa: E402
from mmdense.analysis import complexity  # noqa: E402
from mmdense.datasets import make_segmentation_set  # noqa: E402

CONFIGS = Path(__file__).parents[2] / 'configs' / 'mmseg' / 'flattenet'
CONTEXT = '_1xb8-62k_pascal-context-59-480x480'
# Parameters and multiply-adds of what the paper does not print.
COUNTS = {
    'flattenet_r50' + CONTEXT: (24_920_571, 19_179_878_400),
    'flattenet_mobilenet-v2' + CONTEXT: (2_157_611, 1_423_108_800),
}
RECIPES = [path.stem for path in CONFIGS.glob('*_1xb8-62k_*.py')]


def load(name):
    return Config.fromfile(CONFIGS / f'{name}.py')


@pytest.mark.parametrize('name', COUNTS)
def test_counts_do_not_drift(name):
    config = load(name)
    with torch.device('meta'):
        model = networks.build_model(config)
    total = complexity.count_model(
        model, networks.input_shape(config))[0].total
    assert (total.params, total.macs) == COUNTS[name]


def test_module_is_that_of_table_7():
    neck = load('flattenet_r101' + CONTEXT).model.neck
    assert neck.upscale == 8
    assert [(layer.kernel_size, layer.groups_first, layer.groups_second,
             layer.multiplier) for layer in neck.layers
            ] == [(7, 32, 64, 2), (7, 64, 64, 2)]


@pytest.mark.parametrize('name', [n for n in RECIPES if 'flatte' in n])
def test_groups_of_each_backbone_see_every_channel_once(name):
    """The paper's complementary condition."""
    neck = load(name).model.neck
    channels = neck.in_channels
    for layer in neck.layers:
        product = layer.groups_first * layer.groups_second
        assert product == channels
        channels *= layer.multiplier


@pytest.mark.parametrize('name', RECIPES)
def test_training_is_that_of_section_4b(name):
    config = load(name)
    optimizer = config.optim_wrapper.optimizer
    assert optimizer == dict(
        type='SGD', lr=4e-3, momentum=0.9, weight_decay=1e-4)
    [policy] = config.param_scheduler
    assert (policy.type, policy.power, policy.eta_min) == ('PolyLR', 0.9, 0)
    # 100 epochs of 4998 images in batches of 8
    assert policy.end == config.train_cfg.max_iters == 4998 * 100 // 8
    assert config.train_dataloader.batch_size == 8
    dataset = config.train_dataloader.dataset
    for part in dataset.get('datasets', [dataset]):
        assert [step.type for step in part.pipeline] == [
            'LoadImageFromFile', 'LoadAnnotations', 'RandomResize',
            'RandomCrop', 'RandomFlip', 'PackSegInputs'
        ]
        assert part.pipeline[2].ratio_range == (0.5, 2.0)
        assert tuple(part.pipeline[3].crop_size) == tuple(config.crop_size)
    if 'flatte' in name:
        assert 'auxiliary_head' not in config.model


def test_multi_scale_test_has_the_papers_scales_of_the_single_one():
    config = load('flattenet_r101' + CONTEXT)
    sizes, flips = config.tta_pipeline[1].transforms[:2]
    single = config.test_pipeline[1].scale[0]
    assert [size.scale[0] / single for size in sizes
            ] == [0.5, 0.75, 1, 1.25, 1.5]
    assert [flip.prob for flip in flips] == [0, 1]


def test_background_is_a_class_of_the_60_only():
    fifty_nine = load('flattenet_r101' + CONTEXT)
    sixty = load('flattenet_r101_1xb8-62k_pascal-context-480x480')
    for loader in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        for config, name, reduced in ((fifty_nine, 'PascalContextDataset59',
                                       True),
                                      (sixty, 'PascalContextDataset', None)):
            dataset = config[loader].dataset
            assert dataset.type == name
            [labels] = [
                step for step in dataset.pipeline
                if step.type == 'LoadAnnotations'
            ]
            assert labels.get('reduce_zero_label') is reduced


@pytest.fixture(scope='module')
def scenes(tmp_path_factory):
    folder = tmp_path_factory.mktemp('scenes')
    make_segmentation_set(
        folder, train=4, val=2, size=(72, 100), difficulty='easy',
        classes=('person', ), workers=1)
    return folder / 'VOC2012'


def run(scenes, work_dir, crop=(64, 96), **changes):
    """The quick start's network, 2 iterations on images of ``crop``."""
    config = load('flattenet_r18_quick_synthetic-128x128')
    resize = {f'{split}_dataloader.dataset.pipeline.{step}.scale': crop[::-1]
              for split, step in (('train', 2), ('val', 1), ('test', 1))}
    given = {
        'model.data_preprocessor.size': crop,
        'train_cfg.max_iters': 2,
        'train_cfg.val_interval': 2,
        'default_hooks.checkpoint.interval': 2,
        'default_hooks.logger.interval': 1,
        'train_dataloader.batch_size': 2,
    } | resize
    for split in ('train', 'val', 'test'):
        given[f'{split}_dataloader.dataset.data_root'] = str(scenes)
        given[f'{split}_dataloader.num_workers'] = 0
        given[f'{split}_dataloader.persistent_workers'] = False
    for split, step in (('train', 2), ('val', 1), ('test', 1)):
        pipeline = config[f'{split}_dataloader'].dataset.pipeline
        pipeline[step].keep_ratio = False
    config.merge_from_dict(given | changes)
    config.work_dir = str(work_dir)
    config.experiment_name = f'{Path(work_dir).name}-{time.time_ns()}'
    return Runner.from_cfg(config)


def losses(runner):
    history = runner.message_hub.get_scalar('train/loss')
    return np.array(history.data[0])


# 64 x 96 are multiples of the stride, 72 x 100 and 47 x 81 are not.
@pytest.mark.parametrize('crop', [(64, 96), (72, 100), (47, 81)])
def test_any_crop_trains_and_tests(scenes, tmp_path, crop):
    runner = run(scenes, tmp_path, crop)
    runner.train()
    assert len(losses(runner)) == 2 and np.isfinite(losses(runner)).all()
    tester = run(scenes, tmp_path / 'test', crop,
                 load_from=str(tmp_path / 'iter_2.pth'))
    assert 0 <= tester.test()['mIoU'] <= 100


def test_an_image_of_any_size_is_not_squeezed(scenes, tmp_path):
    """Its logits are those of the image padded to the stride, cut off."""
    model = run(scenes, tmp_path).model.eval()
    image = torch.randint(0, 256, (3, 70, 101), dtype=torch.uint8)
    preprocessor = model.data_preprocessor
    padded = nn.functional.pad(
        (image[[2, 1, 0]] - preprocessor.mean) / preprocessor.std,
        (0, 27, 0, 26))
    sample = SegDataSample(
        metainfo=dict(ori_shape=(70, 101), img_shape=(70, 101)))
    with torch.no_grad():
        logits = model(padded[None], mode='tensor')
        [result] = model.test_step(
            dict(inputs=[image], data_samples=[sample]))
    wanted = nn.functional.interpolate(
        logits, scale_factor=4, mode='bilinear')[0, :, :70, :101]
    torch.testing.assert_close(result.seg_logits.data, wanted)


@pytest.mark.parametrize('label', [255, 0])
def test_images_without_ground_truth_give_a_finite_loss(
        scenes, tmp_path, label):
    """All void, or nothing but background."""
    empty = tmp_path / 'VOC2012'
    labels = empty / 'SegmentationClass'
    labels.mkdir(parents=True)
    for name in ('JPEGImages', 'ImageSets'):
        (empty / name).symlink_to(scenes / name)
    for path in (scenes / 'SegmentationClass').iterdir():
        cv2.imwrite(str(labels / path.name),
                    np.full((72, 100), label, np.uint8))
    runner = run(empty, tmp_path / 'work')
    runner.train()
    assert np.isfinite(losses(runner)).all()
    assert (losses(runner) == 0).all() == (label == 255)
    assert all(p.isfinite().all() for p in runner.model.parameters())


def test_a_checkpoint_of_other_classes_is_refused(scenes, tmp_path):
    run(scenes, tmp_path).train()
    path = str(tmp_path / 'iter_2.pth')
    other = run(scenes, tmp_path / 'test', load_from=path,
                **{'model.decode_head.num_classes': 19})
    with pytest.raises(ValueError, match=r'conv_seg.weight: \(2, 32, 1, 1\) '
                       r'there, \(19, 32, 1, 1\) here'):
        other.test()


def test_a_label_beyond_the_classes_is_an_error(scenes, tmp_path):
    with pytest.raises(IndexError, match='out of bounds'):
        run(scenes, tmp_path, **{'model.decode_head.num_classes': 1}).train()
