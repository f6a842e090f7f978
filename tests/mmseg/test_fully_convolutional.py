"""FCN as mmseg builds, loads, trains and scores it."""
import copy
import functools
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from torch import nn

pytest.importorskip('mmseg')

import mmcv  # noqa: E402
from mmengine.structures import PixelData  # noqa: E402
from mmseg.registry import DATASETS, METRICS, MODELS  # noqa: E402
from mmseg.structures import SegDataSample  # noqa: E402

from mmdense import networks  # noqa: E402
from mmdense.analysis.receptive_field import receptive_fields  # noqa: E402
from mmdense.config_path import config_path  # noqa: E402
from mmdense.modules.skip_fusion import bilinear_kernel  # noqa: E402

CONFIGS = Path(__file__).parents[2] / 'configs/mmseg/fcn'
FILES = sorted([
    *CONFIGS.glob('*.py'),
    *(CONFIGS.parent / 'evidence/camvid').glob('fcn-*s_vgg16_*.py')
])
VOC = '_1xb20-100k_voc11-500x500'


@pytest.fixture(autouse=True)
def mmseg_scope():
    with DefaultScope.overwrite_default_scope('mmseg'):
        yield


@functools.cache
def parsed(name):
    return Config.fromfile(config_path(name))


def model_of(name, classes=3):
    """A config's network, narrow."""
    cfg = copy.deepcopy(parsed(name).model)
    cfg.backbone.init_cfg = None
    cfg.backbone.classifier.update(base_channels=2, fc_channels=6)
    widths = dict(zip((0, 1, 2, 3), (3, 8, 16, 6), strict=True))
    cfg.decode_head.in_channels = [
        widths[i] for i in cfg.decode_head.in_index
    ]
    cfg.decode_head.num_classes = classes
    return cfg


