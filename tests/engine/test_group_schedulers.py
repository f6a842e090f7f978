"""One group's learning rate falls by its own schedule."""
import copy

import pytest
import torch
from mmengine.optim import build_optim_wrapper
from mmengine.registry import PARAM_SCHEDULERS
from torch import nn

from mmdense.modules.feature_shift import FeatureShiftModule

OPTIM = dict(
    optimizer=dict(type='Adam', lr=5e-4),
    paramwise_cfg=dict(
        custom_keys={'shift.offset': dict(lr_mult=2.0, group='offset')}))


def wrapper():
    return build_optim_wrapper(
        nn.ModuleDict(dict(shift1_1=FeatureShiftModule(3, 4))), OPTIM)


def rates(optim):
    offsets = {g['lr'] for g in optim.param_groups
               if g.get('group') == 'offset'}
    others = {g['lr'] for g in optim.param_groups
              if g.get('group') != 'offset'}
    assert len(offsets) == len(others) == 1
    return offsets.pop(), others.pop()


def build(optim, epoch_length=10):
    configs = [
        dict(
            type='mmdense.GroupMultiStepLR', group='offset', inverse=True,
            milestones=[30, 33, 36, 39], gamma=0.5, by_epoch=False),
        dict(
            type='mmdense.GroupStepLR', group='offset', step_size=1,
            gamma=0.9, convert_to_iter_based=True)
    ]
    return [
        PARAM_SCHEDULERS.build(
            config,
            default_args=dict(optimizer=optim, epoch_length=epoch_length))
        for config in configs
    ]


def test_offsets_start_at_their_own_rate():
    assert rates(wrapper()) == (1e-3, 5e-4)


def test_both_schedules_are_the_papers_at_every_step():
    """Offsets lose 10 % an epoch; the others halve at four iterations."""
    optim = wrapper()
    schedulers = build(optim)
    for step in range(1, 41):
        optim.optimizer.step()
        for scheduler in schedulers:
            scheduler.step()
        offset, other = rates(optim)
        assert offset == pytest.approx(1e-3 * 0.9**(step // 10))
        halvings = sum(step >= at for at in (30, 33, 36, 39))
        assert other == pytest.approx(5e-4 * 0.5**halvings)


def test_schedules_go_on_where_they_were_saved():
    optim = wrapper()
    schedulers = build(optim)
    optim.optimizer.step()
    for _ in range(25):
        for scheduler in schedulers:
            scheduler.step()
    again = wrapper()
    resumed = build(again)
    again.optimizer.step()
    again.load_state_dict(copy.deepcopy(optim.state_dict()))
    for old, new in zip(schedulers, resumed, strict=True):
        new.load_state_dict(old.state_dict())
    for _ in range(10):
        for scheduler in schedulers + resumed:
            scheduler.step()
    assert rates(again) == rates(optim)
    assert rates(again) == pytest.approx((1e-3 * 0.9**3, 5e-4 / 4))


def test_a_group_that_is_not_there_is_named():
    optim = build_optim_wrapper(nn.Linear(1, 1), OPTIM)
    with pytest.raises(ValueError, match="group must be .*got 'offset'"):
        build(optim)


def test_a_network_without_the_group_takes_the_others_schedule():
    optim = build_optim_wrapper(nn.Linear(1, 1), OPTIM)
    scheduler = PARAM_SCHEDULERS.build(
        dict(type='mmdense.GroupMultiStepLR', group='offset', inverse=True,
             milestones=[1], gamma=0.5, by_epoch=False),
        default_args=dict(optimizer=optim))
    optim.optimizer.step()
    scheduler.step()
    assert {g['lr'] for g in optim.param_groups} == {2.5e-4}


def test_optimizer_has_the_offsets_once():
    optim = wrapper()
    own = [g for g in optim.param_groups if g.get('group') == 'offset']
    assert [tuple(p.shape) for g in own for p in g['params']] == [(4, 2)]
    assert isinstance(optim.optimizer, torch.optim.Adam)
