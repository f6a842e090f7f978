"""Annotations in memory."""
import copy
import json

import numpy as np
from pycocotools import coco


class COCO(coco.COCO):
    """pycocotools' COCO, with what xtcocotools' takes besides.

    Args:
        annotation_file (str | None): A json file in COCO's format.
        test_index (list[int] | None): The keypoints to keep, in this order.
        ann_data (dict | None): The content, in place of the file's.
    """

    def __init__(self, annotation_file=None, test_index=None, ann_data=None):
        super().__init__(None if ann_data is not None else annotation_file)
        self.anno_file = [annotation_file]
        self.test_index = test_index
        if ann_data is not None:
            self.dataset = ann_data
            self.createIndex()
        # The index holds these same dicts.
        for ann in self.dataset.get('annotations', ()):
            ann.setdefault('iscrowd', False)
            if test_index is not None:
                points = np.reshape(ann['keypoints'], (-1, 3))
                ann['keypoints'] = points[test_index].flatten().tolist()

    def loadRes(self, resFile, resData=None):
        """Results as annotations of the same images.

        Args:
            resFile (str | list[dict] | numpy.ndarray): A json file, its
                content, or boxes (n, 7).
            resData (list[dict] | None): The content, in place of the file's.

        Returns:
            COCO: With area, box and id of every result.
        """
        results = resFile if resData is None else resData
        if isinstance(results, str):
            with open(results) as file:
                results = json.load(file)
        found = COCO()
        if len(results):
            loaded = super().loadRes(results)
            found.dataset = loaded.dataset
        else:
            found.dataset = dict(
                images=list(self.dataset['images']),
                categories=copy.deepcopy(self.dataset.get('categories', [])),
                annotations=[])
        found.createIndex()
        if len(self.anno_file) == 1:
            self.anno_file.append(resFile)
        return found
