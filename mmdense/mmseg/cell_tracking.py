"""Data sets of cells: folders of slices, and the Cell Tracking Challenge."""
import re
from collections.abc import Sequence
from pathlib import Path

from mmseg.datasets import BaseSegDataset

from mmdense.arguments import check_sequence
from mmdense.registry import DATASETS


@DATASETS.register_module()
class CellDataset(BaseSegDataset):
    """Data set of mmseg that checks ``indices``.

    Args:
        **kwargs: Of mmseg's BaseSegDataset.

    Raises:
        ValueError: If an index in ``indices`` is too large.
    """

    def load_data_list(self) -> list[dict]:
        """Return the images and labels, in order of their names."""
        images = super().load_data_list()
        self._check_indices(images)
        return images

    def _check_indices(self, images):
        given = self._indices
        if not isinstance(given, tuple | list):
            return
        wrong = [k for k in given if not -len(images) <= k < len(images)]
        if wrong:
            raise ValueError(
                f'{type(self).__name__}: indices must be below '
                f'{len(images)}, the number of images in '
                f'{self.data_prefix["img_path"]}, got {wrong}: give the '
                'indices of this set, or indices=None to take all its images')


@DATASETS.register_module()
class CellTrackingDataset(CellDataset):
    """Sequences of the Cell Tracking Challenge (DIC-C2DH-HeLa and others).

    The folder of a set holds frames and numbers of cells::

        01/t000.tif, 01/t001.tif, ...
        01_ST/SEG/man_seg000.tif, ...   silver truth, or 01_GT/SEG

    Frames without a file of labels are left out: the gold truth (``GT``) has
    some frames only, the silver truth (``ST``) has all. ``LoadInstances``
    reads the labels.

    Args:
        data_root (str): Folder of the set.
        sequences (Sequence[str]): Names of the sequences.
        truth (str): ``'ST'`` or ``'GT'``.
        **kwargs: Of mmseg's BaseSegDataset, but what names files.

    Raises:
        TypeError, ValueError: If ``sequences`` is not a list of names, or
            ``truth`` is another.
        FileNotFoundError: If a sequence has no frame with labels.
    """

    METAINFO = dict(
        classes=('background', 'cell'), palette=[[0, 0, 0], [255, 255, 255]])

    def __init__(self,
                 data_root: str,
                 sequences: Sequence[str] = ('01', ),
                 truth: str = 'ST',
                 **kwargs):
        check_sequence(sequences=sequences)
        if not sequences or not all(isinstance(s, str) for s in sequences):
            raise ValueError('sequences must be names of folders as "01", '
                             f'got {sequences!r}')
        if truth not in ('ST', 'GT'):
            raise ValueError(f"truth must be 'ST' or 'GT', got {truth!r}")
        self.sequences = list(sequences)
        self.truth = truth
        super().__init__(
            data_root=data_root,
            data_prefix=dict(img_path='', seg_map_path=''),
            **kwargs)

    def load_data_list(self) -> list[dict]:
        """Return the frames with labels, sequence by sequence."""
        frames = []
        for sequence in self.sequences:
            folder = Path(self.data_root, sequence)
            labels = Path(self.data_root, f'{sequence}_{self.truth}', 'SEG')
            found = [(folder / f't{number[1]}.tif', label)
                     for label in sorted(labels.glob('man_seg*.tif'))
                     if (number := re.fullmatch(r'man_seg(\d+)', label.stem))]
            found = [pair for pair in found if pair[0].is_file()]
            if not found:
                raise FileNotFoundError(
                    f'CellTrackingDataset: {labels} must hold '
                    f'man_seg000.tif, ... of frames {folder}/t000.tif, ..., '
                    'got no such pair')
            frames += [
                dict(
                    img_path=str(image),
                    seg_map_path=str(label),
                    label_map=self.label_map,
                    reduce_zero_label=self.reduce_zero_label,
                    seg_fields=[]) for image, label in found
            ]
        self._check_indices(frames)
        return frames
