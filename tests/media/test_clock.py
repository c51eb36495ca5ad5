"""Clocks that do not rightly say when a frame is shown, and those that nobody can mend."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.media.clock import ClockError, mend

STEP = Fraction(1001, 24)
MENDED = {
    "sound": ([3, 5, 9], (3, 5, 9), ""),
    "variable": ([0, 1, 500], (0, 1, 500), ""),
    "none": ([None] * 4, (0, 42, 83, 125), "4 missing"),
    "some": ([100, None, None, 250], (100, 142, 183, 250), "2 missing"),
    "none at first": ([None, 100, 150], (58, 100, 150), "1 missing"),
    "permuted": ([2, 1, 4, 3], (1, 2, 3, 4), "order of the pictures"),
}


@pytest.mark.parametrize("name", MENDED)
def test_what_can_be_mended_is_and_is_told(name):
    stamps, ticks, note = MENDED[name]
    clock = mend(stamps, STEP)
    assert clock.ticks == ticks and note in clock.note and bool(note) == bool(clock.note)


BROKEN = {
    "no rate": ([None, None], Fraction(0), "no frame rate"),
    "twice": ([1, 2, 2, 3], STEP, "1 and 2 are both at tick 2"),
    "jump": ([*range(1000, 1040), *range(40)], STEP, "jumps at frame 0"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_cannot_be_mended_says_where(name):
    stamps, step, reason = BROKEN[name]
    with pytest.raises(ClockError, match=reason):
        mend(stamps, step)


@given(
    st.lists(st.one_of(st.none(), st.integers(-(10**9), 10**9)), min_size=1, max_size=60),
    st.fractions(Fraction(1, 50), 4000),
)
def test_a_mended_clock_runs_forward_and_keeps_what_was_known(stamps, step):
    try:
        clock = mend(stamps, step)
    except ClockError:
        return
    assert len(clock.ticks) == len(stamps)
    assert all(before < after for before, after in zip(clock.ticks, clock.ticks[1:], strict=False))
    assert {stamp for stamp in stamps if stamp is not None} <= set(clock.ticks)


@given(st.integers(1, 500), st.fractions(1, 4000))
def test_made_up_clocks_do_not_drift(frames, step):
    ticks = mend([None] * frames, step).ticks
    assert all(abs(tick - number * step) <= Fraction(1, 2) for number, tick in enumerate(ticks))
