"""Tile the pictures of a folder into one."""
import argparse
import sys
from pathlib import Path

import cv2
import mmcv
import numpy as np

from mmdense.command_line import check_at_least_1, one_line_errors

SUFFIXES = ('.jpg', '.jpeg', '.png')


def read(path: Path) -> np.ndarray:
    """Read a picture in BGR order.

    Raises:
        ValueError: If the file is not a picture.
    """
    try:
        image = mmcv.imread(path)
    except cv2.error:  # of an empty file
        image = None
    if image is None:
        raise ValueError(f'{path} cannot be read as an image')
    return image


def montage(paths: list[Path], columns: int, height: int) -> np.ndarray:
    """Scale pictures to one size and tile them row by row.

    Args:
        paths (list[Path]): Picture files; the first one's shape is used.
        columns (int): Pictures in a row.
        height (int): Height of a picture, in pixels.

    Returns:
        ndarray: (rows * height, columns * width, 3), BGR, uint8.

    Raises:
        ValueError: If a file is not a picture.
    """
    images = [read(path) for path in paths]
    width = round(images[0].shape[1] * height / images[0].shape[0])
    rows = -(-len(images) // columns)
    sheet = np.full((rows * height, columns * width, 3), 255, np.uint8)
    for index, image in enumerate(images):
        top = index // columns * height
        left = index % columns * width
        sheet[top:top + height,
              left:left + width] = mmcv.imresize(image, (width, height))
    return sheet


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('folder', type=Path,
                        help='folder, searched with its subfolders')
    parser.add_argument('out', type=Path, help='picture file to write')
    parser.add_argument('--count', type=int, default=12,
                        help='number of pictures (default: 12)')
    parser.add_argument('--columns', type=int, default=4,
                        help='pictures in a row (default: 4)')
    parser.add_argument('--height', type=int, default=288,
                        help='height of a picture in pixels (default: 288)')
    args = parser.parse_args(argv)
    check_at_least_1(parser, args, 'count', 'columns', 'height')
    return args


@one_line_errors
def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    paths = sorted(path for path in args.folder.rglob('*')
                   if path.suffix.lower() in SUFFIXES)[:args.count]
    if not paths:
        raise ValueError(f'no picture in {args.folder}')
    try:
        mmcv.imwrite(
            montage(paths, args.columns, args.height), str(args.out))
    except cv2.error as error:  # an ending that OpenCV does not write
        raise ValueError(f'{args.out}: {error}') from error
    print(f'wrote {args.out} ({len(paths)} pictures)')
    return 0


if __name__ == '__main__':
    sys.exit(main())
