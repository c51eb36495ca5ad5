"""How long a film will take, what it will cost and how large it will be: arithmetic on a calibration."""

from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heapreplace

from pipelines.calibration import Calibration, look_of
from pipelines.painting import painted_of
from pipelines.plan import Shard
from pipelines.prepare import FilmPlan
from pipelines.timeline import Shot, touching
from stylecore.spec import StyleSpec


@dataclass(frozen=True)
class Forecast:
    """What it takes to render the rest of a film on one class of device."""

    device_class: str
    calibrated_frames: int
    seconds: float
    part_bytes: int
    """Of the parts that are still to be rendered."""
    delivery_bytes: int

    def cost(self, price_per_hour: float) -> float:
        """At the price of the machine."""
        return self.seconds / 3600 * price_per_hour


def forecast(
    film: FilmPlan, left: Sequence[int], known: Sequence[Calibration], finished_bytes: int, source_bytes: int
) -> Forecast:
    """What the shards `left` will take, by the calibrations of one class of device.

    `finished_bytes` are those of the parts that are there already.
    """
    shards = [film.shards[number - 1] for number in left]
    by_look = {row.look: row for row in known}
    rows = [by_look[look_of(style)] for style in film.styles]
    part_bytes = round(sum(_part_bytes(film, rows, shard) for shard in shards))
    picture_bytes = _pictures_bytes(film) if film.pictures else part_bytes + finished_bytes
    return Forecast(
        device_class=known[0].device_class,
        calibrated_frames=sum(row.frames for row in known),
        seconds=_wall_seconds([_shard_seconds(film, rows, shard) for shard in shards], known[0].at_once),
        part_bytes=part_bytes,
        delivery_bytes=picture_bytes + _other_tracks_bytes(film, source_bytes),
    )


def _wall_seconds(shards: Sequence[float], at_once: int) -> float:
    """Until all are done, when one begins as soon as another ends."""
    ends = [0.0] * at_once
    for seconds in shards:
        heapreplace(ends, ends[0] + seconds)
    return max(ends)


def _shard_seconds(film: FilmPlan, rows: Sequence[Calibration], shard: Shard) -> float:
    shown = touching(film.shots, shard.frames)
    shots = zip(film.shots[shown], film.styles[shown], rows[shown], strict=True)
    return sum(_shot_seconds(shot, style, row, shard) for shot, style, row in shots)


def _shot_seconds(shot: Shot, style: StyleSpec, row: Calibration, shard: Shard) -> float:
    """Frames that only lend their strokes are painted like the rest."""
    mine = shot.frames.overlap(shard.frames)
    return row.shot_seconds + len(painted_of(shot, style, mine)) * row.frame_seconds if mine else 0.0


def _part_bytes(film: FilmPlan, rows: Sequence[Calibration], shard: Shard) -> float:
    row = rows[touching(film.shots, shard.frames)][0]
    return sum(row.first_bytes + (len(segment) - 1) * row.next_bytes for segment in shard.segments)


def _other_tracks_bytes(film: FilmPlan, source_bytes: int) -> int:
    """Sound, subtitles and the like: what of the source's file is not picture."""
    stored = film.index.stored or film.index
    return max(0, source_bytes - sum(facts.size for facts in stored.packets))


def _pictures_bytes(film: FilmPlan) -> int:
    """Of numbered pictures, at the most: as if nothing could be saved."""
    return len(film.frames) * film.encoding.raw_frame_bytes
