"""Two processes train as one, and one that dies does not leave the rest."""
import contextlib
import os
import socket
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from mmengine.model import MMDistributedDataParallel, revert_sync_batchnorm
from mmengine.registry import DefaultScope
from torch.nn.modules.batchnorm import _BatchNorm

from mmdense import networks
from mmdense.analysis.benchmarks.steps import random_batch
from mmdense.registry import MODELS  # which has checkpoints load

ROOT = Path(__file__).resolve().parents[1]
CONFIGS = ROOT / 'configs'
# One small network a method and host.
QUICK = sorted({
    path.parent: path
    for path in sorted(CONFIGS.glob('*/*/*_quick_*.py'), reverse=True)
}.values())
ADC = (CONFIGS / 'mmpose' / 'adaptive_dilated_conv' /
       'td-hm_adc-res18_quick_synthetic-128x96.py')
SHIFT = (CONFIGS / 'mmpose' / 'spatial_shortcut' /
         'td-hm_ssn-3block-k256_quick_synthetic-128x96.py')


def network_of(path):
    """A config's network, alive: no parameter is at a value that hides it.

    Batch norms keep to their running statistics, because with those of a
    batch two halves are not one whole.
    """
    torch.manual_seed(0)
    model = revert_sync_batchnorm(
        networks.build_model(networks.load_config(path))).train()
    for parameter in model.parameters():
        with torch.no_grad():
            parameter += 0.02 * torch.randn(parameter.shape)
    for module in model.modules():
        if isinstance(module, _BatchNorm):
            module.eval()
    return model


def loss_of(model, data):
    """What every host's ``train_step`` differentiates."""
    plain = getattr(model, 'module', model)
    losses = model(**plain.data_preprocessor(data, True), mode='loss')
    return plain.parse_losses(losses)[0]


@contextlib.contextmanager
def process_group():
    """A group of this process alone."""
    dist.init_process_group('gloo', store=dist.HashStore(), rank=0,
                            world_size=1)
    try:
        yield
    finally:
        dist.destroy_process_group()


@pytest.mark.parametrize('path', QUICK, ids=lambda path: path.stem)
def test_every_parameter_takes_part(path):
    """So no config needs to search for unused ones.

    The second pass is what fails: it finds what the first left over.
    """
    host = path.relative_to(CONFIGS).parts[0]
    pytest.importorskip(host)
    config = networks.load_config(path)
    with process_group():
        model = MMDistributedDataParallel(
            module=network_of(path), broadcast_buffers=False)
        for _ in range(2):
            loss_of(model, random_batch(config)).backward()
    idle = [name for name, p in model.named_parameters() if p.grad is None]
    assert not idle


def test_a_frozen_stage_with_replaced_layers_takes_no_part():
    """As in mmdet's recipes: frozen before the network is wrapped.

    The second pass is what fails: it finds what the first left over.
    """
    pytest.importorskip('mmdet')
    with DefaultScope.overwrite_default_scope('mmdet'):
        backbone = MODELS.build(dict(
            type='mmdense.ReplaceConv', pattern=r'layer\d\.\d+\.conv2',
            conv=dict(type='mmdense.AdaptiveDilatedConv2d'),
            backbone=dict(type='ResNet', depth=18, base_channels=8,
                          frozen_stages=1)))
    with process_group():
        model = MMDistributedDataParallel(
            module=backbone, broadcast_buffers=False)
        model.train()
        for _ in range(2):
            sum(out.sum() for out in model(torch.ones(2, 3, 32, 32))
                ).backward()
    for name, parameter in backbone.named_parameters():
        frozen = name.startswith(('conv1', 'bn1', 'layer1'))
        assert (parameter.grad is None) is frozen, name


# mmengine sets a GPU, and hands DistributedDataParallel its number, even with
# gloo and on a CPU: two things to undo for processes without a GPU.
ON_CPU = """
    import torch
    from mmengine.model import MMDistributedDataParallel
    from mmengine.registry import MODEL_WRAPPERS

    @MODEL_WRAPPERS.register_module()
    class OnCPU(MMDistributedDataParallel):
        def __init__(self, device_ids=None, **kwargs):
            super().__init__(**kwargs)

    torch.set_num_threads(1)
    torch.cuda.set_device = lambda number: None
"""

# Both ranks build the same batch, and each takes its half.
GRADIENTS = """
    import sys
    sys.path.insert(0, {tests!r})
    import torch.distributed as dist
    from test_distributed import (
        loss_of, network_of, networks, random_batch)
    dist.init_process_group('gloo')
    half = slice(2 * dist.get_rank(), 2 * dist.get_rank() + 2)
    found = {{}}
    for path in sys.argv[2:]:
        data = random_batch(networks.load_config(path), 4)
        for sample in data['data_samples']:
            sample.gt_fields.heatmaps = sample.gt_fields.heatmaps.double()
        one = network_of(path).double()
        many = OnCPU(
            module=network_of(path).double(), broadcast_buffers=False)
        loss_of(many, {{key: value[half] for key, value in data.items()}}
                ).backward()
        loss_of(one, data).backward()
        found[path] = {{
            name: (p.grad, q.grad) for (name, p), q in zip(
                one.named_parameters(), many.parameters(), strict=True)}}
    torch.save(found, f'{{sys.argv[1]}}/rank{{dist.get_rank()}}.pth')
    dist.destroy_process_group()
"""


