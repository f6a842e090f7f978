"""A model card says what files say, asks for the rest, and invents nothing."""
import importlib.util
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from mmengine.logging import HistoryBuffer

from mmdense.checkpoints.publishing import publish
from mmdense.networks import build_model, load_config
from mmdense.networks.model_card import collect, read_figures, write_card

pytest.importorskip('mmpose')
ROOT = Path(__file__).resolve().parents[2]
NAME = 'td-hm_flattenet-res18_quick_synthetic-128x96'
GIVEN = dict(
    licence='apache-2.0',
    data_licence='Apache 2.0, drawn by this repository.',
    intended_use='Trying mmdense out; not for photographs.',
    machine='2 cores of a test machine')


@pytest.fixture(scope='module')
def model():
    torch.manual_seed(0)
    return build_model(load_config(NAME))


@pytest.fixture
def trained(model, tmp_path):
    """Writes a checkpoint as mmengine does, and the result of a test."""
    results = tmp_path / 'test.json'
    results.write_text(json.dumps({'PCK': 0.9, '0.1/PCK': 0.75, 'time': 0.2,
                                   'data_time': 0.1, 'note': 'text'}))

    def write(hub=True, **meta):
        meta = dict(experiment_name=f'{NAME}_20261129_101112', seed=0,
                    epoch=10, iter=1250) | meta
        times = HistoryBuffer(np.full(1250, 0.24), np.ones(1250))
        scalars = {'train/time': times} if hub else {}
        path = tmp_path / 'epoch_10.pth'
        torch.save(
            dict(meta=meta, state_dict=model.state_dict(),
                 message_hub=dict(log_scalars=scalars)), path)
        return path

    return write, results


def test_a_card_says_what_the_files_say(model, trained, tmp_path):
    write, results = trained
    card = collect(write(), results=results, **GIVEN)
    weights = publish(tmp_path / 'epoch_10.pth', tmp_path / 'out/person.pth')
    path = write_card(card, weights)
    assert path == weights.with_suffix('.md')
    _, head, text = path.read_text().split('---\n', 2)
    head = yaml.safe_load(head)
    assert head['license'] == 'apache-2.0'
    assert head['pipeline_tag'] == 'keypoint-detection'
    assert head['tags'] == ['mmdense', 'FlatteNet', 'ResNet']
    result, = head['model-index'][0]['results']
    assert result['dataset']['name'] == 'synthetic'
    assert [(m['name'], m['value']) for m in result['metrics']] == [
        ('PCK', 0.9), ('0.1/PCK', 0.75)]
    parameters = sum(p.numel() for p in model.parameters())
    for said in (f'# {NAME}\n', 'a narrow FlatteNet, from scratch',
                 'https://arxiv.org/abs/1909.09961', f'{parameters:,} param',
                 f'python -m mmdense predict {NAME} {weights.name} IMAGES',
                 *GIVEN.values(), '| 0.1/PCK | 0.75 |',
                 'annotations/person_keypoints_val.json',
                 f'\npython tools/train.py {NAME}\n',
                 'Took 5.0 min for 1250 steps, without validation, on 2 cor'):
        assert said in text, said
    digits = re.search(r'SHA-256 `(\w{64})`', text)[1]
    assert weights.stem.endswith(digits[:8])
    assert 'None' not in text and str(tmp_path) not in text


def test_what_no_file_says_is_asked_for_at_once(trained):
    write, _ = trained
    with pytest.raises(ValueError, match='^--licence, --data-licence, '
                       '--intended-use, --results, --machine must be given'):
        collect(write())


def test_what_is_given_goes_before_the_files(trained, tmp_path):
    write, results = trained
    card = collect(write(), results=results, data='twelve people',
                   time='a week', command='bash tools/quickstart.sh', **GIVEN)
    assert (card.data, card.time, card.command) == (
        'twelve people', 'a week', 'bash tools/quickstart.sh')


@pytest.mark.parametrize('changes, message', [
    (dict(hub=False), '--time must be given'),
    # As of a training that was stopped, or was told another length.
    (dict(epoch=3), '--command must be given'),
    (dict(experiment_name=None), '--config must be given'),
    (dict(experiment_name='mine_20261129_101112'), 'mine: no such config'),
    (dict(experiment_name='td-hm_hrnetv1-w8_quick_synthetic-128x96'),
     "does not fit this config's network"),
])
def test_nothing_is_guessed(trained, changes, message):
    write, results = trained
    with pytest.raises(ValueError, match=message):
        collect(write(**changes), results=results, **GIVEN)


def test_another_seed_is_part_of_the_command(trained):
    write, results = trained
    fixed = load_config(NAME).get('randomness', {}).get('seed')
    for seed in (fixed, 7):
        command = collect(write(seed=seed), results=results, **GIVEN).command
        assert command.endswith(' randomness.seed=7') is (seed == 7)


@pytest.mark.parametrize('content, message', [
    (None, 'FileNotFoundError'), ('no json', 'JSONDecodeError'),
    ('[1]', 'AttributeError'), ('{"time": 3.0}', 'which has no metric')])
def test_a_file_without_figures_is_named(tmp_path, content, message):
    path = tmp_path / 'test.json'
    if content:
        path.write_text(content)
    with pytest.raises(ValueError, match=f'--results must .*{message}'):
        read_figures(path)


def test_figures_of_the_evidence_are_read(tmp_path):
    path = tmp_path / 'result.json'
    path.write_text('{"seed": 1, "metrics": {"0.2/tPCK": 0.5}}')
    assert read_figures(path) == {'0.2/tPCK': 0.5}


def test_a_licence_is_an_identifier(trained):
    write, results = trained
    with pytest.raises(ValueError, match="--licence must be .*got 'Apache 2'"):
        collect(write(), results=results, **GIVEN | dict(licence='Apache 2'))


def test_the_tool_writes_card_and_weights_or_neither(trained, tmp_path,
                                                     capsys):
    spec = importlib.util.spec_from_file_location(
        'publish_model_tool', ROOT / 'tools' / 'publish_model.py')
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    write, results = trained
    argv = [str(write()), str(tmp_path / 'out' / 'person.pth'), '--card']
    assert tool.main(argv) == 2
    assert '--licence, ' in capsys.readouterr().err
    assert not (tmp_path / 'out').exists()
    argv += ['--results', str(results)]
    for name, text in GIVEN.items():
        argv += [f'--{name.replace("_", "-")}', text]
    assert tool.main(argv) == 0
    card, weights = sorted((tmp_path / 'out').iterdir())
    assert card == weights.with_suffix('.md')
    assert capsys.readouterr().out.endswith(f'wrote {card}\n')
    with pytest.raises(SystemExit):
        tool.main([*argv[:2], '--licence', 'mit'])
    assert 'must be given with --card' in capsys.readouterr().err


def test_a_metafile_links_no_weights_that_are_not_there():
    for path in ROOT.glob('configs/*/*/metafile.yml'):
        for entry in yaml.safe_load(path.read_text())['Models']:
            # Nothing is published yet; a link goes here with its file.
            assert 'Weights' not in entry, f'{path}: {entry["Name"]}'
