"""Timecodes: every frame has one name, every name one frame; ranges are understood or refused."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.plan import SEGMENT_MIN_FRAMES, cut_shards, plan_segments, plan_shards
from pipelines.timecode import Counting, counted_at, counted_rate, format_timecode, parse_span, parse_timecode
from pipelines.timeline import FrameRange, Timeline, shots_from_cuts

NTSC, FILM = Fraction(30000, 1001), Fraction(24000, 1001)
RATES = [Fraction(rate) for rate in (12, 24, 25, 30, 48, 50, 60, 100, 120)] + [
    Fraction(rate * 1000, 1001) for rate in (24, 30, 48, 60, 120)
]
DROP_RATES = {NTSC: 2, Fraction(60000, 1001): 4}
A_DAY = 24 * 3600 * 120


@given(st.integers(0, A_DAY), st.sampled_from(RATES))
def test_a_frame_has_one_name_and_the_name_that_frame(frame, rate):
    assert parse_timecode(format_timecode(frame, rate), rate) == frame


@given(st.integers(0, A_DAY), st.sampled_from(sorted(DROP_RATES)))
def test_drop_frame_names_no_dropped_number_and_misses_no_frame(frame, rate):
    name = format_timecode(frame, rate, drop=True)
    assert parse_timecode(name, rate) == frame
    minute, second, count = (int(piece) for piece in name.replace(";", ":").split(":")[1:])
    assert count >= DROP_RATES[rate] or second > 0 or minute % 10 == 0


@given(st.integers(1, 24 * 60 - 1), st.sampled_from(sorted(DROP_RATES)))
def test_every_dropped_number_is_refused(minutes, rate):
    for count in range(DROP_RATES[rate]):
        name = f"{minutes // 60:02}:{minutes % 60:02}:00;{count:02}"
        if minutes % 10:
            with pytest.raises(ValueError, match="skips this name; the next is"):
                parse_timecode(name, rate)
        else:
            assert format_timecode(parse_timecode(name, rate), rate, drop=True) == name


def test_drop_frame_keeps_up_with_the_clock():
    """From SMPTE ST 12-1: an hour is 107,892 frames, and a day is 86.4 ms fast."""
    assert parse_timecode("01:00:00;00", NTSC) == 107_892
    assert parse_timecode("00:01:00;02", NTSC) == 1800 and parse_timecode("00:00:59;29", NTSC) == 1799
    assert parse_timecode("00:10:00;00", NTSC) == 17_982
    assert parse_timecode("01:00:00:00", NTSC) == 108_000
    assert abs(parse_timecode("24:00:00;00", NTSC) / NTSC - 86_400) < Fraction(1, 10)
    assert parse_timecode("01:00:00;00", Fraction(60000, 1001)) == 215_784


def steady(frames: int, rate: Fraction, base: Fraction = Fraction(1, 1000)) -> Timeline:
    """A constant rate on a coarse clock that starts late."""
    return Timeline(base, [round(10 / base + n / rate / base) for n in range(frames)], round(1 / rate / base))


@given(st.sampled_from(RATES), st.data())
def test_a_range_means_the_same_in_frames_and_in_timecodes(rate, data):
    timeline = steady(300, rate)
    start = data.draw(st.integers(0, 298))
    stop = data.draw(st.integers(start + 1, 300))
    counting = Counting(timeline, rate)
    assert counting.constant
    wanted = FrameRange(start, stop)
    assert counting.range(f"{start}-{stop}") == wanted
    assert counting.range(f"{counting.name(start)}-{counting.name(stop)}") == wanted
    assert counting.range(f"{start}-") == FrameRange(start, 300)
    assert counting.range(f"-{counting.name(stop)}") == FrameRange(0, stop)


VARIABLE = Timeline(Fraction(1, 1000), (500, 542, 583, 2100, 2600, 2640), 860)


@pytest.mark.parametrize(
    ("text", "start", "stop"),
    [
        ("00:00:01:00-", 2, 6),  # the long frame is on the screen from 0.083 to 1.600 s
        ("00:00:00:00-00:00:01:00", 0, 2),
        ("-00:00:03:00", 0, 6),  # where the film ends
        ("00:00:01:14-00:00:02:20", 2, 5),
        ("1-3", 1, 3),
    ],
)
def test_where_the_rate_varies_a_timecode_names_the_frame_shown(text, start, stop):
    counting = Counting(VARIABLE, Fraction(25))
    assert not counting.constant and counting.range(text) == FrameRange(start, stop)


@given(st.lists(st.integers(41, 3000), min_size=3, max_size=40))
def test_the_name_of_a_frame_is_a_time_at_which_it_is_shown(steps):
    """At 25 names a second, each frame that stays 41 ms or more has one."""
    pts = [sum(steps[:place]) for place in range(len(steps))]
    counting = Counting(Timeline(Fraction(1, 1000), pts, 41), Fraction(25))
    for frame in range(len(pts)):
        assert counting.range(f"{counting.name(frame)}-").start == frame


@pytest.mark.parametrize(
    ("text", "rate", "says"),
    [
        ("", 24, "write FIRST-END"),
        ("-", 24, "write FIRST-END"),
        ("240", 24, "write FIRST-END"),
        ("1-2-3", 24, "'2-3' is neither"),
        ("a-b", 24, "'a' is neither"),
        ("1.5-3", 24, "'1.5' is neither"),
        ("00:00:01-3", 24, "'00:00:01' is neither"),
        ("5-5", 24, "holds no frame"),
        ("7-5", 24, "runs backward"),
        ("48-", 24, "48 is past the end"),
        ("0-49", 24, "49 is past the end"),
        ("00:00:00:24-", 24, "frames here to 23"),
        ("00:60:00:00-", 24, "go to 59"),
        ("00:00:00;10-", 24, "29.97 or 59.94"),
        ("00:01:00;01-", NTSC, "next is 00:01:00;02"),
    ],
)
def test_what_is_no_range_of_the_film_is_refused(text, rate, says):
    counting = Counting(steady(48, Fraction(rate)), Fraction(rate))
    with pytest.raises(ValueError, match=says):
        counting.range(text)


def test_drop_frame_names_need_a_constant_rate():
    with pytest.raises(ValueError, match="constant rate"):
        Counting(VARIABLE, NTSC).range("00:00:01;00-")


def test_the_ends_of_a_range_are_read_before_the_film():
    assert parse_span("00:10:00;12 - 480") == ("00:10:00;12", "480")
    assert [counted_rate(rate) for rate in (NTSC, Fraction(25, 2), Fraction(1, 5))] == [30, 13, 1]


@given(
    st.lists(st.integers(1, 2000), max_size=30),
    st.integers(2, 2000),
    st.integers(1, 700),
    st.data(),
)
def test_a_range_cuts_the_films_shards(cuts, frames, shard_frames, data):
    """Exactly the range, in order, in segments long enough; shards wholly inside are the film's own."""
    shards = plan_shards(plan_segments(shots_from_cuts(cuts, frames)), shard_frames)
    start = data.draw(st.integers(0, frames - 1))
    wanted = FrameRange(start, data.draw(st.integers(start + 1, frames)))
    cut = cut_shards(shards, wanted)
    segments = [segment for shard in cut for segment in shard.segments]
    assert [frame for segment in segments for frame in segment] == list(wanted)
    assert len(segments) == 1 or min(map(len, segments)) >= SEGMENT_MIN_FRAMES
    whole = {shard.segments for shard in shards}
    strangers = [shard for shard in cut if shard.segments not in whole]
    assert all(shard in (cut[0], cut[-1]) for shard in strangers)
    assert [shard.number for shard in cut] == list(range(1, len(cut) + 1))


@pytest.mark.parametrize(
    ("text", "source_rate", "rate", "told"),
    [
        ("01:00:00;10", NTSC, NTSC, "01:00:00;10"),
        ("01:00:00;50", 2 * NTSC, 2 * NTSC, "01:00:00;50"),
        ("01:00:00;20", NTSC, FILM, "01:00:00:16"),
        ("01:00:00:28", NTSC, FILM, "01:00:00:22"),
        ("01:00:00:20", FILM, FILM, "01:00:00:20"),
        ("00:01:00;02", NTSC, 2 * NTSC, "00:01:00;04"),
        ("01:00:00:119", Fraction(120), Fraction(120), "01:00:00:119"),
        ("01:00:00:20", Fraction(50), Fraction(25), "01:00:00:20"),
        ("nothing of the kind", NTSC, FILM, "nothing of the kind"),
    ],
)
def test_a_first_timecode_is_counted_as_the_film_is(text, source_rate, rate, told):
    assert counted_at(text, source_rate, rate) == told
