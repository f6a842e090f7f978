"""usage: test.py CONFIG CHECKPOINT [options of the host's test.py]

Test a checkpoint with the script of the host of its config.

    python tools/test.py CONFIG work_dirs/NAME/epoch_10.pth --show-dir drawn

In an installed wheel, `mim test mmdense NAME.py -C CHECKPOINT` runs this file.
"""
import sys

from mmdense.checkpoints.reading import read_checkpoint
from mmdense.command_line import print_error
from mmdense.networks.host_scripts import config_at, run_host_script


def main(argv: list[str] | None = None) -> int:
    argv = sys.argv[1:] if argv is None else argv
    words = argv[config_at(argv):]
    if len(words) > 1 and words[1][:1] != '-' and '://' not in words[1]:
        try:
            read_checkpoint(words[1])
        except ValueError as error:
            print_error(error)
            return 2
    return run_host_script('test', argv, __doc__)


if __name__ == '__main__':
    sys.exit(main())
