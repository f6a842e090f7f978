"""Synthetic people: joints where the picture shows them."""
import json

import numpy as np
import pytest
from scipy.io import loadmat

from mmdense.datasets import make_pose_set
from mmdense.datasets.synthetic.figure import (
    COCO_JOINTS,
    COCO_SKELETON,
    MPII_JOINTS,
    random_figure,
)
from mmdense.datasets.synthetic.placed import Placed
from mmdense.datasets.synthetic.pose import (
    DIFFICULTIES,
    describe_person,
    pose_scene,
)

HEIGHT, WIDTH = 128, 96
KINDS = ('stand', 'walk', 'raise', 'hips', 'reach', 'sit', 'crouch', 'free')


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    return make_pose_set(
        tmp_path_factory.mktemp('people') / 'set', train=24, val=6,
        size=(HEIGHT, WIDTH), seed=4, workers=1)


@pytest.fixture(scope='module')
def coco(root):
    path = root / 'annotations/person_keypoints_train.json'
    return json.loads(path.read_text())


def placed(seed, yaw, kinds=KINDS, size=220, roll=0.0):
    """A figure in the middle of a picture a little larger than itself."""
    figure = random_figure(np.random.default_rng(seed), kinds, yaw, roll)
    low, high = figure.extent()
    scale = size / (high - low).max()
    middle = np.array([size, size]) / 2 + 10
    return Placed(figure, scale, middle - scale * (low + high) / 2 * [1, -1])


def painted(person, size=240):
    image = np.zeros((size, size, 3), np.float32)
    return image, person.paint(image, np.array([0, 0, 1], np.float32))


def test_labelled_joints_lie_inside_the_image(coco):
    for person in coco['annotations']:
        joints = np.array(person['keypoints']).reshape(17, 3)
        assert set(joints[:, 2]) <= {0, 1, 2}
        known = joints[joints[:, 2] > 0]
        assert (known[:, :2] >= 0).all()
        assert (known[:, :2] <= [WIDTH - 1, HEIGHT - 1]).all()
        assert (joints[joints[:, 2] == 0] == 0).all()
        assert person['num_keypoints'] == len(known) > 0


def test_boxes_lie_inside_the_image_and_hold_the_area(coco):
    for person in coco['annotations']:
        x, y, w, h = person['bbox']
        assert x >= 0 and y >= 0 and w > 0 and h > 0
        assert x + w <= WIDTH and y + h <= HEIGHT
        assert 0 < person['area'] <= w * h


def test_all_three_visibilities_occur(coco):
    flags = {v for p in coco['annotations'] for v in p['keypoints'][2::3]}
    assert flags == {0, 1, 2}


def test_people_differ_in_size_by_a_factor_of_four(coco):
    longest = [max(p['bbox'][2:]) for p in coco['annotations']]
    assert max(longest) / min(longest) >= 4


def test_every_picture_is_listed_and_written_at_its_size(root, coco):
    import cv2
    assert len(coco['images']) == 24
    for entry in coco['images']:
        image = cv2.imread(str(root / 'images' / entry['file_name']))
        assert image.shape == (entry['height'], entry['width'], 3)
        assert image.shape[:2] == (HEIGHT, WIDTH)


def test_the_category_names_joints_and_skeleton_of_coco(coco):
    category, = coco['categories']
    assert tuple(category['keypoints']) == COCO_JOINTS
    assert tuple(map(tuple, category['skeleton'])) == COCO_SKELETON


@pytest.mark.parametrize('yaw', [0, 0.8, 1.6, 2.4, np.pi, -0.8, -1.6])
def test_seen_joints_lie_on_the_figure(yaw):
    for seed in range(6):
        person = placed(seed, yaw)
        _, mask = painted(person)
        at = np.rint(person.joints(COCO_JOINTS)).astype(int)
        seen = person.seen(COCO_JOINTS)
        assert (mask[at[seen, 1], at[seen, 0]] > 0.5).all()


def test_front_and_back_views_mirror_left_and_right():
    for seed in range(8):
        for yaw, sign in ((0, 1), (np.pi, -1)):
            person = placed(seed, yaw, ('stand', ))
            x = dict(zip(COCO_JOINTS, person.joints(COCO_JOINTS)[:, 0],
                         strict=True))
            for joint in ('shoulder', 'hip'):
                assert sign * (x[f'left_{joint}'] - x[f'right_{joint}']) > 0


def test_the_face_is_seen_from_the_front_only():
    face = ('nose', 'left_eye', 'right_eye')
    for seed in range(8):
        assert placed(seed, 0, ('stand', )).seen(face).all()
        assert not placed(seed, np.pi, ('stand', )).seen(face).any()


def test_toes_and_nose_point_where_the_figure_faces():
    for seed in range(8):
        person = placed(seed, np.pi / 2, ('stand', ))
        nose, neck = person.joints(('nose', 'upper_neck'))
        assert nose[0] > neck[0]
        feet = [p for p in person.figure.parts if p.name.endswith('foot')]
        for foot in feet:
            heel, toes = person.pixels(foot.points)
            assert toes[0] > heel[0]


def test_the_far_side_is_hidden_in_profile():
    names = ('left_shoulder', 'right_shoulder')
    seen = np.array([placed(seed, np.pi / 2, ('stand', )).seen(names)
                     for seed in range(10)])
    # Facing right, the right side is near.
    assert seen[:, 1].all() and seen[:, 0].mean() < 0.3


