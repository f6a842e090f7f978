"""Modules join a training late, alone and with two processes."""
import os
import socket
import subprocess
import sys
import textwrap

import pytest
import torch
from mmengine.model import BaseModel
from mmengine.optim import OptimWrapper
from mmengine.runner import Runner
from torch import nn

from mmdense.modules.feature_shift import FeatureShiftModule


class Network(BaseModel):

    def __init__(self, shift=True):
        super().__init__()
        self.stem = nn.Conv2d(1, 3, 1)
        self.shift1 = FeatureShiftModule(3, 4) if shift else nn.Identity()
        self.head = nn.Conv2d(3, 1, 1)

    def forward(self, inputs, mode='tensor'):
        out = self.head(self.shift1(self.stem(inputs)))
        loss = (out - inputs.roll(2, -1)).square().mean()
        return dict(loss=loss) if mode == 'loss' else [out]


def pictures():
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(1, 6, 5, generator=generator) for _ in range(24)]


def network(seed=0, **options):
    torch.manual_seed(seed)
    return Network(**options)


def runner(folder, model, iters, begin=3, hook=True, **options):
    return Runner(
        model=model,
        work_dir=str(folder),
        train_dataloader=dict(
            dataset=pictures(),
            sampler=dict(type='DefaultSampler', shuffle=False),
            batch_size=2,
            num_workers=0,
            collate_fn=lambda batch: dict(inputs=torch.stack(batch))),
        train_cfg=dict(by_epoch=False, max_iters=iters),
        optim_wrapper=OptimWrapper(
            torch.optim.Adam(model.parameters(), lr=0.1)),
        default_hooks=dict(
            checkpoint=dict(
                type='CheckpointHook', by_epoch=False, interval=1),
            check=dict(type='mmdense.CheckpointCheckHook'),
            **(dict(
                insertion=dict(
                    type='mmdense.DelayedInsertionHook', begin=begin))
               if hook else {})),
        default_scope='mmengine',
        randomness=dict(seed=0),
        experiment_name=f'{folder.name}-{torch.rand(1).item()}',
        **options)


def equal(one, other):
    one, other = one.state_dict(), other.state_dict()
    return all(torch.equal(value, other[name]) for name, value in one.items())


def test_before_the_insertion_it_trains_as_the_network_without(tmp_path):
    plain, model = network(shift=False), network()
    plain.load_state_dict(model.state_dict(), strict=False)
    runner(tmp_path / 'plain', plain, 3, hook=False).train()
    late = runner(tmp_path / 'late', model, 3)
    late.train()
    assert equal(plain.stem, model.stem) and equal(plain.head, model.head)
    assert not model.shift1.is_inserted
    states = late.optim_wrapper.optimizer.state
    assert all(p not in states for p in model.shift1.parameters())
    assert all(p in states for p in model.head.parameters())


def test_after_the_insertion_everything_trains(tmp_path):
    model, start = network(), network()
    runner(tmp_path, model, 4).train()
    assert model.shift1.is_inserted
    for (name, a), b in zip(model.named_parameters(), start.parameters(),
                            strict=True):
        # The norm behind takes a constant off again: only rounding moves it.
        if not name.endswith('gate_norm.bias'):
            assert not torch.equal(a, b), name


@pytest.mark.parametrize('stop', [2, 3, 4])
def test_resuming_across_the_insertion_changes_nothing(tmp_path, stop):
    whole, first, second = network(), network(), network(seed=1)
    runner(tmp_path / 'whole', whole, 6).train()
    runner(tmp_path / 'parts', first, stop).train()
    runner(tmp_path / 'parts', second, 6, resume=True).train()
    assert equal(whole, second)


def test_an_early_checkpoint_is_tested_as_the_network_it_was(tmp_path):
    runner(tmp_path, network(), 2).train()
    model = network(seed=1)
    load = runner(tmp_path / 'load', model, 2, hook=False,
                  load_from=str(tmp_path / 'iter_2.pth'))
    load.load_or_resume()
    assert not model.shift1.is_inserted


def test_a_network_with_nothing_to_insert_is_told(tmp_path):
    with pytest.raises(ValueError, match='found no Insertable'):
        runner(tmp_path, network(shift=False), 2).train()


def test_a_negative_begin_is_told(tmp_path):
    with pytest.raises(ValueError, match='begin must be at least 0, got -1'):
        runner(tmp_path, network(), 2, begin=-1)


# mmengine sets a GPU, and hands DistributedDataParallel its number, even with
# gloo and on a CPU: two things to undo for two processes without a GPU.
PROGRAM = """
    import sys
    import torch
    from mmengine.hooks import Hook
    from mmengine.model import MMDistributedDataParallel
    from mmengine.registry import MODEL_WRAPPERS
    from pathlib import Path
    sys.path.insert(0, {tests!r})
    from test_delayed_insertion_hook import network, runner

    @MODEL_WRAPPERS.register_module()
    class OnCPU(MMDistributedDataParallel):
        def __init__(self, device_ids=None, **kwargs):
            super().__init__(**kwargs)

    folder, iters, resume = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    torch.set_num_threads(1)
    torch.cuda.set_device = lambda number: None
    run = runner(
        folder, network(), iters, launcher='pytorch', resume=resume == 'yes',
        cfg=dict(model_wrapper_cfg=dict(
            type='OnCPU', find_unused_parameters=True)),
        env_cfg=dict(dist_cfg=dict(backend='gloo')))
    searching = []

    class Look(Hook):
        def after_train_iter(self, runner, *args, **kwargs):
            searching.append(runner.model.find_unused_parameters)
    run.register_hook(Look())
    run.train()
    print('searching', *searching)
    torch.save(run.model.module.state_dict(),
               folder / f'rank{{run.rank}}_{{iters}}.pth')
"""


def two_processes(tmp_path, folder, iters, resume='no'):
    program = tmp_path / 'program.py'
    program.write_text(
        textwrap.dedent(PROGRAM.format(tests=os.path.dirname(__file__))))
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    env = dict(
        os.environ, MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port),
        WORLD_SIZE='2', OMP_NUM_THREADS='1', CUDA_VISIBLE_DEVICES='-1')
    processes = [
        subprocess.Popen(
            [sys.executable, program, tmp_path / folder, str(iters), resume],
            env=dict(env, RANK=str(rank), LOCAL_RANK=str(rank)),
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for rank in range(2)
    ]
    outputs = [process.communicate(timeout=300)[0] for process in processes]
    for process, output in zip(processes, outputs, strict=True):
        assert process.returncode == 0, output[-3000:]
    states = [
        torch.load(tmp_path / folder / f'rank{rank}_{iters}.pth')
        for rank in range(2)
    ]
    return outputs, states


@pytest.mark.slow
def test_two_processes_insert_together_and_stop_searching(tmp_path):
    outputs, (one, other) = two_processes(tmp_path, 'whole', 6)
    for output in outputs:
        assert 'searching True True True False False False' in output
    for name, value in one.items():
        if 'running' not in name:  # each process has its own statistics
            assert torch.equal(value, other[name]), name
    assert int(one['shift1.inserted']) == 1
    two_processes(tmp_path, 'parts', 2)
    _, (resumed, _) = two_processes(tmp_path, 'parts', 6, resume='yes')
    for name, value in one.items():
        assert torch.equal(value, resumed[name]), name
