"""``python -m mmdense path NAME`` and ``python -m mmdense predict ...``."""
import argparse
import sys

from mmdense import predicting
from mmdense.config_path import config_path


def main() -> None:
    if sys.argv[1:2] == ['predict']:
        sys.exit(predicting.main(sys.argv[2:]))
    parser = argparse.ArgumentParser(prog='python -m mmdense')
    commands = parser.add_subparsers(dest='command', required=True)
    path = commands.add_parser('path', help='print the path of a config')
    path.add_argument('name', help='file name of the config')
    commands.add_parser(
        'predict', help='draw what a trained network predicts')
    args = parser.parse_args()
    try:
        print(config_path(args.name))
    except FileNotFoundError as error:
        sys.exit(f'error: {error}')


if __name__ == '__main__':
    main()
