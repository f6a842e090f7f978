"""Dilation rates of a trained pose network for persons of different sizes.

    python tools/dilation_rates.py CONFIG CHECKPOINT --out rates

prints a table and writes channels.png, layers.png, rates.json and rates.md
into --out. The persons are those of the config's test data set.
"""
import argparse
import json
import re
import sys
import warnings
from pathlib import Path

from mmdense.analysis import dilation_rates
from mmdense.networks import load_config
from mmdense.networks.options import add_cfg_options

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
        help='layers to draw channel by channel, by their whole names; '
        f'of more than {PANELS}, {PANELS} evenly spread')
    parser.add_argument('--device', default='cpu')
    add_cfg_options(parser)
    return parser.parse_args(argv)


def chosen(layers: list[str], pattern: str) -> list[str]:
    """At most ``PANELS`` of the layers a pattern matches.

    Raises:
        ValueError: If it matches none.
    """
    names = [name for name in layers if re.fullmatch(pattern, name)]
    if not names:
        raise ValueError(f'--layers {pattern!r} matches none of '
                         f'{", ".join(layers)}')
    count = min(PANELS, len(names))
    return [names[k * len(names) // count] for k in range(count)]


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    # The hosts' remarks on optional packages do not concern a measurement.
    warnings.simplefilter('ignore')
    try:
        config = load_config(args.config, args.cfg_options)
        statistics = dilation_rates.measure_config(config, args.checkpoint,
                                                   args.device)
        layers = chosen(statistics.layers, args.layers)
    except (ValueError, FileNotFoundError) as error:
        print(f'error: {" ".join(str(error).split())}', file=sys.stderr)
        return 2
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
