"""What is wrong with a config's data, before a training meets it.

    python tools/check_data.py CONFIG
    python tools/check_data.py CONFIG --decode

Reads annotations, the headers of images and labels, and about a hundred of
the labels; with --decode every image and label to its end. Prints each fault
with its file or annotation, and exits with 1 if there is any, with 2 where
there is nothing to look at. A warning (bits or channels that the loader drops,
classes in another order) is likely not meant, and leaves the exit status.
"""
import argparse
import sys

from mmdense import networks
from mmdense.command_line import one_line_errors
from mmdense.engine.data_check import DataWarning, config_faults

LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', metavar='CONFIG')
    parser.add_argument(
        '--decode', action='store_true',
        help='read every image and label to its end')
    networks.add_cfg_options(parser)
    return parser.parse_args(argv)


@one_line_errors
def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    config = networks.load_config(args.config, args.cfg_options)
    seen, number, warned = [], 0, 0
    for loader in LOADERS:
        dataset = (config.get(loader) or {}).get('dataset')
        if dataset is None or dataset in seen:
            continue
        seen.append(dataset)
        for fault in config_faults(config, loader, args.decode):
            if isinstance(fault, DataWarning):
                warned += 1
                print(f'warning: {fault}')
            else:
                number += 1
                print(fault)
    if not seen:
        raise ValueError(f'{args.config} must have a dataset in one of '
                         f'{", ".join(LOADERS)}, got none')
    print(f'{number} faults in {len(seen)} data sets' +
          (f', {warned} warnings' if warned else ''))
    return int(number > 0)


if __name__ == '__main__':
    sys.exit(main())
