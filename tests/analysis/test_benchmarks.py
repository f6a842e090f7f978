"""Ratios of alternated timings, told from calls whose cost is known."""
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from mmdense.analysis.benchmarks import rows
from mmdense.analysis.benchmarks.convolution_rows import Layer
from mmdense.analysis.benchmarks.measuring import (
    Ratio,
    compare,
    measure,
    use_threads,
)
from mmdense.analysis.benchmarks.memory import (
    peak_allocated_bytes,
    peak_extra_bytes,
)
from mmdense.analysis.benchmarks.peer_rows import static_positions
from mmdense.analysis.benchmarks.rows import Row, Setting, Size
from mmdense.analysis.benchmarks.shift_rows import grid_sample_shift
from mmdense.ops import adaptive_dilated_conv2d, channel_shift


class Machine:
    """A clock, and calls that take what they are told to."""

    def __init__(self):
        self.now, self.log = 0.0, []

    def call(self, name, *seconds):
        turns = iter(seconds * 1000)

        def run():
            self.now += next(turns)
            self.log.append(name)

        return run

    def compare(self, a, b, **arguments):
        return compare(
            self.call('a', *a), self.call('b', *b), clock=lambda: self.now,
            **arguments)


def test_ratio_of_a_call_three_times_as_long_is_three():
    ratio = Machine().compare([0.6], [0.2], repeats=4)
    assert ratio.median == pytest.approx(3)
    assert ratio.quartiles == pytest.approx((3, 3))
    assert ratio.a == pytest.approx([0.6] * 4)


def test_calls_alternate_and_the_order_turns_round():
    machine = Machine()
    machine.compare([1.0], [1.0], repeats=3, warm_up=1)
    assert ''.join(machine.log) == 'ab' + 'ba' + 'ab' + 'ba'


def test_warm_up_is_not_in_the_samples():
    machine = Machine()
    ratio = compare(
        machine.call('a', 9.0, 9.0, *[1.0] * 8), machine.call('b', 1.0),
        repeats=5, warm_up=2, clock=lambda: machine.now)
    assert ratio.a == (1.0, ) * 5


def test_one_call_is_measured_by_itself_and_after_its_warm_up():
    machine = Machine()
    call = machine.call('a', 9.0, 1.0, 2.0, 3.0)
    assert measure(
        call, repeats=3, warm_up=1,
        clock=lambda: machine.now) == pytest.approx((1, 2, 3))
    with pytest.raises(ValueError, match='measure: repeats .* got 0'):
        measure(call, repeats=0)


def test_slow_machine_for_a_while_moves_the_median_little():
    # Both ten times slower for two of seven repeats, as beside another job.
    slow = [1.0] + [1, 1, 10, 10, 1, 1, 1]
    ratio = Machine().compare([2 * s for s in slow], slow, repeats=7,
                              warm_up=1)
    assert ratio.median == pytest.approx(2)
    assert ratio.quartiles == pytest.approx((2, 2))


def test_ratio_is_of_medians_and_quartiles_are_of_pairs():
    ratio = Ratio((1., 2., 9., 4., 5.), (1., 1., 1., 2., 2.))
    assert ratio.median == 4 / 1
    assert ratio.quartiles == (2.0, 2.5)


def test_short_call_is_repeated_within_a_sample():
    machine = Machine()
    ratio = machine.compare([0.001], [1.0], repeats=1, warm_up=1)
    assert machine.log.count('a') == 1 + 5
    assert ratio.a[0] == pytest.approx(0.001)


def test_device_is_waited_for_around_every_sample():
    machine = Machine()
    compare(
        machine.call('a', 1.0), machine.call('b', 1.0), repeats=1, warm_up=1,
        synchronize=lambda: machine.log.append('.'),
        clock=lambda: machine.now)
    assert ''.join(machine.log) == '.a..b.' + '.b..a.'


