"""Write the weights of a checkpoint to a file for publishing, with its card.

    python tools/publish_model.py work_dirs/quickstart/epoch_10.pth person.pth
    python tools/publish_model.py CHECKPOINT OUT --safetensors
    python tools/publish_model.py CHECKPOINT OUT --card --licence apache-2.0 \\
        --data-licence "Apache 2.0" --intended-use "Trying mmdense out." \\
        --results TEST.json --machine "2 cores of an AMD EPYC"

writes person-<8 digits of its SHA-256>.pth without optimizer, schedules and
message hub. `mim test` takes it as it takes the original. A .safetensors file
is for programs that do not read pickles; mmengine cannot read it.

With --card, a model card for Hugging Face lies beside it, as .md: network,
data, figures, intended use, and how to train it again. The checkpoint, its
config, the metafile and the result of a test say most of it. What they do not
say must be given; an error names it.
"""
import argparse
import importlib.util
import sys
from pathlib import Path

from mmdense.checkpoints.publishing import publish
from mmdense.command_line import one_line_errors

# Option, what it is, and what says it otherwise.
FACTS = dict(
    licence='licence of the weights, as Hugging Face names it',
    data_licence='licence of the training data',
    intended_use='what the network is for, and what it is not for',
    machine='what it was trained on',
    results='JSON of a test: <work_dir>/<time>/<time>.json',
    config="name or path of the config (default: the training's)",
    data="training data (default: the metafile's)",
    command='trains it again (default: tools/train.py with the config)',
    time="how long that takes (default: the checkpoint's steps)")


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('checkpoint', help='checkpoint of a training')
    parser.add_argument('out',
                        help='file to write; the hash is added to its name')
    parser.add_argument(
        '--safetensors', action='store_true', help='write .safetensors')
    parser.add_argument(
        '--card', action='store_true', help='write a model card as well')
    card = parser.add_argument_group('what the card says')
    for name, text in FACTS.items():
        card.add_argument(f'--{name.replace("_", "-")}', help=text,
                          metavar='FILE' if name == 'results' else 'TEXT')
    args = parser.parse_args(argv)
    if not args.card and any(getattr(args, name) for name in FACTS):
        parser.error('what the card says must be given with --card')
    if args.safetensors and importlib.util.find_spec('safetensors') is None:
        parser.error('--safetensors needs safetensors, not installed here: '
                     'pip install "mmdense[export]"')
    return args


@one_line_errors
def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    if args.card:
        # Only now: plain weights are published without a host.
        from mmdense.networks import model_card
        card = model_card.collect(
            args.checkpoint, **{name: getattr(args, name) for name in FACTS})
    path = publish(args.checkpoint, args.out, args.safetensors)
    before, after = (
        Path(p).stat().st_size / 1e6 for p in (args.checkpoint, path))
    print(f'wrote {path}, {after:.1f} MB (of {before:.1f})')
    if args.card:
        print(f'wrote {model_card.write_card(card, path)}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
