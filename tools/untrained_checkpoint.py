"""Writes the checkpoint of a config's network as it is before training.

What `mim test` gives on it is the number a trained network is to beat.
"""
import argparse
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope
from mmengine.runner import set_random_seed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config file of any host')
    parser.add_argument('out', type=Path, help='checkpoint file to write')
    parser.add_argument('--seed', type=int, default=0)
    args = parser.parse_args()
    cfg = Config.fromfile(args.config)
    init_default_scope(cfg.default_scope)
    set_random_seed(args.seed)
    model = MODELS.build(cfg.model)
    model.init_weights()
    args.out.parent.mkdir(parents=True, exist_ok=True)
    torch.save(dict(state_dict=model.state_dict()), args.out)
    print(f'wrote {args.out}')


if __name__ == '__main__':
    main()
