"""From a job and its source to everything that has to be done: the film plan. Decides, renders nothing."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

from pipelines.config import TitleJob
from pipelines.errors import InputError, UsageError
from pipelines.media.codecs import Encoding, container_of, make_encoding
from pipelines.media.index import FilmIndex
from pipelines.media.probe import HANDLED_PIXELS, SourceInfo
from pipelines.media.shots import find_cuts
from pipelines.media.tracks import DROPPED, Fate, decide
from pipelines.plan import Shard, plan_segments, plan_shards
from pipelines.timeline import Shot, parse_numbers, shots_from_cuts
from stylecore.errors import StyleError
from stylecore.pack import find_style
from stylecore.pixels import YuvFormat
from stylecore.spec import ENGINE_VERSION, StyleSpec

_SAMPLE_BYTES = 1 << 16
_SAMPLES = 32


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
    def yuv_format(self) -> YuvFormat:
        """How the source's planes mean colour."""
        step_x, step_y = HANDLED_PIXELS[self.info.pixel_format]
        colour = self.info.colour
        return YuvFormat(
            colour.meant_matrix, colour.full_range, step_x, step_y, self.info.pixel_format == "gray"
        )


def source_key(path: Path) -> str:
    """Identity of a file from its size and bytes sampled all over it; the index then proves every frame."""
    size = path.stat().st_size
    digest = hashlib.sha256(str(size).encode())
    with path.open("rb") as file:
        for number in range(_SAMPLES + 1):
            file.seek(max(0, size - _SAMPLE_BYTES) * number // _SAMPLES)
            digest.update(file.read(_SAMPLE_BYTES))
    return digest.hexdigest()[:16]


@lru_cache(maxsize=64)
def style_spec(reference: str, strength: float, keep_color: bool) -> StyleSpec:
    """A look with the digest of its weights; an unknown style is a UsageError."""
    try:
        pack, name = find_style(reference)
    except StyleError as err:
        raise UsageError(str(err)) from err
    return StyleSpec(reference, pack.style_digest(name), strength, keep_color)


def job_styles(job: TitleJob) -> list[StyleSpec]:
    """Every look a job names; raises before any work if one of them cannot be had."""
    looks = [(job.style, job.strength, job.color)]
    looks += [(look.style, look.strength, look.color) for look in job.looks]
    return [style_spec(style, strength, color == "source") for style, strength, color in looks]


def plan_film(job: TitleJob, info: SourceInfo, index: FilmIndex) -> FilmPlan:
    """Shots, looks, shards, encoding and the fate of every track."""
    suffix = Path(job.output).suffix
    cuts = find_cuts(index.cut_scores) if job.cuts is None else job.cuts
    shots = shots_from_cuts(cuts, len(index.frames))
    styles = _style_of_shots(job, shots)
    encoding = make_encoding(job.encode_spec, info, index.timeline, suffix)
    shards = plan_shards(plan_segments(shots), job.shard_frames)
    keys = [_shard_key(job, index, shots, styles, encoding, shard) for shard in shards]
    fates = tuple(decide(info, container_of(suffix)))
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


def _style_of_shots(job: TitleJob, shots: Sequence[Shot]) -> list[StyleSpec]:
    specs = job_styles(job)
    styles = dict.fromkeys((shot.number for shot in shots), specs[0])
    for look, spec in zip(job.looks, specs[1:], strict=True):
        try:
            numbers = parse_numbers(look.shots)
        except ValueError as err:
            raise UsageError(f"looks: {err}") from err
        styles |= {number: spec for number in numbers if number in styles}
    return [styles[shot.number] for shot in shots]


def _shard_key(
    job: TitleJob,
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
    crcs = [facts.crc for facts in index.frames[first:last]]
    return _digest(
        ENGINE_VERSION,
        crcs,
        [(segment.start - first, len(segment)) for segment in shard.segments],
        [(shot.frames.start - first, len(shot.frames), style.digest) for shot, style in touched],
        encoding.digest,
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
