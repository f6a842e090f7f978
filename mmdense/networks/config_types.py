"""What a config's ``type`` names: a string, or in mmengine's pure-Python
configs the class itself.
"""
import importlib
from collections.abc import Iterator

from mmengine.config import Config
from mmengine.registry import Registry

__all__ = ['name_types', 'type_name']

HOSTS = ('mmpose', 'mmseg', 'mmdet')


def type_name(config: dict) -> str:
    """Return the name of a config's ``type``, without the scope.

    Args:
        config (dict): Config of any object.

    Returns:
        str: ``'Resize'`` for ``'Resize'``, ``'mmdet.Resize'`` and the class;
        empty without a type.
    """
    kind = config.get('type') or ''
    name = kind if isinstance(kind, str) else kind.__name__
    return name.rpartition('.')[2]


def name_types(config: Config) -> None:
    """Replace the classes in a config by their registered names.

    The hosts look for pipeline steps by name (mmseg's inferencer removes
    ``'LoadAnnotations'``). A class stays if the host does not register it
    under its own name. If ``default_scope`` is missing, it becomes the host of
    the model's class.

    Args:
        config (Config): Config of either kind, changed in place.
    """
    imported = getattr(config, '_imported_names', ())
    nodes = [
        node for key in config if key not in imported
        for node in _typed(config[key])
    ]
    if not nodes:
        return
    kind = (config.get('model') or {}).get('type')
    if config.get('default_scope') is None and isinstance(kind, type):
        packages = [base.__module__.split('.')[0] for base in kind.__mro__]
        config.default_scope = next(
            (name for name in packages if name in HOSTS), None)
    if config.get('default_scope') not in HOSTS:
        return
    module = importlib.import_module(f'{config.default_scope}.registry')
    registries = [r for r in vars(module).values() if isinstance(r, Registry)]
    for node in nodes:
        name = type_name(node)
        if any(r.get(name) is node['type'] for r in registries):
            node['type'] = name


def _typed(value) -> Iterator[dict]:
    """Yield the dicts in a value whose type is a class or a function."""
    if isinstance(value, dict):
        if callable(value.get('type')):
            yield value
        value = list(value.values())
    for part in value if isinstance(value, list | tuple) else ():
        yield from _typed(part)
