"""A process that runs one item after the other for ``plan``.

It says in one line of JSON where it runs and what there is to run, then
answers each name it is given with a line. A kernel that reads memory it may
not spoils its process for good: a worker says so and is replaced.
"""
import json
import os
import platform
import sys
from collections.abc import Callable

import torch

from mmdense.analysis.benchmarks.check_gpu import (
    accuracy,
    device_tests,
    speed,
)
from mmdense.ops.backend import why_unavailable

BATCH = 64
SMALL_BATCH = 2


def machine(rehearse: bool) -> dict:
    """Return what the figures depend on."""
    import triton
    facts = dict(
        device="Triton's interpreter on a CPU",
        torch=torch.__version__,
        triton=triton.__version__,
        python=platform.python_version(),
        system=platform.platform(),
        cores=os.cpu_count(),
        batch=SMALL_BATCH if rehearse else BATCH)
    if not rehearse and torch.cuda.is_available():
        found = torch.cuda.get_device_properties(0)
        facts.update(
            device=found.name,
            memory_gib=round(found.total_memory / 2**30, 1),
            multiprocessors=found.multi_processor_count,
            capability=f'{found.major}.{found.minor}',
            cuda=torch.version.cuda,
            cudnn=torch.backends.cudnn.version())
    return facts


def parts(rehearse: bool) -> dict[str, dict[str, Callable[[], dict]]]:
    """Return all items by part and name."""
    device = torch.device('cpu' if rehearse else 'cuda')
    batch = SMALL_BATCH if rehearse else BATCH
    return dict(
        accuracy=accuracy.items(device, batch, rehearse),
        tests=device_tests.items(),
        speed=speed.items(device, 1 if rehearse else batch, rehearse))


def answer(item: Callable[[], dict], rehearse: bool) -> dict:
    """Run one item; ``spoilt`` says that this process is of no more use."""
    try:
        result = item()
    except Exception as error:  # a compiler, a driver, a peer
        result = dict(
            status='failed', reason=f'{type(error).__name__}: {error}')
    if rehearse:
        return result
    try:
        torch.cuda.synchronize()
        torch.cuda.empty_cache()
    except RuntimeError as error:
        result.setdefault('reason', str(error))
        result.update(status='failed', spoilt=True)
    return result


def main(argv: list[str]) -> None:
    rehearse = '--rehearse' in argv
    # What tests and peers print must not stand between the lines.
    lines = os.fdopen(os.dup(1), 'w')
    os.dup2(2, 1)

    def say(value: dict) -> None:
        lines.write(json.dumps(value) + '\n')
        lines.flush()

    problem = why_unavailable('triton')
    if problem:
        say(dict(problem=problem))
        return
    found = parts(rehearse)
    say(dict(
        machine=machine(rehearse),
        items={part: list(items) for part, items in found.items()}))
    for line in sys.stdin:
        part, name = json.loads(line)
        result = answer(found[part][name], rehearse)
        say(result)
        if result.get('spoilt'):
            return


if __name__ == '__main__':
    main(sys.argv[1:])
