"""Feature shifting modules stand before the blocks a pattern names."""
import copy

import pytest
import torch
from torch import nn

from mmdense.adapters.insert_shift import insert_feature_shift
from mmdense.engine.delayed_insertion_hook import DelayedInsertionHook
from mmdense.modules.feature_shift import FeatureShiftModule
from mmdense.registry import MODELS

pytest.importorskip('mmpose')

SHIFT = dict(shift_channels=6)
RESNET = dict(type='mmpose.ResNet', depth=18, base_channels=4, stem_channels=4)
# Before every block but the one behind a stage's subsampling block.
PAPER = r'layer1\.\d+|layer[2-4]\.(?!1$)\d+'


@pytest.fixture(scope='module', autouse=True)
def registered():
    import mmdense.mmpose  # noqa: F401


def built(pattern=PAPER, backbone=RESNET, **options):
    return insert_feature_shift(backbone, {**SHIFT, **options}, pattern)


def in_eval(network):
    network.eval()  # the hosts' train() returns nothing
    return network


def shifts(network):
    return {name: module for name, module in network.named_modules()
            if isinstance(module, FeatureShiftModule)}


def test_the_papers_resnet_is_the_hosts_with_its_pattern():
    torch.manual_seed(0)
    found = in_eval(built())
    expected = MODELS.build(
        dict(RESNET, type='mmdense.ShiftResNet', shift=SHIFT))
    values = {}
    for key, value in found.state_dict().items():
        name, _, rest = key.partition('.')
        if name.startswith('shift_layer'):
            layer, block = name.removeprefix('shift_layer').split('_')
            name = f'shift{layer}_{int(block) + 1}'
        values[f'{name}.{rest}'] = value
    expected.load_state_dict(values)
    image = torch.randn(2, 3, 64, 64)
    torch.testing.assert_close(found(image), in_eval(expected)(image))


HRNET = dict(type='mmpose.HRNet', extra=dict(
    stage1=dict(num_modules=1, num_branches=1, block='BOTTLENECK',
                num_blocks=(1, ), num_channels=(16, )),
    **{f'stage{k}': dict(
        num_modules=1, num_branches=k, block='BASIC', num_blocks=(1, ) * k,
        num_channels=(8, 16, 32, 64)[:k]) for k in (2, 3, 4)}))


@pytest.mark.parametrize('backbone, pattern', [
    (RESNET, r'layer4\.\d+'),
    (HRNET, r'stage4\.0\.branches\.\d\.0'),
    (dict(type='mmpose.MobileNetV2', widen_factor=.25), r'layer6\.\d'),
])
def test_a_plain_checkpoint_loads_and_initial_values_are_their_own(
        backbone, pattern):
    network = built(pattern, backbone)
    plain = MODELS.build(backbone)
    missing, unexpected = network.load_state_dict(
        plain.state_dict(), strict=False)
    assert not unexpected
    assert missing and all(key.startswith('shift_') for key in missing)
    network.init_weights()
    for module in shifts(network).values():
        assert module.shift.offset.std() > 0.3
        assert module.alpha.weight.std().item() == pytest.approx(
            module.alpha.in_channels**-.5, rel=.3)


def test_a_copy_shifts_by_its_own_modules():
    network = in_eval(built(r'layer4\.0'))
    other = copy.deepcopy(network)
    image = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        for module in shifts(other).values():
            module.beta.weight.zero_()
        assert not torch.equal(network(image)[0], other(image)[0])
        assert torch.equal(network(image)[0], copy.deepcopy(network)(image)[0])


def test_the_delayed_insertion_finds_them():
    network = in_eval(built(r'layer4\.\d+'))
    plain = in_eval(MODELS.build(RESNET))
    plain.load_state_dict({
        key: value for key, value in network.state_dict().items()
        if not key.startswith('shift_')})
    image = torch.randn(1, 3, 64, 64)
    runner = type('Runner', (), dict(model=network, iter=0))
    DelayedInsertionHook(begin=5).before_train(runner)
    assert torch.equal(network(image)[0], plain(image)[0])


def test_before_a_frozen_block_it_learns():
    network = built(r'layer1\.0', dict(RESNET, frozen_stages=1))
    network.train()
    network(torch.randn(2, 3, 64, 64))[0].sum().backward()
    assert network.layer1[0].conv1.weight.grad is None
    assert network.shift_layer1_0.shift.offset.grad.abs().sum() > 0


def test_a_graph_of_it_computes_the_same():
    network = in_eval(built(r'layer[34]\.0'))
    image = torch.randn(1, 3, 64, 64)
    program = torch.export.export(network, (image, ))
    torch.testing.assert_close(program.module()(image)[0], network(image)[0])


@pytest.mark.parametrize('pattern, message', [
    ('layer4', r"containers of blocks, got 'layer4' \(ResLayer\)"),
    (r'layer4\.0\.bn1', "with a convolution, which says their channels, got"),
    ('stage7', r'must match a block of ResNet, such as layer1\.0'),
    ('(', r"pattern must be a regular expression, got '\('"),
])
def test_what_a_pattern_must_match_is_named(pattern, message):
    with pytest.raises(ValueError, match=message):
        built(pattern)


def test_a_block_that_gets_no_map_is_named():
    class Lists(nn.Module):

        def __init__(self):
            super().__init__()
            self.block = nn.Module()
            self.block.conv = nn.Conv2d(4, 4, 1)
            self.block.forward = lambda maps: maps

        def forward(self, x):
            return self.block([x])

    MODELS.register_module('ListsForTest', module=Lists, force=True)
    network = built('block', dict(type='mmdense.ListsForTest'))
    with pytest.raises(TypeError, match='x must be'):
        network(torch.randn(1, 4, 8, 8))
