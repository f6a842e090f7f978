"""How far rates and offsets moved is logged beside the metrics."""
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from mmdense.engine.movement_hook import MovementHook
from mmdense.modules.adaptive_dilated_conv import AdaptiveDilatedConv2d
from mmdense.modules.feature_shift import ChannelShift


class Hub(dict):

    def update_scalar(self, name, value):
        self[name] = value


def validate(network, at=0):
    runner = SimpleNamespace(model=network, iter=at, message_hub=Hub())
    hook = MovementHook()
    hook.before_train(runner)
    return hook, runner


def test_rates_are_told_by_channel_and_by_sample():
    layer = AdaptiveDilatedConv2d(2, 2, 3, padding=1)
    network = nn.ModuleDict(dict(
        a=layer, b=AdaptiveDilatedConv2d(2, 2, 3, padding=1, regress=False)))
    with torch.no_grad():
        # The hidden unit is the mean of channel 0, half of it the rate's.
        layer.rate_regression.fc1.weight.copy_(torch.tensor([[1., 0.]]))
        layer.rate_regression.fc1.bias.zero_()
        layer.rate_regression.fc2.weight.fill_(0.5)
        layer.rate_regression.fc2.offset.copy_(torch.tensor([0., 4.]))
    hook, runner = validate(network)
    network.train()
    network['a'](torch.full((1, 2, 4, 4), 100.))  # no validation
    network.eval()
    hook.before_val_epoch(runner)
    for mean in (0., 4.):
        for one in network.values():
            one(torch.full((1, 2, 4, 4), mean))
    hook.after_val_epoch(runner, {})
    # Rates 1 and 5, then 3 and 7, of one layer; always 1 of the other.
    assert runner.message_hub == pytest.approx({
        'val/rates/mean': (4 + 1) / 2, 'val/rates/channels': (2 + 0) / 2,
        'val/rates/samples': (1 + 0) / 2, 'val/rates/constant': 1 / 2})
    hook.before_val_epoch(runner)
    network['a'](torch.zeros(1, 2, 4, 4))
    hook.after_val_epoch(runner, {})
    assert runner.message_hub['val/rates/mean'] == pytest.approx(3)
    hook.after_train(runner)
    assert not any(m._forward_hooks for m in network.modules())


@pytest.mark.parametrize('at, figures', [
    (0, {'val/offsets/moved': 2.5}), (7, {})], ids=['new', 'resumed'])
def test_the_way_of_the_offsets_is_told_in_pixels(at, figures):
    network = nn.Sequential(ChannelShift(2))
    hook, runner = validate(network, at)
    with torch.no_grad():
        network[0].offset[0] += torch.tensor([3., -4.])
    hook.after_val_epoch(runner, {})
    assert runner.message_hub == pytest.approx(figures)


def test_a_network_without_either_logs_nothing():
    hook, runner = validate(nn.Sequential(nn.Conv2d(2, 2, 3)))
    hook.after_val_epoch(runner, {})
    assert runner.message_hub == {}
