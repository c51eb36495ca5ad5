"""The rates that frames are counted by: standard ones, where a film's own is near enough."""

from fractions import Fraction

_RATES = [Fraction(rate) for rate in (24, 25, 30, 48, 50, 60, 100, 120)] + [
    Fraction(rate * 1000, 1001) for rate in (24, 30, 48, 60, 120)
]


def nominal_rate(mean: Fraction) -> Fraction:
    """The standard rate within half a permille of the mean, or the mean itself in small numbers."""
    nearest = min(_RATES, key=lambda rate: abs(rate - mean))
    if abs(nearest - mean) * 2000 <= mean:
        return nearest
    return max(mean.limit_denominator(1001), Fraction(1, 1001))


def counting_rate(*known: Fraction | None) -> Fraction:
    """What timecodes count by: the first standard one of some rates, since gaps alter the mean of times."""
    rates = [nominal_rate(rate) for rate in known if rate]
    return next((rate for rate in rates if rate in _RATES), rates[0])
