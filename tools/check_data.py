"""What is wrong with a config's data, before a training meets it.

    python tools/check_data.py CONFIG
    python tools/check_data.py CONFIG --decode

Reads annotations and the headers of images and labels; with --decode every
image to its end. Prints each fault with its file or annotation, and exits
with 1 if there is any, with 2 where there is nothing to look at.
"""
import argparse
import sys

from mmdense import networks
from mmdense.engine.data_check import config_faults
from mmdense.networks.options import add_cfg_options

LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', metavar='CONFIG')
    parser.add_argument(
        '--decode', action='store_true', help='read every image to its end')
    add_cfg_options(parser)
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    try:
        config = networks.load_config(args.config, args.cfg_options)
    except ValueError as error:
        print(f'error: {" ".join(str(error).split())}', file=sys.stderr)
        return 2
    seen, number = [], 0
    for loader in LOADERS:
        dataset = (config.get(loader) or {}).get('dataset')
        if dataset is None or dataset in seen:
            continue
        seen.append(dataset)
        for fault in config_faults(config, loader, args.decode):
            number += 1
            print(fault)
    if not seen:
        print(f'error: {args.config} wants one of {", ".join(LOADERS)} with '
              'a dataset, got none', file=sys.stderr)
        return 2
    print(f'{number} faults in {len(seen)} data sets')
    return int(number > 0)


if __name__ == '__main__':
    sys.exit(main())
