"""Runs items in processes of their own, inside a budget of time."""
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import mmdense

# What Python is started with; `--rehearse` may follow.
WORKER = ['-m', 'mmdense.analysis.benchmarks.check_gpu.worker']
# Compilers take most of the time of accuracy and tests, so these run in
# several processes at once. Speed has the machine to itself.
PROCESSES = 4
# Of the time after the start; what is left over then waits until speed is
# measured.
BEFORE_SPEED = 0.55
# Seconds an item may take; a kernel that hangs takes no longer. An interpreter
# on a machine that does other things does.
ITEM = 120
INTERPRETED = 1200
START = 300
# Kept for stopping processes and writing files.
RESERVE = 5


@dataclass(frozen=True)
class Result:
    """How one item ended.

    Attributes:
        part (str): ``'accuracy'``, ``'tests'`` or ``'speed'``.
        name (str): Of the item.
        status (str): ``'ok'``, ``'failed'``, ``'miss'`` (a bar),
            ``'skipped'`` (a peer that is not installed) or ``'left out'``
            (no time).
        seconds (float): What it took.
        details (dict): What its part adds, a ``reason`` for example.
    """
    part: str
    name: str
    status: str
    seconds: float = 0.
    details: dict = field(default_factory=dict)


@dataclass
class Report:
    """What came out so far.

    Attributes:
        budget (float): Seconds.
        rehearsal (bool): Whether it ran under Triton's interpreter.
        machine (dict): What the figures depend on.
        results (list[Result]): In the order they ended.
        elapsed (float): Seconds until now.
    """
    budget: float
    rehearsal: bool
    machine: dict = field(default_factory=dict)
    results: list[Result] = field(default_factory=list)
    elapsed: float = 0.

    def named(self, part: str) -> list[Result]:
        """Return the results of a part."""
        return [result for result in self.results if result.part == part]

    @property
    def held(self) -> bool:
        """Whether everything ran and kept what it has to keep."""
        return bool(self.results) and all(
            result.status in ('ok', 'skipped') for result in self.results)


class Worker:
    """A process that runs items, and is replaced when one ends it.

    Args:
        rehearse (bool): Whether it runs on a CPU, under the interpreter.
        end (float): Until when it may work, on the clock of ``time``.
    """

    def __init__(self, rehearse: bool, end: float):
        self.rehearse, self.end = rehearse, end
        self.process = None
        self.late = False

    def hello(self) -> dict:
        """Start the process and return what it says of itself.

        Raises:
            RuntimeError: If it does not start.
        """
        # TRITON_INTERPRET has to stand when Triton is imported.
        environment = {
            key: value for key, value in os.environ.items()
            if key not in ('TRITON_INTERPRET', 'PYTEST_ADDOPTS')
        }
        root = str(Path(mmdense.__file__).parents[1])
        environment['PYTHONPATH'] = os.pathsep.join(
            filter(None, [root, environment.get('PYTHONPATH')]))
        if self.rehearse:
            environment['TRITON_INTERPRET'] = '1'
        # Beside the file, not a pipe: nobody reads it until there is a fault.
        self.errors = tempfile.TemporaryFile('w+', errors='replace')
        self.process = subprocess.Popen(
            [sys.executable, *WORKER,
             *(['--rehearse'] if self.rehearse else [])],
            env=environment,
            # Python looks for modules there first.
            cwd=root,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True)
        return self._read(START)

    def ask(self, part: str, name: str) -> dict:
        """Run one item and return its result.

        Raises:
            RuntimeError: If the process ends, or takes too long and is ended.
        """
        if self.process is None:
            self.hello()
        self.process.stdin.write(json.dumps([part, name]) + '\n')
        self.process.stdin.flush()
        result = self._read(INTERPRETED if self.rehearse else ITEM)
        if result.pop('spoilt', False):
            self.close()
        return result

    def _read(self, limit: float) -> dict:
        limit = max(min(limit, self.end - time.monotonic()), 0.1)
        self.late, process = False, self.process

        def stop():
            self.late = True
            process.kill()

        timer = threading.Timer(limit, stop)
        timer.start()
        line = process.stdout.readline()
        timer.cancel()
        if line:
            return json.loads(line)
        self.close()
        if self.late:
            raise RuntimeError(f'no answer in {limit:.0f} s')
        raise RuntimeError(f'the process ended: {self.said}')

    def close(self) -> None:
        """End the process, if there is one."""
        if self.process is None:
            return
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            try:
                stream.close()
            except OSError:  # what it was last asked is still in the pipe
                pass
        self.process = None
        self.errors.seek(0)
        self.said = self.errors.read()[-2000:].strip() or 'without a word'
        self.errors.close()


