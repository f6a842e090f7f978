"""Functions that the ``prediction`` modules of the hosts share."""
import numpy as np
from mmengine.config import Config

__all__ = ['check_pipeline', 'run_lengths']


def check_pipeline(config: Config) -> None:
    """Raise unless the test data set of a config has a pipeline.

    Raises:
        ValueError: If it has none. The hosts prepare images with it.
    """
    dataset = (config.get('test_dataloader') or {}).get('dataset') or {}
    if 'pipeline' not in dataset:
        raise ValueError('test_dataloader must have a dataset with a '
                         'pipeline, which prepares the images, got none')


def run_lengths(mask: np.ndarray) -> dict:
    """Return a mask (H, W) as COCO's compressed run lengths, for JSON."""
    from pycocotools.mask import encode
    coded = encode(np.asfortranarray(mask, np.uint8))
    return dict(size=coded['size'], counts=coded['counts'].decode())
