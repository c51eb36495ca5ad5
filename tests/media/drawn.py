"""Films that several tests draw, and the road of the media rooms alone: no flow, no engine."""

from functools import cache
from pathlib import Path

from conftest import draw, ffmpeg, index_film

from pipelines.excerpt import excerpt
from pipelines.media.assemble import PartFile, assemble
from pipelines.media.conform import conform
from pipelines.media.encoding import make_encoding
from pipelines.media.fitting import EncodeSpec
from pipelines.media.frames import FrameReader
from pipelines.media.original import Original
from pipelines.media.parts import write_part
from pipelines.media.scan import as_shown
from pipelines.media.shots import find_cuts
from pipelines.media.tracks import decide, decide_for_excerpt
from pipelines.plan import cut_shards, plan_segments, plan_shards
from pipelines.planes import frame_planes, painted_arrays, painted_format, yuv_format
from pipelines.timeline import FrameRange, shots_from_cuts
from stylecore.refit import refit

MASTER = EncodeSpec(lossless=True)
X264 = ["-c:v", "libx264", "-crf", "20"]
indexed = cache(index_film)
# name -> how it is drawn: codecs, sizes, sampling, clocks.
FILMS = {
    "film.mp4": {},
    "opengop.mkv": {
        "video": [*X264, "-x264-params", "keyint=24:min-keyint=12:bframes=5:open-gop=1:scenecut=0:ref=4"]
    },
    "onegop.mov": {"video": [*X264, "-g", "9999", "-bf", "3"], "sound": False},
    "intra.mkv": {"video": [*X264, "-x264-params", "intra-refresh=1:keyint=24:bframes=0"]},
    "cra.mp4": {
        "video": [
            "-c:v",
            "libx265",
            "-x265-params",
            "keyint=24:min-keyint=24:open-gop=1:bframes=4:scenecut=0:log-level=none",
        ]
    },
    "altref.webm": {
        "video": [
            "-c:v",
            "libvpx-vp9",
            "-auto-alt-ref",
            "1",
            "-lag-in-frames",
            "16",
            "-deadline",
            "realtime",
            "-cpu-used",
            "8",
            "-c:a",
            "libopus",
        ]
    },
    "vp8.webm": {
        "video": [
            "-c:v",
            "libvpx",
            "-auto-alt-ref",
            "1",
            "-lag-in-frames",
            "10",
            "-deadline",
            "realtime",
            "-c:a",
            "libopus",
        ]
    },
    "ntsc.mp4": {"rate": "30000/1001"},
    "odd.webm": {
        "size": "121x81",
        "video": ["-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-c:a", "libopus"],
    },
    "full444.mkv": {"video": ["-pix_fmt", "yuvj444p", *X264], "sound": False},
    "422.mov": {"video": ["-pix_fmt", "yuv422p", *X264]},
    "mpeg4.mp4": {"video": ["-c:v", "mpeg4", "-q:v", "4", "-bf", "2"]},
    "ten.mkv": {"video": ["-pix_fmt", "yuv420p10le", *X264]},
    "ten422.mov": {"video": ["-pix_fmt", "yuv422p10le", "-c:v", "prores_ks", "-profile:v", "3"]},
    "ten444full.mkv": {"video": ["-color_range", "pc", "-pix_fmt", "yuv444p10le", *X264]},
    "twelve.mkv": {"video": ["-pix_fmt", "yuv422p12le", "-c:v", "ffv1"]},
    "greyten.mkv": {"video": ["-pix_fmt", "gray10le", "-c:v", "ffv1"]},
    "tall440.mkv": {"video": ["-pix_fmt", "yuv440p", "-c:v", "ffv1"]},
    "small.mkv": {"size": "63x49", "video": ["-c:v", "ffv1"]},
}
HELD = {
    "portrait.mov": ["-display_rotation", "90"],
    "mirrored.mkv": ["-display_hflip"],
    "transposed.mp4": ["-display_rotation", "90", "-display_hflip"],
}
MPEG2 = ["-c:v", "mpeg2video", "-q:v", "3", "-bf", "2", "-c:a", "mp2"]
# Broadcast and old ones: first timestamp far from zero, ADTS audio, no or permuted timestamps, empty places.
BROADCAST = {
    "copy.ts": ["-c", "copy"],
    "mpeg2.ts": MPEG2,
    "program.mpg": MPEG2,
    "hevc.ts": ["-c:v", "libx265", "-x265-params", "log-level=none", "-c:a", "aac"],
    "ntsc.ts": ["-r", "30000/1001", *X264, "-c:a", "aac"],
    "reordered.avi": [*X264, "-bf", "2", "-c:a", "mp3"],
    "gaps.avi": ["-c:v", "mpeg4", "-q:v", "4", "-bf", "0", "-c:a", "mp3"],
    "packed.avi": ["-c:v", "mpeg4", "-q:v", "4", "-bf", "2", "-c:a", "mp3"],
}
ALL = [*FILMS, *HELD, *BROADCAST, "vfr.mp4", "editlist.mp4", "late.mp4"]