def test_what_is_painted_over_a_joint_hides_it():
    person = placed(1, 0, ('stand', ))
    _, mask = painted(person)
    cover = np.zeros_like(mask)
    free = np.array(describe_person(person, mask, [])['coco'])
    knee = COCO_JOINTS.index('left_knee')
    x, y = np.rint(free[knee, :2]).astype(int)
    cover[y - 3:y + 4, x - 3:x + 4] = 1
    hidden = describe_person(person, mask, [cover])
    changed = np.flatnonzero(np.array(hidden['coco'])[:, 2] != free[:, 2])
    assert free[knee, 2] == 2 and changed.tolist() == [knee]
    assert hidden['coco'][knee][2] == 1
    assert describe_person(person, mask, [np.ones_like(mask)]) is None


def test_a_joint_outside_the_image_is_not_labelled():
    person = placed(1, 0, ('stand', ))
    _, mask = painted(person)
    below = 160
    record = describe_person(person, mask[:below], [])
    joints, all_joints = np.array(record['coco']), person.joints(COCO_JOINTS)
    outside = all_joints[:, 1] > below - 1
    assert outside.any() and (joints[outside] == 0).all()
    assert (joints[~outside, 2] > 0).all()
    assert [-1, -1, 0] in record['mpii']


def test_colour_does_not_tell_left_from_right():
    samples = dict(left=[], right=[])
    limbs = [n for n in COCO_JOINTS[5:] if n.startswith('left')]
    for seed in range(150):
        person = placed(seed, np.random.default_rng(seed).uniform(-3, 3),
                        DIFFICULTIES['easy']['kinds'], size=60)
        image, _ = painted(person, 80)
        for side, found in samples.items():
            names = [n.replace('left', side) for n in limbs]
            at = np.rint(person.joints(names)).astype(int)
            found.append(image[at[:, 1], at[:, 0]])
    # People, joints, channels.
    left, right = (np.array(samples[s]) for s in ('left', 'right'))
    differs = left - right
    error = differs.std(0) / np.sqrt(len(differs))
    assert (np.abs(differs.mean(0)) < 3 * error).all()


def test_easy_hides_less_than_hard():

    def hidden(difficulty):
        flags = [v for i in range(15) for person in pose_scene(
            np.random.default_rng(i), (64, 64), difficulty, i)[1]
                 for _, _, v in person['coco']]
        return np.mean(np.array(flags) < 2)

    assert hidden('easy') < 0.75 * hidden('hard')


def test_mpii_and_coco_describe_the_same_people(root, coco):
    mpii = json.loads((root / 'annotations/mpii_train.json').read_text())
    assert len(mpii) == len(coco['annotations'])
    for one, other in zip(mpii, coco['annotations'], strict=True):
        joints = np.array(other['keypoints']).reshape(17, 3)
        assert int(one['image'].split('.')[0]) == other['image_id']
        assert one['scale'] == pytest.approx(max(other['bbox'][2:]) / 200)
        for k, name in enumerate(MPII_JOINTS):
            if name not in COCO_JOINTS:
                continue
            x, y, v = joints[COCO_JOINTS.index(name)]
            assert one['joints_vis'][k] == (v > 0)
            # MPII counts from 1.
            wants = [x + 1, y + 1] if v else [-1, -1]
            assert one['joints'][k] == pytest.approx(wants, abs=1e-6)


def test_head_boxes_enclose_eyes_and_nose(root):
    boxes = loadmat(root / 'annotations/mpii_gt_val.mat')['headboxes_src']
    people = json.loads(
        (root / 'annotations/person_keypoints_val.json').read_text())
    assert boxes.shape == (2, 2, len(people['annotations']))
    for k, person in enumerate(people['annotations']):
        (x1, y1), (x2, y2) = boxes[..., k] - 1
        joints = np.array(person['keypoints']).reshape(17, 3)[:3]
        # A nose sticks out of the head a little.
        slack = 0.15 * (y2 - y1)
        for x, y in joints[joints[:, 2] > 0, :2]:
            assert x1 - slack <= x <= x2 + slack
            assert y1 - slack <= y <= y2 + slack


def test_mmpose_reads_the_coco_set(root, coco):
    pytest.importorskip('mmpose')
    from mmpose.datasets import CocoDataset
    data = CocoDataset(
        ann_file='annotations/person_keypoints_train.json',
        data_root=str(root), data_prefix=dict(img='images/'))
    assert len(data) == len(coco['annotations'])
    wants = np.array(coco['annotations'][0]['keypoints']).reshape(1, 17, 3)
    np.testing.assert_allclose(data[0]['keypoints'], wants[..., :2], rtol=1e-6)
    assert data.metainfo['keypoint_id2name'] == dict(enumerate(COCO_JOINTS))


def test_mmpose_reads_the_mpii_set_and_its_head_boxes(root):
    pytest.importorskip('mmpose')
    from mmpose.datasets import MpiiDataset
    from mmpose.evaluation.metrics import MpiiPCKAccuracy
    data = MpiiDataset(
        ann_file='annotations/mpii_val.json', data_root=str(root),
        headbox_file=str(root / 'annotations/mpii_gt_val.mat'),
        data_prefix=dict(img='images/'), test_mode=True)
    assert data.metainfo['keypoint_id2name'] == dict(enumerate(MPII_JOINTS))
    metric = MpiiPCKAccuracy()
    for k in range(len(data)):
        item = data[k]
        truth = dict(
            keypoints=item['keypoints'], head_size=item['head_size'],
            keypoints_visible=item['keypoints_visible'][..., None])
        # What a perfect network says, counted from 0.
        guess = dict(keypoints=item['keypoints'] - 1)
        metric.process(None, [dict(gt_instances=truth, pred_instances=guess)])
    assert metric.evaluate(len(data))['PCK@0.1'] == pytest.approx(100)
