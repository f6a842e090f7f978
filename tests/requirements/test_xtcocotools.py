"""requirements/xtcocotools evaluates as the xtcocotools it stands in for."""
import importlib.util
import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('pycocotools')
SOURCE = Path(__file__).parents[2] / 'requirements' / 'xtcocotools'
DATA = Path(__file__).parents[3] / 'shared' / 'data'
PARTS = dict(
    keypoints=17, foot_kpts=6, face_kpts=68, lefthand_kpts=21,
    righthand_kpts=21)


@pytest.fixture
def ours(monkeypatch):
    """The package of this folder, whatever is installed."""
    name = 'xtcocotools_pycocotools'
    spec = importlib.util.spec_from_file_location(
        name, SOURCE / name / '__init__.py')
    package = importlib.util.module_from_spec(spec)
    for loaded in [key for key in sys.modules if key.startswith(name)]:
        monkeypatch.delitem(sys.modules, loaded)
    monkeypatch.setitem(sys.modules, name, package)
    spec.loader.exec_module(package)
    for part in ('coco', 'cocoeval', 'mask'):
        importlib.import_module(f'{name}.{part}')
    yield package
    for part in ('coco', 'cocoeval', 'mask'):
        sys.modules.pop(f'{name}.{part}')


@pytest.fixture
def real():
    """The compiled xtcocotools."""
    pytest.importorskip('xtcocotools._mask', exc_type=ImportError)
    import xtcocotools.coco
    import xtcocotools.cocoeval
    import xtcocotools.mask
    return xtcocotools


def people(generator, images=6):
    """Random people of COCO-WholeBody and CrowdPose, and what was found."""
    truth, found = [], []
    for image in range(images):
        for _ in range(generator.integers(0, 4)):
            x, y = generator.uniform(0, 100, 2)
            width, height = generator.uniform(20, 160, 2)
            person = dict(
                id=len(truth),
                image_id=image,
                category_id=1,
                iscrowd=int(generator.random() < .1),
                bbox=[x, y, width, height],
                area=width * height * generator.uniform(.3, .7))
            result = dict(
                image_id=image, category_id=1,
                score=round(generator.random(), 1))
            for part, count in PARTS.items():
                points = np.stack([
                    generator.uniform(x, x + width, count),
                    generator.uniform(y, y + height, count),
                    generator.integers(0, 3, count)
                ], 1) * (generator.random() > .1)
                person[part] = points.flatten().tolist()
                points[:, :2] += generator.normal(0, .02 * height, (count, 2))
                points[:, 2] = generator.random() > .1
                result[part] = points.flatten().tolist()
            person['num_keypoints'] = int(
                np.count_nonzero(np.array(person['keypoints'])[2::3] == 2))
            result['foot_score'] = generator.random()
            truth.append(person)
            if generator.random() > .1:
                found.append(result)
    return dict(
        images=[
            dict(id=i, width=300, height=300, crowdIndex=(i % 5) / 5)
            for i in range(images)
        ],
        categories=[dict(id=1, name='person')],
        annotations=truth), found


def evaluate(package, truth, found, kind, folder, **settings):
    path = folder / 'truth.json'
    path.write_text(json.dumps(truth))
    coco = package.coco.COCO(str(path))
    results = coco.loadRes(json.loads(json.dumps(found)))
    run = package.cocoeval.COCOeval(coco, results, kind, **settings)
    run.params.useSegm = None
    run.evaluate()
    run.accumulate()
    precision = run.eval['precision']
    run.summarize()
    return precision, run.stats


CASES = [('keypoints', 17), ('keypoints_body', 17), ('keypoints_crowd', 17),
         ('keypoints_foot', 6), ('keypoints_face', 68),
         ('keypoints_lefthand', 21), ('keypoints_righthand', 21),
         ('keypoints_wholebody', 133)]


