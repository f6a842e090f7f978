"""Draw the feature maps of any module for an image.

    python tools/feature_maps.py CONFIG CHECKPOINT IMAGE --list
    python tools/feature_maps.py CONFIG CHECKPOINT IMAGE --module neck
    python tools/feature_maps.py CONFIG CHECKPOINT IMAGE \\
        --module decode_head.attention --channels 0 3 17 --out attention.png

Mean or largest value over the channels, or channels by number, each by itself
and over the image as the network gets it. A module with several output maps
gives several files.
"""
import argparse
import sys
from pathlib import Path

import cv2

from mmdense.analysis import feature_maps
from mmdense.command_line import one_line_errors
from mmdense.networks import (
    add_cfg_options,
    load_config,
    prediction,
    prediction_inputs,
)
from mmdense.networks.trained import load_network


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='config of mmpose, mmseg or mmdet')
    parser.add_argument('checkpoint', help='trained weights')
    parser.add_argument('image', type=Path, help='image file')
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument('--module', metavar='NAME', help='dotted name')
    what.add_argument('--list', action='store_true',
                      help='print the names of all modules')
    parser.add_argument(
        '--channels', nargs='+', default=['mean'],
        help='mean, max, or numbers of channels (default: mean)')
    parser.add_argument(
        '--out', type=Path, default=Path('feature_maps.png'),
        help='picture to write (default: %(default)s)')
    add_cfg_options(parser)
    args = parser.parse_args(argv)
    if args.channels in (['mean'], ['max']):
        args.channels = args.channels[0]
    elif all(c.isdecimal() for c in args.channels):
        args.channels = [int(c) for c in args.channels]
    else:
        parser.error('--channels must be mean, max or numbers, got '
                     f'{" ".join(args.channels)}')
    return args


def draw(args: argparse.Namespace, model) -> list[Path]:
    pixels = cv2.imread(str(args.image))
    if pixels is None:
        raise ValueError(f'{args.image} cannot be read as an image')
    host = prediction.host_of(model.cfg)
    whole = prediction_inputs.whole_box(pixels)

    def predict():
        try:
            return host.predict(model, [str(args.image)], [whole])
        except Exception as error:  # whatever the host stops at
            raise ValueError(f'{args.image} cannot be processed: '
                             f'{type(error).__name__}: {error}') from error

    maps = feature_maps.maps_of_module(model, args.module, predict)
    seen = feature_maps.network_image(model, predict)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    paths = []
    for k, one in enumerate(maps):
        path = args.out if len(maps) == 1 else args.out.with_name(
            f'{args.out.stem}_{k}{args.out.suffix}')
        channels, height, width = one.shape
        feature_maps.plot_maps(
            seen, feature_maps.reduced(one, args.channels),
            f'{args.module}: {channels} channels of {height} x {width}', path)
        paths.append(path)
    return paths


@one_line_errors
def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    config = load_config(args.config, args.cfg_options)
    if not args.list:
        prediction.host_of(config)
    model = load_network(config, args.checkpoint)
    if args.list:
        names = feature_maps.module_names(model)
        wide = max(map(len, names))
        print('\n'.join(f'{n:{wide}} {kind}' for n, kind in names.items()))
        return 0
    paths = draw(args, model)
    print('\n'.join(f'wrote {path}' for path in paths))
    return 0


if __name__ == '__main__':
    sys.exit(main())
