"""What painting and encoding cost on this machine, learnt from at most 1 % of a film's frames, and kept."""

import hashlib
import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from statistics import fmean, median
from typing import TypeVar

from pipelines import progress
from pipelines.media.encoding import Encoding
from pipelines.media.frames import FrameReader
from pipelines.media.parts import Planes, read_part, write_part
from pipelines.painting import painted_frames
from pipelines.plan import Shard
from pipelines.prepare import FilmPlan
from pipelines.rows import read_rows, write_rows
from pipelines.stopwatch import Clock
from pipelines.store_errors import explained
from pipelines.timeline import FrameRange, Shot
from pipelines.work import Work
from stylecore.spec import EngineSpec, StyleSpec

Item = TypeVar("Item")
VERSION = 1
MOST_SHARE = 0.01
"""Of the film's frames; but two are needed, since the first of an encoder run is unlike the others."""
_RUN_FRAMES = 8
_MOST_RUNS = 6
_ROUNDS = 3
_ENOUGH_SECONDS = 6.0
"""The same frames are painted again, for better figures, until so much time has gone."""
_DECODED_FRAMES = 48
_ENCODED_FRAMES = 24
"""A run's frames are encoded to and fro until they are so many: opening an encoder is not encoding."""


@dataclass(frozen=True)
class Calibration:
    """Costs of one look on one class of device; columns of calibration/*.parquet."""

    look: str
    """See `look_of`."""
    device_class: str
    frames: int
    """Different ones that were painted to learn this."""
    shot_seconds: float
    """Beginning a shot: its survey."""
    segment_seconds: float
    """Opening and closing an encoder."""
    decode_seconds: float
    """Of a frame, as the next two."""
    paint_seconds: float
    encode_seconds: float
    first_bytes: float
    """Of the first packet of an encoder run."""
    next_bytes: float
    """Of every other."""


def look_of(style: StyleSpec) -> str:
    """What looks must share to cost the same: the network, by its style, and the size it paints at."""
    return style.style if style.brush == 1 else f"{style.style} brush {style.brush}"


def calibrations(work: Work, film: FilmPlan) -> list[Calibration]:
    """All that is known about this film's looks, on any class of device, from this work."""
    names = [name for name in work.store.names("calibration") if name.endswith(f"{_key(film)}.parquet")]
    return [row for name in names for row in read_rows(work.store, name, Calibration, VERSION) or []]


def calibrate(work: Work, film: FilmPlan, engine: EngineSpec, source: Path) -> list[Calibration]:
    """Learn what this film's looks cost on this device, and keep it with the work."""
    looks = sorted(set(map(look_of, film.styles)))
    most = max(2, int(len(film.frames) * MOST_SHARE) // len(looks))
    progress.begin("calibrate", unit="")
    reader = FrameReader(source, film.info, film.index)
    decode_seconds = _decoding(film, reader)
    part = work.scratch / f"calibration{film.encoding.part_suffix}"
    made = []
    with explained("writing", str(part)):
        part.parent.mkdir(parents=True, exist_ok=True)
        for look in looks:
            runs = _runs(film, look, most)
            rounds = _rounds(film, reader, engine, runs, part)
            made.append(_calibration(look, engine, decode_seconds, sum(map(len, runs)), rounds))
        part.unlink()
    name = f"calibration/{engine.device_class}-{_key(film)}.parquet"
    write_rows(work.store, name, Calibration, made, VERSION)
    return made


def _key(film: FilmPlan) -> str:
    """Identity of what is measured: the pictures' form, the looks, the encoding."""
    looks = sorted({look_of(style) for style in film.styles})
    facts = [film.info.width, film.info.height, str(film.yuv_format), looks, film.encoding.digest]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:12]


