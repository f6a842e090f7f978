"""Write a synthetic data set.

    python tools/make_data.py pose data/people --train 1000 --val 200
"""
import argparse

from mmdense.datasets import (
    make_cell_set,
    make_detection_set,
    make_membrane_set,
    make_pose_set,
    make_room_set,
    make_segmentation_set,
)

MAKERS = dict(
    pose=make_pose_set,
    segmentation=make_segmentation_set,
    detection=make_detection_set,
    membranes=make_membrane_set,
    cells=make_cell_set,
    rooms=make_room_set)


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Write a synthetic data set; the same arguments give the '
        'same bytes, and a set that is already there is reused.')
    parser.add_argument(
        'kind', choices=MAKERS, help='what is drawn into the images')
    parser.add_argument('out', help='folder of the set')
    parser.add_argument('--train', type=int, help='number of training images')
    parser.add_argument('--val', type=int, help='number of validation images')
    parser.add_argument(
        '--size', type=int, nargs=2, metavar=('H', 'W'),
        help='height and width in pixels')
    parser.add_argument('--seed', type=int, help='seed of the set')
    parser.add_argument('--difficulty', help='easy, normal or hard')
    parser.add_argument(
        '--classes', nargs='+',
        help='classes of VOC, for segmentation and detection')
    parser.add_argument('--workers', type=int,
                        help='processes (default: one a core)')
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    """Run the command line.

    Raises:
        SystemExit: If an argument or the folder cannot be used.
    """
    given = {
        key: value
        for key, value in vars(parse_args(argv)).items() if value is not None
    }
    kind = given.pop('kind')
    if 'classes' in given and kind not in ('segmentation', 'detection'):
        raise SystemExit(f'make_data: --classes does not go with {kind}')
    try:
        MAKERS[kind](**given)
    except ValueError as error:
        raise SystemExit(f'make_data: {error}') from None


if __name__ == '__main__':
    main()
