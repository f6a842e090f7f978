"""Hand-made poses whose errors are known."""
import json

import numpy as np
import pytest

from mmdense.analysis import keypoint_errors
from mmdense.analysis.keypoint_errors import analyse

PARTS = ['nose', 'left_eye', 'right_eye', 'left_wrist', 'right_wrist']
SIGMAS = [0.1] * 5
# One person of area 100^2 at each of these corners; k = 0.2, so similarity
# falls to exp(-1/2) = 0.607 at 20 px, 0.85 at 11.4 px and 0.5 at 23.5 px.
POSE = np.array([[50, 0], [0, 0], [100, 0], [0, 100], [100, 100]], float)
AREA = 100.**2


def person(image, at, seen=(2, ) * 5, **more):
    points = np.c_[POSE + at, seen]
    return dict(
        image_id=image,
        category_id=1,
        area=AREA,
        num_keypoints=int(np.count_nonzero(seen)),
        keypoints=points.ravel().tolist(),
        **more)


def detection(image, points, score=1.):
    points = np.c_[np.asarray(points, float), np.ones(5)]
    return dict(
        image_id=image,
        category_id=1,
        score=score,
        keypoints=points.ravel().tolist())


@pytest.fixture
def files(tmp_path):

    def write(people, detections, images=(1, 2)):
        truth = tmp_path / 'truth.json'
        truth.write_text(
            json.dumps(
                dict(
                    images=[dict(id=i) for i in images],
                    annotations=[
                        dict(p, id=k + 1) for k, p in enumerate(people)
                    ],
                    categories=[dict(id=1, name='person', keypoints=PARTS)])))
        results = tmp_path / 'results.json'
        results.write_text(json.dumps(detections))
        return truth, results

    return write


def kinds_of(files, people, points):
    """The kind of error of each part of a single detection."""
    found = analyse(*files(people, [detection(1, points)]), SIGMAS)
    assert found.matched == 1
    return [
        keypoint_errors.KINDS[int(row.argmax())] if row.any() else None
        for row in found.counts
    ]


FAR = (1000, 1000)


@pytest.mark.parametrize('shift, kind', [
    (0, 'good'),
    (11.3, 'good'),
    (11.5, 'jitter'),
    (23.5, 'jitter'),
    (23.6, 'missing'),
])
def test_distance_alone_decides_on_a_lonely_part(files, shift, kind):
    points = POSE + [[0, -shift], [0, 0], [0, 0], [0, 0], [0, 0]]
    expected = [kind, 'good', 'good', 'good', 'good']
    assert kinds_of(files, [person(1, 0)], points) == expected


def test_the_twins_place_is_an_inversion(files):
    points = POSE[[0, 1, 2, 4, 3]]
    assert kinds_of(files, [person(1, 0)], points) == [
        'good', 'good', 'good', 'inversion', 'inversion'
    ]


def test_a_part_that_is_no_twin_is_no_inversion(files):
    points = POSE.copy()
    points[[3, 0]] = POSE[[0, 4]]  # a wrist on the nose, the nose on the other
    found = kinds_of(files, [person(1, 0)], points)
    assert found[3] == found[0] == 'missing'


@pytest.mark.parametrize('part', [3, 4])
def test_the_part_or_its_twin_on_another_person_is_a_swap(files, part):
    points = POSE.copy()
    points[3] = POSE[part] + 400
    people = [person(1, 0), person(1, 400)]
    assert kinds_of(files, people, points)[3] == 'swap'


def test_another_part_of_another_person_is_missing(files):
    points = POSE.copy()
    points[3] = POSE[0] + 400
    people = [person(1, 0), person(1, 400)]
    assert kinds_of(files, people, points)[3] == 'missing'


def test_people_of_other_images_are_not_swapped_with(files):
    points = POSE.copy()
    points[3] = POSE[3] + 400
    people = [person(1, 0), person(2, 400)]
    assert kinds_of(files, people, points)[3] == 'missing'


