"""What tests of several folders share."""
import importlib.util

import pytest
import torch

if importlib.util.find_spec('mmengine'):
    # Has the hosts' forks found before a test reads a config.
    import mmdense.registry  # noqa: F401

# How far a kernel may be from the reference, by dtype. The reference computes
# the half precisions in float32 and rounds once, so one rounding more is all
# a kernel may add to what float32 arithmetic in another order gives.
TOLERANCES = {
    torch.float64: dict(rtol=1e-10, atol=1e-10),
    torch.float32: dict(rtol=1e-4, atol=1e-5),
    torch.float16: dict(rtol=4e-3, atol=4e-3),
    torch.bfloat16: dict(rtol=3e-2, atol=3e-2),
}


@pytest.fixture
def tolerance():
    """``assert_close(a, b, **tolerance(dtype))``."""
    return TOLERANCES.__getitem__
