"""What a page gives to paste works: it is pasted, built and run here, small.

A block under "In your own config" begins with the host's stock config that it
changes; one without a `_base_` goes on where the one before it ended.
"""
import json
import re
from pathlib import Path

import pytest
import torch
from by_path import module_at
from mmengine.optim import build_optim_wrapper
from mmengine.registry import HOOKS, MODELS, DefaultScope

from mmdense import networks

HERE = Path(__file__).parent


# Of other tests: what they do with a config or a page.
configs = module_at(HERE / 'test_configs.py')
blocks = module_at(HERE / 'test_readme_commands.py').blocks

ROOT = HERE.parent
PAGES = sorted(ROOT.glob('configs/*/*/README.md'))
TOP = ROOT / 'README.md'
# The parts a page has, be it that one only points to where the text is.
PARTS = {
    'Results and models', 'Measured here', 'In your own config',
    'Where we read the paper differently, and why'
}
# What the top README's blocks, which name a host alone, are pasted into.
POSE = ('mmpose::body_2d_keypoint/topdown_heatmap/coco/'
        'td-hm_res50_8xb64-210e_coco-256x192.py')
SEGMENTATION = 'mmseg::fcn/fcn_r50-d8_4xb2-40k_cityscapes-512x1024.py'
DETECTION = 'mmdet::retinanet/retinanet_r50_fpn_1x_coco.py'
STOCK = {
    'mmpose': [POSE],
    'mmsegmentation': [SEGMENTATION],
    'any host': [POSE, SEGMENTATION, DETECTION]
}


def sections(page):
    """The text under each heading of the second level."""
    _, *parts = re.split(r'^## ', page.read_text(), flags=re.M)
    return dict(part.split('\n', 1) for part in parts)


def own_configs(page):
    """The files a reader of a page's section makes, one after the other."""
    files = []
    for block in blocks(sections(page).get('In your own config', ''),
                        'python'):
        if not block.startswith('_base_'):
            block = (files[-1] if files else '') + block
        files.append(block)
    return files


def top_configs():
    section = sections(TOP)['A module in your own config']
    return [
        f"_base_ = '{stock}'\n{block}"
        for block in blocks(section, 'python')
        if (host := re.match('# ([a-z ]+):', block))
        for stock in STOCK[host[1]]
    ]


OWN = [
    pytest.param(text, id=f'{page.parent.relative_to(ROOT / "configs")}-{i}')
    for page in PAGES for i, text in enumerate(own_configs(page))
] + [pytest.param(text, id=f'top-{i}') for i, text in enumerate(top_configs())]


def from_text(text, folder):
    path = folder / 'own.py'
    path.write_text(text)
    return networks.load_config(path)


def built_types(config, network):
    """The classes that a run of the config would make an object of."""
    yield from network.modules()
    for hook in (*config.get('custom_hooks', ()),
                 *config.default_hooks.values()):
        if hook['type'].startswith('mmdense.'):
            yield HOOKS.build(hook)
    for name in ('train_dataloader', 'val_dataloader'):
        loader = config.get(name) or {}
        if 'mmdense.' in str(loader):
            from mmengine.dataset import Compose
            dataset = loader['dataset']
            yield from Compose(
                dataset.get('dataset', dataset)['pipeline']).transforms
    for metric in [config.get('val_evaluator')]:
        if 'mmdense.' in str(metric):
            from mmengine.runner import Runner
            evaluator = Runner.build_evaluator(None, metric)
            yield from [evaluator, *evaluator.metrics]


def check_optimizer(config, network, text):
    """Every key of the block's finds the parameters it is for."""
    wrapper = build_optim_wrapper(network, config.optim_wrapper)
    names = [name for name, _ in network.named_parameters()]
    keys = config.optim_wrapper.get('paramwise_cfg', {}).get('custom_keys', {})
    for key, settings in keys.items():
        if key in text:
            assert any(key in name for name in names), key
            if settings.get('decay_mult') == 0:
                assert 0 in {g['weight_decay'] for g in wrapper.param_groups}


