import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.plan import SEGMENT_MAX_FRAMES, SEGMENT_MIN_FRAMES, plan_segments, plan_shards
from pipelines.timeline import shots_from_cuts

lengths = st.lists(st.integers(1, 900), min_size=1, max_size=30)


def shots_of(lengths):
    cuts, total = [], 0
    for length in lengths:
        total += length
        cuts.append(total)
    return shots_from_cuts(cuts, total)


@given(lengths)
def test_segments_cover_every_frame_once_and_can_be_encoded(lengths):
    segments = plan_segments(shots_of(lengths))
    assert [frame for segment in segments for frame in segment] == list(range(sum(lengths)))
    assert all(len(segment) <= SEGMENT_MAX_FRAMES + SEGMENT_MIN_FRAMES for segment in segments)
    assert sum(lengths) < SEGMENT_MIN_FRAMES or all(len(s) >= SEGMENT_MIN_FRAMES for s in segments)


@given(lengths, st.integers(1, 2000), st.integers(1, 2000))
def test_any_two_shard_plans_have_the_same_segments(lengths, one, other):
    segments = plan_segments(shots_of(lengths))
    for shard_frames in (one, other):
        shards = plan_shards(segments, shard_frames)
        assert [segment for shard in shards for segment in shard.segments] == segments
        assert [shard.number for shard in shards] == list(range(1, len(shards) + 1))
        assert all(len(shard.frames) <= shard_frames or len(shard.segments) == 1 for shard in shards)


@pytest.mark.parametrize(
    ("shot_lengths", "segment_lengths"),
    [
        ([30, 26, 40], [30, 26, 40]),  # shots are encoded one by one
        ([500], [166, 167, 167]),  # a long shot is cut evenly
        ([3, 40], [43]),  # a short shot joins the next
        ([40, 3], [43]),  # the last one joins the one before
        ([5], [5]),  # a film shorter than any segment is one
    ],
)
def test_how_shots_become_segments(shot_lengths, segment_lengths):
    assert [len(segment) for segment in plan_segments(shots_of(shot_lengths))] == segment_lengths


@given(lengths, st.data())
def test_a_segment_border_follows_from_its_own_neighbourhood(lengths, data):
    """Cutting a shot differently moves nothing up to the last but one shot before it that can stand alone."""
    place = data.draw(st.integers(0, len(lengths) - 1))
    changed = [*lengths[:place], lengths[place] + 1, *lengths[place + 1 :]]
    standing = [number for number in range(place) if lengths[number] >= SEGMENT_MIN_FRAMES]
    kept = sum(lengths[: standing[-2] + 1]) if len(standing) > 1 else 0
    before = [segment for segment in plan_segments(shots_of(lengths)) if segment.stop <= kept]
    assert sum(map(len, before)) == kept
    assert plan_segments(shots_of(changed))[: len(before)] == before
