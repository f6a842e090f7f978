"""The notebook runs from its first cell to its last, on a smaller set."""
import json
from pathlib import Path

import pytest

NOTEBOOK = Path(__file__).resolve().parents[1] / 'configs' / 'tutorial.ipynb'
SIZES = 'IMAGES, EPOCHS = 800, 6'


def code_cells():
    cells = json.loads(NOTEBOOK.read_text())['cells']
    return [''.join(cell['source']) for cell in cells
            if cell['cell_type'] == 'code']


def test_the_notebook_is_stored_without_outputs():
    for cell in json.loads(NOTEBOOK.read_text())['cells']:
        assert not cell.get('outputs') and not cell.get('execution_count')


@pytest.mark.slow
def test_every_cell_runs(tmp_path, monkeypatch):
    pytest.importorskip('mmpose')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('MPLBACKEND', 'agg')
    cells = code_cells()
    assert SIZES in cells[0]
    names = {}
    for cell in cells:
        exec(cell.replace(SIZES, 'IMAGES, EPOCHS = 16, 1'), names)
    assert Path('work_dirs/tutorial/predictions.png').is_file()
    assert len(names['found'].images) == 6 and not names['found'].skipped