def program(folder, *parts, **values):
    path = folder / 'program.py'
    text = ''.join(textwrap.dedent(part) for part in parts)
    path.write_text(text.format(**values) if values else text)
    return path


def environment(**more):
    return dict(
        os.environ, OMP_NUM_THREADS='1', CUDA_VISIBLE_DEVICES='-1',
        PYTHONWARNINGS='ignore', **more)


def two_processes(arguments, timeout=300):
    """Run one command as two ranks; their outputs."""
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    processes = [
        subprocess.Popen(
            [sys.executable, *map(str, arguments)],
            env=environment(
                MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port),
                WORLD_SIZE='2', RANK=str(rank), LOCAL_RANK=str(rank)),
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for rank in range(2)
    ]
    outputs = [p.communicate(timeout=timeout)[0] for p in processes]
    for process, output in zip(processes, outputs, strict=True):
        assert process.returncode == 0, output[-3000:]
    return outputs


def test_two_processes_have_the_gradients_of_one(tmp_path):
    pytest.importorskip('mmpose')
    two_processes([
        program(tmp_path, ON_CPU, GRADIENTS, tests=str(ROOT / 'tests')),
        tmp_path, ADC, SHIFT
    ])
    for rank in range(2):
        found = torch.load(tmp_path / f'rank{rank}.pth')
        assert len(found) == 2
        for gradients in found.values():
            ours = [n for n in gradients if 'rate_regression' in n
                    or 'offset' in n]
            assert ours
            assert all(gradients[n][0].abs().max() > 0 for n in ours)
            for name, (one, many) in gradients.items():
                scale = one.abs().max().clamp(min=1e-3)
                torch.testing.assert_close(
                    many / scale, one / scale, rtol=0, atol=1e-5, msg=name)


# mmpose's own train.py, and a hook that kills the second rank.
TRAIN = """
    import os
    import runpy
    import signal
    import sys
    from mmengine.hooks import Hook
    from mmengine.registry import HOOKS

    @HOOKS.register_module()
    class Die(Hook):
        def after_train_iter(self, runner, *args, **kwargs):
            if 'DIE' in os.environ and runner.rank and runner.epoch == 1:
                os.kill(os.getpid(), signal.SIGKILL)

    script = sys.argv.pop(1)
    sys.argv[0] = script
    runpy.run_path(script, run_name='__main__')
"""
CONFIG = """
_base_ = {base!r}
train_cfg = dict(max_epochs=2, val_interval=2)
param_scheduler = None
env_cfg = dict(dist_cfg=dict(backend='gloo', timeout=60))
model_wrapper_cfg = dict(type='OnCPU')
custom_hooks = [dict(type='SyncBuffersHook'), dict(type='Die')]
default_hooks = dict(checkpoint=dict(interval=1, save_best=None, rule=None))
data = dict(data_root={data!r})
train_dataloader = dict(batch_size=2, num_workers=0, persistent_workers=False,
                        dataset=data)
val_dataloader = dict(batch_size=2, num_workers=0, persistent_workers=False,
                      dataset=data)
test_dataloader = val_dataloader
val_evaluator = dict(_delete_=True, type='PCKAccuracy', thr=0.2)
test_evaluator = val_evaluator
"""


@pytest.mark.slow
def test_a_killed_rank_ends_the_run_and_it_resumes(tmp_path):
    mmpose = pytest.importorskip('mmpose')
    from mmdense.datasets import make_pose_set
    make_pose_set(
        tmp_path / 'people', train=8, val=4, size=(128, 96), workers=1)
    config = tmp_path / 'config.py'
    config.write_text(
        CONFIG.format(base=str(ADC), data=f'{tmp_path}/people/'))
    script = Path(mmpose.__file__).parent / '.mim' / 'tools' / 'train.py'

    def torchrun(*options, **env):
        return subprocess.run(
            [
                sys.executable, '-m', 'torch.distributed.run', '--standalone',
                '--nproc-per-node', '2', program(tmp_path, ON_CPU, TRAIN),
                script, config, '--launcher', 'pytorch', '--work-dir',
                tmp_path / 'run', *options
            ],
            env=environment(**env),
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            timeout=500)

    killed = torchrun(DIE='yes')
    assert killed.returncode != 0
    assert 'SIGKILL' in killed.stdout, killed.stdout[-3000:]
    assert (tmp_path / 'run' / 'epoch_1.pth').exists()
    resumed = torchrun('--resume')
    assert resumed.returncode == 0, resumed.stdout[-3000:]
    assert 'resumed epoch: 1' in resumed.stdout
    state = torch.load(tmp_path / 'run' / 'epoch_2.pth')
    assert state['meta']['epoch'] == 2
