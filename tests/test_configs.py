"""Every config is parsed, built and run once, small; every folder described.

Configs that share a network (ablations of data or schedule) share the run.
"""
import ast
import functools
import json
import re
import warnings
from pathlib import Path

import pytest
import torch
import yaml
from mmengine.config import Config
from mmengine.structures import BaseDataElement
from torch import nn
from torch.nn.modules.conv import _ConvNd

from mmdense import networks
from mmdense.analysis import complexity, paper_figures

ROOT = Path(__file__).resolve().parents[1]
CONFIGS = ROOT / 'configs'
FILES = sorted(
    path for path in CONFIGS.rglob('*.py') if '_base_' not in path.parts)
# A folder has a method's recipes, or the arms of comparisons on one data set.
FOLDERS = sorted({path.parent for path in FILES})
METHODS = [path for path in FOLDERS if path.parent.name != 'evidence']
EVIDENCE = [path for path in FOLDERS if path.parent.name == 'evidence']
# A name is network, training (GPUs x batch, then length), data.
TRAINING = r'((\d+xb\d+(-[a-z0-9]+)*-)?\d+[kex]?|quick)'
NETWORK = r'[a-z0-9-]+(_[a-z0-9-]+)*'
NAMES = dict(
    mmpose=rf'{NETWORK}_{TRAINING}_[a-z0-9-]+-\d+x\d+',
    mmseg=rf'{NETWORK}_{TRAINING}_[a-z0-9-]+-\d+x\d+(_[a-z0-9-]+)?',
    mmdet=rf'{NETWORK}_{TRAINING}_[a-z0-9-]+')


def name_of(path: Path) -> str:
    return str(path.relative_to(CONFIGS))


def each(paths):
    return pytest.mark.parametrize('path', paths, ids=name_of)


def host_of(path: Path) -> str:
    return path.relative_to(CONFIGS).parts[0]


def faults_of_text(source: str) -> list[str]:
    """What the text of a config must not have, or lacks."""
    tree = ast.parse(source)
    faults = []
    if any(isinstance(n, ast.Import | ast.ImportFrom) for n in ast.walk(tree)):
        faults.append('an import: mmengine reads the file as another kind')
    if not (ast.get_docstring(tree) or '').strip():
        faults.append('no docstring')
    return faults


def test_there_are_configs():
    assert FILES


@each(FILES)
def test_name_follows_the_host(path):
    assert re.fullmatch(NAMES[host_of(path)], path.stem), (
        f'{path.stem}: network_training_data, parts joined by "_", '
        f'must be like {NAMES[host_of(path)]}')


@each(FILES)
def test_text_is_a_docstring_and_plain_values(path):
    assert faults_of_text(path.read_text()) == []


@pytest.mark.parametrize('text, number', [
    ('"""Says what it is."""\na = 1', 0),
    ('a = 1', 1),
    ('"""Says."""\nfrom os import path', 1),
])
def test_a_fault_in_the_text_is_found(text, number):
    assert len(faults_of_text(text)) == number


@each(FILES)
def test_a_checkpoint_is_checked(path):
    """The hook's prefix is also what loads mmdense before a checkpoint is
    read: without it, a baseline of stock parts could not be tested."""
    assert Config.fromfile(path).default_hooks.check == dict(
        type='mmdense.CheckpointCheckHook')


@each(FILES)
def test_no_schedule_overrides_a_multiplier_of_the_learning_rate(path):
    """mmengine's OneCycleLR sets one rate for all parameters."""
    config = Config.fromfile(path)
    if 'OneCycleLR' in str(config.get('param_scheduler')):
        assert 'lr_mult' not in str(config.optim_wrapper.get('paramwise_cfg'))


def test_two_configs_of_one_host_never_share_a_name():
    """mim looks a config up by its file name alone."""
    names = [(host_of(path), path.name) for path in FILES]
    assert sorted(set(names)) == sorted(names)