def build(name, classes=3, seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = MODELS.build(model_of(name, classes))
        model.init_weights()
    return model


@pytest.mark.parametrize('name, layers, size', [
    ('fcn-32s_alexnet', 8, 355),
    ('fcn-32s_alexnet-torchvision', 8, 355),
    ('fcn-32s_vgg16', 16, 404),
    ('fcn-32s_googlenet', 22, 715),
])
def test_layers_stride_and_field_of_table_1(name, layers, size):
    """Of the score map: the upsampling is counted in none of them."""
    with torch.device('meta'):
        model = networks.build_model(parsed(name + VOC))
    image = torch.empty(1, 3, 500, 500, device='meta')
    fields = receptive_fields(model, image, None, mode='tensor')
    field = fields['decode_head.fusion.scores.0']
    assert (field.layers, field.stride, field.size) == (
        layers, (32, 32), (size, size))
    assert fields[''].stride == (1, 1)


def test_googlenets_field_is_the_printed_one_with_its_last_pool():
    class Classifier(nn.Module):

        def __init__(self):
            super().__init__()
            backbone = parsed('fcn-32s_googlenet' + VOC).model.backbone
            self.backbone = MODELS.build(backbone)
            self.pool = nn.AvgPool2d(7, 1)

        def forward(self, image):
            return self.pool(self.backbone(image)[-1])

    with torch.device('meta'):
        model = Classifier().eval()
    field = receptive_fields(
        model, torch.empty(1, 3, 500, 500, device='meta'))['']
    assert field.size == (907, 907) and field.stride == (32, 32)


@pytest.mark.parametrize('name, function, shifts', [
    ('fcn-32s_vgg16', 'vgg16', False),
    ('fcn-32s_alexnet-torchvision', 'alexnet', False),
    ('fcn-32s_googlenet-torchvision', 'googlenet', True),
])
def test_an_image_reaches_the_layers_as_torchvision_brings_it(
        name, function, shifts):
    torchvision = pytest.importorskip('torchvision')
    (weights, *_) = torchvision.models.get_model_weights(function)
    norm = weights.transforms()
    rgb = sample()['inputs']
    expected = (rgb / 255 - torch.tensor(norm.mean).view(3, 1, 1)
                ) / torch.tensor(norm.std).view(3, 1, 1)
    if shifts:
        with torch.device('meta'):
            network = torchvision.models.googlenet(
                transform_input=True, init_weights=False)
        expected = network._transform_input(expected[None])[0]
    preprocessor = MODELS.build(parsed(name + VOC).model.data_preprocessor)
    found = preprocessor(dict(inputs=[rgb.flip(0)]), False)['inputs'][0]
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('path', FILES, ids=lambda path: path.stem)
def test_a_config_names_its_classes_and_the_recipe_it_starts_from(path):
    cfg = parsed(path.stem)
    dataset = cfg.train_dataloader.dataset
    if 'datasets' in dataset:
        dataset = dataset.datasets[0]
    metainfo = dataset.get('metainfo') or DATASETS.get(dataset.type).METAINFO
    classes = len(metainfo['classes'])
    assert cfg.model.decode_head.num_classes == classes
    for loader in (cfg.val_dataloader, cfg.test_dataloader):
        assert loader.dataset.type == dataset.type
    start = cfg.get('load_from')
    backbone = cfg.model.backbone
    pretrained = [part.get('init_cfg')
                  for part in backbone.get('streams', [backbone])]
    if start:
        coarser = Path(start).parent.name
        assert not any(pretrained)
        assert parsed(coarser).model.decode_head.num_classes == classes
        step = 2 * int(path.stem[4:].split('s')[0])
        assert coarser == path.stem.replace(
            path.stem.split('_')[0], f'fcn-{step}s')
        assert cfg.optim_wrapper.optimizer.lr == pytest.approx(
            parsed(f'fcn-32s_vgg16{VOC}').optim_wrapper.optimizer.lr / 100)
    if '_1xb20-100k_' in path.stem:  # the paper's
        assert cfg.optim_wrapper.optimizer.type == 'SGD'
        assert cfg.optim_wrapper.optimizer.momentum == 0.9
        assert cfg.param_scheduler == []  # a fixed rate
        assert cfg.train_dataloader.batch_size == 20


# tests/modules/test_skip_fusion.py derives them from the receptive fields.
CROPS = {
    'fcn-32s_vgg16': [(32, 64, 19)],
    'fcn-32s_vgg16-rgbd': [(32, 64, 19)],
    'fcn-32s_vgg16-hha': [(32, 64, 19)],
    'fcn-32s_vgg16-rgb-hha': [(32, 64, 19)],
    'fcn-16s_vgg16-rgb-hha': [(2, 4, 5), (16, 32, 27)],
    'fcn-32s-fixed_vgg16': [(32, 64, 19)],
    'fcn-16s_vgg16': [(2, 4, 5), (16, 32, 27)],
    'fcn-8s_vgg16': [(2, 4, 5), (2, 4, 9), (8, 16, 31)],
    'fcn-32s_alexnet': [(32, 63, 18)],
    'fcn-32s_alexnet-torchvision': [(32, 63, 18)],
    'fcn-32s_googlenet': [(32, 63, 98)],
    'fcn-32s_googlenet-torchvision': [(32, 63, 106)],
}


@pytest.mark.parametrize('path', FILES, ids=lambda path: path.stem)
def test_a_configs_maps_lie_over_each_other(path):
    steps = parsed(path.stem).model.decode_head.upsampling
    found = [(step.factor, step.get('kernel_size', 2 * step.factor),
              step.crop) for step in steps]
    assert found == CROPS['_'.join(path.stem.split('_')[:2])]


def test_the_fixed_network_trains_its_score_layer_alone():
    cfg = copy.deepcopy(
        parsed('fcn-32s-fixed_vgg16_1xb20-100k_voc12aug-500x500'))
    model = build('fcn-32s_vgg16' + VOC)
    wrapper = Runner.build_optim_wrapper(
        type('Runner', (), dict(model=model)), cfg.optim_wrapper)
    before = {n: p.clone() for n, p in model.named_parameters()}
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    wrapper.optimizer.step()
    changed = {n for n, p in model.named_parameters()
               if not torch.equal(p, before[n])}
    assert changed == {
        'decode_head.fusion.scores.0.weight',
        'decode_head.fusion.scores.0.bias'
    }


@pytest.mark.parametrize('scale', [32, 16, 8])
def test_initial_values_survive_the_hosts(scale):
    model = build(f'fcn-{scale}s_vgg16' + VOC)
    fusion = model.decode_head.fusion
    assert not any(s.weight.any() or s.bias.any() for s in fusion.scores)
    for up in fusion.upsamples:
        torch.testing.assert_close(up.weight[1, 1], bilinear_kernel(4, 2))
        assert not up.weight[0, 1].any()
    # Nothing of BaseDecodeHead's own is left over.
    assert not hasattr(model.decode_head, 'conv_seg')
    weight = model.backbone.network.fc6.weight
    assert weight.std().item() == pytest.approx(
        (2 / weight[0].numel())**0.5, rel=0.05)


def test_what_init_cfg_asks_of_a_classifier_comes_last():
    network = MODELS.build(dict(
        type='mmdense.ConvolutionalClassifier',
        classifier=dict(type='VGG16', base_channels=2, fc_channels=6),
        init_cfg=dict(type='Constant', layer='Conv2d', val=0.5, bias=0.25)))
    network.init_weights()
    values = {value.item() for parameter in network.parameters()
              for value in parameter.unique()}
    assert values == {0.5, 0.25}


def sample(seed=0, size=(40, 56), classes=3):
    generator = torch.Generator().manual_seed(seed)
    image = torch.randint(0, 256, (3, *size), generator=generator)
    label = torch.randint(0, classes, (1, *size), generator=generator)
    data = SegDataSample(gt_sem_seg=PixelData(data=label))
    data.set_metainfo(dict(img_shape=size, ori_shape=size, pad_shape=size))
    return dict(inputs=image.to(torch.uint8), data_samples=data)


def runner(name, work_dir, start, lr):
    """Two iterations of the config's network on random images."""
    cfg = parsed(name)
    loader = torch.utils.data.DataLoader(
        [sample(k) for k in range(4)],
        batch_size=2,
        collate_fn=lambda items: dict(
            inputs=[i['inputs'] for i in items],
            data_samples=[i['data_samples'] for i in items]))
    return Runner(
        model=build(name),
        work_dir=str(work_dir),
        train_dataloader=loader,
        train_cfg=dict(type='IterBasedTrainLoop', max_iters=2),
        optim_wrapper=dict(
            cfg.optim_wrapper, optimizer=dict(cfg.optim_wrapper.optimizer,
                                              lr=lr)),
        param_scheduler=cfg.param_scheduler,
        default_hooks=dict(
            check=dict(type='mmdense.CheckpointCheckHook'),
            checkpoint=dict(
                type='CheckpointHook', by_epoch=False, interval=2)),
        load_from=start,
        log_level='ERROR',
        default_scope='mmseg',
        experiment_name=f'{name}-{work_dir.name}')


def test_trains_stage_by_stage_from_the_coarser_network(tmp_path):
    generator = torch.Generator().manual_seed(0)
    start, coarser = None, None
    for scale in (32, 16, 8):
        name = f'fcn-{scale}s_vgg16' + VOC
        if start is not None:
            # At rate zero training leaves what it loaded.
            still = runner(name, tmp_path / f'{scale}-still', start, 0.)
            still.train()
            image = torch.randn(1, 3, 96, 96, generator=generator)
            logits = {}
            for key, model in (('old', coarser), ('new', still.model)):
                model.eval()
                with torch.no_grad():
                    logits[key] = model(image, mode='tensor')
            spread = logits['old'].std()
            assert spread > 1e-3
            error = (logits['new'] - logits['old']).abs().mean()
            assert error < 0.1 * spread
        stage = runner(name, tmp_path / str(scale), start, 0.01)
        for score in stage.model.decode_head.fusion.scores:
            # Two iterations leave too little of a zero to compare.
            nn.init.normal_(score.weight, generator=generator)
        stage.train()
        start = str(tmp_path / str(scale) / 'iter_2.pth')
        coarser = copy.deepcopy(stage.model)


def test_the_checkpoint_of_another_network_is_refused(tmp_path):
    path = tmp_path / 'other.pth'
    torch.save(dict(state_dict={'nose.weight': torch.zeros(1)}), path)
    with pytest.raises(ValueError, match='does not fit'):
        runner('fcn-16s_vgg16' + VOC, tmp_path / 'work', str(path),
               0.01).train()


def test_a_finer_stage_that_loads_nothing_is_refused(tmp_path):
    name = 'fcn-16s_vgg16' + VOC
    config = parsed(name)

    def training(lr, start=None):
        built = runner(name, tmp_path / 'work', start, lr)
        built.register_hook(dict(config.default_hooks.fine_tuning))
        return built

    with pytest.raises(ValueError, match='load_from must name .* rate of '
                       '1e-06, got None: .*init_cfg.*lr=1e-4'):
        training(config.optim_wrapper.optimizer.lr).train()
    training(1e-4).train()
    training(config.optim_wrapper.optimizer.lr,
             str(tmp_path / 'work/iter_2.pth')).train()


def test_images_of_several_sizes_make_a_batch():
    model = build('fcn-8s_vgg16' + VOC)
    items = [sample(0, (40, 56)), sample(1, (64, 33))]
    batch = model.data_preprocessor(
        {key: [item[key] for item in items] for key in items[0]}, True)
    assert batch['inputs'].shape == (2, 3, 64, 56)
    labels = [data.gt_sem_seg.data for data in batch['data_samples']]
    assert labels[0][0, 40:].unique().tolist() == [255]
    assert model(**batch, mode='loss')['decode.loss_ce'] > 0


def test_the_losss_gradient_reaches_every_score():
    model = build('fcn-8s_vgg16' + VOC)
    with torch.no_grad():
        for score in model.decode_head.fusion.scores:
            score.weight.normal_()
    batch = model.data_preprocessor(
        dict(
            inputs=[sample()['inputs']],
            data_samples=[sample()['data_samples']]), True)
    model(**batch, mode='loss')['decode.loss_ce'].backward()
    assert all(p.grad.abs().sum() > 0 for p in model.parameters()
               if p.dim() > 1)


@pytest.mark.parametrize('size', [(1, 1), (33, 70), (64, 32)])
def test_predicts_an_image_of_any_size(size):
    model = build('fcn-8s_vgg16' + VOC).eval()
    with torch.no_grad():
        (result, ) = model.predict(torch.randn(1, 3, *size))
    assert result.pred_sem_seg.shape == size


@pytest.mark.parametrize('model, message', [
    (dict(type='mmdense.ConvolutionalClassifier',
          classifier=dict(type='VGG')), r"a type out of \['AlexNet', "
     r"'GoogLeNet', 'VGG16'\], got 'VGG'"),
    (dict(type='mmdense.FCNSkipHead', in_channels=[3, 5], in_index=[0, 1],
          num_classes=3, upsampling=[]), 'must have one entry a map, 1 for'),
])
def test_refuses_what_it_cannot_build(model, message):
    with pytest.raises(ValueError, match=message):
        MODELS.build(model)


LABELS = [('NYUDv2Dataset', 40), ('SIFTFlowDataset', 33),
          ('SIFTFlowGeometryDataset', 3)]


@pytest.mark.parametrize('kind, classes', LABELS)
def test_scene_labels_count_from_one_and_zero_is_void(tmp_path, kind,
                                                      classes):
    label = np.arange(classes + 1, dtype=np.uint8).repeat(2).reshape(-1, 2)
    mmcv.imwrite(np.zeros((classes + 1, 2, 3), np.uint8),
                 str(tmp_path / 'images/a.jpg'))
    mmcv.imwrite(label, str(tmp_path / 'labels/a.png'))
    (tmp_path / 'list.txt').write_text('a\n')
    dataset = DATASETS.build(
        dict(
            type=f'mmdense.{kind}',
            data_root=str(tmp_path),
            data_prefix=dict(img_path='images', seg_map_path='labels'),
            ann_file='list.txt',
            pipeline=[
                dict(type='LoadImageFromFile'),
                dict(type='LoadAnnotations', reduce_zero_label=True),
                dict(type='PackSegInputs')
            ]))
    found = dataset[0]['data_samples'].gt_sem_seg.data[0, :, 1].tolist()
    assert found == [255, *range(classes)]
    assert len(dataset.metainfo['classes']) == classes


def metric(**options):
    built = METRICS.build(dict(type='mmdense.SegmentationScores', **options))
    built.dataset_meta = dict(classes=('a', 'b', 'c'))
    return built


def predicted(truth, prediction, **meta):
    return dict({
        name: dict(data=torch.tensor([value]))
        for name, value in (('gt_sem_seg', truth), ('pred_sem_seg',
                                                    prediction))
    }, **meta)


def test_metric_scores_all_images_together():
    scores = metric()
    # The confusion matrix of tests/analysis/test_segmentation_scores.py.
    scores.process({}, [
        predicted([[0, 0, 0, 0, 0, 1]], [[0, 0, 0, 0, 1, 1]]),
        predicted([[1, 1, 2, 2, 255, 255]], [[1, 2, 2, 0, 0, 2]])
    ])
    assert scores.evaluate(2) == dict(
        pixel_accuracy=70.0,
        mean_accuracy=65.56,
        mean_iu=50.0,
        frequency_weighted_iu=55.0)


def test_metric_ignores_the_label_it_is_told():
    scores = metric(ignore_index=2)
    scores.process({}, [predicted([[0, 1, 2, 2]], [[0, 0, 0, 1]])])
    assert scores.evaluate(1)['pixel_accuracy'] == 50.0


def test_metric_names_the_image_of_a_label_that_is_no_class():
    with pytest.raises(ValueError, match='street.png: truth must .* labels 0 '
                       r'to 2 or 255 \(ignored\), got 11'):
        metric().process({}, [
            predicted([[0, 11]], [[0, 0]], seg_map_path='street.png')
        ])
