"""How a film's shards are spread over a pool of workers: batches of some minutes of work. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from math import ceil

from pipelines.attempts import OK, ShardResult
from pipelines.plan import Shard

BATCH_SECONDS = 1200.0
"""Batches are half of this to all of it; each costs a fresh process and its weights, some 15 s."""

_GUESSED_SECONDS_PER_FRAME = {"cpu": 0.5, "cuda": 0.03}
"""Until something of the film is rendered; a batch that takes longer hands back what is left."""


@dataclass(frozen=True)
class Pool:
    """Prefect's workers that shards are spread over, by the name of their work pool."""

    name: str
    batch_seconds: float = BATCH_SECONDS
    """The most work that one run on a worker should be."""


def seconds_per_frame(rows: Iterable[ShardResult], device: str, at_once: int) -> float:
    """What a frame of this film costs a worker that paints so many shards at once; a guess if none was."""
    done = [row for row in rows if row.state == OK and row.device == device]
    frames = sum(row.stop - row.start for row in done)
    if not frames:
        return _GUESSED_SECONDS_PER_FRAME[device.partition(":")[0]]
    return max(sum(row.wall_seconds for row in done) / frames / at_once, 1e-6)


def plan_batches(
    shards: Sequence[Shard], frame_seconds: float, batch_seconds: float
) -> list[tuple[int, ...]]:
    """Numbers of the shards in as few even runs as `batch_seconds` allows; a shard is never divided."""
    work = [len(shard.frames) * frame_seconds for shard in shards]
    total = sum(work)
    batches = ceil(total / batch_seconds)
    done, middles = 0.0, []
    for seconds in work:
        middles.append(done + seconds / 2)
        done += seconds
    placed = zip(shards, (int(middle / total * batches) for middle in middles), strict=True)
    return [
        tuple(shard.number for shard, _ in batch) for _, batch in groupby(placed, key=lambda item: item[1])
    ]
