"""Count the parameters and multiply-adds of a config.

    python tools/complexity.py configs/mmpose/flattenet/CONFIG.py
    python tools/complexity.py CONFIG --shape 384 384 --depth 2 --json
    python tools/complexity.py CONFIG --compare
    python tools/complexity.py --compare        every config that has a figure
"""
import argparse
import json
import os
import sys
from dataclasses import asdict
from pathlib import Path

from mmdense import networks
from mmdense.analysis import complexity, paper_figures
from mmdense.command_line import one_line_errors

CONFIGS = Path(__file__).resolve().parents[1] / 'configs'


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Count parameters and multiply-adds of a config.')
    parser.add_argument('config', nargs='?', help='config of any host')
    networks.add_shape(parser)
    parser.add_argument(
        '--depth',
        type=int,
        default=1,
        help='levels of the module tree to print (default: 1)')
    parser.add_argument('--json', action='store_true', help='print JSON')
    parser.add_argument(
        '--compare',
        action='store_true',
        help="compare with the papers' figures; without CONFIG, all of them")
    networks.add_cfg_options(parser)
    args = parser.parse_args(argv)
    if args.compare and args.cfg_options:
        parser.error('--compare takes the config as it is: --cfg-options '
                     'must not be given')
    if args.config is None and not args.compare:
        parser.error('CONFIG must be given, or --compare')
    if args.depth < 0:
        parser.error(f'--depth must be at least 0, got {args.depth}')
    return args


def measure(path: str | Path,
            shape: tuple[int, int] | None = None,
            options: dict | None = None) -> dict:
    """Count one config; keys result, shape, channels and device."""
    config = networks.load_config(path, options)
    try:
        shape = tuple(shape or networks.input_shape(config))
        model = networks.build_model(config)
        channels = networks.input_channels(model)
        result, device = complexity.count_model(model, shape, channels)
    except ValueError as error:
        raise ValueError(f'{path}: {error}') from error
    return dict(result=result, shape=shape, channels=channels, device=device)


def print_table(path: str, found: dict, depth: int) -> None:
    result = found['result']
    height, width = found['shape']
    print(f'{path}\ninput {found["channels"]} x {height} x {width}, '
          f"mode='tensor', batch 1, on {found['device']}\n")
    rows = [(name, tally) for name, tally in result.modules.items()
            if name.count('.') < depth and tally.params + tally.macs > 0]
    rows.append(('total', result.total))
    wide = max(len(name) for name, _ in rows)
    print(f'{"module":{wide}} {"parameters":>13} {"MACs (10^9)":>13} '
          f'{"paper rule (2^30)":>18}')
    for name, tally in rows:
        print(f'{name:{wide}} {tally.params:13,} {tally.macs / 1e9:13.4f} '
              f'{tally.paper_macs / 2**30:18.4f}')
    print(f"\nexact: {result.total.macs:,} MACs; parameters by the papers' "
          f'layer rule: {result.total.paper_params:,}')
    if result.idle:
        print(f'in the total, but not run: {", ".join(result.idle)}')
    if result.unowned_macs:
        print(f'not counted: {result.unowned_macs:,} MACs of convolutions '
              'that belong to no layer')


def print_comparison(rows: list[paper_figures.FigureComparison]) -> None:
    def mark(match):
        return {None: '', True: 'match', False: 'NO MATCH'}[match]

    wide = max(len(row.id) for row in rows)
    print(f'{"row":{wide}} {"paper M":>8} {"ours":>9} {"":8} '
          f'{"paper G":>8} {"ours":>9} {"":8}  target')
    for row in rows:
        exact = {None: '-', True: 'exact', False: 'OFF'}[row.exact]
        print(f'{row.id:{wide}} {row.paper_params or "-":>8} '
              f'{row.our_params:9.4f} {mark(row.params_match):8} '
              f'{row.paper_gflops or "-":>8} {row.our_gflops:9.4f} '
              f'{mark(row.gflops_match):8}  {exact}')
        print(f'{"":{wide}}   {os.path.relpath(row.config)}'
              + (f'\n{"":{wide}}   {row.note}' if row.note else ''))


def comparisons(config: str | None) -> list[paper_figures.FigureComparison]:
    """Compare the rows of ``config``, or of all configs."""
    path = None
    if config is not None:
        path = Path(networks.load_config(config).filename)
    rows = paper_figures.paper_rows(CONFIGS, path)
    measured, compared = {}, []
    for row in rows:
        key = row['config'], tuple(row.get('shape') or ())
        if key not in measured:
            measured[key] = measure(*key)['result']
        compared.append(paper_figures.compare(row, measured[key]))
    return compared


@one_line_errors
def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    rows = comparisons(args.config) if args.compare else None
    found = args.config and measure(args.config, args.shape,
                                   args.cfg_options)
    if args.json:
        print(json.dumps(as_json(found, args.depth, rows), indent=2))
        return 0
    if found:
        print_table(args.config, found, args.depth)
    if rows:
        print_comparison(rows)
    elif rows is not None:
        print(f'\nno paper prints a figure for {args.config}')
    return 0


def as_json(found: dict | None, depth: int,
            rows: list[paper_figures.FigureComparison] | None) -> dict:
    out = {}
    if found:
        result = found['result']
        out = dict(
            shape=found['shape'],
            device=found['device'],
            total=asdict(result.total),
            modules={
                name: asdict(tally)
                for name, tally in result.modules.items()
                if name.count('.') < depth
            },
            idle=result.idle,
            unowned_macs=result.unowned_macs)
    if rows is not None:
        out['compare'] = [asdict(row) for row in rows]
    return out


if __name__ == '__main__':
    sys.exit(main())
