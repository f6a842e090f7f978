"""A config's network with trained weights, ready for a host's own functions.
"""
import copy

from mmengine.config import Config
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import DATASETS
from torch import nn

from mmdense.checkpoints.reading import load_weights
from mmdense.networks import build_model

__all__ = ['load_network']


def load_network(config: Config,
                 checkpoint: str | None,
                 device: str = 'cpu') -> nn.Module:
    """Build a config's network, load its weights and say what they name.

    What the hosts' ``init_model`` does, except that a checkpoint which does
    not fit is refused, and that classes or keypoints come from the config's
    test data set, not from COCO, when the checkpoint holds none.

    Args:
        config (Config): Of any host.
        checkpoint (str, optional): Its weights; without it the network keeps
            what its constructors gave it.
        device (str): Where to put it.

    Returns:
        nn.Module: In eval mode, with ``cfg`` and ``dataset_meta``.

    Raises:
        ValueError: If it or its data set does not build, the checkpoint does
            not fit, or there is no such device.
    """
    # A copy, because mmseg writes into the config it builds from.
    model = revert_sync_batchnorm(build_model(copy.deepcopy(config)))
    meta = {}
    if checkpoint is not None:
        meta = load_weights(model, checkpoint).get('meta') or {}
    model.dataset_meta = meta.get('dataset_meta') or _meta_of(config)
    model.cfg = copy.deepcopy(config)
    try:
        return model.to(device).eval()
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f'device {device!r}: {error}') from error


def _meta_of(config: Config) -> dict:
    dataset = copy.deepcopy((config.get('test_dataloader') or {}).get(
        'dataset'))
    if not dataset:
        return {}
    # Lazy: neither annotations nor images need to be there.
    dataset.update(lazy_init=True, pipeline=[])
    with DATASETS.switch_scope_and_registry(
            config.get('default_scope')) as datasets:
        try:
            return dict(datasets.build(dataset).metainfo)
        except AssertionError:
            # mmseg's VOC sets want their folders to be there all the same.
            kind = datasets.get(dataset['type'])
            return dict(kind.METAINFO, **dataset.get('metainfo', {}))
        except Exception as error:  # a host's constructor may raise anything
            raise ValueError(
                'the test data set does not build: '
                f'{type(error).__name__}: {error}') from error