def _work(worker: Worker, waiting: deque, until: float,
          note: Callable[[Result], None]) -> None:
    """Take items until there are none or the time is up."""
    while time.monotonic() < until:
        try:
            part, name = waiting.popleft()
        except IndexError:
            break
        start = time.monotonic()
        try:
            details = worker.ask(part, name)
        except (RuntimeError, OSError) as error:
            worker.close()
            over = worker.late and time.monotonic() >= worker.end - 1
            details = dict(
                status='left out' if over else 'failed', reason=str(error))
        note(Result(part, name, details.pop('status'),
                    time.monotonic() - start, details))


def run(budget: float,
        only: list[str] | None = None,
        rehearse: bool = False,
        note: Callable[[Report, Result | None], None] = lambda *_: None
        ) -> Report:
    """Run tests, accuracy and speed; what one item does harms no other.

    Args:
        budget (float): Seconds for all of it. Items for which there is no
            time are left out, and said to be.
        only (list[str], optional): Run the items whose part and name, as
            ``'PART: NAME'``, hold one of these texts.
        rehearse (bool): Run small sizes on a CPU under Triton's interpreter.
        note (Callable): Is told of every result, and once without one when
            the machine is known; one call at a time.

    Returns:
        Report: Everything that came out.

    Raises:
        ValueError: If the Triton kernels cannot run here, or ``only`` fits
            no item.
    """
    start = time.monotonic()
    end = start + budget - RESERVE
    report, lock = Report(budget, rehearse), threading.Lock()

    def add(result: Result | None) -> None:
        with lock:
            report.elapsed = time.monotonic() - start
            if result is not None:
                report.results.append(result)
            note(report, result)

    first = Worker(rehearse, end)
    try:
        hello = first.hello()
    except RuntimeError as error:
        raise ValueError(f'check_gpu: {error}') from None
    if 'problem' in hello:
        first.close()
        raise ValueError(f'check_gpu: {hello["problem"]}')
    report.machine = hello['machine']
    add(None)
    items = [(part, name) for part, names in hello['items'].items()
             for name in names
             if not only or any(text in f'{part}: {name}' for text in only)]
    if not items:
        first.close()
        raise ValueError('check_gpu: --only must be part of the name of an '
                         f'item, got {only}')
    speed = deque(item for item in items if item[0] == 'speed')
    others = deque(item for item in items if item[0] != 'speed')
    now = time.monotonic()
    share = now + BEFORE_SPEED * (end - now) if speed else end
    count = 1 if rehearse else min(PROCESSES, max((os.cpu_count() or 2) // 2,
                                                  1))
    workers = [first, *(Worker(rehearse, end) for _ in range(count - 1))]

    def together(waiting: deque, until: float, hands: list[Worker]) -> None:
        threads = [
            threading.Thread(target=_work, args=(hand, waiting, until, add))
            for hand in hands
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        # The first goes on: to start another takes time.
        for hand in hands[1:]:
            hand.close()

    try:
        together(others, share, workers)
        together(speed, end, workers[:1])
        together(others, end, workers)
    finally:
        for worker in workers:
            worker.close()
    for part, name in (*others, *speed):
        add(Result(part, name, 'left out',
                   details=dict(reason='the budget was used up')))
    report.elapsed = time.monotonic() - start
    return report
