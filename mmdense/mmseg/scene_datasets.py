"""NYUDv2 and SIFT Flow, on which the FCN paper reports."""
from mmseg.datasets import BaseSegDataset

from mmdense.registry import DATASETS


class _LabelsFromOne(BaseSegDataset):
    """Label maps whose 0 is void and whose classes count from 1."""

    def __init__(self, reduce_zero_label: bool = True, **kwargs):
        super().__init__(reduce_zero_label=reduce_zero_label, **kwargs)


@DATASETS.register_module()
class NYUDv2Dataset(_LabelsFromOne):
    """NYU Depth v2, 40 classes; ``LoadDepth`` reads depth beside colour.

    The classes are those of S. Gupta, P. Arbelaez and J. Malik, *Perceptual
    Organization and Recognition of Indoor Scenes from RGB-D Images*, CVPR
    2013: 795 training and 654 test images. In a label map (``.png``) 0 is
    void and 1 to 40 are the classes in this order.

    Args:
        **kwargs: As in mmseg's BaseSegDataset.
    """
    METAINFO = dict(
        classes=('wall', 'floor', 'cabinet', 'bed', 'chair', 'sofa', 'table',
                 'door', 'window', 'bookshelf', 'picture', 'counter',
                 'blinds', 'desk', 'shelves', 'curtain', 'dresser', 'pillow',
                 'mirror', 'floor mat', 'clothes', 'ceiling', 'books',
                 'refrigerator', 'television', 'paper', 'towel',
                 'shower curtain', 'box', 'whiteboard', 'person',
                 'night stand', 'toilet', 'sink', 'lamp', 'bathtub', 'bag',
                 'other structure', 'other furniture', 'other prop'))


@DATASETS.register_module()
class SIFTFlowDataset(_LabelsFromOne):
    """SIFT Flow, 33 semantic classes.

    C. Liu, J. Yuen and A. Torralba, *SIFT Flow*, TPAMI 2011: 2488 training
    and 200 test images of 256x256. In a label map (``.png``) 0 is void and 1
    to 33 are the classes in this order; the test images lack cow, desert and
    moon.

    Args:
        **kwargs: As in mmseg's BaseSegDataset.
    """
    METAINFO = dict(
        classes=('awning', 'balcony', 'bird', 'boat', 'bridge', 'building',
                 'bus', 'car', 'cow', 'crosswalk', 'desert', 'door', 'fence',
                 'field', 'grass', 'moon', 'mountain', 'person', 'plant',
                 'pole', 'river', 'road', 'rock', 'sand', 'sea', 'sidewalk',
                 'sign', 'sky', 'staircase', 'streetlight', 'sun', 'tree',
                 'window'))


@DATASETS.register_module()
class SIFTFlowGeometryDataset(_LabelsFromOne):
    """SIFT Flow, 3 geometric classes: the same images, other label maps.

    J. Tighe and S. Lazebnik, *SuperParsing*, ECCV 2010. In a label map
    (``.png``) 0 is void (-1 in the published files) and 1 to 3 are the
    classes in this order.

    Args:
        **kwargs: As in mmseg's BaseSegDataset.
    """
    METAINFO = dict(classes=('sky', 'horizontal', 'vertical'))
