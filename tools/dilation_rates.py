"""Measure the dilation rates of a pose network by the size of the person.

    python tools/dilation_rates.py CONFIG CHECKPOINT --out rates

prints a table and writes channels.png, layers.png, rates.json and rates.md
into --out. The persons are those of the config's test data set.
"""
import argparse
import json
import re
import sys
from pathlib import Path

from mmdense.analysis import dilation_rates
from mmdense.command_line import one_line_errors
from mmdense.networks import add_cfg_options, load_config

PANELS = 16


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Mean dilation rates of small, medium and large persons.')
    parser.add_argument('config', help='top-down config of mmpose')
    parser.add_argument('checkpoint', help='trained weights')
    parser.add_argument('--out', type=Path, help='folder to write to')
    parser.add_argument(
        '--layers',
        default='.*',
        metavar='REGEX',
        help='pattern for the names of layers to draw channel by channel; '
        f'if it matches more than {PANELS}, {PANELS} of them are drawn')
    parser.add_argument(
        '--device', default='cpu',
        help='where the network runs, such as cuda:0 (default: cpu)')
    add_cfg_options(parser)
    return parser.parse_args(argv)


def chosen(layers: list[str], pattern: str) -> list[str]:
    """Return at most ``PANELS`` of the layers that a pattern matches.

    Raises:
        ValueError: If the pattern matches no layer.
    """
    names = [name for name in layers if re.fullmatch(pattern, name)]
    if not names:
        raise ValueError(f'--layers {pattern!r} matches none of '
                         f'{", ".join(layers)}')
    count = min(PANELS, len(names))
    return [names[k * len(names) // count] for k in range(count)]


@one_line_errors
def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    config = load_config(args.config, args.cfg_options)
    statistics = dilation_rates.measure_config(config, args.checkpoint,
                                               args.device)
    layers = chosen(statistics.layers, args.layers)
    table = dilation_rates.table(statistics)
    print(table, end='')
    if args.out:
        args.out.mkdir(parents=True, exist_ok=True)
        dilation_rates.plot_channels(statistics, layers,
                                     args.out / 'channels.png')
        dilation_rates.plot_layers(statistics, args.out / 'layers.png')
        (args.out / 'rates.md').write_text(table)
        (args.out / 'rates.json').write_text(
            json.dumps(dilation_rates.as_json(statistics), indent=2))
    return 0


if __name__ == '__main__':
    sys.exit(main())
