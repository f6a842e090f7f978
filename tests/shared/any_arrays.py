"""Arrays of labels, and what is none, for tests over any arguments."""
import math

import numpy as np
import torch
from any_arguments import MISTAKES, SEED
from hypothesis import strategies as st

SHAPE = st.tuples(st.integers(1, 6), st.integers(1, 6))
NO_ARRAYS = st.sampled_from([
    *MISTAKES, [[1, 0]], np.zeros(()), np.zeros((2, 3, 4, 1), int),
    np.zeros((0, 3), int), np.array([['a']]), np.array([[None]]),
    np.array([[1j]]), np.array([[math.nan]]), np.array([[-1]]),
    np.array([[1.5]]), np.array([[10**12]]), np.array([[True]]),
    torch.zeros(2, 3)])
WRONG = st.one_of(NO_ARRAYS, st.sampled_from(MISTAKES))


def labels(shape, seed, values=(0, 1), dtype=np.uint8):
    """Blocks rather than noise, so that there is more than single pixels."""
    rng = np.random.default_rng(seed)
    small = rng.choice(values, [-(-s // 2) for s in shape])
    return np.kron(small, np.ones((2, 2), int))[:shape[0], :shape[1]].astype(
        dtype)


LABELS = st.builds(labels, SHAPE, SEED, st.sampled_from([
    (0, 1), (0, 1, 2), (0, 1, 1, 255), (1, ), (255, )]))
NUMBERS = st.builds(labels, SHAPE, SEED, st.just((0, 1, 2, 7)),
                    st.sampled_from([np.uint8, np.uint16, np.int64]))


def pieces(inside):
    """4-connected pieces by flooding: their number at each pixel, or 0."""
    found = np.zeros(inside.shape, int)
    for start in zip(*np.nonzero(inside), strict=True):
        todo, number = [start], found.max() + 1
        while todo and not found[start]:
            todo, found[start] = [start], number
            while todo:
                y, x = todo.pop()
                for p in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
                    if 0 <= p[0] < inside.shape[0] and \
                            0 <= p[1] < inside.shape[1] and \
                            inside[p] and not found[p]:
                        found[p] = number
                        todo.append(p)
    return found