@pytest.mark.parametrize('wrong', [dict(repeats=0), dict(warm_up=0)])
def test_no_sample_is_refused(wrong):
    with pytest.raises(ValueError, match='at least 1, got'):
        compare(lambda: None, lambda: None, **wrong)


def test_peak_counts_what_is_freed_before_the_call_ends():
    if not Path('/proc/self/clear_refs').exists():
        pytest.skip('resets the high-water mark as Linux does')

    def call():
        for _ in range(3):
            torch.ones(50_000_000, dtype=torch.uint8)

    extra = peak_extra_bytes(call, torch.device('cpu'))
    assert 45e6 < extra < 70e6


def test_allocated_peak_is_exact_and_the_same_in_every_run(capfd):

    def call():
        kept = torch.ones(1_000_000, dtype=torch.uint8)
        for _ in range(3):
            torch.ones(2_000_000, dtype=torch.uint8)
        return kept

    before = torch.ones(5_000_000)
    for _ in range(2):
        assert peak_allocated_bytes(call, torch.device('cpu')) == 3_000_000
    del before
    assert capfd.readouterr().err == ''


def test_allocated_peak_sees_what_an_operator_allocates_inside():
    layer = Layer(Size(8, 20, 30), 2, torch.device('cpu'))
    layer.adaptive()
    # The output, the gradients of x and of the weight, at the very least.
    least = 4 * (2 * 2 * 8 * 20 * 30 + 8 * 8 * 9)
    assert peak_allocated_bytes(layer.adaptive, torch.device('cpu')) > least


@pytest.mark.parametrize('ratio, at_most, verdict', [
    (1.2, True, 'goal'), (1.5, True, 'pass'), (1.51, True, 'miss'),
    (1.5, False, 'goal'), (1.3, False, 'miss')])
def test_verdict_knows_which_side_of_the_bar_is_good(
        ratio, at_most, verdict):
    row = Row('', '', 'float32', ratio, 1, 'ms', (1, 1), 1.5,
              1.2 if at_most else 1.5, at_most)
    assert row.verdict == verdict


def test_a_row_has_the_medians_also_of_an_even_number_of_samples(monkeypatch):
    monkeypatch.setattr(rows, 'compare', lambda *_, **__: Ratio(
        (1., 3.), (1., 1.)))
    row = rows.timed_row(Setting(torch.device('cpu'), 1, 2), '', '',
                         lambda: None, lambda: None)
    assert (row.a, row.b, row.ratio) == (2000, 1000, 2)


def test_peers_compute_what_the_operators_compute():
    deform = pytest.importorskip('mmcv.ops').deform_conv2d
    layer = Layer(Size(6, 5, 7), 2, torch.device('cpu'))
    torch.testing.assert_close(
        deform(layer.x, layer.offset, layer.weight, 1, 1, 1, 1, 6),
        adaptive_dilated_conv2d(
            layer.x, layer.weight, layer.rate, padding=1),
        rtol=1e-4, atol=1e-4)
    offset = torch.tensor([[1.25, -0.5]] * 6)
    base = F.affine_grid(torch.eye(2, 3)[None], [1, 1, 5, 7],
                         align_corners=True)[0]
    torch.testing.assert_close(
        grid_sample_shift(layer.x, offset, base),
        channel_shift(layer.x, offset), rtol=1e-4, atol=1e-4)


def test_learned_static_positions_are_those_of_the_rates():
    pytest.importorskip('DCLS.construct.modules')
    layer = Layer(Size(6, 5, 7), 1, torch.device('cpu'))
    torch.testing.assert_close(
        static_positions(layer)(layer.x),
        adaptive_dilated_conv2d(
            layer.x, layer.weight, layer.rate, padding=1),
        rtol=1e-4, atol=1e-4)


def test_threads_are_told_to_compiled_kernels_too():
    from torch._inductor import config
    before = torch.get_num_threads(), config.cpp.threads
    try:
        use_threads(1)
        assert (torch.get_num_threads(), config.cpp.threads) == (1, 1)
    finally:
        torch.set_num_threads(before[0])
        config.cpp.threads = before[1]
