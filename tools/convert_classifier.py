"""Turns a torchvision classifier's weights into an FCN backbone's.

    python tools/convert_classifier.py CONFIG vgg16-397923af.pth \\
        pretrain/vgg16_fully-convolutional.pth

CONFIG says which network: every recipe of configs/mmseg/fcn names the file it
starts from under `backbone.init_cfg`.
"""
import argparse
import io
import sys
import warnings
from pathlib import Path

import torch
from mmengine.config import Config

from mmdense.checkpoints.classifier_weights import convert_classifier
from mmdense.checkpoints.reading import read_checkpoint, weights_of
from mmdense.checkpoints.whole_files import WholeFileBackend
from mmdense.networks import build_model, load_config


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Classifier weights for a fully convolutional backbone.')
    parser.add_argument('config', help='config with such a backbone')
    parser.add_argument('classifier', help='weights of torchvision')
    parser.add_argument('out', type=Path, help='file to write')
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    warnings.simplefilter('ignore')
    try:
        config = load_config(args.config)
        backbone = build_model(
            Config(
                dict(
                    model=config.model.backbone,
                    default_scope=config.default_scope)))
        if not hasattr(backbone, 'classifier_key'):
            raise ValueError(
                f'{args.config} wants a backbone of type '
                'mmdense.ConvolutionalClassifier, got '
                f'{config.model.backbone.type}')
        weights = weights_of(read_checkpoint(args.classifier))
        try:
            converted = convert_classifier(weights, backbone)
        except ValueError as error:
            raise ValueError(f'{args.classifier} does not fit the backbone '
                             f'of {args.config}: {error}') from error
        buffer = io.BytesIO()
        torch.save(dict(state_dict=converted), buffer)
        WholeFileBackend().put(buffer.getvalue(), args.out)
    except (ValueError, OSError) as error:
        print(f'error: {" ".join(str(error).split())}', file=sys.stderr)
        return 2
    used = {backbone.classifier_key(name) for name in converted}
    left = ', '.join(sorted(set(weights) - used)) or 'nothing'
    print(f'wrote {args.out}: {len(converted)} entries; left behind: {left}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
