"""Show what the feature shifting modules of a network have learned.

    python tools/feature_shift.py CONFIG CHECKPOINT --out shift
    python tools/feature_shift.py CONFIG CHECKPOINT --out shift \\
        --module backbone.shift1_3 --people 64 --channel 5 --point 20 12

writes offsets.png (Figure 5), contributions.png (Figure 6), related.png (the
offsets each keypoint depends on), field.png (Figure 7, of the first person;
without --channel the non-local map that varies most, without --point its
largest value) and shift.json. The persons are those of the config's test data
set.
"""
import argparse
import json
import sys
from pathlib import Path

import numpy as np
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.runner import Runner

from mmdense.analysis import feature_shift as fs
from mmdense.checkpoints.reading import load_weights
from mmdense.command_line import check_at_least_1, one_line_errors
from mmdense.networks import add_cfg_options, build_model, load_config


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Offsets, keypoint scores and windows of shift modules.')
    parser.add_argument('config', help='config of mmpose')
    parser.add_argument('checkpoint', help='trained weights')
    parser.add_argument('--out', type=Path, required=True,
                        help='folder to write to')
    parser.add_argument(
        '--module',
        help='dotted name (default: the last module of the first stage, just '
        'before the first early predictor)')
    parser.add_argument('--predictor',
                        help='name of the predictor (default: the first)')
    parser.add_argument('--people', type=int, default=16,
                        help='number of persons to average over (default: 16)')
    parser.add_argument('--channel', type=int,
                        help='channel of the non-local map')
    parser.add_argument('--point', type=int, nargs=2, action='append',
                        metavar=('ROW', 'COLUMN'),
                        help='point of the non-local map; may be repeated')
    add_cfg_options(parser)
    args = parser.parse_args(argv)
    check_at_least_1(parser, args, 'people')
    return args


def first_people(config: Config, model, number: int):
    """Return one batch of the test data set and the names of its keypoints.

    Returns:
        tuple[Tensor, list[str]]: Images as the network takes them; names.
    """
    loader = dict(config.test_dataloader, batch_size=number, num_workers=0,
                  persistent_workers=False)
    loader = Runner.build_dataloader(loader)
    images = model.data_preprocessor(next(iter(loader)), False)['inputs']
    names = loader.dataset.metainfo['keypoint_id2name']
    return images, [names[i] for i in range(len(names))]


def chosen(modules: dict, name: str | None) -> str:
    """Return the module with this name, or the last one of stage 1.

    Raises:
        ValueError: If there is no such module.
    """
    if name is None:
        return [n for n in modules if '.shift1_' in n][-1]
    if name not in modules:
        raise ValueError(f'--module must be one of {", ".join(modules)}, '
                         f'got {name}')
    return name


def analyse(args: argparse.Namespace) -> dict:
    config = load_config(args.config, args.cfg_options)
    model = build_model(config)
    modules = fs.shift_modules(model)
    name = chosen(modules, args.module)
    load_weights(model, args.checkpoint)
    module = modules[name]
    with DefaultScope.overwrite_default_scope(config.default_scope):
        images, keypoints = first_people(config, model, args.people)

    def predict():
        outputs = model(images, None, mode='tensor')
        wanted = args.predictor or next(iter(outputs))
        if wanted not in outputs:
            raise ValueError(f'--predictor must be one of '
                             f'{", ".join(outputs)}, got {wanted}')
        return outputs[wanted]

    scores = fs.keypoint_scores(model, module, predict)
    with fs.maps_of(module) as maps:
        predict()
    counts = fs.contributions(scores)
    args.out.mkdir(parents=True, exist_ok=True)
    offsets = fs.learned_offsets(model)
    if offsets:
        fs.plot_offsets(offsets, args.out / 'offsets.png')
    own = offsets.get(name)
    if own is not None:
        related = fs.related(scores['shifted'])
        fs.plot_offsets(
            {k: own[row]
             for k, row in zip(keypoints, related, strict=True)},
            args.out / 'related.png')
    fs.plot_contributions(counts, keypoints, args.out / 'contributions.png')

    nonlocal_maps = maps['nonlocal'][0].detach().numpy()
    channel = args.channel
    if channel is None:
        channel = int(nonlocal_maps.std((1, 2)).argmax())
    if not 0 <= channel < len(nonlocal_maps):
        raise ValueError(f'--channel must be 0 to {len(nonlocal_maps) - 1}, '
                         f'got {channel}')
    picture = nonlocal_maps[channel]
    points = [tuple(p) for p in args.point or [
        np.unravel_index(picture.argmax(), picture.shape)]]
    for point in points:
        if not all(0 <= p < n
                   for p, n in zip(point, picture.shape, strict=True)):
            raise ValueError(f'--point must be inside {picture.shape}, got '
                             f'{point}')
    points = [(int(row), int(column)) for row, column in points]
    fs.plot_fields(
        picture, points,
        [fs.effective_field(maps, channel, point) for point in points],
        [fs.window(module, maps, channel, point) for point in points],
        args.out / 'field.png')
    return dict(
        module=name,
        people=len(images),
        channel=channel,
        points=points,
        keypoints=keypoints,
        contributions={k: v.tolist() for k, v in counts.items()},
        scores={k: v.tolist() for k, v in scores.items()},
        offsets={k: v.tolist() for k, v in offsets.items()})


@one_line_errors
def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    found = analyse(args)
    (args.out / 'shift.json').write_text(json.dumps(found))
    for name, offsets in found['offsets'].items():
        length = np.hypot(*np.array(offsets).T)
        print(f'{name}: {len(length)} offsets, mean length '
              f'{length.mean():.2f}, largest {length.max():.2f} pixels')
    for name, counts in found['contributions'].items():
        named = ', '.join(f'{keypoint} {number}' for keypoint, number in zip(
            found['keypoints'], counts, strict=True))
        print(f'{found["module"]} {name}: channels by keypoint: {named}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
