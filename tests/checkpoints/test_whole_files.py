"""A run killed while it saves leaves a whole checkpoint, and resumes."""
import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
import torch
from mmengine.model import BaseModel
from mmengine.optim import OptimWrapper
from mmengine.runner import Runner
from torch import nn

import mmdense.registry  # noqa: F401 - checkpoints load
from mmdense.checkpoints.whole_files import WholeFileBackend


class Network(BaseModel):
    """As many bytes as asked for, and next to nothing to compute."""

    def __init__(self, size=4):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))
        self.register_buffer('ballast', torch.ones(size))

    def forward(self, inputs, mode='tensor'):
        out = (self.scale * inputs).square().mean()
        return dict(loss=out) if mode == 'loss' else [out]


def runner(folder, iters=10**6, size=4, keep=1, **options):
    model = Network(size)
    return Runner(
        model=model,
        work_dir=str(folder),
        train_dataloader=dict(
            dataset=[torch.ones(3)] * 4,
            sampler=dict(type='InfiniteSampler', shuffle=False),
            batch_size=2,
            num_workers=0,
            collate_fn=lambda batch: dict(inputs=torch.stack(batch))),
        train_cfg=dict(by_epoch=False, max_iters=iters),
        optim_wrapper=OptimWrapper(torch.optim.SGD(model.parameters(), 0.1)),
        default_hooks=dict(
            checkpoint=dict(
                type='CheckpointHook', by_epoch=False, interval=1,
                max_keep_ckpts=keep),
            check=dict(type='mmdense.CheckpointCheckHook')),
        default_scope='mmengine',
        log_level='ERROR',
        experiment_name=f'{Path(folder).name}-{time.time_ns()}',
        **options)


def files(folder):
    return sorted(path.name for path in folder.glob('*.pth*'))


def test_a_file_is_written_or_not_there(tmp_path, monkeypatch):
    """As if the process ended between writing and renaming."""
    path = tmp_path / 'deep' / 'epoch_1.pth'
    backend = WholeFileBackend()
    backend.put(b'old', path)

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, 'replace', killed)
        with pytest.raises(KeyboardInterrupt):
            backend.put(b'new', path)
    assert path.read_bytes() == b'old'
    backend.put(b'new', path)
    assert path.read_bytes() == b'new'
    assert os.listdir(path.parent) == ['epoch_1.pth']


def test_what_is_outdated_goes_when_the_next_file_is_there(tmp_path):
    first, second = tmp_path / 'epoch_1.pth', tmp_path / 'epoch_2.pth'
    WholeFileBackend().put(b'1', first)
    WholeFileBackend().remove(first)
    assert first.exists()
    WholeFileBackend().put(b'2', second)
    assert os.listdir(tmp_path) == ['epoch_2.pth']
    # The same name again is no longer outdated.
    WholeFileBackend().remove(second)
    WholeFileBackend().put(b'3', second)
    assert second.read_bytes() == b'3'


def test_a_training_keeps_as_many_as_it_is_told(tmp_path):
    runner(tmp_path, iters=4, keep=2).train()
    assert files(tmp_path) == ['iter_3.pth', 'iter_4.pth']


@pytest.mark.parametrize('damage', [
    'cut', 'zeroed', 'gone', 'moved', 'unnamed'])
def test_resume_takes_the_newest_whole_one(tmp_path, damage):
    folder = tmp_path / 'run'
    runner(folder, iters=3, size=1000, keep=-1).train()
    last = folder / 'iter_3.pth'
    expected = 2
    if damage == 'cut':
        last.write_bytes(last.read_bytes()[:1000])
    elif damage == 'zeroed':
        data = last.read_bytes()
        at = data.index(torch.ones(1000).numpy().tobytes())
        last.write_bytes(data[:at] + bytes(1000) + data[at + 1000:])
    elif damage == 'gone':
        last.unlink()
    elif damage == 'moved':
        folder, expected = folder.rename(tmp_path / 'elsewhere'), 3
    else:
        (folder / 'last_checkpoint').write_text('')
        expected = 3
    resumed = runner(folder, iters=3, size=1000, resume=True)
    resumed.train_loop  # noqa: B018 - built on first use
    resumed.call_hook('before_run')
    resumed.load_or_resume()
    assert resumed.iter == expected


def test_a_folder_elsewhere_keeps_its_own_backend(tmp_path):
    own = dict(backend='local')
    run = runner(tmp_path, iters=1)
    hook = next(h for h in run.hooks if type(h).__name__ == 'CheckpointHook')
    hook.backend_args = own
    run.train()
    assert hook.backend_args is own


# Values of a checkpoint: as many as take a while to write.
SIZE = 2_000_000
# One process imports, and forks one after the other: importing takes seconds.
PROGRAM = """
    import os
    import sys
    # What the hosts print when they are imported is no answer.
    answers = os.fdopen(os.dup(1), 'w')
    os.dup2(2, 1)
    sys.path.insert(0, {tests!r})
    import torch
    from test_whole_files import runner
    torch.set_num_threads(1)
    for line in sys.stdin:
        if not os.fork():
            runner(line.strip(), size={size}).train()
        print(os.wait()[1] & 0x7f, file=answers, flush=True)
"""


def kill_while_saving(folder, kills):
    """Train and kill, again and again; the iterations resumed from."""
    program = folder / 'program.py'
    program.write_text(textwrap.dedent(
        PROGRAM.format(tests=os.path.dirname(__file__), size=SIZE)))
    process = subprocess.Popen([sys.executable, program],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL, text=True)
    dice, found = random.Random(0), []
    try:
        for kill in range(kills):
            run = folder / f'run{kill}'
            process.stdin.write(f'{run}\n')
            process.stdin.flush()
            # Only what is killed after its first checkpoint has one.
            wait_for(run / 'last_checkpoint')
            time.sleep(dice.uniform(0, 0.3))
            child, = Path(f'/proc/{process.pid}/task/{process.pid}/children'
                          ).read_text().split()
            os.kill(int(child), signal.SIGKILL)
            assert process.stdout.readline() == '9\n'
            found.append(check(run))
    finally:
        process.stdin.close()
        process.wait()
    return found


def wait_for(path, seconds=120):
    end = time.monotonic() + seconds
    while not (path.exists() and path.read_text()):
        assert time.monotonic() < end, f'{path} did not come'
        time.sleep(0.01)


def check(run):
    whole = [path for path in run.iterdir() if path.suffix == '.pth']
    assert whole
    for path in whole:
        assert len(torch.load(path)['state_dict']['ballast']) == SIZE
    resumed = runner(run, size=SIZE, resume=True)
    resumed.train_loop  # noqa: B018 - built on first use
    resumed.call_hook('before_run')
    resumed.load_or_resume()
    assert resumed.iter == max(
        int(path.stem.removeprefix('iter_')) for path in whole)
    return resumed.iter


linux = pytest.mark.skipif(sys.platform != 'linux', reason='reads /proc')


@linux
def test_three_kills_while_saving_lose_nothing(tmp_path):
    assert len(kill_while_saving(tmp_path, 3)) == 3


@linux
@pytest.mark.slow
def test_forty_kills_while_saving_lose_nothing(tmp_path):
    assert len(kill_while_saving(tmp_path, 40)) == 40
