"""What a look costs on this machine, learnt from at most 1 % of a film's frames, and kept.

Those few frames are rendered over and over, by the stages and threads that render shards, as many at once as
for the film: what they cost each other on shared cores is in the figure.
"""

import hashlib
import json
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import cycle, islice, repeat
from pathlib import Path
from statistics import fmean
from typing import TypeVar

import torch
from av import VideoFrame

from pipelines import progress
from pipelines.cores import painting_threads, shards_at_once
from pipelines.environment import cores
from pipelines.jobs import TitleJob
from pipelines.media.encoding import Encoding
from pipelines.media.frames import FrameReader
from pipelines.media.parts import Planes, read_part, write_part
from pipelines.overlap import behind
from pipelines.painting import DEPTH, PAINTERS, painted_for, painted_frames
from pipelines.plan import SEGMENT_MIN_FRAMES, Shard
from pipelines.prepare import FilmPlan
from pipelines.rows import read_rows, write_rows
from pipelines.stopwatch import Clock
from pipelines.store_errors import explained
from pipelines.timeline import FrameRange, Shot, touching
from pipelines.work import Work
from stylecore.spec import EngineSpec, StyleSpec

Picture = TypeVar("Picture")
VERSION = 6
MOST_SHARE = 0.01
"""Of the film's frames; but two are needed, since the first of an encoder run is unlike the others."""
_RUN_FRAMES = 8
_MOST_RUNS = 6
_SECONDS = 15.0
"""A look's frames are rendered again, for better figures, until about so much time has gone."""
_LONGEST_RUN = 96


@dataclass(frozen=True)
class Calibration:
    """Costs of one look on one class of device; columns of calibration/*.parquet."""

    look: str
    """See `look_of`."""
    device_class: str
    """See `kind_of`."""
    at_once: int
    """Shards that were rendered at the same time; seconds are those of each."""
    frames: int
    """Different ones that were painted to learn this."""
    shot_seconds: float
    """Beginning a shot: its survey, and an encoder."""
    frame_seconds: float
    """Of every frame: read, painted and encoded, each beside the others."""
    first_bytes: float
    """Of the first packet of an encoder run."""
    next_bytes: float
    """Of every other."""


def look_of(style: StyleSpec) -> str:
    """What looks must share to cost the same: the network, by style and size, how steady, and the method."""
    brush = "" if style.brush == 1 else f" brush {style.brush}"
    method = "" if style.method == "network" else f" by {style.method}, passes {style.passes}"
    return style.style + brush + method + (f" steady {style.steady}" if style.steady else "")


def kind_of(engine: EngineSpec) -> str:
    """What a device and its settings must share to be as fast."""
    if engine.device_class == "cpu":
        device = f"cpu of {cores()} cores with {torch.backends.cpu.get_cpu_capability()}"
    else:
        device = torch.cuda.get_device_name(engine.device)
    tile = f", tiles of {engine.tile_px} px" if engine.tile_px else ""
    memory = f", {engine.memory_bytes >> 20} MiB" if engine.memory_bytes else ""
    return f"{device}, {engine.precision}, batch {engine.batch}{tile}{memory}"


def calibrations(work: Work, film: FilmPlan) -> list[Calibration]:
    """All that is known about this film's looks, on any class of device, from this work."""
    names = [name for name in work.store.names("calibration") if name.endswith(f"{_key(film)}.parquet")]
    return [row for name in names for row in read_rows(work.store, name, Calibration, VERSION) or []]


def calibrate(work: Work, film: FilmPlan, job: TitleJob, source: Path) -> list[Calibration]:
    """Learn what this film's looks cost on this device, and keep it with the work."""
    engine, at_once = job.engine_spec, shards_at_once(job, film)
    looks = {look_of(style): style.passes for style in film.styles}
    most = max(2, int(len(film.frames) * MOST_SHARE) // len(looks))
    once = replace(film, styles=tuple(replace(style, passes=1) for style in film.styles))
    progress.begin("calibrate", unit="")
    parts = [work.scratch / f"calibration-{number}{film.encoding.part_suffix}" for number in range(at_once)]
    with explained("writing", str(work.scratch)), painting_threads(at_once) as pool:
        work.scratch.mkdir(parents=True, exist_ok=True)
        tried = {
            look: partial(_trials, once, engine, source, _runs(film, look, most)) for look in sorted(looks)
        }
        trials = {look: list(pool.map(trial, parts)) for look, trial in tried.items()}
        for part in parts:
            part.unlink()
    made = [_calibration(look, engine, looks[look], found) for look, found in trials.items()]
    kind = hashlib.sha256(kind_of(engine).encode()).hexdigest()[:8]
    name = f"calibration/{engine.device_class}-{kind}-{_key(film)}.parquet"
    write_rows(work.store, name, Calibration, made, VERSION)
    return made


def _key(film: FilmPlan) -> str:
    """Identity of what is measured: the pictures' form, the looks, the encoding."""
    looks = sorted({look_of(style) for style in film.styles})
    facts = [VERSION, film.info.width, film.info.height, str(film.yuv_format), looks, film.encoding.digest]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:12]


@dataclass(frozen=True)
class _Run:
    """A few frames in a row, and all that is delivered of their shot."""

    few: FrameRange
    shown: FrameRange


