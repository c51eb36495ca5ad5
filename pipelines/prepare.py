"""From a job and its source to everything that has to be done: the film plan. Decides, renders nothing."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from math import floor
from pathlib import Path

from pipelines.companions import fates_of, refuse_drops
from pipelines.credentials import hide_secrets
from pipelines.errors import InputError, UsageError
from pipelines.excerpt import Window, excerpt, pictures_excerpt
from pipelines.jobs import TitleJob
from pipelines.looks import looks_of_shots
from pipelines.media.encoding import Encoding, encode_parts, make_encoding, refuse_unheld
from pipelines.media.fitting import fit
from pipelines.media.index import FilmIndex
from pipelines.media.original import Original
from pipelines.media.pictures import Pictures, is_sequence, make_pictures
from pipelines.media.scan import as_shown, field_order, needed
from pipelines.media.shots import find_cuts
from pipelines.media.source_info import SourceInfo
from pipelines.media.tracks import NOTHING, Fate, Refused
from pipelines.plan import Shard, cut_shards, plan_segments, plan_shards, usual_shard_frames
from pipelines.planes import painted_format, yuv_format
from pipelines.timecode import Counting
from pipelines.timeline import FrameRange, Shot, Timeline, shots_from_cuts, touching
from stylecore.budget import tile_side
from stylecore.catalog import find_style, is_picture
from stylecore.orientation import Orientation
from stylecore.pixels import YuvFormat
from stylecore.scaling import work_size
from stylecore.spec import ENGINE_VERSION, StyleSpec


@dataclass(frozen=True)
class FilmPlan:
    """What will be done, decided before any engine starts. `styles[i]` is the look of `shots[i]`.

    Shots keep their numbers and frames in the film, also where only some of their frames are delivered.
    """

    info: SourceInfo
    index: FilmIndex
    frames: FrameRange
    """The frames that are delivered."""
    shots: tuple[Shot, ...]
    styles: tuple[StyleSpec, ...]
    shards: tuple[Shard, ...]
    shard_keys: tuple[str, ...]
    encoding: Encoding
    fates: tuple[Fate, ...]
    pictures: Pictures | None
    """The form of the delivery where it is not one file."""
    key: str

    @cached_property
    def excerpt(self) -> tuple[Timeline, Window]:
        """When the delivered frames are shown, and what else of the film goes with them."""
        timeline = self.index.timeline
        if self.pictures:
            return pictures_excerpt(timeline, self.frames)
        return excerpt(timeline, self.frames, floor(self.info.clock_start / timeline.time_base))

    def original(self, source: Path) -> Original:
        """What the delivery is made of beside its picture, the source being here."""
        return Original(source, self.info, self.excerpt[0], self.fates, self.excerpt[1])

    def ends_in(self, shot: Shot, frames: FrameRange) -> bool:
        """Whether a run of frames holds the last one of a shot that is delivered."""
        return min(shot.frames.stop, self.frames.stop) - 1 in frames

    @property
    def notes(self) -> tuple[str, ...]:
        """Every way in which the delivery will differ from the source, and what was made up."""
        found = (
            self.index.damage_note,
            self._range_note,
            self._pictures_note,
            self._clock_start_note,
            *self.encoding.notes,
            self.index.clock_note,
            self.index.scan_note,
        )
        return tuple(note for note in found if note)

    @property
    def _range_note(self) -> str:
        frames, timeline = self.frames, self.index.timeline
        if len(frames) == len(timeline):
            return ""
        counting = Counting(timeline, self.encoding.rate)
        begin = timeline.seconds(frames.start)
        end = begin + self.excerpt[0].duration
        first, stop = counting.name(frames.start), counting.name(frames.stop)
        return (
            f"range {frames}: {len(frames)} of {len(timeline)} frames, timecode {first} to {stop}, "
            f"{float(begin):.3f} to {float(end):.3f} s of the film"
        )

    @property
    def _clock_start_note(self) -> str:
        if self.pictures or self.frames.start or self.info.clock_start == 0:
            return ""
        start = float(self.info.clock_start)
        return f"{self.info.container} began to count at {start:.3f} s: the delivery begins at 0"

    @property
    def _pictures_note(self) -> str:
        if self.pictures is None:
            return ""
        names = [self.pictures.name(frame) for frame in (self.frames.start, self.frames.stop - 1)]
        held = self.pictures.sidecar_name(self.fates) or "no sound or subtitles, chapters are lost"
        lost = ", alpha is left out" if self.encoding.layout.alpha else ""
        told = f"{self.pictures.samples}{lost}; {self.pictures.index_name}, {held}"
        return f"pictures {names[0]} to {names[1]}: {told}"

    @property
    def yuv_format(self) -> YuvFormat:
        """How the source's planes mean colour."""
        return yuv_format(self.info)

    @property
    def painted_format(self) -> YuvFormat:
        """How the delivery's planes do: what frames are painted in."""
        return painted_format(self.info, self.encoding)


def refuse_by_head(job: TitleJob, info: SourceInfo, refused: Refused = NOTHING) -> None:
    """Raise what the film's header is reason enough for, before all of the film is decoded."""
    fates = fates_of(job, info, refused)
    if is_sequence(job.output):
        fit(job.encode_spec, info)
    else:
        refuse_unheld(job.encode_spec, info, Path(job.output).suffix)
    refuse_drops(job, fates)


