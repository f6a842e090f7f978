"""Average precision and recall."""
import contextlib
import warnings
from collections import defaultdict

import numpy as np
from pycocotools import cocoeval

# COCO's standard deviations of the annotated keypoints, by the root of the
# object's area.
SIGMAS = np.array([
    .026, .025, .025, .035, .035, .079, .079, .072, .072, .062, .062, .107,
    .107, .087, .087, .089, .089
])
# COCO-WholeBody's parts, in the order of the whole.
PARTS = ('keypoints', 'foot_kpts', 'face_kpts', 'lefthand_kpts',
         'righthand_kpts')
# Evaluation type: the parts taken together, the key of their score.
TYPES = {
    'keypoints': (PARTS[:1], 'score'),
    'keypoints_crowd': (PARTS[:1], 'score'),
    'keypoints_body': (PARTS[:1], 'score'),
    'keypoints_wholebody': (PARTS, 'wholebody_score'),
    'keypoints_foot': (PARTS[1:2], 'foot_score'),
    'keypoints_face': (PARTS[2:3], 'face_score'),
    'keypoints_lefthand': (PARTS[3:4], 'lefthand_score'),
    'keypoints_righthand': (PARTS[4:], 'righthand_score'),
}
# An object's area as a share of its box's, where none was annotated.
AREA_SHARE = 0.53
# CrowdPose's easy images have a smaller crowd index than the first, its hard
# ones none smaller than the second.
CROWD_INDEX = (0.2, 0.8)


class COCOeval(cocoeval.COCOeval):
    """pycocotools' COCOeval, for any keypoints.

    The chosen parts are handed to pycocotools as the keypoints of a COCO
    person, so its own code computes every number.

    Args:
        cocoGt (COCO | None): Ground truth.
        cocoDt (COCO | None): Results, from its ``loadRes``.
        iouType (str): ``'bbox'``, ``'segm'``, ``'keypoints'``,
            ``'keypoints_crowd'``, or ``'keypoints_PART'`` with PART out of
            body, foot, face, lefthand, righthand and wholebody.
        sigmas (numpy.ndarray | None): One for each keypoint; None takes
            COCO's 17.
        use_area (bool): Whether objects are as large as annotated, or
            0.53 of their box.
    """

    def __init__(self,
                 cocoGt=None,
                 cocoDt=None,
                 iouType='keypoints',
                 sigmas=None,
                 use_area=True):
        self.type = iouType
        # pycocotools knows keypoints by this one name.
        super().__init__(cocoGt, cocoDt,
                         'keypoints' if iouType in TYPES else iouType)
        self.sigmas = SIGMAS if sigmas is None else np.asarray(sigmas)
        self.params.kpt_oks_sigmas = self.sigmas
        self.use_area = use_area

    def _prepare(self):
        if self.type not in TYPES:
            super()._prepare()
            return
        self._gts, self._dts = defaultdict(list), defaultdict(list)
        for ann in self._annotations(self.cocoGt):
            points = self._points(ann)
            visible = np.count_nonzero(points[2::3] > 0)
            if self.type == 'keypoints_crowd':
                # CrowdPose counts the joints that are seen, not the hidden.
                visible = ann['num_keypoints']
            ignored = bool(ann.get('iscrowd')) or visible == 0
            self._gts[ann['image_id'], ann['category_id']].append(
                dict(
                    self._copy(ann),
                    keypoints=points,
                    num_keypoints=visible,
                    ignore=ignored,
                    area=self._area(ann)))
        key = TYPES[self.type][1]
        unscored = False
        for ann in self._annotations(self.cocoDt):
            unscored |= key not in ann
            points = self._points(ann)
            if np.any(points[2::3] > 0):
                self._dts[ann['image_id'], ann['category_id']].append(
                    dict(
                        self._copy(ann),
                        keypoints=points,
                        score=ann.get(key, ann['score'])))
        if unscored:
            warnings.warn(
                f'COCOeval: results have no {key!r}, their score is taken',
                stacklevel=3)
        self.evalImgs, self.eval = defaultdict(list), {}

    def _annotations(self, coco):
        p = self.params
        chosen = dict(catIds=p.catIds) if p.useCats else {}
        return coco.loadAnns(coco.getAnnIds(imgIds=p.imgIds, **chosen))

    def _copy(self, ann):
        # pycocotools takes an id of 0 for none.
        return dict(ann, id=ann['id'] + 1)

    def _points(self, ann):
        return np.concatenate(
            [np.asarray(ann[part]) for part in TYPES[self.type][0]])

    def _area(self, ann):
        if self.use_area:
            return ann['area']
        _, _, width, height = ann['bbox']
        return width * height * AREA_SHARE

    def summarize(self):
        """Print and keep the figures in ``stats``.

        ``'keypoints_crowd'``: AP, AP at 0.5 and 0.75, the same of AR, and AP
        of the easy, medium and hard images. Else pycocotools' own.
        """
        if self.type != 'keypoints_crowd':
            super().summarize()
            return
        if not self.eval:
            raise RuntimeError('COCOeval: accumulate must be called before '
                               'summarize')
        self.stats = np.array([
            *self._over_thresholds('precision'),
            *self._over_thresholds('recall'), *self._over_crowd_index()
        ])
        names = [
            'AP', 'AP at 0.5', 'AP at 0.75', 'AR', 'AR at 0.5', 'AR at 0.75',
            'AP, easy', 'AP, medium', 'AP, hard'
        ]
        for name, value in zip(names, self.stats, strict=True):
            print(f' {name:<12} {value:6.3f}')

    def _over_thresholds(self, key):
        """The mean over all thresholds, at 0.5 and at 0.75, areas alike."""
        p = self.params
        values = self.eval[key][..., p.areaRngLbl.index('all'),
                                p.maxDets.index(20)]
        for chosen in (values, values[p.iouThrs == .5],
                       values[p.iouThrs == .75]):
            counted = chosen[chosen > -1]
            yield counted.mean() if counted.size else -1

    def _over_crowd_index(self):
        index = {
            image['id']: image['crowdIndex']
            for image in self.cocoGt.dataset['images']
        }
        easy, hard = CROWD_INDEX
        for low, high in ((-np.inf, easy), (easy, hard), (hard, np.inf)):
            part = COCOeval(self.cocoGt, self.cocoDt, self.type, self.sigmas,
                            self.use_area)
            part.params.imgIds = [
                id for id, value in index.items() if low <= value < high
            ]
            if not part.params.imgIds:
                yield -1
                continue
            with contextlib.redirect_stdout(None):
                part.evaluate()
                part.accumulate()
            # As published: four digits, and -1 where nothing was to be found.
            yield round(part.eval['precision'][..., 0, :].mean(), 4)
