"""Any arguments for hooks, schedules and what adapters are configured by."""
import functools
from types import SimpleNamespace

import pytest
import torch
from any_arguments import FLAG, profile, refusal_names, tensor
from any_registered import WRONG, any_arguments_of, no_host_in_charge
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from mmdense.modules.feature_shift import FeatureShiftModule

pytest.importorskip('mmcv')


@any_arguments_of(
    'DelayedInsertionHook', begin=st.integers(0, 3), keep_wrapper=FLAG)
def test_delayed_insertion_hook(hook, given, seed):
    model = nn.Sequential(FeatureShiftModule(2, 2))
    hook.before_train(SimpleNamespace(
        model=model, iter=seed % 4, logger=SimpleNamespace(info=print)))
    assert model[0].is_inserted == (seed % 4 >= given['begin'])


@any_arguments_of('OffsetCheckHook', interval=st.integers(1, 4))
def test_offset_check_hook(hook, given, seed):
    model, said = nn.Sequential(FeatureShiftModule(2, 4)), []
    model[0].shift.offset.data.fill_(99)
    runner = SimpleNamespace(
        model=model, iter=seed, logger=SimpleNamespace(warning=said.append))
    hook.before_train(runner)
    model(tensor((2, 2, 3, 5), seed))
    hook.after_train_iter(runner, 0)
    assert len(said) == ((seed + 1) % given['interval'] == 0)


@any_arguments_of('CheckpointCheckHook')
def test_checkpoint_check_hook(hook, given, seed):
    assert hook.priority


@any_arguments_of('MovementHook')
def test_movement_hook(hook, given, seed):
    assert hook.priority


@any_arguments_of('DataCheckHook', decode=FLAG)
def test_data_check_hook(hook, given, seed):
    assert hook.priority


@any_arguments_of(
    'FineTuningCheckHook', lr=st.sampled_from([1e-05, 0.0001, 0.1]))
def test_fine_tuning_check_hook(hook, given, seed):
    weights = [nn.Parameter(torch.ones(1))]
    start = [None, 'x.pth'][seed % 2]
    runner = SimpleNamespace(
        _load_from=start, _resume=False, optim_wrapper=SimpleNamespace(
            optimizer=torch.optim.SGD(weights, lr=1e-4)))
    if start is None and given['lr'] >= 1e-4:
        with pytest.raises(ValueError, match='load_from must name'):
            hook.before_train(runner)
    else:
        hook.before_train(runner)


def optimizer():
    return torch.optim.SGD([
        dict(params=[nn.Parameter(torch.ones(1))], lr=lr, **labels)
        for lr, labels in ((1., {}), (2., dict(group='offset')))])


GROUP = dict(group=st.just('offset'), inverse=FLAG)
RATES = dict(optimizer=st.builds(optimizer), gamma=st.just(0.5))


def assert_one_group_decays(scheduler, given):
    at = given.get('milestones') or [
        k * given['step_size'] for k in range(1, 9)]
    for step in range(7):
        rates = [g['lr'] for g in scheduler.optimizer.param_groups]
        decay = 0.5**sum(m <= step for m in at)
        assert rates == [
            lr * (decay if (label == given['group']) != given['inverse']
                  else 1) for lr, label in ((1, None), (2, 'offset'))]
        scheduler.optimizer.step()
        scheduler.step()


@any_arguments_of(
    'GroupStepLR', **GROUP, host=dict(RATES, step_size=st.integers(1, 3)))
def test_group_step_lr(scheduler, given, seed):
    assert_one_group_decays(scheduler, given)


@any_arguments_of(
    'GroupMultiStepLR', **GROUP, host=dict(RATES, milestones=st.just([2, 3])))
def test_group_multi_step_lr(scheduler, given, seed):
    assert_one_group_decays(scheduler, given)


CONFIG = st.one_of(WRONG, st.sampled_from([
    dict(type='A'), dict(type='B', kind=1), [1, 2], (True, 3)]))


@settings(profile)
@given(CONFIG)
def test_a_check_of_configs_refuses_what_it_says(value):
    from mmdense.adapters.initial_values import OwnValuesFirst
    from mmdense.adapters.norms import norm_from
    from mmdense.arguments import (
        check_config,
        check_options,
        check_positives,
    )
    options = isinstance(value, dict)
    for check, right in (
            (check_positives, isinstance(value, list | tuple) and all(
                isinstance(v, int) and v >= 1 for v in value)),
            (check_options, options),
            (check_config, options and 'type' in value),
            (functools.partial(check_config, 'A'),
             options and value.get('type') == 'A')):
        try:
            check(name=value)
        except (TypeError, ValueError) as error:
            refusal_names(error, ['name'])
            assert not right
        else:
            assert right
    try:
        with no_host_in_charge():
            norm_from(value)
    except (TypeError, ValueError) as error:
        refusal_names(error, ['norm_cfg'])
        assert not (options and 'type' in value)
    else:
        assert options and 'type' in value
    part = OwnValuesFirst([dict(type='Constant', layer='Linear', val=2.)])
    part.layer = torch.nn.Linear(1, 1)
    part.init_weights()
    assert part.layer.weight == 2
