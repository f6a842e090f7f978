"""Draw the predictions of a trained network for an image or a folder.

    python tools/predict.py CONFIG CHECKPOINT person.jpg --out drawn
    python tools/predict.py CONFIG CHECKPOINT images/ --out drawn --json

Draws skeletons, masks or boxes with the visualizer of the host. A pose network
treats the whole image as one person unless --boxes names a COCO annotation
file. --json adds predictions.json: pixels, scores, and masks as COCO run
lengths. Images that cannot be read, or that the host cannot process, are named
and skipped; the exit status is then 1.
"""
import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from mmdense.command_line import one_line_errors
from mmdense.networks import add_cfg_options, load_config, prediction
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
        help='COCO annotations with the boxes of people, for a pose network')
    parser.add_argument(
        '--threshold', type=float, default=0.3,
        help='smallest score to draw (default: %(default)s)')
    parser.add_argument(
        '--device', default='cpu',
        help='where the network runs, such as cuda:0 (default: cpu)')
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


@one_line_errors
def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    found = predict(args)
    if args.json:
        (args.out / 'predictions.json').write_text(json.dumps(asdict(found)))
    print(f'wrote {len(found.images)} pictures to {args.out}')
    for name, reason in found.skipped.items():
        print(f'skipped: {name} {reason}', file=sys.stderr)
    return 1 if found.skipped else 0


if __name__ == '__main__':
    sys.exit(main())