def small_shape(config: Config, host: str) -> tuple[int, int]:
    """An input of about 128, its sides unequal.

    Each side leaves the remainder the full one leaves by the strides: by 128
    in pose networks (FlatteNet with seven subsamplings), else by 64. Valid
    convolutions accept certain remainders only.
    """
    step = 128 if host == 'mmpose' else 64
    height, width = (128 + full % step
                     for full in networks.input_shape(config))
    return height, width if width != height else width + step


class quick_weights:
    """Layers start from zeros: random numbers take most of a build."""

    def __enter__(self):
        def zeros(layer):
            for parameter in layer.parameters(recurse=False):
                nn.init.zeros_(parameter)

        def zero(tensor, *_, **__):
            return nn.init.zeros_(tensor)

        self.patch = pytest.MonkeyPatch()
        for kind in (_ConvNd, nn.Linear):
            self.patch.setattr(kind, 'reset_parameters', zeros)
        # Of networks that draw theirs themselves.
        for name in ('normal_', 'kaiming_normal_'):
            self.patch.setattr(nn.init, name, zero)

    def __exit__(self, *_):
        self.patch.undo()


@functools.lru_cache(None)
def run(scope: str, model: str, shape: tuple[int, int]):
    """The outputs of a network (as JSON) on one image, as flat tensors."""
    config = Config(dict(model=json.loads(model), default_scope=scope))
    test_cfg = config.model.get('test_cfg') or {}
    if 'rpn' in test_cfg:
        test_cfg['rpn'].update(nms_pre=20, max_per_img=5)
    with quick_weights():
        network = networks.build_model(config)
    sizes = dict.fromkeys(
        ('img_shape', 'ori_shape', 'pad_shape', 'batch_input_shape'), shape)
    sample = BaseDataElement(metainfo=dict(sizes, scale_factor=(1., 1.)))
    image = torch.zeros(1, networks.input_channels(network), *shape)
    with torch.no_grad():
        return network(image, [sample], mode='tensor')


def tensors(output) -> list[torch.Tensor]:
    if isinstance(output, torch.Tensor):
        return [output]
    if isinstance(output, dict):
        output = output.values()
    return [] if output is None else [t for o in output for t in tensors(o)]


