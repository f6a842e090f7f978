"""Loading a trained network, ready for the functions of its host."""
import copy

from mmengine.config import Config
from mmengine.device import get_device
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import DATASETS
from torch import nn

from mmdense.checkpoints.reading import load_weights
from mmdense.networks.build import build_model

__all__ = ['load_network']


def load_network(config: Config,
                 checkpoint: str | None,
                 device: str | None = 'cpu',
                 meta: bool = True) -> nn.Module:
    """Build the network of a config and load its weights.

    Does what the hosts' ``init_model`` does, with two differences. A
    checkpoint that does not fit raises an error. If the checkpoint does not
    name the classes or keypoints, the names come from the test data set of the
    config, not from COCO.

    Args:
        config (Config): Config of any host.
        checkpoint (str, optional): File with the weights; without it the
            network keeps its initial values.
        device (str, optional): Device of the network; None takes a GPU if
            there is one.
        meta (bool): Whether to set the names of classes or keypoints, which
            may need the test data set.

    Returns:
        nn.Module: In eval mode, with ``cfg`` and, if ``meta``,
        ``dataset_meta``.

    Raises:
        ValueError: If the network or the data set does not build, the
            checkpoint does not fit, or the device does not exist.
    """
    # A copy, because mmseg writes into the config it builds from.
    model = revert_sync_batchnorm(build_model(copy.deepcopy(config)))
    known = {}
    if checkpoint is not None:
        known = load_weights(model, checkpoint).get('meta') or {}
    if meta:
        model.dataset_meta = known.get('dataset_meta') or _meta_of(config)
    model.cfg = copy.deepcopy(config)
    device = device or get_device()
    try:
        return model.to(device).eval()
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f'device {device!r}: {error}') from error


def _meta_of(config: Config) -> dict:
    dataset = copy.deepcopy((config.get('test_dataloader') or {}).get(
        'dataset'))
    if not dataset:
        return {}
    # A wrapper has the meta of its first part, unless it is given its own.
    while 'metainfo' not in dataset and (
            dataset.get('datasets') or dataset.get('dataset')):
        dataset = (dataset.get('datasets') or [dataset['dataset']])[0]
    if 'datasets' in dataset:
        dataset['datasets'] = []
    # Lazy: neither annotations nor images need to be there.
    dataset.update(lazy_init=True, pipeline=[])
    with DATASETS.switch_scope_and_registry(
            config.get('default_scope')) as datasets:
        try:
            return dict(datasets.build(dataset).metainfo)
        except AssertionError:
            # mmseg's VOC sets need their folders nevertheless.
            kind = dataset['type']
            kind = datasets.get(kind) if isinstance(kind, str) else kind
            return dict(kind.METAINFO, **dataset.get('metainfo', {}))
        except Exception as error:  # a host's constructor may raise anything
            raise ValueError(
                'the test data set does not build: '
                f'{type(error).__name__}: {error}') from error