@pytest.mark.parametrize('text', OWN)
def test_a_pasted_block_builds_and_runs(text, tmp_path, monkeypatch):
    stock = re.match(r"_base_ = '((\w+)::[^']+)'\n", text)
    assert stock, 'needs the stock config of a host in its first line'
    base, host = stock.groups()
    pytest.importorskip(host)
    config = from_text(text, tmp_path)
    name = base.partition('::')[2]
    plain = networks.load_config(
        Path(pytest.importorskip(host).__file__).parent / '.mim/configs'
        / name)
    assert config.to_dict() != plain.to_dict(), 'changes nothing'
    build, built = networks.build_model, []
    monkeypatch.setattr(networks, 'build_model', lambda config: (
        built.append(build(config)) or built[-1]))
    shape = configs.small_shape(config, host)
    model = json.dumps(config.model.to_dict(), sort_keys=True)
    output = configs.tensors(configs.run.__wrapped__(host, model, shape))
    assert output and all(torch.isfinite(one).all() for one in output)
    configs.CHECKS[host](config, shape, output)
    network, = built
    with DefaultScope.overwrite_default_scope(host):
        there = {type(part).__name__ for part in built_types(config, network)}
        check_optimizer(config, network, text)
    named = set(re.findall(r"'mmdense\.(\w+)'", text))
    # These are functions and leave no object of their own.
    assert named - there <= {'ReplaceConv', 'InsertFeatureShift'}


@pytest.mark.parametrize('text', OWN)
def test_a_pasted_block_keeps_the_synchronised_norms(text, tmp_path):
    """`_delete_` removes the base's `norm_cfg` as well."""
    base = re.match(r"_base_ = '(\w+)::[^']+'\n", text)
    pytest.importorskip(base[1])
    before, config = from_text(base[0], tmp_path), from_text(text, tmp_path)
    for name in ('neck', 'decode_head'):
        part = config.model.get(name)
        if isinstance(part, dict) and part.type in ('mmdense.FlatteningNeck',
                                'mmdense.PyramidAttentionHead') and \
                'SyncBN' in str(before.model):
            assert part.get('norm_cfg', {}).get('type') == 'SyncBN', name


def counted_rows():
    """Lines of tables that no paper's figures are compared with, and
    `tests/test_configs.py` therefore does not count: of a config and its
    parameters, the second number with the regression of ADC's rates."""
    for page in PAGES:
        heads = []
        for line in page.read_text().splitlines():
            cells = [cell.strip() for cell in line.split('|')[1:-1]]
            if 'Params without (M)' in cells or (
                    page.parent.name == 'mask_rcnn' and 'Params (M)' in cells):
                heads = cells
            elif not cells:
                heads = []
            link = re.search(r'.*\]\((\S+\.py)\)', line)
            if heads and link:
                row = dict(zip(heads, cells, strict=True))
                yield pytest.param(page.parent / link[1], row, id=link[1])


@pytest.mark.parametrize('path, row', counted_rows())
def test_a_page_prints_the_parameters_of_its_network(path, row):
    pytest.importorskip(configs.host_of(path))
    with configs.quick_weights():
        network = networks.build_model(networks.load_config(path))
    parts = dict(network.named_parameters())
    count = sum(part.numel() for part in parts.values())
    rates = sum(part.numel() for name, part in parts.items()
                if 'rate_regression' in name)
    printed = {head: row[head] for head in row if head.startswith('Params')}
    if rates:
        assert printed == {
            'Params without (M)': f'{(count - rates) / 1e6:.3f}',
            'Params with (M)': f'{count / 1e6:.3f}'
        }
    else:
        assert printed == {'Params (M)': f'{count / 1e6:.3f}'}

@pytest.mark.parametrize('page', PAGES, ids=configs.name_of)
def test_a_page_has_its_parts(page):
    assert PARTS - set(sections(page)) == set()
    host = page.parts[-3]
    assert own_configs(page)
    for text in own_configs(page):
        assert text.startswith(f"_base_ = '{host}::")


def block_of(method, heading):
    block, = blocks(
        sections(ROOT / 'configs' / method / 'README.md')[heading], 'python')
    return block