def plan_film(job: TitleJob, info: SourceInfo, index: FilmIndex, refused: Refused = NOTHING) -> FilmPlan:
    """Shots, looks, shards, encoding and the fate of every track."""
    _refuse_damage(job, index)
    info = replace(info, captions=info.captions or index.captions)
    index = as_shown(index, job.scan)
    shots = shots_from_cuts(_cuts(job, index), len(index.frames))
    styles = looks_of_shots(job, shots)
    _refuse_small_memory(job, info, styles)
    encoding = _encoding(job, info, index)
    frames = _frames(job, index.timeline, encoding)
    most = job.shard_frames or usual_shard_frames(len(index.frames))
    shards = cut_shards(plan_shards(plan_segments(shots), most), frames)
    shown = touching(shots, frames)
    shots, styles = shots[shown], styles[shown]
    keys = [_shard_key(job, info, index, shots, styles, encoding, shard) for shard in shards]
    pictures = make_pictures(job.output, encoding, frames.stop - 1) if is_sequence(job.output) else None
    fates = fates_of(job, info, refused, whole=len(frames) == len(index.frames))
    refuse_drops(job, fates)
    return FilmPlan(
        info=info,
        index=index,
        frames=frames,
        shots=tuple(shots),
        styles=tuple(styles),
        shards=tuple(shards),
        shard_keys=tuple(keys),
        encoding=encoding,
        fates=fates,
        pictures=pictures,
        key=_digest(keys, str(frames), [*map(asdict, shots)], [*map(asdict, styles)], _times(index.timeline))[
            :16
        ],
    )


def _cuts(job: TitleJob, index: FilmIndex) -> Sequence[int]:
    """The first frames of shots: as the job says, all of them in the film, or as they are found."""
    if job.cuts is None:
        return find_cuts(index.cut_scores)
    last = len(index.frames) - 1
    unknown = [cut for cut in job.cuts if not 0 <= cut <= last]
    if unknown:
        raise UsageError(f"cuts: this film has no frame {unknown[0]}; choose among frames 0-{last}")
    return job.cuts


def _frames(job: TitleJob, timeline: Timeline, encoding: Encoding) -> FrameRange:
    """The frames that the job wants delivered."""
    whole, counting = FrameRange(0, len(timeline)), Counting(timeline, encoding.rate)
    try:
        return counting.range(job.range) if job.range else whole
    except ValueError as err:
        raise UsageError(
            f"range {job.range}: {err}; the film has {len(timeline)} frames, "
            f"{counting.name(0)} to {counting.name(len(timeline))} at {float(encoding.rate):.6g} fps"
        ) from err


def _encoding(job: TitleJob, info: SourceInfo, index: FilmIndex) -> Encoding:
    """How the parts are encoded: as they are delivered, or without loss for the pictures made of them."""
    order = field_order(index, job.scan)
    if is_sequence(job.output):
        return encode_parts(job.encode_spec, info, index.timeline, order)
    return make_encoding(job.encode_spec, info, index.timeline, Path(job.output).suffix, order)


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
    held = touching(shots, shard.frames)
    touched = list(zip(shots[held], styles[held], strict=True))
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
        # A film as a matte runs beside the whole title: a scene shown twice meets other frames of it.
        first if any(style.matte and not is_picture(style.matte.file) for _, style in touched) else 0,
        encoding.digest,
        asdict(yuv_format(info)),
        job.engine_spec.device_class,
        job.engine_spec.precision,
        job.engine_spec.together,
        job.tile,
        job.engine_spec.memory_bytes,
    )[:20]


def _times(timeline: Timeline) -> tuple[str, list[int], int]:
    """What the timeline of a plan tells; no shard's pixels depend on it."""
    return str(timeline.time_base), list(timeline.pts), timeline.last_duration


def _digest(*facts: object) -> str:
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()


def _refuse_damage(job: TitleJob, index: FilmIndex) -> None:
    if job.strict and index.damage_note:
        raise InputError(
            f"{Path(hide_secrets(job.source)).name}: {index.damage_note}. "
            "Repair or replace the file, or leave --strict out to go on with what there is"
        )


def _refuse_small_memory(job: TitleJob, info: SourceInfo, styles: Sequence[StyleSpec]) -> None:
    for style in dict.fromkeys(styles) if job.memory and not job.tile else ():
        network = find_style(style.style)[0].network
        height, width = Orientation(*info.turn).upright_size(info.height, info.width)
        size = work_size(height, width, network.design_height_px, style.brush)
        waiting = 2 * style.steady * (2 if job.scan == "fields" else 1)
        together = job.engine_spec.together if len(style.keys) < 2 else 1
        try:
            memory_bytes = job.engine_spec.memory_bytes
            tile_side(info.height * info.width, size, network.halo_px, memory_bytes, waiting, together)
        except ValueError as err:
            least = -(-int(str(err)) * job.shards_at_once // (1 << 20))
            given, size_px = job.memory.human_readable(), f"{info.width}x{info.height}"
            raise UsageError(f"memory {given}: a film of {size_px} takes {least} MiB at least") from err
