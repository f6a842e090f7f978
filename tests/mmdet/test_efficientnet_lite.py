"""EfficientNet-Lite0 computes what its published weights were trained for."""
import pytest
import torch
from by_path import load_tool
from torch.nn import functional as F

pytest.importorskip('mmdet')

from mmdense.checkpoints.classifier_weights import convert_classifier  # noqa: E402
from mmdense.mmdet.efficientnet_lite import EfficientNetLite  # noqa: E402

# Kernel, channels, stride, how many times wider inside: the paper's B0.
BLOCKS = [(3, 16, 1, 1), (3, 24, 2, 6), (3, 24, 1, 6), (5, 40, 2, 6),
          (5, 40, 1, 6), (3, 80, 2, 6), (3, 80, 1, 6), (3, 80, 1, 6),
          (5, 112, 1, 6), (5, 112, 1, 6), (5, 112, 1, 6), (5, 192, 2, 6),
          (5, 192, 1, 6), (5, 192, 1, 6), (5, 192, 1, 6), (3, 320, 1, 6)]


class Published:
    """Weights under the published names, and the network by its formula."""

    def __init__(self):
        self.generator = torch.Generator().manual_seed(0)
        self.state, width = {}, 32
        self.add('_conv_stem', '_bn0', 32, 3, 3)
        for k, (size, channels, _, wider) in enumerate(BLOCKS):
            at, inside = f'_blocks.{k}.', width * wider
            if wider > 1:
                self.add(f'{at}_expand_conv', f'{at}_bn0', inside, width, 1)
            self.add(f'{at}_depthwise_conv', f'{at}_bn1', inside, 1, size)
            self.add(f'{at}_project_conv', f'{at}_bn2', channels, inside, 1)
            width = channels
        self.add('_conv_head', '_bn1', 1280, 320, 1)
        self.state['_fc.weight'] = torch.zeros(1000, 1280)

    def add(self, conv, norm, out, inside, size):
        def random(*shape):
            return torch.rand(shape, generator=self.generator)

        self.state[f'{conv}.weight'] = (
            (random(out, inside, size, size) - 0.5) * 3 / inside**0.5 / size)
        self.state.update({
            f'{norm}.weight': 0.5 + random(out),
            f'{norm}.bias': random(out),
            f'{norm}.running_mean': random(out) - 0.5,
            f'{norm}.running_var': 0.5 + random(out),
            f'{norm}.num_batches_tracked': torch.tensor(1)})

    def layer(self, x, conv, norm, stride=1, groups=1):
        weight = self.state[f'{conv}.weight']
        x = F.conv2d(x, weight, stride=stride, groups=groups,
                     padding=weight.shape[-1] // 2)
        return F.batch_norm(
            x, *(self.state[f'{norm}.{part}'] for part in
                 ('running_mean', 'running_var', 'weight', 'bias')), eps=1e-3)

    def __call__(self, x):
        """The map of every block."""
        x = self.layer(x, '_conv_stem', '_bn0', 2).clamp(0, 6)
        maps = []
        for k, (_, _, stride, wider) in enumerate(BLOCKS):
            at, y = f'_blocks.{k}.', x
            if wider > 1:
                y = self.layer(
                    y, f'{at}_expand_conv', f'{at}_bn0').clamp(0, 6)
            y = self.layer(y, f'{at}_depthwise_conv', f'{at}_bn1', stride,
                           y.shape[1]).clamp(0, 6)
            y = self.layer(y, f'{at}_project_conv', f'{at}_bn2')
            x = x + y if x.shape == y.shape else y
            maps.append(x)
        return maps


@pytest.fixture(scope='module')
def published():
    return Published()


def test_converted_weights_give_the_published_networks_maps(published):
    network = EfficientNetLite().eval()
    network.load_state_dict(convert_classifier(published.state, network))
    x = torch.randn(1, 3, 64, 96, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        found, blocks = network(x), published(x)
    assert [f.shape[-1] for f in found] == [48, 24, 12, 6, 3]
    for mine, k in zip(found, (0, 2, 4, 10, 15), strict=True):
        assert blocks[k].std() > 0.1
        torch.testing.assert_close(mine, blocks[k], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('out_indices', [(4, ), (6, )])
def test_every_published_layer_has_one_place(published, out_indices):
    network = EfficientNetLite(out_indices=out_indices)
    keys = [network.classifier_key(name) for name in network.state_dict()]
    assert len(set(keys)) == len(keys)
    left = {key.split('.')[0] for key in published.state if key not in keys}
    assert left == ({'_fc'} if out_indices == (6, ) else
                    {'_blocks', '_conv_head', '_bn1', '_fc'})


def test_it_has_no_squeeze_and_leaves_the_hosts_network_its_own():
    from mmdet.models.backbones import EfficientNet
    assert not any('.se.' in name for name in EfficientNetLite().state_dict())
    assert any('.se.' in name for name in EfficientNet().state_dict())


def test_the_tool_makes_the_file_that_a_backbone_starts_from(
        published, tmp_path):
    config, classifier, out = (
        tmp_path / name for name in ('config.py', 'lite0.pth', 'out.pth'))
    config.write_text(
        "default_scope = 'mmdet'\nmodel = dict(backbone=dict("
        "type='mmdense.EfficientNetLite', out_indices=(1, )))\n")
    torch.save(published.state, classifier)
    tool = load_tool('convert_classifier')
    assert tool.main([str(config), str(classifier), str(out)]) == 0
    network = EfficientNetLite(
        out_indices=(1, ),
        init_cfg=dict(type='Pretrained', checkpoint=str(out)))
    network.init_weights()
    assert torch.equal(network.layers[1][0].linear_conv.conv.weight,
                       published.state['_blocks.0._project_conv.weight'])
