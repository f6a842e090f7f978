"""Peak memory of a call."""
import contextlib
import os
from collections.abc import Callable, Iterator

import torch
from torch.autograd.profiler import profile


@contextlib.contextmanager
def _profiler_in_silence() -> Iterator[profile]:
    """The profiler of allocations, which prints when it starts and ends."""
    errors = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)

    @contextlib.contextmanager
    def silence():
        os.dup2(nowhere, 2)
        try:
            yield
        finally:
            os.dup2(errors, 2)

    profiler = profile(profile_memory=True)
    try:
        with silence():
            profiler.__enter__()
        try:
            yield profiler
        finally:
            with silence():
                profiler.__exit__(None, None, None)
    finally:
        os.close(nowhere)
        os.close(errors)


def peak_allocated_bytes(call: Callable[[], object],
                         device: torch.device) -> int:
    """Return the most memory that PyTorch's allocator held during a call.

    What it held before does not count. On a CPU the profiler notes every
    block that is allocated and freed, also inside operators, so the result is
    the same in every run. Memory that a library takes without PyTorch is not
    seen.

    Args:
        call (Callable): What to measure. Call it once before: some libraries
            keep what they allocate at first.
        device (torch.device): Where it allocates.

    Returns:
        int: Bytes.
    """
    if device.type == 'cuda':
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        call()
        torch.cuda.synchronize(device)
        return torch.cuda.max_memory_allocated(device) - before
    with _profiler_in_silence() as profiler:
        call()
    held = most = 0
    for event in sorted(
            profiler.kineto_results.events(), key=lambda e: e.start_ns()):
        if event.name() == '[memory]':
            held += event.nbytes()
            most = max(most, held)
    return most


def _status_bytes(field: str) -> int:
    """Return a field of this process's Linux status file, in bytes."""
    with open('/proc/self/status') as status:
        for line in status:
            if line.startswith(field + ':'):
                return int(line.split()[1]) * 1024
    raise OSError(f'/proc/self/status has no {field}')


def peak_extra_bytes(call: Callable[[], object],
                     device: torch.device) -> int:
    """Return the peak memory of a call, beyond what was in use before.

    On a GPU this is what PyTorch's allocator counts. On a CPU it is the
    resident memory of the process, which includes what libraries allocate
    without PyTorch, onnxruntime for example. Call it once in a new process,
    where no memory that was freed earlier can be used again.

    Raises:
        OSError: On a CPU, if the system is not Linux.
    """
    if device.type == 'cuda':
        return peak_allocated_bytes(call, device)
    with open('/proc/self/clear_refs', 'w') as clear:
        clear.write('5')
    before = _status_bytes('VmRSS')
    call()
    return _status_bytes('VmHWM') - before
