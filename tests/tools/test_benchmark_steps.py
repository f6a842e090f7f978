"""The table of training steps, on the smallest network."""
from pathlib import Path

import pytest
from by_path import load_tool

ROOT = Path(__file__).resolve().parents[2]
CONFIG = (ROOT / 'configs' / 'mmpose' / 'flattenet' /
          'td-hm_flattenet-res18_quick_synthetic-128x96.py')


@pytest.fixture
def main():
    yield load_tool('benchmark_steps').main
    import logging
    logging.disable(logging.NOTSET)


def test_each_config_is_a_row(main, capsys):
    pytest.importorskip('mmpose')
    assert main([str(CONFIG), '--ways', 'bfloat16', '--repeats', '1']) == 0
    row = capsys.readouterr().out.splitlines()[-1].split('|')
    assert row[1].strip() == CONFIG.stem
    assert float(row[2]) > 0 and float(row[3]) > 0


def test_a_wrong_config_is_named(main, capsys):
    assert main(['nowhere.py']) == 2
    assert 'nowhere.py' in capsys.readouterr().err


def test_no_repeats_are_refused(main, capsys):
    with pytest.raises(SystemExit):
        main([str(CONFIG), '--repeats', '0'])
    assert '--repeats must be at least 1, got 0' in capsys.readouterr().err
