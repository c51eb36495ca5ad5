"""How shards become batches, and how many there are of a long film."""

import random
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.attempts import FAILED, OK, ShardResult
from pipelines.batches import BATCH_SECONDS, plan_batches, seconds_per_frame
from pipelines.plan import Shard, plan_segments, plan_shards, usual_shard_frames
from pipelines.timeline import FrameRange, shots_from_cuts


def shards_of(lengths):
    made, start = [], 0
    for number, length in enumerate(lengths, start=1):
        made.append(Shard(number, (FrameRange(start, start + length),)))
        start += length
    return made


@pytest.mark.parametrize(
    ("lengths", "frame_seconds", "batches"),
    [
        ([480] * 2, 0.5, [(1, 2)]),  # eight minutes: one run
        ([480] * 6, 0.5, [(1, 2, 3), (4, 5, 6)]),  # 24 minutes: two of twelve
        ([480] * 6, 0.05, [(1, 2, 3, 4, 5, 6)]),
        ([480] * 3, 5.0, [(1,), (2,), (3,)]),  # a shard is never divided
        ([100, 2400, 100], 0.5, [(1,), (2, 3)]),
        ([], 0.5, []),
    ],
)
def test_batches(lengths, frame_seconds, batches):
    assert plan_batches(shards_of(lengths), frame_seconds, BATCH_SECONDS) == batches


@given(st.lists(st.integers(1, 500), min_size=1, max_size=300), st.floats(0.001, 5))
def test_every_shard_is_in_one_batch_of_ten_to_twenty_minutes(lengths, frame_seconds):
    shards = shards_of(lengths)
    batches = plan_batches(shards, frame_seconds, BATCH_SECONDS)
    assert [number for batch in batches for number in batch] == [shard.number for shard in shards]
    work = [sum(lengths[number - 1] for number in batch) * frame_seconds for batch in batches]
    longest = max(lengths) * frame_seconds
    assert max(work) <= BATCH_SECONDS + longest and len(batches) <= ceil(sum(work) / BATCH_SECONDS)
    if len(batches) > 1 and longest < BATCH_SECONDS / 10:
        assert min(work) >= BATCH_SECONDS / 2 - longest


def row(state, frames, seconds, device="cuda:0"):
    return ShardResult("k", 1, 1, state, device=device, start=0, stop=frames, wall_seconds=seconds)


def test_what_a_frame_costs_is_measured_on_what_was_rendered():
    rows = [row(OK, 100, 2.0), row(OK, 300, 6.0), row(FAILED, 100, 50.0), row(OK, 100, 90.0, "cpu")]
    assert seconds_per_frame(rows, "cuda:0", 1) == 0.02 and seconds_per_frame(rows, "cuda:0", 4) == 0.005
    assert seconds_per_frame([], "cpu", 2) > seconds_per_frame([], "cuda:0", 4) > 0


@pytest.mark.parametrize("hours", [0.1, 0.5, 0.7, 1, 2, 4])
def test_a_film_of_any_length_is_some_hundred_shards(hours):
    frames, chance = round(hours * 3600 * 24), random.Random(7)
    cuts = sorted(chance.sample(range(1, frames), round(hours * 1000)))
    shards = plan_shards(plan_segments(shots_from_cuts(cuts, frames)), usual_shard_frames(frames))
    assert len(shards) <= 200 and sum(len(shard.frames) for shard in shards) == frames
