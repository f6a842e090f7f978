"""The commands of the deployment, run: from a checkpoint to ONNX."""
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SECTION = (ROOT / 'tools' / 'README.md').read_text().split(
    '\n## Deployment\n')[1]
BLOCK = re.search(r'^```bash\n(.*?)^```', SECTION, re.M | re.S)[1]
# What the quick start leaves behind, of an untrained network.
QUICK_START = '''
python tools/make_data.py pose data/synthetic/pose --train 2 --val 2 \
    --size 96 72 --difficulty easy
python tools/untrained_checkpoint.py $CONFIG $WORK/epoch_10.pth
'''


@pytest.mark.slow
def test_the_block_runs_after_a_quick_start(tmp_path):
    pytest.importorskip('mmpose')
    pytest.importorskip('onnxruntime')
    for name in ('configs', 'tools'):
        (tmp_path / name).symlink_to(ROOT / name)
    values = re.match(r'(?:[A-Z]+=.*\n)+', BLOCK)[0]
    done = subprocess.run(
        ['bash', '-e', '-c', values + QUICK_START + BLOCK],
        cwd=tmp_path,
        env=dict(
            os.environ,
            PATH=f'{Path(sys.executable).parent}:{os.environ["PATH"]}'),
        capture_output=True,
        text=True)
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    quick = tmp_path / 'work_dirs/quickstart'
    assert len(list(quick.glob('person-*.pth'))) == 1
    assert (quick / 'person.onnx').is_file()
    assert list((tmp_path / 'work_dirs').rglob('*.jpg'))
    assert list((tmp_path / 'work_dirs').rglob('*.json'))
    for mode in ('eager', 'autocast', 'compile', 'onnx'):
        assert re.search(rf'^{mode}\b', done.stdout, re.M), done.stdout