@pytest.mark.filterwarnings('ignore')
@pytest.mark.parametrize('use_area', [True, False])
@pytest.mark.parametrize('kind, count', CASES)
def test_keypoints_are_those_of_xtcocotools(ours, real, kind, count, use_area,
                                            tmp_path):
    for seed in range(3):
        generator = np.random.default_rng(seed)
        truth, found = people(generator)
        settings = dict(
            sigmas=generator.uniform(.02, .2, count), use_area=use_area)
        for a, b in zip(
                evaluate(ours, truth, found, kind, tmp_path, **settings),
                evaluate(real, truth, found, kind, tmp_path, **settings),
                strict=True):
            np.testing.assert_array_equal(a, b)


# Of people(default_rng(0), 40) by xtcocotools 1.14.3, sigmas of 0.1.
RECORDED = {
    'keypoints':
    [0.715203, 0.738258, 0.738258, 0.706283, 0.80198, 0.754167, 0.770833,
     0.770833, 0.718421, 0.8],
    'keypoints_body':
    [0.715203, 0.738258, 0.738258, 0.706283, 0.80198, 0.754167, 0.770833,
     0.770833, 0.718421, 0.8],
    'keypoints_crowd':
    [0.715203, 0.738258, 0.738258, 0.754167, 0.770833, 0.770833, 0.7302,
     0.7005, 0.7376],
    'keypoints_foot':
    [0.790466, 0.812815, 0.812815, 0.740597, 1.0, 0.812766, 0.829787, 0.829787,
     0.771053, 1.0],
    'keypoints_face':
    [0.808677, 0.829703, 0.829703, 0.779984, 1.0, 0.830769, 0.846154, 0.846154,
     0.790244, 1.0],
    'keypoints_lefthand':
    [0.758385, 0.782178, 0.778642, 0.732253, 0.80198, 0.773077, 0.788462,
     0.788462, 0.741463, 0.8],
    'keypoints_righthand':
    [0.78097, 0.802475, 0.797173, 0.724415, 1.0, 0.8, 0.8125, 0.8125, 0.753846,
     1.0],
    'keypoints_wholebody':
    [0.881839, 0.90099, 0.90099, 0.858838, 1.0, 0.894545, 0.909091, 0.909091,
     0.870455, 1.0],
}


@pytest.mark.filterwarnings('ignore')
@pytest.mark.parametrize('kind, count', CASES)
def test_keypoints_are_those_once_computed_by_xtcocotools(
        ours, kind, count, tmp_path):
    truth, found = people(np.random.default_rng(0), 40)
    _, stats = evaluate(
        ours, truth, found, kind, tmp_path, sigmas=np.full(count, .1))
    np.testing.assert_allclose(stats, RECORDED[kind], atol=1e-6)


def test_oks_of_one_joint_is_its_formula(ours, tmp_path):
    # 3 and 4 pixels off: exp(-25 / (2 area (2 sigma)^2)).
    box = [0, 0, 100, 50]
    truth = dict(
        images=[dict(id=0, width=100, height=100)],
        categories=[dict(id=1, name='person')],
        annotations=[
            dict(id=0, image_id=0, category_id=1, bbox=box, area=900,
                 iscrowd=0, keypoints=[10, 10, 2], num_keypoints=1)
        ])
    found = [dict(image_id=0, category_id=1, score=1., keypoints=[13, 14, 1])]
    for use_area, area in ((True, 900), (False, 0.53 * 100 * 50)):
        path = tmp_path / 'truth.json'
        path.write_text(json.dumps(truth))
        coco = ours.coco.COCO(str(path))
        run = ours.cocoeval.COCOeval(
            coco, coco.loadRes(found), sigmas=np.array([.1]),
            use_area=use_area)
        run.evaluate()
        assert run.ious[0, 1] == pytest.approx(
            math.exp(-25 / (2 * area * .2**2)), rel=1e-12)


