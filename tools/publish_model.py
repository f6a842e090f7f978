"""Write the weights of a checkpoint to a file for publishing.

    python tools/publish_model.py work_dirs/quickstart/epoch_10.pth person.pth
    python tools/publish_model.py CHECKPOINT OUT --safetensors

writes person-<8 digits of its SHA-256>.pth without optimizer, schedules and
message hub. `mim test` takes it as it takes the original. A .safetensors file
is for programs that do not read pickles; mmengine cannot read it.
"""
import argparse
import importlib.util
import sys
from pathlib import Path

from mmdense.checkpoints.publishing import publish
from mmdense.command_line import one_line_errors


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('checkpoint', help='checkpoint of a training')
    parser.add_argument('out',
                        help='file to write; the hash is added to its name')
    parser.add_argument(
        '--safetensors', action='store_true', help='write .safetensors')
    args = parser.parse_args(argv)
    if args.safetensors and importlib.util.find_spec('safetensors') is None:
        parser.error('--safetensors needs safetensors, not installed here: '
                     'pip install "mmdense[export]"')
    return args


@one_line_errors
def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    path = publish(args.checkpoint, args.out, args.safetensors)
    before, after = (
        Path(p).stat().st_size / 1e6 for p in (args.checkpoint, path))
    print(f'wrote {path}, {after:.1f} MB (of {before:.1f})')
    return 0


if __name__ == '__main__':
    sys.exit(main())
