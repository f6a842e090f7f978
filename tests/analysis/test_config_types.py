"""mmengine's pure-Python configs, whose types are classes, go everywhere."""
import json

import cv2
import numpy as np
import pytest
import torch
from by_path import load_tool
from mmengine.config import Config
from mmengine.runner import save_checkpoint

import mmdense
from mmdense import networks
from mmdense.analysis.benchmarks import networks as network_benchmark
from mmdense.analysis.benchmarks.steps import training_step
from mmdense.datasets.checks.data import config_faults
from mmdense.networks import exporting
from mmdense.networks.config_types import name_types, type_name
from mmdense.networks.trained import load_network

CONFIG = '''
from mmcv.transforms import LoadImageFromFile, Resize
from mmengine.optim import OptimWrapper
from mmseg.datasets import (
    BaseSegDataset, LoadAnnotations, PackSegInputs)
from mmseg.models import (
    CrossEntropyLoss, EncoderDecoder, FCNHead, ResNetV1c, SegDataPreProcessor)
from mmseg.visualization import SegLocalVisualizer
from torch.nn import BatchNorm2d
from torch.optim import SGD

norm = dict(type=BatchNorm2d)
model = dict(
    type=EncoderDecoder,
    data_preprocessor=dict(
        type=SegDataPreProcessor, mean=[128] * 3, std=[64] * 3,
        bgr_to_rgb=True, size_divisor=32),
    backbone=dict(
        type=ResNetV1c, depth=18, stem_channels=8, base_channels=8,
        norm_cfg=norm),
    decode_head=dict(
        type=FCNHead, in_channels=64, in_index=3, channels=8, num_convs=1,
        concat_input=False, num_classes=2, norm_cfg=norm,
        loss_decode=dict(type=CrossEntropyLoss)),
    train_cfg=dict(), test_cfg=dict(mode='whole'))
load = [dict(type=LoadImageFromFile), dict(type=LoadAnnotations)]
dataset = dict(
    type=BaseSegDataset, metainfo=dict(classes=('ground', 'cell')),
    data_root={root!r}, img_suffix='.png',
    data_prefix=dict(img_path='images', seg_map_path='labels'))
train_dataloader = dict(dataset=dict(dataset, pipeline=[
    *load, dict(type=Resize, scale=(64, 32), keep_ratio=False),
    dict(type=PackSegInputs)]))
test_dataloader = dict(dataset=dict(dataset, pipeline=[
    load[0], dict(type=Resize, scale=(64, 32)), load[1],
    dict(type=PackSegInputs)]))
optim_wrapper = dict(type=OptimWrapper, optimizer=dict(type=SGD, lr=0.1))
visualizer = dict(type=SegLocalVisualizer)
'''


@pytest.fixture
def given(tmp_path):
    """Config, checkpoint and folder of images."""
    pytest.importorskip('mmseg')
    for name, picture in dict(images=np.full((32, 64, 3), 90, np.uint8),
                              labels=np.eye(32, 64, dtype=np.uint8)).items():
        (tmp_path / name).mkdir()
        cv2.imwrite(str(tmp_path / name / '1.png'), picture)
    path = tmp_path / 'pure.py'
    path.write_text(CONFIG.format(root=str(tmp_path)))
    model = networks.build_model(Config.fromfile(path))
    save_checkpoint(dict(state_dict=model.state_dict()),
                    str(tmp_path / 'w.pth'))
    return str(path), str(tmp_path / 'w.pth'), tmp_path / 'images'


def test_a_type_has_a_name():
    assert type_name(dict(type='mmdet.Resize')) == 'Resize'
    assert type_name(dict(type=torch.nn.Linear)) == 'Linear'
    assert type_name({}) == ''


def test_registered_classes_are_named_and_others_stay(given):
    from mmcv.transforms import LoadAnnotations, Resize
    config = Config.fromfile(given[0])
    config.shadowed = [dict(type=LoadAnnotations)]
    name_types(config)
    assert config.default_scope == 'mmseg'
    assert config.model.decode_head.loss_decode.type == 'CrossEntropyLoss'
    assert [step.type for step in config.test_dataloader.dataset.pipeline] == [
        'LoadImageFromFile', Resize, 'LoadAnnotations', 'PackSegInputs']
    # Under these names mmseg has others, and none under that of the norm.
    assert config.shadowed[0].type is LoadAnnotations
    assert config.norm.type is torch.nn.BatchNorm2d


def test_every_tool_takes_a_pure_python_config(given, tmp_path, capsys):
    path, checkpoint, images = given
    config = networks.load_config(path, {'model.test_cfg.mode': 'whole'})
    shape = networks.input_shape(config)
    assert shape == (32, 64)
    assert training_step(config)() > 0
    assert network_benchmark.inference(config, shape)() is not None
    assert list(config_faults(config, 'train_dataloader')) == []
    # The raw one is what a training has.
    assert list(config_faults(
        Config.fromfile(path), 'train_dataloader')) == []
    model = load_network(config, checkpoint)
    assert model.dataset_meta['classes'] == ('ground', 'cell')
    if hasattr(exporting.Dim, 'AUTO'):
        assert exporting.program_of(model, shape, 3)[1]
    out = tmp_path / 'out'
    for name, words in dict(
            complexity=[], receptive_field=[], check_data=[],
            predict=[checkpoint, str(images), '--out', str(out), '--json'],
            feature_maps=[checkpoint, str(images / '1.png'), '--module',
                          'decode_head', '--out', str(out / 'maps.png')],
    ).items():
        assert load_tool(name).main([path, *words]) == 0, (
            name, capsys.readouterr().err)
    found = json.loads((out / 'predictions.json').read_text())
    assert found['names'] == ['ground', 'cell'] and not found['skipped']
    pixels = cv2.imread(str(images / '1.png'))
    array = mmdense.predict(path, checkpoint, pixels)
    assert array.images[0]['instances'] == found['images'][0]['instances']
    convert = load_tool('convert_classifier').main
    assert convert([path, checkpoint, 'x.pth']) == 2
    assert 'EfficientNetLite, got ResNetV1c' in capsys.readouterr().err