def _runs(film: FilmPlan, look: str, most: int) -> list[_Run]:
    """Short runs of frames in shots of a look, spread over the film."""
    styled = zip(film.shots, film.styles, strict=True)
    shots = [(shot, style) for shot, style in styled if look_of(style) == look]
    count = max(1, min(_MOST_RUNS, len(shots), most // _RUN_FRAMES))
    chosen = [shots[(2 * number + 1) * len(shots) // (2 * count)] for number in range(count)]
    return [_run(film, shot, style, min(_RUN_FRAMES, most // count)) for shot, style in chosen]


def _run(film: FilmPlan, shot: Shot, style: StyleSpec, frames: int) -> _Run:
    """A few frames from the middle of what is delivered of a shot; its first if they are painted in order."""
    shown = shot.frames.overlap(film.frames) or shot.frames
    if style.method in PAINTERS:
        return _Run(FrameRange(shown.start, min(shown.start + 2, shown.stop)), shown)
    start = max(shown.start, min((shown.start + shown.stop) // 2, shown.stop - frames))
    return _Run(FrameRange(start, min(start + frames, shown.stop)), shown)


class _FewFrames(FrameReader):
    """A film of which a few frames stand for all in a row, to and fro; picked frames are themselves."""

    def __init__(self, film: FilmPlan, source: Path, few: FrameRange) -> None:
        super().__init__(source, film.info, film.index)
        self.few = few

    def read(self, frames: FrameRange) -> Iterator[VideoFrame]:
        return _to_and_fro(list(super().read(self.few)), len(frames))

    def read_fields(self, frames: FrameRange) -> Iterator[tuple[VideoFrame, VideoFrame]]:
        return _to_and_fro(list(super().read_fields(self.few)), len(frames))


def _to_and_fro(pictures: list[Picture], count: int) -> Iterator[Picture]:
    return islice(cycle([*pictures, *pictures[-2:0:-1]]), count)


@dataclass(frozen=True)
class _Trial:
    """What it took to render frames of one shot, a few of which are all there is to see."""

    few: int
    shot_seconds: float
    frame_seconds: float
    sizes: tuple[int, ...]
    """Of the packets of the few, in bytes."""


def _trials(
    film: FilmPlan, engine: EngineSpec, source: Path, runs: Sequence[_Run], part: Path
) -> list[_Trial]:
    """One for each run; before them one to warm up, when weights are loaded and memory is found."""
    warm = _trial(film, engine, source, runs[0], len(runs[0].few), part)
    affordable = int(_SECONDS / len(runs) / max(warm.frame_seconds, 1e-3))
    return [_trial(film, engine, source, run, min(affordable, _LONGEST_RUN), part) for run in runs]


def _trial(film: FilmPlan, engine: EngineSpec, source: Path, run: _Run, wanted: int, part: Path) -> _Trial:
    """Render `wanted` frames of a shot, or as many as are shown of it, and no less than the few."""
    few, shown = run.few, run.shown
    start = max(shown.start, min(few.start, shown.stop - wanted))
    frames = FrameRange(start, min(start + max(wanted, len(few)), shown.stop))
    painted = painted_frames(film, Shard(1, (frames,)), _FewFrames(film, source, few), engine, Clock())
    times, kept = [time.perf_counter()], list[Planes]()

    def noted() -> Iterator[Planes]:
        for planes in painted:
            yield planes
            times.append(time.perf_counter())
            kept.extend([planes] if len(kept) < len(few) else [])

    coded = FrameRange(0, max(len(frames), SEGMENT_MIN_FRAMES))
    behind(lambda made: write_part(part, [coded], _enough(made), film.encoding), noted(), DEPTH)
    times.append(time.perf_counter())
    # Frames come in batches, the first with the survey, and painting is ahead of what comes out.
    warm, seen = min(engine.batch, len(frames) - 1), painted_for(film, frames)
    ahead = film.styles[touching(film.shots, frames)][0].steady
    painted_by_then = min(len(seen) - 1, frames.start - seen.start + warm + ahead)
    each = (times[-1] - times[warm]) / (len(seen) - painted_by_then)
    before = max(0.0, times[warm] - times[0] - painted_by_then * each)
    return _Trial(len(few), before, each, _sizes(kept, film.encoding, part))


def _sizes(frames: Sequence[Planes], encoding: Encoding, part: Path) -> tuple[int, ...]:
    """Bytes of each packet when frames are encoded in one run."""
    count = max(len(frames), SEGMENT_MIN_FRAMES)
    write_part(part, [FrameRange(0, count)], _enough(frames), encoding)
    return tuple(packet.payload.size for packet in read_part(part, 0, count))[: len(frames)]


def _enough(frames: Iterable[Planes]) -> Iterator[Planes]:
    """The frames, and the last again until there are as many as every encoder can make a file of."""
    seen = 0
    for planes in frames:
        seen += 1
        yield planes
    yield from repeat(planes, SEGMENT_MIN_FRAMES - seen)


def _calibration(
    look: str, engine: EngineSpec, passes: int, beside: Sequence[Sequence[_Trial]]
) -> Calibration:
    """Of the trials of shards beside each other."""
    trials = [trial for shard in beside for trial in shard]
    after = [size for trial in trials for size in trial.sizes[1:]]
    first = fmean(trial.sizes[0] for trial in trials)
    return Calibration(
        look=look,
        device_class=kind_of(engine),
        at_once=len(beside),
        frames=sum(trial.few for trial in beside[0]),
        shot_seconds=fmean(trial.shot_seconds for trial in trials),
        frame_seconds=passes * fmean(trial.frame_seconds for trial in trials),
        first_bytes=first,
        next_bytes=fmean(after) if after else first,
    )
