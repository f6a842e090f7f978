"""usage: train.py CONFIG [options of the host's train.py]

Trains a config, given by path or by name, with the script of its own host.

    python tools/train.py td-hm_flattenet-res18_quick_synthetic-128x96 --resume

Of an installed wheel, `mim train mmdense NAME.py` runs this file.
"""
import sys

from mmdense.analysis.host_tools import run_host_script

if __name__ == '__main__':
    sys.exit(run_host_script('train', sys.argv[1:], __doc__))
