"""Measure the accuracy of each predictor of a network (SSN, Table 2).

    python tools/predictor_accuracy.py CONFIG CHECKPOINT
    python tools/predictor_accuracy.py CONFIG CHECKPOINT --out table.json

tests once with the config's own data and metrics and applies each metric to
every predictor: E1, E2, ... (early), then P1, ... whose last is the network's
answer.
"""
import argparse
import json
import sys
from pathlib import Path

from mmengine.config import Config
from mmengine.runner import Runner

from mmdense.checkpoints.reading import load_weights
from mmdense.command_line import one_line_errors
from mmdense.mmpose.of_predictor import by_predictor
from mmdense.networks import add_cfg_options, build_model, load_config


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Accuracy by predictor of a network with several.')
    parser.add_argument('config', help='config of mmpose')
    parser.add_argument('checkpoint', help='trained weights')
    parser.add_argument('--out', type=Path, help='JSON file to write')
    parser.add_argument(
        '--work-dir', default='work_dirs/predictor_accuracy',
        help="folder for the log of mmpose's test (default: %(default)s)")
    add_cfg_options(parser)
    return parser.parse_args(argv)


def predictors(config: Config, checkpoint: str) -> list[str]:
    """Return the names of the predictors, in the order of the table.

    Raises:
        ValueError: If its head has none, or the checkpoint does not fit.
    """
    model = build_model(config)
    head = getattr(model, 'head', None)
    if not hasattr(head, 'names'):
        raise ValueError('config must have a MultiPredictorHead, '
                         f'got {type(head).__name__}')
    # Before a test begins, and by name where mmengine would go on.
    load_weights(model, checkpoint)
    return head.names


def table(metrics: dict[str, float],
          names: list[str]) -> dict[str, dict[str, float]]:
    """Return metrics by predictor, from the names of :func:`by_predictor`."""
    return {
        name: {
            key.removeprefix(f'{name}/'): float(value)
            for key, value in metrics.items() if key.startswith(f'{name}/')
        }
        for name in names
    }


@one_line_errors
def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    config = load_config(args.config, args.cfg_options)
    names = predictors(config, args.checkpoint)
    config.merge_from_dict({'model.test_cfg.every_predictor': True})
    config.test_evaluator = by_predictor(config.test_evaluator, names)
    config.load_from = args.checkpoint
    config.work_dir = args.work_dir
    try:
        metrics = Runner.from_cfg(config).test()
    except RuntimeError as error:  # of a network that the images do not fit
        raise ValueError(str(error)) from error
    found = table(metrics, names)
    columns = list(found[names[0]])
    widths = [max(len(c), 7) for c in columns]
    print('  '.join(['     ', *(
        c.rjust(w) for c, w in zip(columns, widths, strict=True))]))
    for name in names:
        print('  '.join([name.ljust(5), *(
            f'{found[name][c]:.4g}'.rjust(w)
            for c, w in zip(columns, widths, strict=True))]))
    if args.out:
        args.out.write_text(json.dumps(found, indent=1))
    return 0


if __name__ == '__main__':
    sys.exit(main())
