from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.timeline import FrameRange, Timeline, parse_numbers, shots_from_cuts, touching


@given(st.integers(0, 10_000), st.integers(1, 5_000), st.integers(1, 50))
def test_pieces_of_a_range_are_even_and_cover_it_once(start, length, pieces):
    whole = FrameRange(start, start + length)
    parts = whole.split(min(pieces, length))
    assert [frame for part in parts for frame in part] == list(whole)
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


@given(st.lists(st.integers(-5, 500), max_size=40), st.integers(1, 400))
def test_shots_cover_a_film_once_whatever_the_cuts(cuts, frames):
    shots = shots_from_cuts(cuts, frames)
    assert [frame for shot in shots for frame in shot.frames] == list(range(frames))
    assert [shot.number for shot in shots] == list(range(1, len(shots) + 1))


@pytest.mark.parametrize(("start", "stop"), [(3, 3), (4, 2), (-1, 5)])
def test_empty_and_backward_ranges_are_refused(start, stop):
    with pytest.raises(ValueError, match="0 <= start < stop"):
        FrameRange(start, stop)


def test_a_variable_rate_keeps_every_tick():
    timeline = Timeline(Fraction(1, 1000), (0, 42, 83, 1600), 41)
    assert [timeline.duration_ticks(frame) for frame in range(4)] == [42, 41, 1517, 41]
    assert timeline.duration == Fraction(1641, 1000)


def test_a_clock_that_stands_still_is_refused():
    with pytest.raises(ValueError, match="frame 2 is at tick 5"):
        Timeline(Fraction(1, 25), (0, 5, 5), 1)


@pytest.mark.parametrize(
    ("text", "numbers"), [("3,7-9", [3, 7, 8, 9]), ("2", [2]), ("4-4, 1", [1, 4]), ("5-6,6", [5, 6])]
)
def test_lists_of_numbers(text, numbers):
    assert parse_numbers(text) == numbers


@pytest.mark.parametrize("text", ["", "a", "3-", "9-7", "1;2"])
def test_bad_lists_of_numbers_are_refused(text):
    with pytest.raises(ValueError):
        parse_numbers(text)


@given(st.lists(st.integers(1, 400), max_size=40), st.integers(0, 399), st.integers(1, 400))
def test_the_shots_of_a_range_are_those_that_overlap_it(cuts, start, length):
    shots, frames = shots_from_cuts(cuts, 400), FrameRange(start, min(400, start + length))
    assert shots[touching(shots, frames)] == [shot for shot in shots if shot.frames.overlap(frames)]
