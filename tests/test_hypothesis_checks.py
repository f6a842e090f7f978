"""Any arguments for the checks of arguments, backends and insertion."""
import math

import numpy as np
from any_arguments import (
    FLAG,
    NO_MAP,
    WRONG,
    arguments,
    profile,
    refusal_names,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from mmdense import arguments as checks
from mmdense.modules.insertable import Insertable
from mmdense.ops import available_backends, use_backend, why_unavailable


@settings(profile)
@given(arguments(inserted=FLAG), FLAG)
def test_a_module_is_inserted_or_not(case, before):
    module, other = Insertable(), Insertable()
    module.insert(before)
    try:
        module.insert(**case[0])
    except (TypeError, ValueError) as error:
        refusal_names(error, ['inserted'])
        assert case[1]
    else:
        before = case[0]['inserted']
    other.load_state_dict(module.state_dict())
    assert module.is_inserted == other.is_inserted == before


@settings(profile)
@given(st.sampled_from(['auto', 'cpu', 'reference', 'triton', 'gpu', 3, None]))
def test_a_backend_is_one_of_those_there_are(name):
    try:
        with use_backend(name):
            assert name == 'auto' or name in available_backends()
    except (RuntimeError, TypeError, ValueError) as error:
        refusal_names(error, ['backend'])
        assert name not in available_backends()
        if isinstance(error, RuntimeError):
            assert why_unavailable(name) in str(error)


@settings(profile)
@given(st.sampled_from([
    (checks.check_positive, 'sizes', lambda v: v >= 1),
    (lambda sizes: checks.check_at_least(-1, sizes=sizes), 'sizes',
     lambda v: v >= -1),
    (lambda shares: checks.check_sequence(shares=shares), 'shares',
     lambda v: isinstance(v, tuple)),
    (lambda sizes: checks.check_size(sizes, 'sizes'), 'sizes',
     lambda v: v == (3, 4)),
    (checks.check_pair, 'size', lambda v: np.min(v) >= 1),
    (checks.check_axes, 'x', None), (checks.check_map, 'x', None),
    (checks.check_share, 'shares', lambda v: 0 <= v <= 1),
    (lambda shares: checks.check_positive_number(shares=shares), 'shares',
     lambda v: 0 < v < math.inf),
    (lambda shares: checks.check_spread(shares=shares), 'shares',
     lambda v: 0 <= v < math.inf),
]), st.one_of(WRONG, st.integers(-2, 2), st.floats(), NO_MAP,
                 st.just((3, 4))))
def test_a_check_refuses_what_it_says(check, value):
    check, name, right = check
    try:
        if name in ('sizes', 'shares'):
            check(**{name: value})
        elif name == 'size':
            check(value, 1, 'size')
        elif check is checks.check_axes:
            check(value)
        else:
            check(value, None)
    except (TypeError, ValueError) as error:
        refusal_names(error, [name])
        assert not isinstance(value, int) or name == 'x' or not right(value)
    else:
        assert value.dim() == 4 if name == 'x' else right(value)
