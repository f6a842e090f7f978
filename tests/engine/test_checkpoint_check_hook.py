"""A checkpoint that does not fit or is cut off stops the run, and is named."""
import os
import shutil
import time
from types import SimpleNamespace

import pytest
import torch
from mmengine.model import BaseModel, BaseModule, BaseTTAModel
from mmengine.optim import OptimWrapper
from mmengine.runner import Runner
from torch import nn

from mmdense.checkpoints.reading import load_weights
from mmdense.engine.checkpoint_check_hook import CheckpointCheckHook
from mmdense.modules.adaptive_dilated_conv import AdaptiveDilatedConv2d


class Network(BaseModel):

    def __init__(self, width=4, deep=False, init_cfg=None):
        super().__init__(init_cfg=init_cfg)
        self.body = nn.Linear(3, width)
        if deep:
            self.more = nn.Linear(width, width)
        self.head = nn.Linear(width, 1)

    def forward(self, inputs, mode='tensor'):
        out = self.head(self.body(inputs)).square().mean()
        return dict(loss=out) if mode == 'loss' else [out]


class Adaptive(Network):

    def __init__(self):
        super().__init__()
        self.body = AdaptiveDilatedConv2d(3, 4, 3, padding=1)

    def forward(self, inputs, mode='tensor'):
        maps = self.body(inputs[:, :, None, None])
        out = self.head(maps.flatten(1)).square().mean()
        return dict(loss=out) if mode == 'loss' else [out]


class Views(BaseTTAModel):
    """Test-time augmentation, as `--tta` wraps a network in."""

    def merge_preds(self, data_samples_list):
        raise NotImplementedError


class Nothing:
    """A metric's place."""

    dataset_meta = None

    def process(self, **kwargs):
        pass

    def evaluate(self, size):
        return dict(done=1)


def runner(folder, model, **options):
    data = dict(
        dataset=[torch.ones(3)] * 4,
        sampler=dict(type='DefaultSampler', shuffle=False),
        batch_size=2,
        num_workers=0,
        collate_fn=lambda batch: dict(inputs=torch.stack(batch)))
    return Runner(
        model=model,
        work_dir=str(folder),
        train_dataloader=dict(data),
        train_cfg=dict(by_epoch=True, max_epochs=1),
        optim_wrapper=OptimWrapper(
            torch.optim.SGD(model.parameters(), lr=0.1)),
        test_dataloader=dict(data),
        test_cfg=dict(),
        test_evaluator=Nothing(),
        default_hooks=dict(check=dict(type='mmdense.CheckpointCheckHook')),
        default_scope='mmengine',
        experiment_name=f'{folder.name}-{time.time_ns()}',
        **options)


@pytest.fixture
def trained(tmp_path):
    runner(tmp_path, Network()).train()
    return tmp_path / 'epoch_1.pth'


def test_a_fitting_checkpoint_is_tested_and_resumed(trained, tmp_path):
    assert runner(
        tmp_path, Network(), load_from=str(trained)).test() == dict(done=1)
    resumed = runner(tmp_path, Network(), resume=True)
    resumed.train()
    assert resumed.epoch == 1


def test_rates_of_an_older_checkpoint_are_tested_and_resumed(tmp_path):
    """They were a bias, 1 at first, where there is an offset from 1 now."""
    runner(tmp_path, Adaptive()).train()
    path = tmp_path / 'epoch_1.pth'
    checkpoint = torch.load(path)
    state = checkpoint['state_dict']
    new, old = (f'body.rate_regression.fc2.{n}' for n in ('offset', 'bias'))
    state[old] = 1 + state.pop(new) + 0.5
    torch.save(checkpoint, path)
    model = Adaptive()
    runner(tmp_path, model, load_from=str(path)).test()
    torch.testing.assert_close(model.state_dict()[new], state[old] - 1)
    runner(tmp_path, Adaptive(), resume=True).train()
    loaded = Adaptive()
    load_weights(loaded, path)
    torch.testing.assert_close(loaded.state_dict()[new], state[old] - 1)


@pytest.mark.parametrize('other, message', [
    (dict(width=5), r'3 have another shape \(body.weight: \(4, 3\) there, '
     r'\(5, 3\) here\)'),
    (dict(deep=True), r"2 of the network's 6 entries are not in it "
     r'\(more.weight'),
])
def test_another_architecture_is_not_tested(trained, tmp_path, other, message):
    with pytest.raises(ValueError, match=f'{trained.name} does.*{message}'):
        runner(tmp_path, Network(**other), load_from=str(trained)).test()


