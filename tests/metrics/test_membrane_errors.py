"""Errors of cell maps: hand-made cases and loops written from the text."""
import itertools

import cv2
import numpy as np
import pytest

from mmdense.metrics.membrane_errors import (
    RING,
    pixel_error,
    rand_error,
    simple_patterns,
    warp,
    warping_error,
)

SIDES = ((-1, 0), (0, -1), (0, 1), (1, 0))


def picture(*rows):
    """Cells are '#', membranes '.'."""
    return np.array([[c == '#' for c in row] for row in rows])


def pieces(inside, steps):
    """Piece of every pixel by flooding, -1 outside; and their number."""
    number = -np.ones(inside.shape, int)
    count = 0
    for start in zip(*np.nonzero(inside), strict=True):
        if number[start] >= 0:
            continue
        number[start], todo = count, [start]
        while todo:
            y, x = todo.pop()
            for dy, dx in steps:
                p = y + dy, x + dx
                if 0 <= p[0] < inside.shape[0] and \
                        0 <= p[1] < inside.shape[1] and \
                        inside[p] and number[p] < 0:
                    number[p] = count
                    todo.append(p)
        count += 1
    return number, count


def topology(cells):
    """Numbers of cells and of membranes, membrane all around."""
    framed = np.pad(cells, 1)
    return pieces(framed, SIDES)[1], pieces(~framed, RING)[1]


def noise(seed, shape=(9, 11), share=0.6, blur=0.8):
    values = np.random.default_rng(seed).normal(size=shape)
    values = cv2.GaussianBlur(values, (0, 0), blur)
    return values < np.quantile(values, share)


def naive_rand(predicted, truth):
    cell, piece = pieces(truth, SIDES)[0], pieces(predicted, SIDES)[0]
    pixels = list(zip(*np.nonzero(truth), strict=True))
    both = found = there = 0
    for p, q in itertools.product(pixels, pixels):
        together = p == q or piece[p] == piece[q] >= 0
        both += together and cell[p] == cell[q]
        found += together
        there += cell[p] == cell[q]
    if not pixels:
        return 0
    precision, recall = both / found, both / there
    return 1 - 2 * precision * recall / (precision + recall)


@pytest.mark.parametrize('seed', range(6))
def test_rand_error_is_the_count_over_all_pairs(seed):
    truth, predicted = noise(seed), noise(seed + 100)
    assert rand_error(predicted, truth) == pytest.approx(
        naive_rand(predicted, truth), abs=1e-12)


def test_rand_error_of_hand_made_cases():
    two = picture('##.##')
    assert rand_error(two, two) == 0
    # Joined: 8 of the 16 pairs it makes are right, none is missed.
    assert rand_error(picture('#####'), two) == pytest.approx(1 - 16 / 24)
    # One pixel of each cell lost: 4 pairs of pixels with themselves.
    assert rand_error(picture('#...#'), two) == pytest.approx(1 - 8 / 12)
    assert rand_error(picture('.....'), two) == pytest.approx(1 - 8 / 12)
    # Membrane pixels of the truth take no part.
    assert rand_error(picture('##.##.'), picture('##.##.')) == 0
    assert rand_error(picture('##.###'), picture('##.##.')) == 0
    assert rand_error(picture('#.'), picture('..')) == 0


def test_cells_at_a_corner_are_two():
    corner = picture('#.', '.#')
    assert rand_error(corner, picture('##', '##')) > 0


def test_a_pixel_is_simple_when_no_piece_comes_or_goes():
    for pattern, simple in enumerate(simple_patterns()):
        ring = np.zeros((3, 3), bool)
        for bit, (dy, dx) in enumerate(RING):
            ring[1 + dy, 1 + dx] = pattern >> bit & 1
        counts = []
        for value in (False, True):
            ring[1, 1] = value
            counts.append(topology(ring))
        assert simple == (counts[0] == counts[1]), ring


@pytest.mark.parametrize('seed', range(8))
def test_warping_keeps_the_topology_and_stops_when_no_flip_is_left(seed):
    truth, predicted = noise(seed, (14, 17)), noise(seed + 50, (14, 17))
    warped = warp(truth, predicted)
    assert topology(warped) == topology(truth)
    changed = warped != truth
    assert changed.any()
    assert (warped == predicted)[changed].all()
    for pixel in zip(*np.nonzero(warped != predicted), strict=True):
        flipped = warped.copy()
        flipped[pixel] ^= True
        assert topology(flipped) != topology(warped)


def test_a_shifted_or_thicker_membrane_is_no_warping_error():
    truth = picture('###.###', '###.###', '###.###')
    for predicted in (picture('##.####', '##.####', '##.####'),
                      picture('##...##', '#....##', '##...##'),
                      picture('####.##', '###.###', '##.####')):
        assert pixel_error(predicted, truth) > 0
        assert warping_error(predicted, truth) == 0


def test_a_thin_membrane_two_pixels_off_is_one_gone_and_one_come():
    truth = picture('###.###', '###.###', '###.###')
    predicted = np.roll(truth, 2, 1)
    # Descending: the pixels between agree already, so nothing may cross them.
    assert warping_error(predicted, truth) == pytest.approx(4 / 21)


def test_a_gap_costs_its_pixels_along_the_membrane():
    truth = np.ones((9, 9), bool)
    truth[:, 3:6] = False
    predicted = np.ones((9, 9), bool)
    predicted[:3, 4] = predicted[7:, 4] = False
    # Rows 3 to 6 have no membrane: one pixel each cannot be given up.
    assert warping_error(predicted, truth) == pytest.approx(4 / 81)


def test_a_wall_a_hole_and_a_stray_cell_cost_their_pixels():
    truth = np.ones((9, 9), bool)
    wall = truth.copy()
    wall[4] = False
    # All but one pixel of the wall can be built.
    assert warping_error(wall, truth) == pytest.approx(1 / 81)
    hole = truth.copy()
    hole[3:5, 3:6] = False
    assert warping_error(hole, truth) == pytest.approx(6 / 81)
    assert warping_error(~hole, ~truth) == pytest.approx(6 / 81)


def test_no_smaller_warping_exists_in_small_maps():
    """Every sequence of flips that keeps the topology, tried."""
    equal = 0
    for seed in range(8):
        truth, predicted = noise(seed, (4, 4)), noise(seed + 30, (4, 4))
        seen, todo, best = {truth.tobytes()}, [truth], truth.size
        kept = topology(truth)
        while todo:
            now = todo.pop()
            best = min(best, np.count_nonzero(now != predicted))
            for pixel in zip(*np.nonzero(now != predicted), strict=True):
                new = now.copy()
                new[pixel] ^= True
                if new.tobytes() not in seen and topology(new) == kept:
                    seen.add(new.tobytes())
                    todo.append(new)
        found = round(warping_error(predicted, truth) * truth.size)
        assert best <= found <= best + 2
        equal += found == best
    assert equal >= 6


def test_pixel_error_is_the_share_of_differing_pixels():
    assert pixel_error(picture('##..'), picture('#...')) == 0.25


@pytest.mark.parametrize('error', [pixel_error, rand_error, warping_error])
def test_maps_of_two_shapes_are_refused(error):
    with pytest.raises(ValueError, match=r'predicted and truth must have one '
                       r'size \(H, W\), got \(2, 3\) and \(3, 2\)'):
        error(np.ones((2, 3), bool), np.ones((3, 2), bool))
