"""Offsets that left the map are told, by name and number."""
import logging
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from mmdense.engine.offset_check_hook import OffsetCheckHook
from mmdense.modules.feature_shift import FeatureShiftModule


@pytest.fixture
def runner():
    network = nn.ModuleDict(
        dict(shift1_1=FeatureShiftModule(3, 4),
             shift1_2=FeatureShiftModule(3, 4)))
    for module in network.values():
        nn.init.zeros_(module.shift.offset)
    return SimpleNamespace(
        model=network, iter=0, logger=logging.getLogger('offsets'))


def look(runner, caplog, interval=1):
    hook = OffsetCheckHook(interval)
    hook.before_train(runner)
    for module in runner.model.values():
        module(torch.randn(2, 3, 5, 7))
    hook.after_train_iter(runner, 0)
    return [record.getMessage() for record in caplog.records]


def test_offsets_inside_are_not_told(runner, caplog):
    assert look(runner, caplog) == []


def test_module_and_number_are_told(runner, caplog):
    runner.model['shift1_2'].shift.offset.data[:3] = torch.tensor([0., -7.])
    message, = look(runner, caplog)
    assert 'shift1_2.shift: 3 of 4 offsets have left the map of 5 x 7' in (
        message)


def test_it_looks_only_now_and_then(runner, caplog):
    runner.model['shift1_2'].shift.offset.data.fill_(9.)
    assert look(runner, caplog, interval=2) == []


def test_a_wrong_interval_is_told():
    with pytest.raises(ValueError, match='interval must be at least 1, got 0'):
        OffsetCheckHook(0)
