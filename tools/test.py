"""usage: test.py CONFIG CHECKPOINT [options of the host's test.py]

Tests a checkpoint with the script of its config's own host.

    python tools/test.py CONFIG work_dirs/NAME/epoch_10.pth --show-dir drawn

Of an installed wheel, `mim test mmdense NAME.py -C CHECKPOINT` runs this file.
"""
import sys

from mmdense.analysis.host_tools import run_host_script

if __name__ == '__main__':
    sys.exit(run_host_script('test', sys.argv[1:], __doc__))
