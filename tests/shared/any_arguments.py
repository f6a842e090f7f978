"""What the tests over any arguments share.

Each has 12 examples; with ``HYPOTHESIS_PROFILE=nightly`` each has 240.
"""
import inspect
import os
import re
from datetime import timedelta

import torch
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

for name, examples in dict(ci=12, nightly=240).items():
    settings.register_profile(
        name,
        max_examples=examples,
        derandomize=name == 'ci',
        database=None,
        # A hang is what it finds; machines are busy.
        deadline=timedelta(minutes=2),
        suppress_health_check=list(HealthCheck))
profile = settings.get_profile(os.environ.get('HYPOTHESIS_PROFILE', 'ci'))

DTYPES = st.sampled_from([torch.float32, torch.float64, torch.bfloat16])
SEED = st.integers(0, 99)
SIZE = st.integers(1, 7)
FLAG = st.booleans()
ODD_SIDE = st.sampled_from([1, 3, 5])
# What somebody might write in a config by mistake.
MISTAKES = (None, 'a', 2.5, (), (1, 2, 3), -1, 0, float('nan'))
WRONG = st.sampled_from(MISTAKES)


def number(least, most):
    """Right most of the time."""
    return st.one_of(*[st.integers(least, most)] * 4, WRONG)


def tensor(shape, seed, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator).to(dtype)


def seeded(build):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return build()


def mirrored(position, size):
    """Where it lies in a mirrored line, by walking from end to end."""
    if size == 1:
        return 0
    while not 0 <= position < size:
        position = -position if position < 0 else 2 * size - 2 - position
    return position


SHAPE = st.lists(st.integers(0, 4), max_size=5).map(tuple)
MAYBE_MAP = st.one_of(
    st.builds(tensor, SHAPE, st.just(0), DTYPES),
    st.just(torch.ones(1, 2, 3, 3)), st.just(torch.ones(1, 2)),
    st.sampled_from([None, 3, 'x', torch.ones(1, 2, 3, 3).int()]))
ANY_MAP = st.builds(tensor, st.tuples(st.integers(1, 2), st.integers(1, 18),
                                      SIZE, SIZE), SEED)
NO_MAP = st.one_of(MAYBE_MAP, ANY_MAP)


@st.composite
def arguments(draw, wrong=WRONG, **right):
    """Right arguments, or all right but one, and the name of that."""
    given = {name: draw(values) for name, values in right.items()}
    spoilt = draw(st.sampled_from([None] * len(right) + list(right)))
    if spoilt is not None:
        given[spoilt] = draw(wrong)
    return given, spoilt


def refusal_names(error, names):
    assert any(re.search(rf'\b{name}\b', str(error)) for name in names), (
        f'{error!r} names none of {sorted(names)}')


def parameters_of(function):
    return set(inspect.signature(function).parameters)


def attempt(function, case):
    """The result, or None where a spoilt argument is refused by name."""
    given, spoilt = case
    try:
        return function(**given)
    except (TypeError, ValueError) as error:
        if spoilt is None:
            raise
        refusal_names(error, [spoilt])
        return None


def close(one, other, dtype=torch.float32):
    tolerance = 4e-2 if dtype == torch.bfloat16 else 1e-4
    torch.testing.assert_close(
        one, other, rtol=tolerance, atol=tolerance, equal_nan=True)