@pytest.mark.parametrize('offset, kind', [(-6, 'swap'), (6, 'inversion')])
def test_of_inversion_and_swap_the_nearer_decides(files, offset, kind):
    # The other's left wrist lies 15 px right of this one's right wrist.
    people = [person(1, 0), person(1, (115, 0))]
    points = POSE.copy()
    points[3] = [107.5 - offset, 100]
    assert kinds_of(files, people, points)[3] == kind


def test_unlabelled_parts_count_neither_here_nor_there(files):
    points = POSE.copy()
    points[3] = POSE[4]
    people = [person(1, 0, seen=(2, 2, 0, 1, 0))]
    assert kinds_of(files, people, points) == [
        'good', 'good', None, 'missing', None
    ]


def test_each_person_goes_to_the_best_scored_detection_that_fits(files):
    near, exact = POSE + [0, 15], POSE
    found = analyse(
        *files([person(1, 0)],
               [detection(1, exact, 0.2),
                detection(1, near, 0.9)]), SIGMAS)
    assert (found.people, found.matched) == (1, 1)
    assert found.shares()['jitter'] == 1


def test_a_second_person_is_left_to_the_second_detection(files):
    people = [person(1, 0), person(1, (20, 0))]
    found = analyse(
        *files(people,
               [detection(1, POSE, 0.9),
                detection(1, POSE + [20, 0], 0.8)]), SIGMAS)
    assert found.matched == 2
    assert found.shares()['good'] == 1


def test_who_is_not_found_is_not_counted(files):
    people = [
        person(1, 0), person(2, 0),
        person(1, 900, seen=(0, ) * 5),
        person(1, 500, iscrowd=1)
    ]
    found = analyse(
        *files(people, [detection(1, POSE), detection(2, [FAR] * 5)]), SIGMAS)
    assert (found.people, found.matched) == (2, 1)
    assert found.counts.sum() == 5


def test_only_the_best_twenty_of_an_image_count(files):
    noise = [detection(1, [FAR] * 5, 0.9)] * 20
    found = analyse(*files([person(1, 0)], [*noise, detection(1, POSE, .1)]),
                    SIGMAS)
    assert found.matched == 0


def test_the_default_sigmas_are_those_mmpose_evaluates_coco_with():
    pytest.importorskip('mmpose')
    from mmpose.datasets.datasets import CocoDataset
    from mmpose.datasets.datasets.utils import parse_pose_metainfo
    metainfo = parse_pose_metainfo(dict(CocoDataset.METAINFO))
    np.testing.assert_allclose(metainfo['sigmas'], keypoint_errors.COCO_SIGMAS)


@pytest.mark.parametrize('results, message', [
    (dict(), 'must be a list of detections'),
    ([dict(image_id=1, score=1)], 'each with image_id, score and keypoints'),
    ([dict(image_id=1, score=1, keypoints=[0] * 51)],
     'a detection must have 3 x 5 numbers, got 51'),
    ([dict(image_id=7, score=1, keypoints=[0] * 15)],
     'image_id of a detection must be in the ground truth, got 7'),
])
def test_a_result_file_that_is_none_is_refused(files, results, message):
    with pytest.raises(ValueError, match=message):
        analyse(*files([person(1, 0)], results), SIGMAS)


def test_other_wrong_files_are_refused(files, tmp_path):
    truth, results = files([person(1, 0)], [])
    with pytest.raises(ValueError, match='sigmas must have .* of the 5'):
        analyse(truth, results)
    with pytest.raises(ValueError, match='must be COCO ground truth'):
        analyse(results, results, SIGMAS)
    with pytest.raises(ValueError, match='no.json must be a JSON file'):
        analyse(truth, tmp_path / 'no.json', SIGMAS)
    truth.write_text(
        json.dumps(dict(images=[], annotations=[], categories=[dict(id=1)])))
    with pytest.raises(ValueError, match='a category must have keypoints'):
        analyse(truth, results, SIGMAS)
