"""Which backend runs, and what is said where one is not there."""
import re
import subprocess
import sys
import sysconfig
import warnings

import pytest
import torch

from mmdense.ops import (
    available_backends,
    backend,
    channel_shift,
    use_backend,
    why_unavailable,
)

X, OFFSET = torch.ones(1, 2, 3, 4), torch.zeros(2, 2)


@pytest.fixture
def no_library(monkeypatch):
    monkeypatch.setattr(backend, '_library_problem', 'nothing was built')
    monkeypatch.setattr(backend, '_told', set())


def test_the_reference_is_always_there():
    assert 'reference' in available_backends()
    assert why_unavailable('reference') is None


def test_only_backends_that_can_be_used_are_listed():
    for name in backend.BACKENDS:
        listed = name in available_backends()
        assert listed == (why_unavailable(name) is None)


def test_an_unknown_backend_is_named_with_those_there_are():
    with pytest.raises(ValueError, match="'triton'.*, got 'cuda'"):
        with use_backend('cuda'):
            pass


def test_asking_for_a_missing_backend_says_how_to_get_it(no_library):
    assert 'cpu' not in available_backends()
    with pytest.raises(RuntimeError, match='nothing was built; .*compiler'):
        with use_backend('cpu'):
            pass
    assert backend.asked() == 'auto'


def test_a_gpu_backend_without_a_gpu_says_what_to_do(monkeypatch):
    pytest.importorskip('triton')
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    monkeypatch.delenv('TRITON_INTERPRET', raising=False)
    with pytest.raises(RuntimeError, match='TRITON_INTERPRET=1'):
        with use_backend('triton'):
            pass


def test_without_triton_the_error_names_it(monkeypatch):
    monkeypatch.setattr(backend.importlib.util, 'find_spec',
                        lambda name: None)
    assert 'pip install triton' in why_unavailable('triton')


def test_the_fallback_is_told_once(no_library):
    with pytest.warns(UserWarning, match='slower reference backend: nothing'):
        assert torch.equal(channel_shift(X, OFFSET), X)
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        channel_shift(X, OFFSET)


def test_a_chosen_reference_warns_of_nothing(no_library):
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        with use_backend('reference'):
            channel_shift(X, OFFSET)


def test_choices_nest_and_end_with_their_block():
    with use_backend('reference'):
        with use_backend('auto'):
            assert backend.asked() == 'auto'
        assert backend.asked() == 'reference'
        with pytest.raises(KeyError):
            with use_backend('auto'):
                raise KeyError
        assert backend.asked() == 'reference'
    assert backend.asked() == 'auto'


def test_the_cpu_is_served_by_its_kernel():
    if 'cpu' not in available_backends():
        pytest.skip(why_unavailable('cpu'))
    assert backend.select(X, 'auto') == 'cpu'
    assert backend.select(X.half(), 'auto') == 'cpu'


def test_other_devices_are_served_by_the_reference():
    assert backend.select(X.to('meta'), 'auto') == 'reference'


def test_a_cpu_backend_refuses_other_devices():
    with pytest.raises(ValueError, match='must be on the CPU, got meta'):
        backend.select(X.to('meta'), 'cpu')


def test_a_gpu_backend_refuses_cpu_tensors(monkeypatch):
    monkeypatch.delenv('TRITON_INTERPRET', raising=False)
    with pytest.raises(ValueError, match='tensors must be on a GPU, got cpu'):
        backend.select(X, 'triton')


def test_a_gpu_backend_refuses_float64(monkeypatch):
    monkeypatch.setenv('TRITON_INTERPRET', '1')
    with pytest.raises(ValueError, match='got torch.float64'):
        backend.select(X.double(), 'triton')


@pytest.mark.parametrize('forward, after', [('reference', 'auto'),
                                            ('auto', 'reference')])
def test_a_backward_pass_stays_on_the_backend_of_its_forward(forward, after):
    x = X.clone().requires_grad_()
    with use_backend(forward):
        out = channel_shift(x, OFFSET)
    with use_backend(after):
        out.sum().backward()
    assert torch.equal(x.grad, X)


def library_name(version=torch.__version__):
    return ('_C_torch_' + re.sub(r'\W', '_', version)
            + sysconfig.get_config_var('EXT_SUFFIX'))


def test_the_library_of_this_torch_is_opened(tmp_path):
    (tmp_path / library_name()).write_bytes(b'no library')
    assert 'do not load (' in backend._load_library(tmp_path)


@pytest.mark.parametrize('name', [
    library_name('2.3.9+cpu'),
    library_name().replace('cpython-3', 'cpython-9'),
    # Those of earlier versions of mmdense do not say.
    '_C.cpython-311-x86_64-linux-gnu.so',
])
def test_a_library_built_for_another_torch_is_not_opened(
        name, tmp_path, monkeypatch):
    opened = []
    monkeypatch.setattr(torch.ops, 'load_library', opened.append)
    (tmp_path / name).write_bytes(b'no library')
    problem = backend._load_library(tmp_path)
    assert problem.startswith(f'the compiled CPU kernels ({name}) were not '
                              f'built for torch {torch.__version__} on Python')
    assert '\n' not in problem and not opened


def test_no_library_is_reported(tmp_path):
    assert 'without its compiled' in backend._load_library(tmp_path)


def test_compiled_code_follows_a_change_of_backend():
    if 'cpu' not in available_backends():
        pytest.skip(why_unavailable('cpu'))
    graphs = []

    def keep(module, inputs):
        graphs.append(str(module.graph))
        return module.forward

    compiled = torch.compile(channel_shift, backend=keep, fullgraph=True)
    compiled(X, OFFSET)
    with use_backend('reference'):
        compiled(X, OFFSET)
    assert 'mmdense' in graphs[0] and 'mmdense' not in graphs[1]


INTERPRETED = '''
import torch
from mmdense.ops import adaptive_dilated_conv2d, channel_shift, use_backend

def run(name):
    generator = torch.Generator().manual_seed(0)
    draw = lambda *s: torch.randn(s, generator=generator).requires_grad_()
    x, offset = draw(2, 3, 4, 5), draw(3, 2)
    weight, rate = draw(2, 3, 3, 3), draw(2, 3)
    with use_backend(name):
        out = adaptive_dilated_conv2d(channel_shift(x, offset), weight, rate,
                                      None, 1, 1)
    return out, *torch.autograd.grad(out.square().sum(),
                                     (x, offset, weight, rate))

for a, b in zip(run('triton'), run('reference'), strict=True):
    torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)
print('equal')
'''


@pytest.mark.skipif(
    torch.__version__ < (2, 5), reason='needs a later triton than 3.0')
def test_the_gpu_kernels_run_under_the_interpreter(monkeypatch):
    # In a process of its own: the interpreter is chosen at Triton's import.
    pytest.importorskip('triton')
    monkeypatch.setenv('TRITON_INTERPRET', '1')
    ran = subprocess.run([sys.executable, '-c', INTERPRETED],
                         capture_output=True,
                         text=True,
                         check=False)
    assert ran.stdout == 'equal\n', ran.stderr
