"""Film carried in video comes back as film; wrongly flagged frames stay whole; mixtures lose nothing."""

from fractions import Fraction

import av
import numpy as np
import pytest
from conftest import ffmpeg, index_film
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.config import make_job
from pipelines.media.cadence import CYCLE, find_cadence
from pipelines.media.decoding import checksum
from pipelines.media.frames import FrameReader
from pipelines.media.scan import as_shown, is_soft_telecine
from pipelines.prepare import plan_film
from pipelines.timeline import FrameRange, Timeline

FILM_FRAMES = 48
FFV1 = ["-c:v", "ffv1"]
MPEG2 = ["-c:v", "mpeg2video", "-flags", "+ilme+ildct", "-q:v", "3", "-bf", "2"]
# name -> how telecine, and the codec: both field orders, lossless and lossy, cut at every place of the cycle.
CARRIED = {
    "lossless.mkv": ("telecine=pattern=23,setfield=tff", FFV1),
    "unflagged.mkv": ("telecine=pattern=23,setfield=prog", FFV1),
    "bottom.mkv": ("telecine=pattern=23:first_field=b,setfield=bff", FFV1),
    "broadcast.ts": ("telecine=pattern=23,setfield=tff", MPEG2),
    "late.mkv": ("telecine=pattern=23,setfield=tff,trim=start_frame=2,setpts=PTS-STARTPTS", FFV1),
    "short.mkv": ("telecine=pattern=23,setfield=tff,trim=end_frame=58", FFV1),
}


@pytest.fixture(scope="module")
def carried(tmp_path_factory):
    folder = tmp_path_factory.mktemp("telecine")
    film = folder / "film.mkv"
    source = f"testsrc2=size=160x96:rate=24000/1001:duration={FILM_FRAMES * 1001 / 24000}"
    drawn = ["-frames:v", str(FILM_FRAMES), "-pix_fmt", "yuv420p", *FFV1]
    ffmpeg("-f", "lavfi", "-i", source, *drawn, str(film))
    for name, (how, codec) in CARRIED.items():
        ffmpeg("-i", str(film), "-vf", how, *codec, str(folder / name))
    video = [
        "-vf",
        "tinterlace=interleave_top,fieldorder=tff",
        "-r",
        "30000/1001",
        "-pix_fmt",
        "yuv420p",
        *FFV1,
    ]
    ffmpeg("-f", "lavfi", "-i", source.replace("24000", "60000"), *video, str(folder / "video.mkv"))
    waves = "color=size=160x96:rate=24,geq=lum='128+90*sin((X+Y+7*N)/9)':cb=128:cr=128,setfield=tff"
    flagged = ["-frames:v", str(FILM_FRAMES), "-c:v", "libx264", "-x264-params", "tff=1"]
    ffmpeg("-f", "lavfi", "-i", waves, *flagged, str(folder / "psf.mkv"))
    both = ["-i", str(folder / "lossless.mkv"), "-i", str(folder / "video.mkv")]
    joined = "[0:v][1:v]concat=n=2,fps=30000/1001,setfield=tff"
    ffmpeg(*both, "-filter_complex", joined, *MPEG2, str(folder / "mixed.mkv"))
    return folder


def shown(path, scan="auto"):
    info, stored, _ = index_film(path)
    index = as_shown(stored, scan)
    return index, FrameReader(path, info, index)


def decoded(path):
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="yuv420p") for frame in container.decode(video=0)]


def decibels(one, other):
    error = np.square(one.astype(float) - other).mean()
    return 10 * np.log10(255**2 / error) if error else np.inf


@pytest.mark.parametrize("name", CARRIED)
def test_film_comes_back_frame_for_frame_at_its_own_times(carried, name):
    index, reader = shown(carried / name)
    film, whole = decoded(carried / "film.mkv"), CARRIED[name][1] is FFV1
    missing = 2 if name == "late.mkv" else 0  # cut in its third frame: what is left of B is one field
    made = [frame.to_ndarray(format="yuv420p") for frame in reader.read(FrameRange(0, len(index.frames)))]
    wanted = film[1:] if missing else film[: len(made)]
    assert len(made) == {"late.mkv": 47, "short.mkv": 47}.get(name, FILM_FRAMES)
    from_field = [number for number, picture in enumerate(index.pictures) if picture.made_up]
    assert from_field == {"late.mkv": [0], "short.mkv": [46]}.get(name, [])
    for number, (found, original) in enumerate(zip(made, wanted, strict=True)):
        least = 20 if number in from_field else np.inf if whole else 32
        assert decibels(found, original) >= least, number
    assert "telecined 2:3" in index.scan_note and "film frames of 24000/1001" in index.scan_note


@pytest.mark.parametrize("name", ["lossless.mkv", "broadcast.ts"])
def test_film_times_are_even_and_begin_and_end_with_the_source(carried, name):
    _, stored, _ = index_film(carried / name)
    index = as_shown(stored)
    times = [tick * index.timeline.time_base for tick in index.timeline.pts]
    start = stored.timeline.pts[0] * stored.timeline.time_base
    tolerance = 0 if name.endswith(".ts") else Fraction(1, 1000)  # Matroska's ticks are milliseconds
    for number, time in enumerate(times):
        assert abs(time - start - number * Fraction(1001, 24000)) <= tolerance
    assert index.timeline.duration == stored.timeline.duration
    assert index.timeline.pts[0] * index.timeline.time_base == start


