"""Windows: frames on a clock of their own, packets that overlap, and what is open at the film's own ends."""

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from pipelines.excerpt import WHOLE, Window, ends, excerpt, pictures_excerpt
from pipelines.timeline import FrameRange, Timeline

SECONDS = st.fractions(-5, 50, max_denominator=48_000)


@st.composite
def films(draw):
    """A film of any rate, and a range of its frames."""
    first = draw(st.integers(0, 5_000))
    steps = draw(st.lists(st.integers(1, 3_000), min_size=1, max_size=30))
    pts = tuple(first + sum(steps[:place]) for place in range(len(steps)))
    start = draw(st.integers(0, len(pts) - 1))
    stop = draw(st.integers(start + 1, len(pts)))
    return Timeline(Fraction(1, 1000), pts, draw(st.integers(1, 500))), FrameRange(start, stop)


@given(films())
def test_frames_keep_their_distances_and_durations(film):
    timeline, frames = film
    for cut, window in (excerpt(timeline, frames), pictures_excerpt(timeline, frames)):
        assert len(cut) == len(frames)
        for place, frame in enumerate(frames):
            assert cut.pts[place] * cut.time_base + window.origin == timeline.pts[frame] * timeline.time_base
            assert cut.duration_ticks(place) == timeline.duration_ticks(frame)


@given(films())
def test_pictures_begin_at_zero_and_ranges_too_unless_they_begin_with_the_film(film):
    timeline, frames = film
    assert pictures_excerpt(timeline, frames)[0].pts[0] == 0
    assert excerpt(timeline, frames)[0].pts[0] == (0 if frames.start else timeline.pts[0])
    if len(frames) == len(timeline):
        assert excerpt(timeline, frames) == (timeline, WHOLE)


@given(SECONDS, SECONDS, st.lists(st.fractions(0, 3, max_denominator=1000), min_size=1, max_size=20))
def test_neighbouring_windows_share_only_what_lasts_over_their_border(begin, border, lengths):
    """Every packet is in one of two windows that meet, and in both only if it plays on both sides."""
    before, after = Window(stop=border), Window(start=border, origin=border)
    for length in lengths:
        end = begin + length
        both = before.takes(begin, end) and after.takes(begin, end)
        assert before.takes(begin, end) or after.takes(begin, end)
        assert both == (begin < border < end)
        if after.takes(begin, end):
            cut = after.cut(begin, end)
            assert cut[0] >= 0 and cut[1] - cut[0] <= length
        begin = end


@given(SECONDS, SECONDS, st.fractions(0, 3, max_denominator=1000))
def test_beside_pictures_nothing_begins_early(border, begin, length):
    window = Window(start=border, origin=border, early=False)
    assert window.takes(begin, begin + length) == (begin >= border)


def test_a_packet_without_a_duration_lasts_until_the_next():
    begins, durations = [Fraction(0), Fraction(1), Fraction(4)], [Fraction(1, 2), Fraction(0), Fraction(0)]
    assert ends(begins, durations)[:2] == [Fraction(1, 2), Fraction(4)]
    assert ends(begins, durations)[2] > 10**6
