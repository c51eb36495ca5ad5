"""Ranges: exactly these frames as the whole film has them, and exactly the packets that overlap them."""

import json
import zlib
from pathlib import Path

import av
import numpy as np
import pytest
from conftest import draw, ffmpeg, index_film
from drawn import delivered_range

from pipelines.cli import run
from pipelines.config import make_job
from pipelines.errors import ConformError, InputError, UsageError
from pipelines.excerpt import WHOLE, excerpt
from pipelines.flows.run import run_title
from pipelines.media.conform import conform
from pipelines.media.decoding import checksum
from pipelines.media.fitting import EncodeSpec
from pipelines.media.layouts import plane_arrays
from pipelines.media.original import Original
from pipelines.media.tracks import DROPPED
from pipelines.prepare import plan_film
from pipelines.timeline import FrameRange

X264 = ["-c:v", "libx264", "-crf", "20", "-bf", "2"]
FLASH_EVERY = 12


@pytest.fixture(scope="module")
def flashes(media: Path) -> Path:
    """A white frame and a beep together every half second, in many coats."""
    folder = media / "flashes"
    folder.mkdir(exist_ok=True)
    lit = f"geq=lum='if(lt(mod(N,{FLASH_EVERY}),1),235,16)':cb=128:cr=128"
    picture = f"color=black:size=96x64:rate=24:duration=4,{lit}"
    sound = "aevalsrc='if(lt(mod(t,0.5),0.05),0.8*sin(2*PI*1000*t),0)':s={rate}:d=4"
    coats = {
        "aac.mp4": (48000, X264, ["-c:a", "aac"]),
        "aac44.mov": (44100, X264, ["-c:a", "aac"]),
        "opus.mkv": (48000, X264, ["-c:a", "libopus"]),
        "mp3.mkv": (44100, X264, ["-c:a", "mp3"]),
        "aac.ts": (48000, X264, ["-c:a", "aac"]),
        "pcm.mov": (48000, X264, ["-c:a", "pcm_s16le"]),
        "mp3.avi": (48000, ["-c:v", "mpeg4", "-q:v", "2", "-bf", "0"], ["-c:a", "mp3"]),
        "late.mp4": (48000, X264, ["-c:a", "aac", "-output_ts_offset", "7"]),
    }
    for name, (rate, video, audio) in coats.items():
        inputs = ["-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", sound.format(rate=rate)]
        ffmpeg(*inputs, *video, "-pix_fmt", "yuv420p", "-g", "48", *audio, str(folder / name))
    clock = "settb=1/90000,setpts='if(lt(N,48),N/24,2+(N-48)*1001/30000)/TB'"
    vfr = ["-vf", clock, "-fps_mode", "passthrough", "-enc_time_base", "1:90000", *X264, "-an"]
    ffmpeg("-i", str(folder / "aac.mp4"), *vfr, str(folder / "vfr.mp4"))
    return folder


def flash_times(path: Path) -> list[float]:
    with av.open(str(path)) as container:
        stream = next(stream for stream in container.streams.video)
        lit = [
            (float(f.pts * f.time_base), plane_arrays(f)[0].mean() > 120) for f in container.decode(stream)
        ]
    return [time for time, is_lit in lit if is_lit]


def beep_times(path: Path) -> list[float]:
    """The first loud sample of each beep, on the container's clock."""
    loud: list[float] = []
    with av.open(str(path)) as container:
        for frame in container.decode(audio=0):
            level = np.abs(frame.to_ndarray().astype(np.float64))
            level = (
                level.reshape(-1, len(frame.layout.channels)).max(1)
                if not frame.format.is_planar
                else level.max(0)
            )
            full = 32768 if level.max() > 4 else 1
            start = float(frame.pts * frame.time_base)
            loud += [start + place / frame.sample_rate for place in np.flatnonzero(level > 0.25 * full)]
    return [time for before, time in zip([-9.0, *loud], loud, strict=False) if time - before > 0.2]


