"""Draws what a trained network says about an image, or a folder of images.

    python tools/predict.py CONFIG CHECKPOINT person.jpg --out drawn
    python tools/predict.py CONFIG CHECKPOINT images/ --out drawn --json

Skeletons, masks or boxes, by the config's host and its own visualizer. A pose
network takes the whole image for one person unless --boxes names a COCO
annotation file. --json adds predictions.json: pixels, scores, and masks as
COCO run lengths. Images that cannot be read, or that the host cannot process,
are named and left out; the exit status is then 1.
"""
import argparse
import json
import sys
import warnings
from dataclasses import asdict
from pathlib import Path

from mmdense.networks import load_config, prediction
from mmdense.networks.options import add_cfg_options
from mmdense.networks.trained import load_network


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='config of mmpose, mmseg or mmdet')
    parser.add_argument('checkpoint', help='trained weights')
    parser.add_argument('images', help='an image, or a folder of images')
    parser.add_argument(
        '--out', type=Path, default=Path('work_dirs/predictions'),
        help='folder to write to (default: %(default)s)')
    parser.add_argument(
        '--json', action='store_true', help='write predictions.json as well')
    parser.add_argument(
        '--boxes', metavar='FILE',
        help='people of a pose network: COCO annotations')
    parser.add_argument(
        '--threshold', type=float, default=0.3,
        help='draw nothing with a lower score (default: %(default)s)')
    parser.add_argument('--device', default='cpu')
    add_cfg_options(parser)
    return parser.parse_args(argv)


def predict(args: argparse.Namespace) -> prediction.Predictions:
    files = prediction.image_files(args.images)
    config = load_config(args.config, args.cfg_options)
    host = prediction.host_of(config)
    if args.boxes and config.default_scope != 'mmpose':
        raise ValueError(f'--boxes go with a config of mmpose, got one of '
                         f'{config.default_scope}')
    boxes = args.boxes and prediction.boxes_by_image(args.boxes)
    model = load_network(config, args.checkpoint, args.device)
    return prediction.predict_images(model, host, files, args.out, boxes,
                                     args.threshold)


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    # The hosts' remarks on optional packages do not concern an image.
    warnings.simplefilter('ignore')
    try:
        found = predict(args)
    except (ValueError, OSError) as error:
        print(f'error: {" ".join(str(error).split())}', file=sys.stderr)
        return 2
    if args.json:
        (args.out / 'predictions.json').write_text(json.dumps(asdict(found)))
    print(f'wrote {len(found.images)} pictures to {args.out}')
    for name, reason in found.skipped.items():
        print(f'skipped: {name} {reason}', file=sys.stderr)
    return 1 if found.skipped else 0


if __name__ == '__main__':
    sys.exit(main())
