"""Model cards of published checkpoints: Markdown that Hugging Face reads.

A card says what the files say: the checkpoint, its config, the metafile beside
the config, and the result file of a test. What no file says must be given.
Nothing is guessed.
"""
import ast
import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from mmengine.config import Config

from mmdense.checkpoints.reading import read_checkpoint
from mmdense.networks.config import find_config, load_config
from mmdense.networks.trained import load_network

__all__ = ['Card', 'collect', 'read_figures', 'write_card']

# By host, as Hugging Face names tasks.
TASKS = dict(
    mmpose='keypoint-detection',
    mmseg='image-segmentation',
    mmdet='object-detection')
# The hosts write these beside the figures.
NO_FIGURES = ('time', 'data_time', 'step', 'epoch', 'iter', 'memory', 'lr',
              'seed')


@dataclass
class Card:
    """What a model card says. All is text, unless said otherwise.

    Attributes:
        name: Name of the network, that of its config.
        config: The config, as tools find it.
        task: As Hugging Face names it.
        summary: The first lines of the config.
        parameters (int): Of the network.
        architecture (list[str]): Names, from the metafile.
        paper (dict): ``Title`` and ``URL``, from the metafile.
        data: What it was trained on.
        data_licence: Licence of that data.
        licence: Of the weights, as an identifier.
        intended_use: What the network is for, and what not.
        figures (dict[str, float]): Metrics of a test, as the host names them.
        tested_on: The test set, from the config.
        command: Trains it again.
        time: How long that takes.
        machine: On what.
    """
    name: str
    config: str
    task: str
    summary: str
    parameters: int
    data: str
    data_licence: str
    licence: str
    intended_use: str
    figures: dict[str, float]
    tested_on: str
    command: str
    time: str
    machine: str
    architecture: list[str] = field(default_factory=list)
    paper: dict = field(default_factory=dict)


def collect(checkpoint: str | Path,
            config: str | None = None,
            results: str | Path | None = None,
            **given: str | None) -> Card:
    """Collect what the card of a checkpoint says.

    Args:
        checkpoint (str | Path): Checkpoint of a training.
        config (str, optional): Name or path of its config; by default the
            name under which the training ran.
        results (str | Path, optional): JSON of a test, see
            :func:`read_figures`.
        **given: ``licence``, ``data_licence``, ``intended_use`` and
            ``machine``, which no file says; and ``data``, ``command`` and
            ``time``, in place of what the files say.

    Raises:
        ValueError: If something is neither given nor in a file (the message
            names all of it), or the checkpoint is that of another network.
    """
    content = read_checkpoint(checkpoint)
    meta = content.get('meta') or {}
    ran_as = re.sub(r'_\d{8}_\d{6}$', '', meta.get('experiment_name') or '')
    if not (config or ran_as):
        raise ValueError(f'--config must be given for a card: {checkpoint} '
                         'does not say which config it was trained with')
    config = str(config or ran_as)
    path = find_config(config)
    read = load_config(path)
    if read.get('default_scope') not in TASKS:
        raise ValueError(f'{config}: default_scope must be one of '
                         f'{", ".join(TASKS)}, got '
                         f'{read.get("default_scope")!r}')
    model = load_network(read, checkpoint, meta=False)
    entry, collection = _metafile(path)
    about = entry.get('Metadata') or {}
    found = dict(
        data=about.get('Training Data'),
        command=_command(config, read, meta),
        time=_time(content.get('message_hub') or {}))
    found.update({key: text for key, text in given.items() if text})
    found['results'] = results
    missing = [
        f'--{key.replace("_", "-")}' for key in
        ('licence', 'data', 'data_licence', 'intended_use', 'results',
         'command', 'time', 'machine') if not found.get(key)
    ]
    if missing:
        raise ValueError(
            f'{", ".join(missing)} must be given for a card: the checkpoint, '
            'its config and its metafile do not say it')
    if not re.fullmatch(r'[a-z0-9.-]+', found['licence']):
        raise ValueError('--licence must be an identifier as Hugging Face '
                         'has them, such as apache-2.0 or other, got '
                         f'{found["licence"]!r}')
    return Card(
        name=path.stem,
        config=config,
        task=TASKS[read.default_scope],
        summary=ast.get_docstring(ast.parse(path.read_text())) or '',
        parameters=sum(p.numel() for p in model.parameters()),
        architecture=about.get('Architecture') or [],
        paper=collection.get('Paper') or {},
        figures=read_figures(found.pop('results')),
        tested_on=_test_set(read),
        **found)


