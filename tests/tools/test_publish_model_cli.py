"""A published checkpoint holds the weights, and the hosts still take it."""
import hashlib
import importlib.util
from pathlib import Path

import pytest
import torch
from by_path import load_tool
from mmengine.model import BaseModel
from mmengine.optim import OptimWrapper
from mmengine.runner import Runner
from torch import nn


@pytest.fixture(scope='module')
def tool():
    return load_tool('publish_model')


class Network(BaseModel):

    def __init__(self):
        super().__init__()
        self.body = nn.Linear(3, 4)
        self.norm = nn.BatchNorm1d(4)

    def forward(self, inputs, mode='tensor'):
        out = self.norm(self.body(inputs)).sin().mean()
        return dict(loss=out) if mode == 'loss' else [out]


class Outputs:
    """A metric's place: remembers what the network said."""

    dataset_meta = None

    def __init__(self):
        self.seen = []

    def process(self, data_samples, data_batch=None):
        self.seen += [float(x) for x in data_samples]

    def evaluate(self, size):
        return dict(done=len(self.seen))


def runner(folder, model, name, **options):
    images = torch.arange(12.).view(4, 3).sin()
    data = dict(
        dataset=list(images),
        sampler=dict(type='DefaultSampler', shuffle=False),
        batch_size=2,
        num_workers=0,
        collate_fn=lambda batch: dict(inputs=torch.stack(batch)))
    return Runner(
        model=model,
        work_dir=str(folder),
        train_dataloader=dict(data),
        train_cfg=dict(by_epoch=True, max_epochs=2),
        optim_wrapper=OptimWrapper(
            torch.optim.Adam(model.parameters(), lr=0.1)),
        param_scheduler=dict(type='MultiStepLR', milestones=[1]),
        test_dataloader=dict(data),
        test_cfg=dict(),
        test_evaluator=Outputs(),
        default_hooks=dict(check=dict(type='mmdense.CheckpointCheckHook')),
        default_scope='mmengine',
        experiment_name=f'{folder.name}-{name}',
        **options)


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    """A checkpoint with averaged weights, and these weights themselves."""
    folder = tmp_path_factory.mktemp('publish')
    training = runner(
        folder,
        Network(),
        'train',
        custom_hooks=[dict(type='EMAHook', momentum=0.3)])
    training.train()
    hook, = (h for h in training.hooks if type(h).__name__ == 'EMAHook')
    averaged = {
        name: value.clone()
        for name, value in hook.ema_model.module.named_parameters()
    }
    live = dict(hook.src_model.named_parameters())
    assert not torch.equal(averaged['body.weight'], live['body.weight'])
    return folder / 'epoch_2.pth', averaged


def published(tool, argv, capsys):
    assert tool.main([str(a) for a in argv]) == 0
    return Path(capsys.readouterr().out.split()[1].rstrip(','))


def test_weights_stay_and_the_training_goes(tool, trained, tmp_path, capsys):
    source, averaged = trained
    before = torch.load(source, weights_only=True)
    assert {'optimizer', 'param_schedulers', 'message_hub',
            'ema_state_dict'} < set(before)
    path = published(tool, [source, tmp_path / 'new' / 'net.pth'], capsys)
    after = torch.load(path, weights_only=True)
    assert set(after) == {'meta', 'state_dict'}
    assert set(after['meta']) <= {'cfg', 'dataset_meta', 'mmengine_version'}
    assert set(after['state_dict']) == set(Network().state_dict())
    for name, value in averaged.items():
        torch.testing.assert_close(
            after['state_dict'][name], value, rtol=0, atol=0)


def test_the_name_ends_in_the_files_hash(tool, trained, tmp_path, capsys):
    path = published(tool, [trained[0], tmp_path / 'v1.2_net.pth'], capsys)
    digits = hashlib.sha256(path.read_bytes()).hexdigest()[:8]
    assert path.name == f'v1.2_net-{digits}.pth'
    again = published(tool, [trained[0], tmp_path / 'other'], capsys)
    assert again.name == f'other-{digits}.pth'


def test_a_test_gives_what_the_training_file_gives(
        tool, trained, tmp_path, capsys):
    path = published(tool, [trained[0], tmp_path / 'net.pth'], capsys)
    outputs = []
    for k, file in enumerate((trained[0], path)):
        tester = runner(tmp_path, Network(), k, load_from=str(file))
        tester.test()
        outputs.append(tester.test_evaluator.seen)
    assert outputs[0] == outputs[1] and len(set(outputs[0])) == 2


def test_safetensors_hold_the_same_weights(tool, trained, tmp_path, capsys):
    safetensors = pytest.importorskip('safetensors.torch')
    path = published(
        tool, [trained[0], tmp_path / 'net.pth', '--safetensors'], capsys)
    digits = hashlib.sha256(path.read_bytes()).hexdigest()[:8]
    assert path.name == f'net-{digits}.safetensors'
    wanted = torch.load(trained[0], weights_only=True)['state_dict']
    got = safetensors.load_file(path)
    assert set(got) == set(wanted)
    for name, value in wanted.items():
        torch.testing.assert_close(got[name], value, rtol=0, atol=0)
    # Our own tools take the file; and what was published is published again.
    again = published(tool, [path, tmp_path / 'back.pth'], capsys)
    assert set(torch.load(again)['state_dict']) == set(wanted)


def test_a_missing_package_is_one_line(tool, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(importlib.util, 'find_spec', lambda *_: None)
    with pytest.raises(SystemExit):
        tool.main([str(tmp_path / 'a.pth'), str(tmp_path / 'b'),
                   '--safetensors'])
    assert '--safetensors needs safetensors, not installed' in \
        capsys.readouterr().err


def test_nothing_half_written_lies_under_the_final_name(
        tool, trained, tmp_path, monkeypatch):
    """As if the process ended between writing and renaming."""
    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr('os.replace', killed)
    with pytest.raises(KeyboardInterrupt):
        tool.main([str(trained[0]), str(tmp_path / 'net.pth')])
    assert not list(tmp_path.glob('*.pth'))


class Surprise:

    def __reduce__(self):
        return print, ('a checkpoint ran a command', )


@pytest.mark.parametrize('content, message', [
    (None, 'no such checkpoint'),
    (b'PK-cut', 'is not whole (6 bytes, the end is missing)'),
    (b'text', 'cannot be read as a checkpoint'),
    ([1], 'must hold a dict, got list'),
    (dict(model=dict(a=1)), 'holds no weights; its entries are model'),
    (dict(state_dict=Surprise()), 'cannot be read as a checkpoint'),
])
def test_what_is_no_checkpoint_is_named(tool, tmp_path, capsys, content,
                                        message):
    source = tmp_path / 'epoch_1.pth'
    if isinstance(content, bytes):
        source.write_bytes(content)
    elif content is not None:
        torch.save(content, source)
    assert tool.main([str(source), str(tmp_path / 'out.pth')]) == 2
    captured = capsys.readouterr()
    assert message in captured.err and captured.err.count('\n') == 1
    assert captured.out == '' and not list(tmp_path.glob('out*'))
