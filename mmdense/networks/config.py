"""Finding and reading configs of any host, and their image size."""
import importlib.util
from pathlib import Path

from mmengine.config import Config
from mmengine.hub import get_config

# Before a config is read: finds the bases of the hosts' forks.
import mmdense.registry  # noqa: F401
from mmdense.config_path import config_path
from mmdense.networks.config_types import name_types, type_name

__all__ = ['find_config', 'input_shape', 'load_config']

CHECKPOINTS = ('.pth', '.pt', '.ckpt', '.bin', '.safetensors', '.onnx')


def find_config(name: str | Path) -> Path:
    """Find the file of a config.

    Args:
        name (str | Path): A path; or, of a config of mmdense, its name as
            :func:`mmdense.config_path` takes it; or a host's own,
            ``mmseg::folder/file.py``.

    Raises:
        ValueError: If there is none. The message lists similar names of
            mmdense.
    """
    path = Path(name)
    if path.is_file():
        return path
    try:
        if '::' in str(name):
            host = str(name).partition('::')[0]
            # mmengine would set out to install it.
            if importlib.util.find_spec(host) is None:
                raise ModuleNotFoundError(f'{host} is not installed')
            return Path(get_config(str(name)).filename)
        if not path.is_absolute():
            return config_path(str(name))
    except FileNotFoundError as error:
        raise ValueError(f'{name}: no such config; {error}') from error
    except Exception as error:  # whatever mmengine makes of a wrong name
        raise ValueError(f'{name}: no such config: '
                         f'{type(error).__name__}: {error}') from error
    raise ValueError(f'{name}: no such config')


def load_config(name: str | Path, options: dict | None = None) -> Config:
    """Read a config of any host; classes in it become names of types.

    Args:
        name (str | Path): Path or name, as in :func:`find_config`.
        options (dict, optional): Changes to the config by dotted keys, as
            ``--cfg-options`` gives them.

    Raises:
        ValueError: If it is missing, is a checkpoint, does not parse, does
            not take the options, has no ``model``, or names a host that is
            not installed.
    """
    if Path(name).suffix in CHECKPOINTS:
        raise ValueError(f'{name} must be a config (.py), got a checkpoint')
    path = find_config(name)
    try:
        config = Config.fromfile(path)
    except Exception as error:  # whatever the file's own code raises
        raise ValueError(
            f'{name} does not parse as a config: '
            f'{type(error).__name__}: {error}') from error
    try:
        config.merge_from_dict(options or {})
    except Exception as error:  # of mmengine: a key that holds no dict
        raise ValueError(f'{name} does not take the options {options}: '
                         f'{type(error).__name__}: {error}') from error
    if 'model' not in config:
        raise ValueError(f"{name} has no 'model'")
    name_types(config)
    scope = config.get('default_scope') or 'mmengine'
    if importlib.util.find_spec(scope) is None:
        raise ValueError(f"{name}: default_scope '{scope}' is no installed "
                         'package')
    return config


def input_shape(config: Config) -> tuple[int, int]:
    """Return the (height, width) of the images a config trains on.

    The size is taken from the pose codec, from the data preprocessor or the
    crop size of a segmentor, or from the last fixed size in the training
    pipeline (or else the test pipeline).

    Raises:
        ValueError: If the config has none of these.
    """
    head = config.model.get('head') or {}
    codec = head.get('decoder') or config.get('codec') or {}
    if isinstance(codec, list):
        codec = codec[-1]
    if codec.get('input_size'):
        width, height = codec['input_size']
        return height, width
    preprocessor = config.model.get('data_preprocessor') or {}
    for size in (preprocessor.get('size'), config.get('crop_size')):
        if size is not None:
            return (size, size) if isinstance(size, int) else tuple(size)
    multiple = preprocessor.get('pad_size_divisor') or 1
    for loader in ('train_dataloader', 'test_dataloader'):
        size = _pipeline_size((config.get(loader) or {}).get('dataset') or {})
        if size is not None:
            return tuple(-(-side // multiple) * multiple for side in size)
    raise ValueError('the config says no input size: give --shape')


def _pipeline_size(dataset: dict) -> tuple[int, int] | None:
    size = None
    if dataset.get('dataset'):
        size = _pipeline_size(dataset['dataset'])
    for step in dataset.get('pipeline') or ():
        crop, scale = step.get('crop_size'), step.get('scale')
        if _is_pair(crop):
            size = crop[0], crop[1]
        elif type_name(step).endswith('Resize') and _is_pair(scale):
            size = scale[1], scale[0]
    return size


def _is_pair(value) -> bool:
    return (isinstance(value, list | tuple) and len(value) == 2
            and all(isinstance(side, int) for side in value))
