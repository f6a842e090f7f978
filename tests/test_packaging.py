"""What setup.py puts into a wheel."""
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def test_a_wheel_holds_what_the_analyses_read(tmp_path):
    subprocess.run(
        [sys.executable, 'setup.py', '-q', 'build_py', '-d', str(tmp_path)],
        cwd=ROOT, check=True, capture_output=True)
    data = [
        path.relative_to(ROOT)
        for path in (ROOT / 'mmdense').glob('[!.]*/**/*.json')
    ]
    assert data
    for path in data:
        assert (tmp_path / path).is_file(), path
