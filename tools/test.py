"""usage: test.py CONFIG CHECKPOINT [options of the host's test.py]

Tests a checkpoint with the script of its config's own host.

    python tools/test.py CONFIG work_dirs/NAME/epoch_10.pth --show-dir drawn

Of an installed wheel, `mim test mmdense NAME.py -C CHECKPOINT` runs this file.
"""
import sys

from mmdense.checkpoints.reading import read_checkpoint
from mmdense.networks.host_scripts import run_host_script


def main(argv: list[str] | None = None) -> int:
    argv = sys.argv[1:] if argv is None else argv
    # torch.distributed puts its --local-rank before everything else.
    words = argv[next((k for k, w in enumerate(argv) if w[:1] != '-'), 0):]
    if len(words) > 1 and words[1][:1] != '-' and '://' not in words[1]:
        try:
            read_checkpoint(words[1])
        except ValueError as error:
            print(f'error: {" ".join(str(error).split())}', file=sys.stderr)
            return 2
    return run_host_script('test', argv, __doc__)


if __name__ == '__main__':
    sys.exit(main())