SYNC = {
    "mp4 into mp4": ("aac.mp4", ".mp4", 30, 70),
    "mp4 into mkv": ("aac.mp4", ".mkv", 31, 70),
    "44.1 kHz into mov": ("aac44.mov", ".mov", 17, 59),
    "opus": ("opus.mkv", ".mkv", 29, 77),
    "opus into mp4": ("opus.mkv", ".mp4", 29, 77),
    "mp3": ("mp3.mkv", ".mkv", 43, 90),
    "transport stream": ("aac.ts", ".mp4", 33, 80),
    "pcm": ("pcm.mov", ".mov", 5, 50),
    "avi": ("mp3.avi", ".mkv", 31, 70),
    "avi into mp4": ("mp3.avi", ".mp4", 20, 61),
    "a film that starts late": ("late.mp4", ".mp4", 25, 70),
    "to the end": ("aac.mp4", ".mp4", 50, 96),
    "from the start": ("aac.mp4", ".mkv", 0, 40),
}


@pytest.mark.parametrize("name", SYNC)
def test_sound_stays_with_the_picture(flashes, name, tmp_path):
    film, suffix, start, stop = SYNC[name]
    target, *_ = delivered_range(flashes / film, FrameRange(start, stop), suffix, tmp_path)
    source = flashes / film
    lead = [beep - flash for flash, beep in zip(flash_times(source), beep_times(source), strict=True)]
    kept = [number for number in range(len(lead)) if start <= number * FLASH_EVERY < stop]
    # A beep that begins with the first frame may be lost in the decoder's first packet: count from the next.
    shown, heard = flash_times(target), beep_times(target)
    assert len(shown) == len(kept)
    pairs = list(zip(reversed(kept), reversed(shown), reversed(heard), strict=False))
    assert len(pairs) >= len(kept) - (start % FLASH_EVERY == 0)
    for number, flash, beep in pairs:
        assert abs((beep - flash) - lead[number]) <= 0.001, f"flash {number}"


@pytest.mark.parametrize(
    ("name", "start", "stop"),
    [
        *(("aac.mp4", 0, 40), ("aac.mp4", 47, 48), ("aac.mp4", 0, 96), ("late.mp4", 31, 60)),
        *(("vfr.mp4", 31, 60), ("vfr.mp4", 90, 96), ("aac.ts", 31, 60), ("aac.ts", 0, 40)),
    ],
)
def test_frames_and_ticks_are_those_of_the_film(flashes, name, start, stop, tmp_path):
    target, index, report, _ = delivered_range(flashes / name, FrameRange(start, stop), ".mp4", tmp_path)
    assert report.frames == stop - start and report.worst_error_seconds == report.shift_seconds == 0
    first = 0 if start == 0 else index.timeline.pts[start]
    base = index.timeline.time_base
    with av.open(str(target)) as made:
        frames = list(made.decode(video=0))
    assert [checksum(frame) for frame in frames] == [facts.crc for facts in index.frames[start:stop]]
    ticks = [index.timeline.pts[frame] - first for frame in range(start, stop)]
    assert [frame.pts * frame.time_base for frame in frames] == [tick * base for tick in ticks]


DELIVERIES = {
    "h264 in ten bits": (".mp4", EncodeSpec("h264", 1, "ultrafast", depth=10), "yuv420p10le"),
    "h265 in ten bits": (".mkv", EncodeSpec("h265", 1, "ultrafast", depth=10), "yuv420p10le"),
    "av1": (".mp4", EncodeSpec("av1", 12, "fast"), "yuv420p"),
    "prores": (".mov", EncodeSpec("prores"), "yuv422p10le"),
    "ffv1": (".mkv", EncodeSpec("ffv1"), "yuv420p"),
}


@pytest.mark.parametrize("name", DELIVERIES)
def test_every_codec_delivers_ranges(flashes, name, tmp_path):
    suffix, spec, pixels = DELIVERIES[name]
    target, _, report, _ = delivered_range(
        flashes / "pcm.mov" if suffix == ".mov" else flashes / "aac.mp4",
        FrameRange(29, 63),
        suffix,
        tmp_path,
        spec,
    )
    with av.open(str(target)) as made:
        frames = list(made.decode(video=0))
    assert report.frames == len(frames) == 34 and frames[0].format.name == pixels
    assert [place for place, f in enumerate(frames) if f.to_ndarray(format="gray").mean() > 120] == [
        7,
        19,
        31,
    ]