@pytest.mark.parametrize(
    "name", ["lossless.mkv", "bottom.mkv", "late.mkv", "short.mkv", "broadcast.ts", "mixed.mkv"]
)
def test_any_range_gives_the_pictures_of_the_whole(carried, name):
    index, reader = shown(carried / name)
    total = len(index.frames)
    whole = [checksum(frame) for frame in reader.read(FrameRange(0, total))]
    for start in range(0, total, 7):
        stop = min(total, start + 1 + start % 6)
        found = [(frame.pts, checksum(frame)) for frame in reader.read(FrameRange(start, stop))]
        assert found == [(number, whole[number]) for number in range(start, stop)]
    some = [2, 3, total - 1]
    assert [checksum(frame) for frame in reader.pick(some)] == [whole[number] for number in some]


def test_film_and_video_in_one_are_taken_apart_and_nothing_is_lost(carried):
    index, _ = shown(carried / "mixed.mkv")
    assert len(index.frames) == len(decoded(carried / "mixed.mkv")) > 80
    assert "pattern breaks in" in index.scan_note and all(picture.made_up for picture in index.pictures)


def test_video_is_no_film(carried):
    index, _ = shown(carried / "video.mkv")
    assert "taken apart, one picture for each frame" in index.scan_note
    assert len(index.frames) == len(decoded(carried / "video.mkv"))


def test_whole_pictures_flagged_interlaced_stay_whole(carried):
    index, reader = shown(carried / "psf.mkv")
    assert index.interlaced_frames == FILM_FRAMES and "hold one moment each" in index.scan_note
    found = [checksum(frame) for frame in reader.read(FrameRange(0, FILM_FRAMES))]
    assert found == [facts.crc for facts in index.frames]


@pytest.mark.parametrize(
    ("scan", "frames"), [("deinterlace", 60), ("progressive", 60), ("auto", FILM_FRAMES)]
)
def test_what_is_asked_for_is_done(carried, scan, frames):
    index, reader = shown(carried / "lossless.mkv", scan)
    assert len(index.frames) == frames and index.scan_note
    stored = [checksum(frame) for frame in reader.read(FrameRange(0, 5))]
    assert (stored == [facts.crc for facts in index_film(carried / "lossless.mkv")[1].frames[:5]]) == (
        scan == "progressive"
    )


def test_the_same_frames_made_into_other_pictures_are_painted_anew(tmp_path):
    keys, drawn = set(), "testsrc2=size=64x48:rate=24:duration=0.5,setfield="
    for order, scan in (("tff", "deinterlace"), ("bff", "deinterlace"), ("tff", "progressive")):
        film = tmp_path / f"{order}.mkv"
        ffmpeg("-f", "lavfi", "-i", drawn + order, "-pix_fmt", "yuv420p", *FFV1, str(film))
        wish = {"source": str(film), "output": str(tmp_path / "out.mp4"), "device": "cpu", "scan": scan}
        keys |= {plan_film(make_job(wish), *index_film(film)[:2]).shard_keys}
    assert len(keys) == 3


@given(st.integers(0, 4), st.integers(4, 30), st.floats(1, 40), st.floats(0, 0.3), st.randoms())
@settings(max_examples=40)
def test_a_cadence_is_found_wherever_it_begins(phase, cycles, moves, noise, chance):
    first, second = [], []
    for frame in range(cycles * CYCLE + 5):
        place, wobble = (frame - phase) % CYCLE, [moves * chance.uniform(0.8, 1.2) for _ in range(2)]
        first.append(moves * noise if place == 2 else wobble[0])
        second.append(moves * noise if place == 4 else wobble[1])
    cadence = find_cadence(first, second)
    assert cadence and cadence.phase == phase and not cadence.broken
    assert find_cadence(first, first) is None


def test_a_cadence_that_slips_is_broken():
    steady = [(0.0 if n % 5 == 2 else 9.0, 0.0 if n % 5 == 4 else 9.0) for n in range(60)]
    for slipped in (steady[:30] + steady[31:], steady[:30] + [(9.0, 9.0)] * 10 + steady[:20]):
        cadence = find_cadence(*zip(*slipped, strict=True))
        assert cadence and cadence.broken


def test_film_by_flags_is_told_by_its_times():
    soft = [0]
    for frame in range(40):
        soft.append(soft[-1] + (4504 if frame % 2 else 3003))
    assert is_soft_telecine(Timeline(Fraction(1, 90000), soft, 3003))
    assert not is_soft_telecine(Timeline(Fraction(1, 90000), range(0, 3003 * 40, 3003), 3003))
    assert not is_soft_telecine(Timeline(Fraction(1, 1000), [round(n * 1001 / 24) for n in range(40)], 42))