def _runs(film: FilmPlan, look: str, most: int) -> list[FrameRange]:
    """Short runs of frames in shots of a look, spread over the film."""
    shots = [shot for shot, style in zip(film.shots, film.styles, strict=True) if look_of(style) == look]
    count = max(1, min(_MOST_RUNS, len(shots), most // _RUN_FRAMES))
    chosen = [shots[(2 * number + 1) * len(shots) // (2 * count)] for number in range(count)]
    return [_run(film, shot, min(_RUN_FRAMES, most // count)) for shot in chosen]


def _run(film: FilmPlan, shot: Shot, frames: int) -> FrameRange:
    """A few frames from the middle of what is delivered of a shot."""
    shown = shot.frames.overlap(film.frames) or shot.frames
    start = max(shown.start, min((shown.start + shown.stop) // 2, shown.stop - frames))
    return FrameRange(start, min(start + frames, shown.stop))


@dataclass(frozen=True)
class _Trial:
    """What it took to survey one shot, paint a run of its frames, and encode them."""

    shot_seconds: float
    paint_seconds: float
    segment_seconds: float
    encode_seconds: float
    sizes: tuple[int, ...]
    """Of the packets of the run, in bytes."""


def _rounds(
    film: FilmPlan, reader: FrameReader, engine: EngineSpec, runs: Sequence[FrameRange], part: Path
) -> list[list[_Trial]]:
    """All runs, several times; the first is for warming up, when weights are loaded and memory is found."""
    _trial(film, reader, engine, runs[0], part)
    began = time.monotonic()
    rounds: list[list[_Trial]] = []
    while len(rounds) < _ROUNDS and (not rounds or time.monotonic() - began < _ENOUGH_SECONDS):
        rounds.append([_trial(film, reader, engine, run, part) for run in runs])
    return rounds


def _trial(film: FilmPlan, reader: FrameReader, engine: EngineSpec, run: FrameRange, part: Path) -> _Trial:
    painted, times = _timed(painted_frames(film, Shard(1, (run,)), reader, engine, Clock()))
    # Frames come in batches; the first batch came with the survey.
    warm = engine.batch if len(run) > engine.batch else 0
    each_painted = (times[-1] - times[warm]) / (len(run) - warm)
    _, sizes = _encoded(painted, film.encoding, part)
    short, _ = _encoded(painted[:1], film.encoding, part)
    to_and_fro = [*painted, *painted[-2:0:-1]]
    long, _ = _encoded(list(islice(cycle(to_and_fro), _ENCODED_FRAMES)), film.encoding, part)
    each_encoded = max(0.0, long - short) / (_ENCODED_FRAMES - 1)
    before = max(0.0, times[-1] - times[0] - len(run) * each_painted)
    return _Trial(before, each_painted, max(0.0, short - each_encoded), each_encoded, sizes)


def _timed(items: Iterable[Item]) -> tuple[list[Item], list[float]]:
    """All items, and the seconds at the start and when each came."""
    found, times = [], [time.perf_counter()]
    for item in items:
        found.append(item)
        times.append(time.perf_counter())
    return found, times


def _encoded(frames: Sequence[Planes], encoding: Encoding, part: Path) -> tuple[float, tuple[int, ...]]:
    """Seconds to encode frames in one run, and the bytes of each packet."""
    began = time.perf_counter()
    write_part(part, [FrameRange(0, len(frames))], frames, encoding)
    seconds = time.perf_counter() - began
    return seconds, tuple(packet.payload.size for packet in read_part(part, 0, len(frames)))


def _calibration(
    look: str, engine: EngineSpec, decode_seconds: float, frames: int, rounds: Sequence[Sequence[_Trial]]
) -> Calibration:
    after = [size for trial in rounds[0] for size in trial.sizes[1:]]
    first = fmean(trial.sizes[0] for trial in rounds[0])

    def usual(name: str) -> float:
        """The mean of all runs, in the median round."""
        return median(fmean(getattr(trial, name) for trial in trials) for trials in rounds)

    return Calibration(
        look=look,
        device_class=engine.device_class,
        frames=frames,
        shot_seconds=usual("shot_seconds"),
        segment_seconds=usual("segment_seconds"),
        decode_seconds=decode_seconds,
        paint_seconds=usual("paint_seconds"),
        encode_seconds=usual("encode_seconds"),
        first_bytes=first,
        next_bytes=fmean(after) if after else first,
    )


def _decoding(film: FilmPlan, reader: FrameReader) -> float:
    """Seconds to decode a frame."""
    stop = min(film.frames.stop, film.frames.start + _DECODED_FRAMES)
    _, times = _timed(reader.read(FrameRange(film.frames.start, stop)))
    # The first came after the start of a child process.
    return (times[-1] - times[1]) / max(1, len(times) - 2)