@pytest.fixture(scope="module")
def sink(media: Path, film: Path) -> Path:
    """Sound, SRT and ASS cues, chapters, a font and a second picture, in mkv."""
    folder = media / "rangesink"
    folder.mkdir(exist_ok=True)
    cues = [("0,200", "1,500"), ("1,200", "2,400"), ("2,100", "2,300"), ("3,000", "3,500")]
    (folder / "s.srt").write_text(
        "".join(f"{n}\n00:00:0{a} --> 00:00:0{b}\ncue {n}\n\n" for n, (a, b) in enumerate(cues, 1))
    )
    chapters = [(0, 1000), (1000, 2200), (2200, 3000), (3000, 4000)]
    (folder / "c.txt").write_text(
        ";FFMETADATA1\ntitle=Sink\n"
        + "".join(f"[CHAPTER]\nTIMEBASE=1/1000\nSTART={a}\nEND={b}\ntitle=from {a}\n" for a, b in chapters)
    )
    (folder / "font.ttf").write_bytes(b"\0\1\0\0" + bytes(200))
    inputs = [str(film), str(folder / "s.srt"), str(folder / "c.txt")]
    maps = [
        "-map",
        "0:v",
        "-map",
        "0:a",
        "-map",
        "1:s",
        "-map",
        "1:s",
        "-map_metadata",
        "2",
        "-map_chapters",
        "2",
    ]
    font = ["-attach", str(folder / "font.ttf"), "-metadata:s:t", "mimetype=application/x-truetype-font"]
    every = [piece for path in inputs for piece in ("-i", path)]
    ffmpeg(*every, *font, *maps, "-c", "copy", "-c:s:0", "srt", "-c:s:1", "ass", str(folder / "sink.mkv"))
    ffmpeg(*every, *maps, "-c", "copy", "-c:s", "mov_text", str(folder / "sink.mp4"))
    two = ["-i", str(film), "-i", str(draw(folder / "small.mp4", size="64x48", sound=False))]
    ffmpeg(*two, "-map", "0", "-map", "1:v", "-c", "copy", str(folder / "angles.mkv"))
    return folder


def packets(path: Path, kind: str, place: int = 0) -> list[tuple[float, float, int]]:
    """Begin, end and payload checksum of every packet of a track, fillers of mp4's subtitles left out."""
    with av.open(str(path)) as container:
        stream = [stream for stream in container.streams if stream.type == kind][place]
        seen = [p for p in container.demux(stream) if p.pts is not None and p.size > 2]
        return [
            (float(p.pts * p.time_base), float((p.pts + p.duration) * p.time_base), zlib.crc32(bytes(p)))
            for p in seen
        ]


@pytest.mark.parametrize(
    ("name", "suffix"), [("sink.mkv", ".mkv"), ("sink.mp4", ".mp4"), ("sink.mkv", ".mp4")]
)
def test_all_that_overlaps_goes_along_and_nothing_else(sink, name, suffix, tmp_path):
    """Frames 31 to 55 are shown from 1.292 to 2.292 s: cues 1, 2 and 3, chapters 2 and 3."""
    start, stop = 31 / 24, 55 / 24
    source = sink / name
    target, _, report, _ = delivered_range(source, FrameRange(31, 55), suffix, tmp_path)
    shift = float(report.shift_seconds)
    heard, made = packets(source, "audio"), packets(target, "audio")
    wanted = [packet for packet in heard if packet[1] > start and packet[0] < stop]
    assert [packet[2] for packet in made] == [packet[2] for packet in wanted]
    for new, old in zip(made, wanted, strict=True):
        assert abs(new[0] - shift - (old[0] - start)) < 0.00101
    cues = [(0, 0.208), (0, 1.0), (0.808, 1.0)]  # cut to the range
    for place in range(2):
        shown = packets(target, "subtitle", place)
        assert len(shown) == len(cues) or suffix == ".mp4"
        for begin, _ in cues:
            assert any(abs(cue[0] - shift - begin) < 0.002 for cue in shown)
        if suffix == ".mkv":
            assert all(abs(new[1] - shift - end) < 0.002 for new, (_, end) in zip(shown, cues, strict=True))
    with av.open(str(target)) as container:
        chapters = container.chapters()
        spans = [(c["start"] * c["time_base"], c["end"] * c["time_base"]) for c in chapters]
        assert [c["metadata"]["title"] for c in chapters] == ["from 1000", "from 2200"]
        assert np.allclose(
            np.array(spans, float), [(0, 2.2 - start), (2.2 - start, stop - start)], atol=0.001
        )
        assert container.metadata["title"] == "Sink"
        assert suffix == ".mp4" or bytes(container.streams.attachments[0].data)[:4] == b"\0\1\0\0"
    assert report.chapters == 2