def check_pose(config, shape, output):
    from mmpose.datasets.datasets.utils import parse_pose_metainfo
    from mmpose.registry import DATASETS
    head = config.model.head
    codec = head.get('decoder') or config.codec
    codec = codec[-1] if isinstance(codec, list) else codec
    (width, height), (w, h) = codec.input_size, codec.heatmap_size
    expected = (1, head.out_channels, shape[0] * h // height,
                shape[1] * w // width)
    assert {t.shape for t in output} == {expected}
    dataset = config.train_dataloader.dataset
    metainfo = dataset.get('metainfo') or DATASETS.get(dataset.type).METAINFO
    with warnings.catch_warnings():
        # mmpose says where it found the file.
        warnings.simplefilter('ignore')
        joints = parse_pose_metainfo(dict(metainfo))['num_keypoints']
    assert head.out_channels == joints


def check_segmentation(config, shape, output):
    heads = config.model.decode_head
    head = heads[-1] if isinstance(heads, list) else heads
    # EncNet also gives one vector of classes an image.
    (n, channels, h, w), = {t.shape for t in output if t.dim() == 4}
    assert (n, channels) == (1, head.get('out_channels') or head.num_classes)
    assert 1 <= h <= shape[0] and 1 <= w <= shape[1]
    # The map keeps the sides of the image in order, so none are swapped.
    assert (h < w) == (shape[0] < shape[1]) or abs(h - w) <= 1


def check_detection(config, shape, output):
    model = config.model
    shapes = [tuple(t.shape) for t in output]
    if 'roi_head' in model:
        box = model.roi_head.bbox_head
        box = box[-1] if isinstance(box, list) else box
        boxes = 4 * (1 if box.get('reg_class_agnostic') else box.num_classes)
        assert (5, box.num_classes + 1) in shapes and (5, boxes) in shapes
        mask = model.roi_head.get('mask_head')
        if mask:
            # A softmax has a channel for the background, too.
            masks = mask.num_classes + ('Multinomial' in mask.type)
            assert any(s[:2] == (5, masks) and s[2] == s[3]
                       for s in shapes if len(s) == 4)
        return
    classes = model.bbox_head.num_classes
    assert any(s[1] % classes == 0 and
               (s[2] < s[3]) == (shape[0] < shape[1]) for s in shapes)


CHECKS = dict(
    mmpose=check_pose, mmseg=check_segmentation, mmdet=check_detection)


@each(FILES)
def test_config_builds_and_runs(path):
    host = host_of(path)
    pytest.importorskip(host)
    config = networks.load_config(path)
    assert config.default_scope == host
    shape = small_shape(config, host)
    output = tensors(
        run(host, json.dumps(config.model.to_dict(), sort_keys=True), shape))
    assert output and all(torch.isfinite(t).all() for t in output)
    CHECKS[host](config, shape, output)


ROWS = paper_figures.paper_rows(CONFIGS)


@functools.lru_cache(None)
def counted(path: Path, shape: tuple[int, int] | None):
    config = networks.load_config(path)
    with quick_weights():
        model = networks.build_model(config)
    return complexity.count_model(
        model, shape or networks.input_shape(config),
        networks.input_channels(model))[0]


@pytest.mark.parametrize('row', ROWS, ids=[row['id'] for row in ROWS])
def test_built_config_has_the_counts_of_its_paper(row):
    """Parameters to the unit, multiply-adds to 0.1 %, at full size."""
    pytest.importorskip(host_of(row['config']))
    shape = tuple(row['shape']) if row.get('shape') else None
    compared = paper_figures.compare(row, counted(row['config'], shape))
    assert compared.exact is not False, (
        f'must have {row.get("computed_params")} parameters and '
        f'{row.get("computed_macs")} MACs, got {compared.params} and '
        f'{compared.macs}')


@each(METHODS)
def test_method_folder_has_a_readme_and_a_metafile(path):
    readme = path / 'README.md'
    assert readme.is_file(), f'{name_of(path)}/README.md is missing'
    metafile = path / 'metafile.yml'
    assert metafile.is_file(), f'{name_of(path)}/metafile.yml is missing'
    content = yaml.safe_load(metafile.read_text())
    collections = {c['Name'] for c in content['Collections']}
    for collection in content['Collections']:
        assert (ROOT / collection['README']).is_file(), collection['README']
    for model in content.get('Models') or ():
        assert model['In Collection'] in collections, model['Name']
        assert (ROOT / model['Config']).is_file(), model['Config']
        # The hosts' inferencers resolve a name by its file's stem.
        assert model['Name'] == Path(model['Config']).stem


@each(EVIDENCE)
def test_evidence_folder_has_a_readme_and_is_no_method(path):
    assert (path / 'README.md').is_file()
    assert not (path / 'metafile.yml').exists()


@each(FILES)
def test_arms_of_comparisons_lie_by_themselves(path):
    data = re.search('_evidence-([a-z0-9]+)', path.stem)
    assert (path.parent in EVIDENCE) == (data is not None)
    assert data is None or path.parent.name == data[1]


def test_no_recipe_of_a_method_hangs_on_an_arm():
    for path in FILES:
        base = 'evidence/' in path.read_text().partition('_base_')[2]
        assert path.parent in EVIDENCE or not base, name_of(path)


def test_model_index_imports_every_metafile():
    index = yaml.safe_load((ROOT / 'model-index.yml').read_text())
    listed = set(index['Import'] or ())
    there = {f'configs/{name_of(path)}/metafile.yml' for path in METHODS}
    assert listed == there, (f'missing: {sorted(there - listed)}, '
                             f'too many: {sorted(listed - there)}')
