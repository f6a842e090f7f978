"""usage: train.py CONFIG [options of the host's train.py]

Train a config, given by path or by name, with the script of its host.

    python tools/train.py td-hm_flattenet-res18_quick_synthetic-128x96 --resume

In an installed wheel, `mim train mmdense NAME.py` runs this file.
"""
import sys

from mmdense.command_line import print_error
from mmdense.networks.host_scripts import data_fault, run_host_script


def main(argv: list[str] | None = None) -> int:
    argv = sys.argv[1:] if argv is None else argv
    try:
        return run_host_script('train', argv, __doc__)
    except ValueError as error:
        fault = data_fault(argv, error)
        if fault is None:
            raise
        print_error(fault)
        return 2


if __name__ == '__main__':
    sys.exit(main())