def test_a_range_without_any_cue_has_none(sink, tmp_path):
    for name, suffix in (("sink.mp4", ".mp4"), ("sink.mkv", ".mp4"), ("sink.mkv", ".mkv")):
        folder = tmp_path / f"{name}{suffix}"
        folder.mkdir()
        target, *_ = delivered_range(sink / name, FrameRange(86, 96), suffix, folder)
        with av.open(str(target)) as container:
            seen = [p for p in container.demux() if p.stream.type == "subtitle" and p.size > 2]
        assert seen == []


def test_the_range_of_all_frames_is_the_film(film):
    index = index_film(film)[1]
    assert excerpt(index.timeline, FrameRange(0, 96)) == (index.timeline, WHOLE)


def test_a_delivery_with_a_packet_more_or_less_does_not_conform(flashes, tmp_path):
    """The delivery of one range is not that of the ranges one frame beside it."""
    source = flashes / "aac.mp4"
    target, index, _, (info, timeline, crcs, fates, _) = delivered_range(
        source, FrameRange(30, 70), ".mp4", tmp_path
    )
    for near in (FrameRange(29, 69), FrameRange(31, 71)):
        _, window = excerpt(index.timeline, near)
        with pytest.raises(ConformError, match="packets are not|from its time"):
            conform(target, Original(source, info, timeline, fates, window), crcs)


def test_another_picture_cannot_be_cut_and_that_is_said(sink, tmp_path, pack):
    source = sink / "angles.mkv"
    *_, report, _ = delivered_range(source, FrameRange(31, 55), ".mkv", tmp_path)
    assert [proof.action for proof in report.tracks] == ["kept", DROPPED]
    with pytest.raises(InputError, match="another picture track cannot be cut.*--allow-drop"):
        plan_film(job_for(source, tmp_path / "out.mkv", pack, range="31-55"), *index_film(source)[:2])


def job_for(source, output, pack, **options):
    defaults = {"style": f"{pack}#plain", "device": "cpu", "shard_frames": 20, "preset": "ultrafast"}
    return make_job({"source": str(source), "output": str(output), **defaults, **options})


def decoded(path):
    with av.open(str(path)) as container:
        return [checksum(frame) for frame in container.decode(video=0)]


def test_a_range_is_painted_as_in_the_whole_film(film, tmp_path, pack, prefect_api):
    """Survey, drift and key frames are the film's, and its finished shards count here too."""
    work = str(tmp_path / "work")
    grows = ({"frame": 0, "strength": 0.2}, {"frame": 90, "strength": 1, "style": f"{pack}#other"})
    same = {"lossless": True, "cuts": (20, 60), "work": work, "key_frames": grows}
    whole = run_title(job_for(film, tmp_path / "whole.mp4", pack, **same), page=False)
    part = run_title(job_for(film, tmp_path / "part.mp4", pack, range="00:00:00:10-85", **same))
    assert (whole["shards"], part["shards"], part["shards_rendered"]) == (3, 3, 2)
    assert part["frames"] == 75 and part["frames_lost"] == 0 and Path(part["report"]).exists()
    assert decoded(tmp_path / "part.mp4") == decoded(tmp_path / "whole.mp4")[10:85]
    assert part["notes"][0].startswith("range 10:85: 75 of 96 frames, timecode 00:00:00:10 to 00:00:03:13")
    again = run_title(job_for(film, tmp_path / "part.mp4", pack, range="10-85", **same), page=False)
    assert again["shards_rendered"] == 0 and again["sha256"] == part["sha256"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("96-", "96 is past the end; the film has 96 frames, 00:00:00:00 to 00:00:04:00 at 24 fps"),
        ("50-40", "runs backward"),
        ("40-40", "holds no frame"),
        ("00:00:01;00-", "29.97 or 59.94"),
        ("soon-later", "'soon' is neither"),
    ],
)
def test_no_range_of_the_film_is_refused_with_its_length(film, tmp_path, pack, text, says):
    with pytest.raises(UsageError, match=says):
        plan_film(job_for(film, tmp_path / "out.mp4", pack, range=text), *index_film(film)[:2])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "frames"), [("-00:00:01:00", 24), ("90-", 6), ("00:00:01:00-00:00:02:12", 36)]
)
def test_the_plan_tells_the_range(film, tmp_path, capsys, text, frames):
    job = ["plan", str(film), str(tmp_path / "out.mp4"), "--style", "identity", "--range", text, "--json"]
    assert run(job) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["frames"] == frames and f": {frames} of 96 frames" in facts["notes"][0]
