"""The stand-in operators answer what the compiled mmcv answers."""
import numpy as np
import pytest
import torch
from mmcv_ops_cases import (
    CASES,
    RECORDED,
    answer,
    answered_by,
    compiled_operators,
    widest,
)

OPERATORS = pytest.importorskip('mmcv_ops_torchvision').OPERATORS
pytest.importorskip('mmcv')
COMPILED = compiled_operators()


@pytest.fixture
def ours():
    with answered_by(OPERATORS):
        yield


@pytest.mark.skipif(COMPILED is None, reason='needs a compiled mmcv')
@pytest.mark.parametrize(
    'name, dtype',
    [(name, dtype) for name, (_, _, dtypes) in CASES.items()
     for dtype in dtypes])
def test_equals_compiled_mmcv(name, dtype, tolerance):
    with answered_by(COMPILED):
        wanted = answer(name, dtype)
    with answered_by(OPERATORS):
        got = answer(name, dtype)
    torch.testing.assert_close(got, wanted, **tolerance(dtype))


@pytest.mark.parametrize('name', CASES)
def test_equals_recorded_numbers(name, ours):
    with np.load(RECORDED) as recorded:
        wanted = [
            torch.from_numpy(recorded[f'{name}/{i}'])
            for i in range(len(answer(name, widest(name))))
        ]
    for got, numbers in zip(answer(name, widest(name)), wanted, strict=True):
        torch.testing.assert_close(
            got, numbers.to(got.dtype), rtol=1e-6, atol=1e-6)


def test_every_case_is_recorded_and_small():
    with np.load(RECORDED) as recorded:
        assert {name.rsplit('/', 1)[0] for name in recorded} == set(CASES)
    assert RECORDED.stat().st_size < 200_000
