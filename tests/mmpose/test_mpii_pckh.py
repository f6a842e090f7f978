"""PCKh@0.5, PCKh@0.1 and AUC against values worked out by hand."""
import numpy as np
import pytest

pytest.importorskip('mmpose')

from mmdense.registry import METRICS  # noqa: E402

HEAD = 10.


def evaluate(shares, visible=None, heads=None):
    """Metrics for joints that miss by ``shares`` (N, 16) of the head."""
    shares = np.asarray(shares, float)
    visible = np.ones(shares.shape, bool) if visible is None else visible
    heads = np.full(len(shares), HEAD) if heads is None else heads
    metric = METRICS.build(dict(type='mmdense.MpiiPCKh'))
    samples = []
    for share, seen, head in zip(shares, visible, heads, strict=True):
        truth = np.random.default_rng(0).uniform(20, 80, (1, 16, 2))
        # MPII's truth counts pixels from 1, predictions from 0.
        miss = np.stack([share * HEAD, 0 * share], -1)
        samples.append(
            dict(
                pred_instances=dict(keypoints=truth + miss - 1),
                gt_instances=dict(
                    keypoints=truth,
                    keypoints_visible=seen[None],
                    head_size=np.array([[head]]))))
    metric.process([], samples)
    return metric.evaluate(len(samples))


def test_perfect_joints_are_right_at_every_threshold_but_zero():
    got = evaluate(np.zeros((2, 16)))
    assert got['PCKh@0.5'] == got['PCKh@0.1'] == 100
    # a distance is below 50 of the 51 thresholds
    assert got['AUC'] == pytest.approx(100 * 50 / 51)


def test_figures_by_hand():
    # Of the 14 joints that count: 7 at 0.055, 4 at 0.305, 3 beyond 0.5.
    order = [j for j in range(16) if j not in (6, 7)]
    shares = np.zeros((1, 16))
    shares[0, order] = [.055] * 7 + [.305] * 4 + [.505] * 3
    got = evaluate(shares)
    assert got['PCKh@0.5'] == pytest.approx(100 * 11 / 14)
    assert got['PCKh@0.1'] == pytest.approx(100 * 7 / 14)
    # 0.06 ... 0.50 are 45 thresholds, 0.31 ... 0.50 are 20
    assert got['AUC'] == pytest.approx(100 * (7 * 45 + 4 * 20) / 14 / 51)


def test_agrees_with_the_hosts_figures():
    rng = np.random.default_rng(1)
    visible = rng.random((9, 16)) < 0.7
    got = evaluate(rng.uniform(0, 0.8, (9, 16)), visible)
    assert got['PCKh@0.5'] == pytest.approx(got['PCK'], rel=1e-6)
    assert got['PCKh@0.1'] == pytest.approx(got['PCK@0.1'], rel=1e-6)


def test_pelvis_thorax_and_unseen_joints_do_not_count():
    shares = np.zeros((1, 16))
    shares[0, [6, 7, 2]] = 9
    visible = np.ones((1, 16), bool)
    visible[0, 2] = False
    assert evaluate(shares, visible)['PCKh@0.1'] == 100


def test_each_person_is_measured_by_its_own_head():
    shares = np.full((2, 16), 0.2)
    got = evaluate(shares, heads=[HEAD, 10 * HEAD])
    assert got['PCKh@0.1'] == 50 and got['PCKh@0.5'] == 100


def test_a_head_without_length_is_left_out():
    shares = np.zeros((2, 16))
    shares[1] = 9
    got = evaluate(shares, heads=[HEAD, 0.])
    assert got['PCKh@0.5'] == 100