def read_figures(path: str | Path) -> dict[str, float]:
    """Read the metrics of a test.

    Args:
        path (str | Path): JSON with numbers by name: what a host's test
            writes as ``<work_dir>/<time>/<time>.json``, what ``--out`` of
            mmpose's writes, or ``result.json`` of ``tools/evidence.py``.

    Raises:
        ValueError: If there are none.
    """
    try:
        content = json.loads(Path(path).read_text())
        content = content.get('metrics', content)
        figures = {
            name: float(value)
            for name, value in content.items()
            if isinstance(value, int | float) and name not in NO_FIGURES
        }
    except (OSError, ValueError, AttributeError) as error:
        raise ValueError(f'--results must be the JSON of a test, got {path}: '
                         f'{type(error).__name__}: {error}') from error
    if not figures:
        raise ValueError('--results must be the JSON of a test, got '
                         f'{path}, which has no metric')
    return figures


def _metafile(path: Path) -> tuple[dict, dict]:
    """Return a config's entry in its metafile and that of its collection."""
    file = path.parent / 'metafile.yml'
    content = yaml.safe_load(file.read_text()) if file.is_file() else {}
    entry = next((model for model in content.get('Models') or []
                  if model['Name'] == path.stem), {})
    return entry, next((one for one in content.get('Collections') or []
                        if one['Name'] == entry.get('In Collection')), {})


def _command(name: str, config: Config, meta: dict) -> str | None:
    """Return the command of a training, None if it was another one."""
    lasts = config.get('train_cfg') or {}
    for unit in ('epoch', 'iter'):
        if lasts.get(f'max_{unit}s') not in (None, meta.get(unit)):
            return None
    seed = meta.get('seed')
    fixed = (config.get('randomness') or {}).get('seed')
    return f'python tools/train.py {name}' + (
        '' if seed in (None, fixed) else
        f' --cfg-options randomness.seed={seed}')


def _time(hub: dict) -> str | None:
    """Return how long the training took by its message hub, if it says it."""
    steps = (hub.get('log_scalars') or {}).get('train/time')
    if steps is None:
        return None
    seconds, _ = steps.data
    return (f'{seconds.sum() / 60:.1f} min for {len(seconds)} steps, without '
            'validation')


def _test_set(config: Config) -> str:
    dataset = config.test_dataloader.dataset
    parts = [dataset.get('data_root'), dataset.get('ann_file')]
    return ', '.join(f'`{part}`' for part in parts if part)


def write_card(card: Card, weights: Path) -> Path:
    """Write a card beside the published weights.

    Args:
        card (Card): Result of :func:`collect`.
        weights (Path): File that :func:`~mmdense.checkpoints.publishing.
            publish` wrote.

    Returns:
        Path: The card: the file's name with ``.md``.
    """
    path = weights.with_suffix('.md')
    path.write_text('\n'.join(_lines(card, weights)) + '\n')
    return path


def _lines(card: Card, weights: Path) -> Iterator[str]:
    head = {
        'license': card.licence,
        'library_name': 'mmdense',
        'pipeline_tag': card.task,
        'tags': ['mmdense', *card.architecture],
        'model-index': [{
            'name': card.name,
            'results': [{
                'task': {'type': card.task},
                'dataset': {'name': card.data, 'type': card.data},
                'metrics': [{'name': name, 'type': name, 'value': value}
                            for name, value in card.figures.items()]
            }]
        }]
    }
    yield f'---\n{yaml.safe_dump(head, sort_keys=False)}---\n'
    yield f'# {card.name}\n'
    if card.summary:
        yield f'{card.summary}\n'
    if card.paper:
        yield f'Source: [{card.paper["Title"]}]({card.paper["URL"]}).\n'
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    yield (f'`{weights.name}`: {card.parameters:,} parameters, SHA-256 '
           f'`{digest}`, licence {card.licence}.\n')
    yield f'```bash\npython -m mmdense predict {card.config} {weights.name} ' \
        'IMAGES\n```\n'
    yield f'## Intended use\n\n{card.intended_use}\n'
    yield f'## Data\n\nTrained on {card.data}. Licence of the data: ' \
        f'{card.data_licence}\n'
    yield f'## Figures\n\nOf one test on {card.tested_on}:\n' if (
        card.tested_on) else '## Figures\n'
    yield '| Metric | Value |\n| --- | --- |'
    for name, value in card.figures.items():
        yield f'| {name} | {value:.6g} |'
    yield f'\n## Make it again\n\n```bash\n{card.command}\n```\n'
    yield f'Took {card.time}, on {card.machine}.'