def test_entries_the_network_lacks_are_not_ignored(tmp_path):
    path = tmp_path / 'deep.pth'
    torch.save(dict(state_dict=Network(deep=True).state_dict()), path)
    with pytest.raises(ValueError, match='2 of its entries are not in the'):
        runner(tmp_path, Network(), load_from=str(path)).test()


def test_fine_tuning_may_change_the_head(trained, tmp_path):
    fine = Network(deep=True)
    runner(tmp_path / 'fine', fine, load_from=str(trained)).train()


def test_fine_tuning_from_something_else_altogether_is_refused(tmp_path):
    path = tmp_path / 'other.pth'
    torch.save(dict(state_dict=nn.Linear(2, 2).state_dict()), path)
    with pytest.raises(ValueError, match='4 of the network.s 4 entries'):
        runner(tmp_path / 'fine', Network(), load_from=str(path)).train()


def test_the_network_inside_test_time_augmentation_is_compared():
    tester = SimpleNamespace(
        model=Views(Network()),
        _train_loop=None,
        _resume=False,
        _load_from='there.pth')
    hook = CheckpointCheckHook()
    hook.after_load_checkpoint(
        tester, dict(state_dict=Network().state_dict()))
    with pytest.raises(ValueError, match='there.pth does not fit'):
        hook.after_load_checkpoint(
            tester, dict(state_dict=Network(width=5).state_dict()))


@pytest.mark.parametrize('keep', [0, 0.5])
def test_a_truncated_file_is_named(trained, tmp_path, keep):
    data = trained.read_bytes()
    trained.write_bytes(data[:int(len(data) * keep)])
    with pytest.raises(ValueError, match='epoch_1.pth is not whole'):
        runner(tmp_path, Network(), load_from=str(trained)).test()
    with pytest.raises(ValueError, match='epoch_1.pth is not whole'):
        runner(tmp_path, Network(), resume=True).train()


class RunsACommand:

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark), )


@pytest.fixture
def crafted(trained, tmp_path, monkeypatch):
    """A whole checkpoint that fits and, as torch 2.4 loads it, runs mkdir."""
    checkpoint = torch.load(trained)
    monkeypatch.setenv('TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD', '1')
    path = tmp_path / 'crafted' / 'epoch_1.pth'
    path.parent.mkdir()
    checkpoint['meta']['more'] = RunsACommand(tmp_path / 'ran')
    torch.save(checkpoint, path)
    return path


REFUSED = r'crafted.epoch_1.pth cannot be read.* it asks for posix.mkdir'


@pytest.mark.parametrize('options', [
    dict(load_from='{path}'), dict(load_from='{path}', resume=True),
    dict(load_from='~/epoch_1.pth'), dict(resume=True)])
@pytest.mark.parametrize('what', ['train', 'test'])
def test_a_crafted_file_is_refused_and_not_run(crafted, tmp_path, monkeypatch,
                                               options, what):
    monkeypatch.setenv('HOME', str(crafted.parent))
    (crafted.parent / 'last_checkpoint').write_text(str(crafted))
    if 'load_from' in options:
        options = dict(
            options, load_from=options['load_from'].format(path=crafted))
    run = runner(crafted.parent, Network(), **options)
    with pytest.raises(ValueError, match=REFUSED) as refused:
        getattr(run, what)()
    assert 'weights_only' not in str(refused.getrepr())
    assert not (tmp_path / 'ran').exists()


@pytest.mark.parametrize('several', [False, True])
def test_crafted_pretrained_weights_are_refused_and_not_run(
        crafted, tmp_path, several):
    init_cfg = dict(type='Pretrained', checkpoint=str(crafted))
    model = Network()
    model.deeper = BaseModule(
        [dict(type='Xavier', layer='Linear'), init_cfg]
        if several else init_cfg)
    with pytest.raises(ValueError, match=REFUSED):
        runner(tmp_path / 'other', model).train()
    assert not (tmp_path / 'ran').exists()


def test_pretrained_weights_are_loaded(trained, tmp_path):
    path = tmp_path / 'pretrained.pth'
    shutil.copy(trained, path)
    model = Network(init_cfg=dict(type='Pretrained', checkpoint=str(path)))
    run = runner(tmp_path / 'other', model)
    run.train()
    assert run.epoch == 1
    path.write_bytes(path.read_bytes()[:-100])
    model = Network(init_cfg=dict(type='Pretrained', checkpoint=str(path)))
    with pytest.raises(ValueError, match='pretrained.pth is not whole'):
        runner(tmp_path / 'third', model).train()


def test_the_hook_comes_before_the_averaged_weights():
    from mmengine.hooks import EMAHook
    from mmengine.runner import get_priority
    assert get_priority(CheckpointCheckHook.priority) < get_priority(
        EMAHook.priority)
