"""``python -m mmdense path NAME`` prints where a config of mmdense is."""
import argparse
import sys

from mmdense.config_path import config_path


def main() -> None:
    parser = argparse.ArgumentParser(prog='python -m mmdense')
    commands = parser.add_subparsers(dest='command', required=True)
    path = commands.add_parser('path', help='print the path of a config')
    path.add_argument('name', help='file name of the config')
    args = parser.parse_args()
    try:
        print(config_path(args.name))
    except FileNotFoundError as error:
        sys.exit(f'error: {error}')


if __name__ == '__main__':
    main()