@pytest.mark.parametrize('page', PAGES, ids=configs.name_of)
def test_no_block_of_a_page_goes_unchecked(page):
    headings = {heading for heading, text in sections(page).items()
                if blocks(text, 'python')}
    assert headings <= {
        'In your own config',
        # Those of the tests below.
        'Weights of the backbone', 'Accuracy by predictor (Table 2)', 'Data',
        # That of tests/test_test_sets.py.
        'Test set (Table VI)'
    }


def test_weights_of_the_papers_stem_get_the_names_of_mmseg(
        tmp_path, monkeypatch):
    pytest.importorskip('mmseg')
    path = next((ROOT / 'configs/mmseg/pyramid_attention').glob(
        'pyramid-attention_r101-d16_*_voc12aug-512x512.py'))
    config = networks.load_config(path)
    with configs.quick_weights(), \
            DefaultScope.overwrite_default_scope('mmseg'):
        backbone = MODELS.build(config.model.backbone)
    names = list(backbone.state_dict())
    published = [re.sub(r'^stem\.', 'conv1.', re.sub(r'^stem\.7\.', 'bn1.', n))
                 for n in names]
    assert len(names) == 636 and published != names
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        torch.hub, 'load_state_dict_from_url',
        lambda url: {name: torch.tensor(i) for i, name in enumerate(published)}
    )
    exec(block_of('mmseg/pyramid_attention', 'Weights of the backbone'), {})
    state = torch.load('pretrain/resnet101s.pth', weights_only=True)
    assert [int(state[name]) for name in names] == list(range(636))
    assert len(state) == 636


def test_labels_of_sift_flow_become_pictures(tmp_path, monkeypatch):
    cv2 = pytest.importorskip('cv2')
    io = pytest.importorskip('scipy.io')
    monkeypatch.chdir(tmp_path)
    labels = {'SemanticLabels': [[-1, 33], [0, 7]], 'GeoLabels': [[-1, 3]]}
    for source, label in labels.items():
        folder = tmp_path / 'SiftFlowDataset' / source / 'coast'
        folder.mkdir(parents=True)
        io.savemat(folder / 'one.mat', dict(S=label))
    exec(block_of('mmseg/fcn', 'Data'), {})
    for folder, wanted in {'semantic': [[0, 33], [0, 7]],
                           'geometry': [[0, 3]]}.items():
        picture = cv2.imread(f'data/sift_flow/{folder}/one.png',
                             cv2.IMREAD_UNCHANGED)
        assert picture.tolist() == wanted


def test_metrics_of_every_predictor_are_built(tmp_path):
    pytest.importorskip('mmpose')
    from mmengine.evaluator import Evaluator
    annotations = tmp_path / 'annotations.json'
    annotations.write_text(json.dumps(
        dict(images=[], annotations=[], categories=[dict(id=1, name='x')])))
    block = block_of('mmpose/spatial_shortcut',
                     'Accuracy by predictor (Table 2)')
    assert block.count('...') == 2
    _, whole, _ = own_configs(
        ROOT / 'configs/mmpose/spatial_shortcut/README.md')
    (tmp_path / 'whole.py').write_text(whole)
    block = block.replace('...', repr(str(annotations)))
    config = from_text(f"_base_ = './whole.py'\n{block}", tmp_path)
    assert config.model.head.type == 'mmdense.MultiPredictorHead'
    assert config.model.test_cfg.every_predictor
    with DefaultScope.overwrite_default_scope('mmpose'):
        whole, early = Evaluator(config.test_evaluator).metrics
    assert (whole.prefix, early.metric.prefix) == ('coco', 'E1')
    assert early.predictor == 'E1'


def test_the_modules_are_imported_without_a_host():
    section = sections(TOP)['A module in your own config']
    imports = [block for block in blocks(section, 'python')
               if block.startswith('from ')]
    named = re.findall(r'^```python\n# [a-z ]+:', section, re.M)
    assert len(imports) + len(named) == len(blocks(section, 'python'))
    for block in imports:
        exec(block, {})
