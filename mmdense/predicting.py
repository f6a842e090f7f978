"""``mmdense.predict``: a trained network on your own pictures.

And its command, which ``python -m mmdense predict`` and ``tools/predict.py``
both are. Importing this file imports neither torch nor OpenMMLab; a call does.
"""
import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mmdense.command_line import one_line_errors

if TYPE_CHECKING:
    import numpy as np

    from mmdense.networks.prediction import Predictions

__all__ = ['main', 'predict']


def predict(
        config: str | Path,
        checkpoint: str | Path,
        images: 'str | Path | np.ndarray | Sequence[str | Path | np.ndarray]',
        *,
        out: str | Path | None = None,
        boxes: 'str | Path | np.ndarray | Sequence[np.ndarray] | None' = None,
        threshold: float = 0.3,
        device: str | None = None,
        batch_size: int = 1,
        cfg_options: dict | None = None,
        return_datasamples: bool = False) -> 'Predictions':
    """Predict images or a video with a trained network of any host.

    Everything is prepared by the test pipeline of the config. As with the
    hosts' inferencers, results are plain values, and the host's data samples
    come with ``return_datasamples``::

        found = mmdense.predict(CONFIG, CHECKPOINT, 'person.jpg', out='drawn')
        found.images[0]['instances'][0]['keypoints']['nose']  # x, y, score

    Args:
        config (str | Path): A path; the name of a config of mmdense; or one
            of a host, ``mmseg::FOLDER/NAME.py``.
        checkpoint (str | Path): The trained weights.
        images: An image file; a folder of them; an array (H, W, 3), uint8,
            BGR, as OpenCV reads it; a list of files and arrays; or a video
            file, whose frames are read one batch after the other.
        out (str | Path, optional): Folder to write to: drawn pictures, or the
            drawn video as ``NAME.mp4``, and all results as
            ``predictions.json``. Without it nothing is written.
        boxes (optional): People for a top-down pose network: a COCO
            annotation file, whose images are matched by their file names; an
            array (N, 4) of x1, y1, x2, y2 in pixels, for one image; or a list
            of them, one an image. Without boxes one person fills the image.
        threshold (float): Smallest score that is drawn. Results hold all
            scores. Classes of pixels have none and are all drawn.
        device (str, optional): By default a GPU if there is one, else the
            CPU.
        batch_size (int): Images that the network gets at once. Those whose
            prepared sizes differ go one after the other.
        cfg_options (dict, optional): Changes to the config, by dotted keys.
        return_datasamples (bool): Whether to keep the host's data samples,
            too, in ``data_samples``.

    Returns:
        Predictions: ``names`` of the keypoints or classes; ``images``, a
        record for each image or frame with ``image``, ``width``, ``height``
        and ``instances`` (people with ``bbox`` and ``keypoints``; classes
        with ``pixels`` and ``segmentation``; objects with ``score``, ``bbox``
        and, if predicted, ``segmentation``); and ``skipped``, the files of a
        folder or list that cannot be read or processed, and why.

    Raises:
        TypeError: If an argument has another type.
        ValueError: If a file is missing, a single image cannot be read or
            processed, there is no image or frame, the config cannot be used
            for prediction, or the checkpoint is that of another network. The
            message names it.
    """
    from mmdense.arguments import check_positive
    from mmdense.networks import (
        load_config,
        load_network,
        prediction,
        prediction_inputs,
    )

    _check_paths(config=config, checkpoint=checkpoint)
    if out is not None:
        _check_paths(out=out)
        out = Path(out)
    check_positive(batch_size=batch_size)
    is_video = prediction_inputs.is_video(images)
    if is_video:
        video = prediction_inputs.open_video(images)
    else:
        sources = prediction_inputs.images_of(images)
    config = load_config(config, cfg_options)
    host = prediction.host_of(config)
    if boxes is not None:
        if config.default_scope != 'mmpose' or is_video:
            got = 'a video' if is_video else f'one of {config.default_scope}'
            raise ValueError('boxes must go with images and a config of '
                             f'mmpose, got {got}')
        boxes = prediction_inputs.boxes_of(boxes, len(sources))
    model = load_network(config, str(checkpoint), device)
    options = dict(
        threshold=threshold,
        batch_size=batch_size,
        return_datasamples=return_datasamples)
    if is_video:
        return prediction.predict_video(
            model, host, Path(images), video, out, **options)
    found = prediction.predict_images(
        model, host, sources, out, boxes, **options)
    single = not isinstance(images, list | tuple) and not (
        isinstance(images, str | Path) and Path(images).is_dir())
    if single and found.skipped:
        (name, reason), = found.skipped.items()
        raise ValueError('images must be an image that can be predicted, got '
                         f'{name}: {reason}')
    return found


def _check_paths(**paths) -> None:
    for name, path in paths.items():
        if not isinstance(path, str | os.PathLike):
            raise TypeError(f'{name} must be a path or a name, got '
                            f'{type(path).__name__}')


def _parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    from mmdense.networks import add_cfg_options

    parser = argparse.ArgumentParser(
        prog='python -m mmdense predict',
        description='Draw what a trained network predicts, and write it as '
        'numbers. A pose network takes the whole image as one person, unless '
        '--boxes are given. Images that cannot be read or processed are named '
        'and skipped; the exit status is then 1.')
    parser.add_argument(
        'config', help='name or path of a config of mmpose, mmseg or mmdet')
    parser.add_argument('checkpoint', help='trained weights')
    parser.add_argument(
        'images', help='an image, a folder of images, or a video')
    parser.add_argument(
        '--out', type=Path, default=Path('work_dirs/predictions'),
        help='folder for pictures or video and predictions.json (default: '
        '%(default)s)')
    # For old command lines: predictions.json is always written.
    parser.add_argument(
        '--json', action='store_true', help=argparse.SUPPRESS)
    parser.add_argument(
        '--boxes', metavar='FILE',
        help='COCO annotations with the boxes of people, for a pose network')
    parser.add_argument(
        '--threshold', type=float, default=0.3,
        help='smallest score to draw (default: %(default)s)')
    parser.add_argument(
        '--device', help='default: a GPU if there is one, else the CPU')
    parser.add_argument(
        '--batch-size', type=int, default=1, metavar='N',
        help='images the network gets at once (default: %(default)s)')
    add_cfg_options(parser)
    return parser.parse_args(argv)


@one_line_errors
def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    args = _parse_args(argv)
    found = predict(
        args.config,
        args.checkpoint,
        args.images,
        out=args.out,
        boxes=args.boxes,
        threshold=args.threshold,
        device=args.device,
        batch_size=args.batch_size,
        cfg_options=args.cfg_options)
    what = 'frames' if any('frame' in r for r in found.images) else 'pictures'
    print(f'wrote {len(found.images)} {what} to {args.out}')
    for name, reason in found.skipped.items():
        print(f'skipped: {name} {reason}', file=sys.stderr)
    return 1 if found.skipped else 0
