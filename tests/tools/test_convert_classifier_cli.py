"""tools/convert_classifier.py on a narrow VGG16."""
import importlib.util
from pathlib import Path

import pytest
import torch

pytest.importorskip('mmseg')
TOOL = Path(__file__).resolve().parents[2] / 'tools' / 'convert_classifier.py'
CONFIG = '''
default_scope = 'mmseg'
model = dict(
    type='EncoderDecoder',
    backbone=dict(
        type='mmdense.ConvolutionalClassifier',
        classifier=dict(type='VGG16', base_channels=1, fc_channels=4),
        init_cfg=dict(type='Pretrained', checkpoint='not/there.pth')))
'''


@pytest.fixture
def tool():
    spec = importlib.util.spec_from_file_location('convert_tool', TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def config(tmp_path):
    file = tmp_path / 'config.py'
    file.write_text(CONFIG)
    return str(file)


@pytest.fixture
def classifier(tmp_path):
    """torchvision's names and shapes, an eighth of its depth in width."""
    from torchvision.models.vgg import make_layers
    widths = [1, 1, 'M', 2, 2, 'M', 4, 4, 4, 'M', 8, 8, 8, 'M', 8, 8, 8, 'M']
    state = {
        f'features.{name}': value
        for name, value in make_layers(widths).state_dict().items()
    }
    for name, shape in ((0, (4, 8 * 49)), (3, (4, 4)), (6, (1000, 4))):
        state[f'classifier.{name}.weight'] = torch.randn(shape)
        state[f'classifier.{name}.bias'] = torch.randn(shape[0])
    file = tmp_path / 'vgg16.pth'
    torch.save(state, file)
    return file


def test_what_it_writes_is_what_the_config_loads(tool, config, classifier,
                                                 tmp_path, capsys):
    out = tmp_path / 'new' / 'backbone.pth'
    assert tool.main([config, str(classifier), str(out)]) == 0
    assert capsys.readouterr().out.endswith(
        '30 entries; left behind: classifier.6.bias, classifier.6.weight\n')
    from mmengine.config import Config
    from mmengine.registry import MODELS, DefaultScope
    backbone = Config.fromfile(config).model.backbone
    backbone.init_cfg.checkpoint = str(out)
    with DefaultScope.overwrite_default_scope('mmseg'):
        network = MODELS.build(backbone)
        network.init_weights()
    theirs = torch.load(classifier, weights_only=True)
    fc6 = network.network.fc6.weight
    assert torch.equal(fc6.flatten(1), theirs['classifier.0.weight'])
    first = network.network.features[0].weight
    assert torch.equal(first, theirs['features.0.weight'])


def test_weights_of_another_network_are_one_line(tool, config, classifier,
                                                 tmp_path, capsys):
    state = torch.load(classifier, weights_only=True)
    state['classifier.0.weight'] = torch.zeros(4, 8 * 36)
    torch.save(state, classifier)
    out = tmp_path / 'backbone.pth'
    assert tool.main([config, str(classifier), str(out)]) == 2
    error = capsys.readouterr().err
    assert ('vgg16.pth does not fit the backbone of' in error
            and 'got (4, 288)' in error and error.count('\n') == 1)
    assert not out.exists()


OTHER = '''
default_scope = 'mmseg'
model = dict(type='EncoderDecoder', backbone=dict(type='ResNet', depth=18))
'''


@pytest.mark.parametrize('text, message', [
    (OTHER, 'mmdense.ConvolutionalClassifier or mmdense.EfficientNetLite, got '
     'ResNet'),
    (CONFIG.replace('VGG16', 'VGG19'), "got 'VGG19'"),
])
def test_another_backbone_is_one_line(tool, tmp_path, classifier, capsys,
                                      text, message):
    config = tmp_path / 'other.py'
    config.write_text(text)
    assert tool.main([str(config), str(classifier), 'unwritten.pth']) == 2
    error = capsys.readouterr().err
    assert message in error and error.count('\n') == 1


def test_a_missing_file_is_one_line(tool, config, capsys):
    assert tool.main([config, 'nowhere.pth', 'unwritten.pth']) == 2
    assert 'nowhere.pth: no such checkpoint' in capsys.readouterr().err
