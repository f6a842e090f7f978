"""PCK measured by a torso whose ends are named."""
import numpy as np
import pytest

pytest.importorskip('mmpose')

from mmdense.mmpose.torso_pck import TorsoPCK  # noqa: E402

# Joint 4 to joint 5, the host's torso, is 1 pixel long here.
TRUTH = np.array([[0., 0], [10, 0], [20, 0], [30, 0], [50, 0], [51, 0]])
NAMES = dict(keypoint_name2id=dict(
    right_hip=0, left_shoulder=1, nose=2, wrist=3, knee=4, ankle=5))


def person(moved, visible=(1, ) * 6, truth=TRUTH):
    predicted = truth.copy()
    predicted[:, 1] += moved
    return dict(
        pred_instances=dict(keypoints=predicted[None]),
        gt_instances=dict(
            keypoints=truth[None],
            keypoints_visible=np.array(visible)[None]))


def score(people, **options):
    metric = TorsoPCK(**options)
    metric.dataset_meta = NAMES
    metric.process(None, people[:1])
    metric.process(None, people[1:])
    return metric.evaluate(len(people))


def test_distance_counts_in_torsos_of_the_named_joints():
    # A torso of 10 pixels: within 2 pixels at 0.2, within 1 at 0.1.
    people = [person([0, 1.9, 2.1, 0.9, 1.1, 0])] * 2
    assert score(people)['tPCK'] == pytest.approx(5 / 6)
    assert score(people, thr=0.1)['tPCK'] == pytest.approx(3 / 6)
    # 20 pixels, from the nose.
    assert score(people, ends=('nose', 'right_hip'))['tPCK'] == 1


def test_each_person_has_a_torso_of_its_own():
    small = person([0, 0, 1.9, 0, 0, 0], truth=TRUTH / 2)
    assert score([person([0, 0, 1.9, 0, 0, 0]), small])['tPCK'] == (
        pytest.approx(11 / 12))


@pytest.mark.parametrize('nobody', [
    person([9] * 6, visible=(1, 0, 1, 1, 1, 1)),
    person([9] * 6, truth=TRUTH * 0),
])
def test_a_person_without_a_torso_is_not_counted(nobody):
    assert score([person([0] * 6), nobody])['tPCK'] == 1


def test_unknown_joints_are_named():
    with pytest.raises(ValueError, match='tail'):
        score([person([0] * 6)], ends=('tail', 'right_hip'))
