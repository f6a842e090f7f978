"""Compute layers, strides and receptive fields of a config's network.

    python tools/receptive_field.py configs/mmseg/fcn/CONFIG.py --depth 2
    python tools/receptive_field.py CONFIG --module backbone.layer3 --json
"""
import argparse
import json
import sys

import torch

from mmdense import networks
from mmdense.analysis.receptive_field import Field, receptive_fields
from mmdense.command_line import one_line_errors


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Receptive fields, followed through the built network.')
    parser.add_argument('config', help='config of any host')
    networks.add_shape(parser)
    parser.add_argument(
        '--depth',
        type=int,
        default=2,
        help='levels of the module tree to print (default: 2)')
    parser.add_argument('--module', help='dotted name; print only this module')
    parser.add_argument('--json', action='store_true', help='print JSON')
    networks.add_cfg_options(parser)
    return parser.parse_args(argv)


def fields_of(path: str,
              shape: tuple[int, int] | None,
              options: dict | None = None) -> dict[str, Field]:
    config = networks.load_config(path, options)
    try:
        shape = tuple(shape or networks.input_shape(config))
        model = networks.build_model(config)
        image = torch.empty(
            1, networks.input_channels(model), *shape, device='meta')
        return receptive_fields(model.to('meta'), image, None, mode='tensor')
    except (ValueError, RuntimeError, NotImplementedError) as error:
        raise ValueError(f'{path}: {error}') from error


@one_line_errors
def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    fields = fields_of(args.config, args.shape, args.cfg_options)
    if args.module is not None and args.module not in fields:
        raise ValueError(f'--module {args.module}: no such module ran')
    rows = {
        name or 'output': dict(
            layers=field.layers,
            stride=[str(side) for side in field.stride],
            size=[str(side) for side in field.size])
        for name, field in fields.items()
        if (name == args.module if args.module is not None else
            not name or name.count('.') < args.depth)
    }
    if args.json:
        print(json.dumps(rows, indent=2))
        return 0
    wide = max(len(name) for name in rows)
    print(f'{"module":{wide}} {"layers":>6} {"stride":>10} {"field":>13}')
    for name, row in rows.items():
        stride, size = ' x '.join(row['stride']), ' x '.join(row['size'])
        print(f'{name:{wide}} {row["layers"]:6} {stride:>10} {size:>13}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
