"""Write a checkpoint of the untrained network of a config.

`mim test` on it gives the value that a trained network must beat.
"""
import argparse
import sys
from pathlib import Path

import torch
from mmengine.registry import init_default_scope
from mmengine.runner import set_random_seed

from mmdense.command_line import one_line_errors
from mmdense.networks import add_cfg_options, build_model, load_config


@one_line_errors
def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config of any host')
    parser.add_argument('out', type=Path, help='checkpoint file to write')
    parser.add_argument('--seed', type=int, default=0,
                        help='seed of the weights (default: 0)')
    add_cfg_options(parser)
    args = parser.parse_args(argv)
    config = load_config(args.config, args.cfg_options)
    init_default_scope(config.get('default_scope') or 'mmengine')
    set_random_seed(args.seed)
    model = build_model(config)
    model.init_weights()
    args.out.parent.mkdir(parents=True, exist_ok=True)
    torch.save(dict(state_dict=model.state_dict()), args.out)
    print(f'wrote {args.out}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
