"""What tests of several folders share."""
import functools
import gc
import importlib.util

import pytest
import torch

from mmdense.ops import available_backends, use_backend, why_unavailable

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


@pytest.fixture(autouse=True, scope='session')
def mmengine_repeats_nothing():
    """Leave out what mmengine does again for every config and training.

    - For each ``host::`` base it reads all of the host's model index, and the
      packages that are installed: 0.03 s for a config in place of 1 s.
    - It lays a config out as pretty text five times a training, which is most
      of the time of a short one.
    - Each data set collects garbage, of which what is imported is none.
    """
    if importlib.util.find_spec('mmengine') is None:
        yield
        return
    with pytest.MonkeyPatch.context() as patch:
        # A fork of mmengine may do without one of these.
        for part, name in (('utils', 'load'), ('config', 'is_installed')):
            module = importlib.import_module(f'mmengine.config.{part}')
            if hasattr(module, name):
                patch.setattr(
                    module, name, functools.cache(getattr(module, name)))
        patch.setattr('mmengine.config.config.FormatCode',
                      lambda text, **_: (text, True), raising=False)
        gc.freeze()
        yield


@pytest.fixture
def tolerance():
    """``assert_close(a, b, **tolerance(dtype))``."""
    return TOLERANCES.__getitem__


@pytest.fixture(params=['reference', 'cpu'])
def backend(request):
    """Run the operators on each backend that a CPU has; its name."""
    if request.param not in available_backends():
        pytest.skip(why_unavailable(request.param))
    with use_backend(request.param):
        yield request.param


@pytest.fixture
def cpu_kernel():
    """Skip where the compiled kernels are missing."""
    if 'cpu' not in available_backends():
        pytest.skip(why_unavailable('cpu'))
