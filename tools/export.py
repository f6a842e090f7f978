"""Export the network of a config for other runtimes, and check it.

    python tools/export.py CONFIG CHECKPOINT --out person.onnx
    python tools/export.py CONFIG --out person.pt2 --format aoti

The network goes from preprocessed images to the raw maps of its head (the
hosts' mode='tensor'); batch, height and width stay free where the network
allows it. A two-stage detector takes one image of one size and gives its
proposals too. ONNX files run in onnxruntime; AOTInductor compiles a package
for this kind of machine and needs a C++ compiler. Both are compared with
PyTorch: the exit status is 1 where they differ by more than --tolerance.
"""
import argparse
import sys
from pathlib import Path

from mmdense import networks
from mmdense.command_line import one_line_errors
from mmdense.networks import add_cfg_options, exporting
from mmdense.networks.trained import load_network


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='config of any host')
    parser.add_argument(
        'checkpoint', nargs='?',
        help='trained weights (default: the initial weights)')
    parser.add_argument('--out', type=Path, required=True,
                        help='file to write')
    parser.add_argument(
        '--format', choices=['onnx', 'aoti'], default='onnx',
        help='format of the file (default: %(default)s)')
    networks.add_shape(parser)
    parser.add_argument(
        '--fixed-size', action='store_true',
        help='fix height and width of the images')
    parser.add_argument(
        '--tolerance', type=float, default=1e-4,
        help='largest difference, relative to the largest value '
        '(default: %(default)s)')
    add_cfg_options(parser)
    args = parser.parse_args(argv)
    return args


def export(args: argparse.Namespace) -> list[exporting.Difference]:
    if args.format == 'onnx':
        exporting.check_onnx_packages()
    config = networks.load_config(args.config, args.cfg_options)
    shape = tuple(args.shape or networks.input_shape(config))
    model = load_network(config, args.checkpoint, meta=False)
    channels = networks.input_channels(model)
    program, free = exporting.program_of(model, shape, channels,
                                         args.fixed_size)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    if args.format == 'onnx':
        exporting.write_onnx(program, model, args.out)
        exported = exporting.load_onnx(args.out)
    else:
        exporting.write_aoti(program, args.out)
        exported = exporting.load_aoti(args.out)
    print(f'wrote {args.out}, {args.out.stat().st_size / 1e6:.1f} MB; free: '
          f'{", ".join(free) or "nothing"}')
    return exporting.differences(model, exported, shape, channels, free)


@one_line_errors
def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    found = export(args)
    for one in found:
        print(f'images {"x".join(map(str, one.size))}: largest difference '
              f'{one.largest:.2g} of values up to {one.scale:.2g}, '
              f'{one.relative:.1g} of them')
    if not all(one.relative <= args.tolerance for one in found):
        print(f'over the tolerance of {args.tolerance:g}')
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
