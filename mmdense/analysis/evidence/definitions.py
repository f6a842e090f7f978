"""What is compared: the comparisons that ``comparisons.json`` defines.

A comparison is a few configs ("arms") with one data set, budget and schedule.
Each arm is trained by its host's own script once a seed; the seed decides the
initial weights and the order of the data, so arms are compared in pairs of
equal seed. ``comparisons.json`` defines the comparisons:

* ``host``, ``data`` (the set and the budget, as text) and ``claim``, what the
  paper says, with its table;
* ``baseline``, the name of one arm;
* ``arms``, names to ``config`` (below ``configs/``) and, where wanted,
  ``options``, as ``--cfg-options`` takes them;
* ``metrics``: ``key`` in the host's result file, ``name``, ``scale`` it is
  multiplied with, ``unit``, and ``better``, 'higher' or 'lower'.
"""
import argparse
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from mmengine.config import Config

from mmdense import networks

__all__ = [
    'Arm', 'Comparison', 'DEFINITIONS', 'Metric', 'comparisons', 'digest',
    'pick'
]

DEFINITIONS = Path(__file__).with_name('comparisons.json')


@dataclass(frozen=True)
class Metric:
    """A figure of the host's result file, and how it is printed."""
    key: str
    name: str
    better: str
    unit: str = '%'
    scale: float = 1.


@dataclass(frozen=True)
class Arm:
    """One network of a comparison."""
    name: str
    config: Path
    options: tuple[str, ...] = ()

    def read(self) -> Config:
        """The arm's whole config.

        Raises:
            ValueError: As :func:`mmdense.networks.load_config`.
        """
        parser = argparse.ArgumentParser()
        networks.add_cfg_options(parser)
        words = ['--cfg-options', *self.options] if self.options else []
        return networks.load_config(
            self.config, parser.parse_args(words).cfg_options)


@dataclass(frozen=True)
class Comparison:
    """Arms that differ in the network alone, one of them the baseline."""
    name: str
    host: str
    data: str
    claim: str
    baseline: str
    arms: tuple[Arm, ...]
    metrics: tuple[Metric, ...]


def comparisons(configs: Path,
                definitions: Path = DEFINITIONS) -> dict[str, Comparison]:
    """All comparisons by name.

    Args:
        configs (Path): The ``configs`` folder.
        definitions (Path): The file that defines them.
    """
    found = {}
    for name, entry in json.loads(definitions.read_text()).items():
        found[name] = Comparison(
            name=name,
            host=entry['host'],
            data=entry['data'],
            claim=entry['claim'],
            baseline=entry['baseline'],
            arms=tuple(
                Arm(arm, configs / what['config'],
                    tuple(what.get('options', ())))
                for arm, what in entry['arms'].items()),
            metrics=tuple(Metric(**metric) for metric in entry['metrics']))
    return found


def pick(known: dict[str, Comparison], name: str) -> Comparison:
    """The comparison of a name.

    Raises:
        ValueError: If there is none; names those there are.
    """
    if name not in known:
        raise ValueError(f'no comparison {name!r}; there are '
                         f'{", ".join(sorted(known))}')
    return known[name]


def digest(config: Config) -> str:
    """Eight characters that any change of a training changes.

    MovementHook is left out: it reads and logs, so a run without it is the
    same run.
    """
    content = config.to_dict()
    hooks = content.get('default_hooks', {})
    for name in [name for name, hook in hooks.items()
                 if hook and hook['type'] == 'mmdense.MovementHook']:
        del hooks[name]
    content = json.dumps(content, sort_keys=True, default=repr)
    return hashlib.sha256(content.encode()).hexdigest()[:8]
