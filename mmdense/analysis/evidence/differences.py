"""An arm against the baseline, seed by seed: mean, interval, verdict."""
import math
import statistics
from dataclasses import dataclass

__all__ = ['Difference', 'NO_DIFFERENCE', 'difference', 'half_interval']

NO_DIFFERENCE = 'no difference shown'


@dataclass(frozen=True)
class Difference:
    """An arm minus the baseline, over the seeds both have.

    ``baseline`` is the baseline's mean over these seeds. ``low`` and ``high``
    are the 95 % t interval of the mean difference, None with fewer than two
    pairs.
    """
    pairs: int
    baseline: float | None
    mean: float | None
    low: float | None
    high: float | None
    verdict: str


def difference(arm: dict[int, float],
               baseline: dict[int, float],
               better: str) -> Difference:
    """Compare two arms seed by seed.

    ``mean +- t(0.975, n - 1) s / sqrt(n)`` of the ``n`` differences, ``s``
    their standard deviation. The verdict follows the interval alone: it is
    'no difference shown' when that holds zero, or with fewer than two pairs.
    No correction is made for the number of comparisons: of twenty rows
    without any difference, one is expected to show one.

    Args:
        arm (dict[int, float]): Seed to figure.
        baseline (dict[int, float]): The same of the baseline.
        better (str): 'higher' or 'lower'.

    Raises:
        ValueError: If ``better`` is neither.
    """
    if better not in ('higher', 'lower'):
        raise ValueError(f"difference: better must be 'higher' or 'lower', "
                         f'got {better!r}')
    seeds = sorted(arm.keys() & baseline.keys())
    gains = [arm[seed] - baseline[seed] for seed in seeds]
    if not gains:
        return Difference(0, None, None, None, None, '-')
    mean = statistics.fmean(gains)
    level = statistics.fmean(baseline[seed] for seed in seeds)
    if len(gains) < 2:
        return Difference(1, level, mean, None, None, NO_DIFFERENCE)
    half = half_interval(gains)
    low, high = mean - half, mean + half
    if low <= 0 <= high:
        verdict = NO_DIFFERENCE
    else:
        verdict = 'better' if (mean > 0) == (better == 'higher') else 'worse'
    return Difference(len(gains), level, mean, low, high, verdict)


def half_interval(values: list[float]) -> float:
    """Half the width of the 95 % t interval of a mean; at least 2 values."""
    from scipy.stats import t
    spread = statistics.stdev(values)
    return float(t.ppf(0.975, len(values) - 1)) * spread / math.sqrt(
        len(values))
