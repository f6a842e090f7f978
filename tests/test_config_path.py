"""Configs are found by name from any folder."""
import subprocess
import sys

import pytest

from mmdense import config_path

NAME = 'td-hm_flattenet-res50_1xb32-140e_mpii-256x256'


@pytest.mark.parametrize('name', [NAME, f'{NAME}.py', f'mmpose/x/{NAME}.py'])
def test_a_config_is_found_by_name(name):
    assert config_path(name).name == f'{NAME}.py'
    assert config_path(name).is_file()


def test_an_unknown_name_lists_the_nearest():
    with pytest.raises(FileNotFoundError, match=f'nearest are {NAME}'):
        config_path(NAME.replace('140e', '141e'))


def test_the_command_prints_the_path(tmp_path):
    result = subprocess.run(
        [sys.executable, '-m', 'mmdense', 'path', NAME],
        cwd=tmp_path,
        capture_output=True,
        text=True)
    assert result.stdout.strip() == str(config_path(NAME))


def test_the_command_fails_on_an_unknown_name(tmp_path):
    result = subprocess.run(
        [sys.executable, '-m', 'mmdense', 'path', 'nothing'],
        cwd=tmp_path,
        capture_output=True,
        text=True)
    assert result.returncode == 1
    assert result.stderr.startswith("error: mmdense has no config named")
