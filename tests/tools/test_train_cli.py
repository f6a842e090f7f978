"""tools/train.py and tools/test.py hand over to the config's own host."""
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mmdense.networks.host_scripts import host_script, run_host_script

ROOT = Path(__file__).resolve().parents[2]
QUICK = 'td-hm_flattenet-res18_quick_synthetic-128x96'
SCRIPT = '''
import json, sys
assert __name__ == '__main__'
with open({out!r}, 'w') as file:
    json.dump(sys.argv, file)
if '--fail' in sys.argv:
    raise ValueError('of the training itself')
'''


@pytest.fixture
def host(tmp_path, monkeypatch):
    """A host whose scripts write down how they were called."""
    tools = tmp_path / 'toyhost' / '.mim' / 'tools'
    tools.mkdir(parents=True)
    (tmp_path / 'toyhost' / '__init__.py').write_text('')
    out = tmp_path / 'called.json'
    (tools / 'train.py').write_text(SCRIPT.format(out=str(out)))
    monkeypatch.syspath_prepend(tmp_path)
    config = tmp_path / 'config.py'
    config.write_text("default_scope = 'toyhost'\nmodel = dict()")
    return tools / 'train.py', str(config), out


@pytest.mark.parametrize('before', [[], ['--local-rank=0']])
def test_the_hosts_script_gets_the_command_line(host, before):
    script, config, out = host
    kept = list(sys.argv)
    more = ['--launcher', 'none', '--resume']
    assert run_host_script('train', [*before, config, *more], '') == 0
    assert json.loads(out.read_text()) == [
        str(script), *before, config, *more]
    assert sys.argv == kept


def test_what_the_training_raises_is_not_swallowed(host):
    with pytest.raises(ValueError, match='of the training itself'):
        run_host_script('train', [host[1], '--fail'], '')


@pytest.mark.parametrize('name', ['mmpose', 'mmseg', 'mmdet'])
@pytest.mark.parametrize('tool', ['train', 'test'])
def test_the_installed_hosts_have_the_scripts(tmp_path, name, tool):
    module = pytest.importorskip(name)
    config = tmp_path / 'config.py'
    config.write_text(f"default_scope = '{name}'\nmodel = dict()")
    script = host_script(tool, config)
    assert script.is_relative_to(Path(module.__file__).parent)
    assert '--launcher' in script.read_text()


@pytest.mark.parametrize('tool', ['train', 'test'])
def test_a_config_is_found_by_its_name_and_help_says_so(tool, capsys):
    about = (ROOT / 'tools' / f'{tool}.py').read_text().split('"""')[1]
    # mim asks for the help, and adds an option of its own if it sees --gpus.
    assert f'usage: {tool}.py CONFIG' in about and '--gpus' not in about
    assert run_host_script(tool, ['--help'], about) == 0
    assert about in capsys.readouterr().out
    assert run_host_script(tool, ['td-hm_flattenet-res18_quik'], '') == 2
    error = capsys.readouterr().err
    assert 'nearest are' in error and QUICK in error


def test_the_hosts_script_gets_the_path_of_a_name(host, monkeypatch):
    script, config, out = host
    monkeypatch.setattr('mmdense.analysis.complexity.config_path',
                        dict(toy=Path(config)).get)
    assert run_host_script('train', ['toy', '--resume'], '') == 0
    assert json.loads(out.read_text()) == [str(script), config, '--resume']


def test_a_host_without_scripts_is_named(host, capsys):
    host[0].unlink()
    assert run_host_script('train', [host[1]], '') == 2
    assert 'toyhost is installed without its scripts' in \
        capsys.readouterr().err


def run(folder, *command):
    done = subprocess.run(
        command,
        cwd=folder,
        env=dict(os.environ, PATH=f'{folder}/venv/bin:{os.environ["PATH"]}'),
        capture_output=True,
        text=True)
    output = done.stdout + done.stderr
    assert done.returncode == 0, output[-3000:]
    return output


@pytest.mark.slow
def test_mim_trains_and_tests_by_name_from_an_installed_wheel(tmp_path):
    """A wheel, in an environment of its own that borrows all the rest."""
    pytest.importorskip('mmpose')
    run(tmp_path, sys.executable, '-m', 'pip', 'wheel', str(ROOT),
        '--no-build-isolation', '--no-deps', '--no-cache-dir', '-w', '.')
    wheel, = tmp_path.glob('mmdense-*.whl')
    run(tmp_path, sys.executable, '-m', 'venv', '--without-pip', 'venv')
    packages = next(tmp_path.glob('venv/lib/*/site-packages'))
    run(tmp_path, sys.executable, '-m', 'pip', 'install', '--no-deps',
        '--no-index', '--target', str(packages), str(wheel))
    # Not as a .pth line: that would bring the editable install along.
    (packages / 'borrow.pth').write_text(
        'import sys; sys.path.append('
        f'{str(Path(pytest.__file__).parents[1])!r})')
    python = 'venv/bin/python'
    where = run(tmp_path, python, '-c', 'import mmdense; '
                'print(mmdense.__file__)')
    assert str(packages) in where
    run(tmp_path, python, '-m', 'mim', 'run', 'mmdense', 'make_data', 'pose',
        'data', '--train', '32', '--val', '8', '--size', '96', '72')
    options = ['train_cfg.max_epochs=1', 'train_cfg.val_interval=1',
               'param_scheduler.0.total_steps=1']
    for loader in ('train', 'val', 'test'):
        options += [f'{loader}_dataloader.dataset.data_root=data/']
    run(tmp_path, python, '-m', 'mim', 'train', 'mmdense', f'{QUICK}.py',
        '--work-dir', 'work', '--cfg-options', *options)
    output = run(tmp_path, python, '-m', 'mim', 'test', 'mmdense',
                 f'{QUICK}.py', '-C', 'work/epoch_1.pth', '--cfg-options',
                 *options)
    assert 'PCK' in output