def draw_films(folder: Path) -> Path:
    """All of them, in a folder."""
    folder.mkdir(exist_ok=True)
    for name, how in FILMS.items():
        draw(folder / name, **how)
    clock = "settb=1/90000,setpts='if(lt(N,40),N/24,if(lt(N,70),2+(N-40)*1001/30000,4.1+(N-70)/60))/TB'"
    ffmpeg(
        "-i",
        str(folder / "film.mp4"),
        "-vf",
        clock,
        "-fps_mode",
        "passthrough",
        "-enc_time_base",
        "1:90000",
        *X264,
        "-c:a",
        "copy",
        str(folder / "vfr.mp4"),
    )
    ffmpeg("-ss", "0.7", "-i", str(folder / "film.mp4"), "-c", "copy", str(folder / "editlist.mp4"))
    ffmpeg("-i", str(folder / "film.mp4"), "-c", "copy", "-output_ts_offset", "10", str(folder / "late.mp4"))
    for name, how in BROADCAST.items():
        ffmpeg("-i", str(folder / "film.mp4"), *how, str(folder / name))
    for name, held in HELD.items():
        ffmpeg(*held, "-i", str(folder / "film.mp4"), "-c", "copy", str(folder / name))
    return folder


def fitted(frame, info, encoding):
    """A frame as it is delivered unpainted."""
    return painted_arrays(refit(frame_planes(frame), yuv_format(info), painted_format(info, encoding)))


def rendered(films: Path, name: str, suffix: str, folder: Path, spec: EncodeSpec, shard_frames: int = 40):
    """The identity pipeline of the media rooms alone."""
    source = films / name
    info, stored, _ = index_film(source)
    index = as_shown(stored)
    reader = FrameReader(source, info, index)
    encoding = make_encoding(spec, info, index.timeline, suffix)
    shots = shots_from_cuts(find_cuts(index.cut_scores), len(index.frames))
    parts, crcs = [], []
    for shard in plan_shards(plan_segments(shots), shard_frames):
        path = folder / f"{shard.number}{encoding.part_suffix}"
        facts = write_part(
            path, shard.segments, (fitted(f, info, encoding) for f in reader.read(shard.frames)), encoding
        )
        parts.append(PartFile(path, shard.frames, facts.reorder))
        crcs += facts.packet_crcs
    fates = decide(info, suffix)
    target = folder / f"out{suffix}"
    assemble(parts, Original(source, info, index.timeline, fates), target)
    return target, source, info, index, crcs, fates, parts


def delivered(films, name, suffix, folder, **spec):
    """A film painted by nothing, and the report of its delivery, which conforms."""
    made = rendered(films, name, suffix, folder, EncodeSpec(preset="ultrafast", **spec))
    target, source, info, index, crcs, fates, _ = made
    return target, conform(target, Original(source, info, index.timeline, fates), crcs)


def delivered_range(source, frames, suffix, folder, spec=MASTER):
    """The identity pipeline of the media rooms alone, for a range."""
    info, index, reader = indexed(source)
    encoding = make_encoding(spec, info, index.timeline, suffix)
    shots = shots_from_cuts([30, 56], len(index.frames))
    parts, crcs = [], []
    for shard in cut_shards(plan_shards(plan_segments(shots), 40), frames):
        path = folder / f"{shard.number}{encoding.part_suffix}"
        made = (fitted(frame, info, encoding) for frame in reader.read(shard.frames))
        facts = write_part(path, shard.segments, made, encoding)
        shown = FrameRange(shard.frames.start - frames.start, shard.frames.stop - frames.start)
        parts.append(PartFile(path, shown, facts.reorder))
        crcs += facts.packet_crcs
    fates = decide_for_excerpt(decide(info, suffix))
    timeline, window = excerpt(index.timeline, frames)
    target = folder / f"out{suffix}"
    assemble(parts, Original(source, info, timeline, fates, window), target)
    report = conform(target, Original(source, info, timeline, fates, window), crcs)
    return target, index, report, (info, timeline, crcs, fates, window)
