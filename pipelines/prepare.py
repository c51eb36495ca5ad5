"""From a job and its source to everything that has to be done: the film plan. Decides, renders nothing."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from pipelines.config import TitleJob
from pipelines.errors import InputError, UsageError
from pipelines.looks import looks_of_shots
from pipelines.media.encoding import Encoding, make_encoding
from pipelines.media.index import FilmIndex
from pipelines.media.probe import SourceInfo
from pipelines.media.scan import as_shown, field_order, needed
from pipelines.media.shots import find_cuts
from pipelines.media.tracks import DROPPED, Fate, decide
from pipelines.plan import Shard, plan_segments, plan_shards
from pipelines.planes import painted_format, yuv_format
from pipelines.timeline import FrameRange, Shot, shots_from_cuts
from stylecore.pixels import YuvFormat
from stylecore.spec import ENGINE_VERSION, StyleSpec


@dataclass(frozen=True)
class FilmPlan:
    """What will be done, decided before any engine starts. `styles[i]` is the look of `shots[i]`."""

    info: SourceInfo
    index: FilmIndex
    shots: tuple[Shot, ...]
    styles: tuple[StyleSpec, ...]
    shards: tuple[Shard, ...]
    shard_keys: tuple[str, ...]
    encoding: Encoding
    fates: tuple[Fate, ...]
    key: str

    @property
    def notes(self) -> tuple[str, ...]:
        """Every way in which the delivery will differ from the source, and what was made up."""
        found = (*self.encoding.notes, self.index.clock_note, self.index.scan_note)
        return tuple(note for note in found if note)

    @property
    def yuv_format(self) -> YuvFormat:
        """How the source's planes mean colour."""
        return yuv_format(self.info)

    @property
    def painted_format(self) -> YuvFormat:
        """How the delivery's planes do: what frames are painted in."""
        return painted_format(self.info, self.encoding)


def plan_film(job: TitleJob, info: SourceInfo, index: FilmIndex) -> FilmPlan:
    """Shots, looks, shards, encoding and the fate of every track."""
    suffix, index = Path(job.output).suffix, as_shown(index, job.scan)
    cuts = find_cuts(index.cut_scores) if job.cuts is None else job.cuts
    shots = shots_from_cuts(cuts, len(index.frames))
    styles = looks_of_shots(job, shots)
    encoding = make_encoding(job.encode_spec, info, index.timeline, suffix, field_order(index, job.scan))
    shards = plan_shards(plan_segments(shots), job.shard_frames)
    keys = [_shard_key(job, info, index, shots, styles, encoding, shard) for shard in shards]
    fates = tuple(decide(info, suffix))
    _refuse_drops(job, fates)
    return FilmPlan(
        info=info,
        index=index,
        shots=tuple(shots),
        styles=tuple(styles),
        shards=tuple(shards),
        shard_keys=tuple(keys),
        encoding=encoding,
        fates=fates,
        key=_digest(keys, [asdict(shot) for shot in shots], [asdict(style) for style in styles])[:16],
    )


def shards_of_shots(film: FilmPlan, numbers: Sequence[int]) -> list[int]:
    """Numbers of the shards that hold any frame of the shots."""
    unknown = set(numbers) - {shot.number for shot in film.shots}
    if unknown:
        raise UsageError(f"shot {min(unknown)} is not in this film; it has shots 1-{len(film.shots)}")
    wanted = [shot.frames for shot in film.shots if shot.number in set(numbers)]
    return [
        shard.number
        for shard in film.shards
        if any(frames.start < shard.frames.stop and shard.frames.start < frames.stop for frames in wanted)
    ]


def _shard_key(
    job: TitleJob,
    info: SourceInfo,
    index: FilmIndex,
    shots: Sequence[Shot],
    styles: Sequence[StyleSpec],
    encoding: Encoding,
    shard: Shard,
) -> str:
    """Identity of a shard's result: the pixels that go in, everything done to them, and nothing else."""
    touched = [
        (shot, style)
        for shot, style in zip(shots, styles, strict=True)
        if shot.frames.start < shard.frames.stop and shard.frames.start < shot.frames.stop
    ]
    first, last = touched[0][0].frames.start, touched[-1][0].frames.stop
    stored, seen = index.stored or index, needed(index, FrameRange(first, last))
    crcs = [facts.crc for facts in stored.frames[seen.start : seen.stop]]
    made = [each.since(seen.start) for each in index.pictures[first:last]]
    return _digest(
        ENGINE_VERSION,
        crcs,
        made,
        [(segment.start - first, len(segment)) for segment in shard.segments],
        [(shot.frames.start - first, len(shot.frames), style.digest) for shot, style in touched],
        encoding.digest,
        asdict(yuv_format(info)),
        job.engine_spec.device_class,
        job.tile,
    )[:20]


def _digest(*facts: object) -> str:
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()


def _refuse_drops(job: TitleJob, fates: Sequence[Fate]) -> None:
    dropped = [fate for fate in fates if fate.action == DROPPED]
    if dropped and not job.allow_drop:
        lost = "; ".join(f"track {fate.track.index} {fate.track.kind}: {fate.reason}" for fate in dropped)
        raise InputError(f"{lost}. Use --allow-drop to go on without, or another output container")
