"""Tiles the pictures of a folder into one."""
import argparse
import sys
from pathlib import Path

import mmcv
import numpy as np

SUFFIXES = ('.jpg', '.jpeg', '.png')


def montage(paths: list[Path], columns: int, height: int) -> np.ndarray:
    """Scale pictures to one size and tile them row by row.

    Args:
        paths (list[Path]): Picture files; the first one's shape is used.
        columns (int): Pictures in a row.
        height (int): Height of a picture, in pixels.

    Returns:
        ndarray: (rows * height, columns * width, 3), BGR, uint8.
    """
    images = [mmcv.imread(path) for path in paths]
    width = round(images[0].shape[1] * height / images[0].shape[0])
    rows = -(-len(images) // columns)
    sheet = np.full((rows * height, columns * width, 3), 255, np.uint8)
    for index, image in enumerate(images):
        top = index // columns * height
        left = index % columns * width
        sheet[top:top + height,
              left:left + width] = mmcv.imresize(image, (width, height))
    return sheet


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('folder', type=Path, help='searched with subfolders')
    parser.add_argument('out', type=Path, help='picture file to write')
    parser.add_argument('--count', type=int, default=12)
    parser.add_argument('--columns', type=int, default=4)
    parser.add_argument('--height', type=int, default=288)
    args = parser.parse_args()
    paths = sorted(path for path in args.folder.rglob('*')
                   if path.suffix.lower() in SUFFIXES)[:args.count]
    if not paths:
        sys.exit(f'error: no picture in {args.folder}')
    mmcv.imwrite(montage(paths, args.columns, args.height), str(args.out))
    print(f'wrote {args.out} ({len(paths)} pictures)')


if __name__ == '__main__':
    main()