def test_nothing_found_scores_nothing(ours, tmp_path):
    truth, _ = people(np.random.default_rng(0))
    _, stats = evaluate(ours, truth, [], 'keypoints', tmp_path)
    assert stats[0] == 0


def test_chosen_keypoints_and_given_data_are_taken(ours):
    truth, _ = people(np.random.default_rng(0))
    whole = json.loads(json.dumps(truth))
    coco = ours.coco.COCO(ann_data=truth, test_index=[5, 0])
    for ann in whole['annotations']:
        points = ann['keypoints']
        assert coco.anns[ann['id']]['keypoints'] == [*points[15:18],
                                                     *points[:3]]


def load(path):
    if not path.exists():
        pytest.skip(f'no {path.name}')
    return json.loads(path.read_text())


def disturbed(truth, parts):
    """Every annotated person, found a little beside where it is."""
    generator = np.random.default_rng(0)
    found = []
    for ann in truth['annotations']:
        result = dict(
            image_id=ann['image_id'], category_id=ann['category_id'],
            score=generator.random())
        for part in parts:
            points = np.reshape(ann[part], (-1, 3)).astype(float)
            points[:, :2] += generator.normal(0, 3, points[:, :2].shape)
            points[:, 2] = 1
            result[part] = points.flatten().tolist()
        found.append(result)
    return found


@pytest.mark.filterwarnings('ignore')
@pytest.mark.parametrize('file, kinds, use_area', [
    ('coco_keypoints_mini/annotations/person_keypoints_val.json',
     CASES[:1], True),
    ('mm_samples/mmpose/coco/test_coco_wholebody.json', CASES[3:], True),
    ('mm_samples/mmpose/crowdpose/test_crowdpose.json',
     [('keypoints_crowd', 14)], False),
])
def test_real_annotations_score_as_by_xtcocotools(ours, real, file, kinds,
                                                  use_area, tmp_path):
    truth = load(DATA / file)
    parts = [part for part in PARTS if part in truth['annotations'][0]]
    found = disturbed(truth, parts)
    for kind, count in kinds:
        settings = dict(
            sigmas=np.linspace(.02, .1, count), use_area=use_area)
        for a, b in zip(
                evaluate(ours, truth, found, kind, tmp_path, **settings),
                evaluate(real, truth, found, kind, tmp_path, **settings),
                strict=True):
            np.testing.assert_array_equal(a, b)
        assert 0 < a[0] <= 1


def test_masks_are_merged_and_decoded(ours):
    # The real one's decode fails on numpy 2.
    rectangles = [[1, 1, 1, 7, 6, 7, 6, 1], [6, 2, 6, 4, 9, 4, 9, 2]]
    mask = ours.mask.decode(
        ours.mask.merge(ours.mask.frPyObjects(rectangles, 10, 12)))
    expected = np.zeros((10, 12))
    expected[1:7, 1:6] = expected[2:4, 6:9] = 1
    np.testing.assert_array_equal(mask, expected)


FOUND_FIRST = """
import sys
sys.path[:0] = [sys.argv[1], sys.argv[2]]
import xtcocotools
print(hasattr(xtcocotools, 'STAND_IN'))
import xtcocotools.coco
print(xtcocotools.coco.__name__)
"""


def test_the_real_one_is_found_before_ours(tmp_path):
    # Installed into one folder, as pip would.
    folder = tmp_path / 'site-packages'
    (folder / 'xtcocotools').mkdir(parents=True)
    (folder / 'xtcocotools' / '__init__.py').touch()
    (folder / 'xtcocotools' / 'coco.py').touch()
    (folder / 'xtcocotools.py').write_text(
        (SOURCE / 'xtcocotools.py').read_text())

    def run(folder):
        return subprocess.run(
            [sys.executable, '-c', FOUND_FIRST, folder, SOURCE],
            capture_output=True, text=True, check=True).stdout.split()

    assert run(folder) == ['False', 'xtcocotools.coco']
    assert run(SOURCE) == ['True', 'xtcocotools.coco']
