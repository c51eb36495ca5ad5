"""Interlaced films: taken apart, one picture a frame, the same wherever a shard begins."""

import av
import numpy as np
import pytest
from conftest import ffmpeg, index_film

from pipelines.media.decoding import checksum
from pipelines.media.fields import compare_fields
from pipelines.media.frames import FrameReader
from pipelines.media.scan import as_shown
from pipelines.timeline import FrameRange

CODECS = {
    "broadcast.ts": ["-flags", "+ilme+ildct", "-c:v", "mpeg2video", "-q:v", "3", "-bf", "2"],
    "camera.mkv": ["-c:v", "libx264", "-x264-params", "tff=1", "-crf", "16"],
}


@pytest.fixture(scope="module")
def woven(tmp_path_factory):
    """Waves rolling by at 50 pictures a second, woven in pairs; and the first moment of each pair."""
    folder = tmp_path_factory.mktemp("woven")
    smooth, waves = folder / "smooth.mkv", "geq=lum='128+90*sin((X+7*N)/9)':cb=128:cr=128"
    source = f"color=size=160x96:rate=50:duration=1.92,{waves}"
    ffmpeg("-f", "lavfi", "-i", source, "-c:v", "ffv1", str(smooth))
    for name, how in CODECS.items():
        ffmpeg("-i", str(smooth), "-vf", "tinterlace=interleave_top,fieldorder=tff", *how, str(folder / name))
    ffmpeg(
        "-i",
        str(smooth),
        "-vf",
        "select='not(mod(n,2))'",
        "-r",
        "25",
        "-c:v",
        "ffv1",
        str(folder / "whole.mkv"),
    )
    return folder


def shown(path, scan="auto"):
    """The index of a film's pictures, and their reader."""
    info, stored, _ = index_film(path)
    index = as_shown(stored, scan)
    return index, FrameReader(path, info, index)


def pictures(frames):
    return [frame.to_ndarray(format="gray").astype(int) for frame in frames]


@pytest.mark.parametrize("name", CODECS)
def test_every_frame_becomes_one_whole_picture(woven, name):
    index, reader = shown(woven / name)
    frames = FrameRange(0, len(index.frames))
    assert index.interlaced_frames == len(frames) == 48
    made = list(reader.read(frames))
    assert [frame.pts for frame in made] == list(frames)
    with av.open(str(woven / "whole.mkv")) as container:
        wanted = pictures(container.decode(video=0))
    with av.open(str(woven / name)) as container:
        stored = pictures(container.decode(video=0))
    errors = [
        max(abs(one - other).mean() for one, other in zip(some, wanted, strict=True))
        for some in (pictures(made), stored)
    ]
    assert errors[0] < 5 and errors[1] > 15


@pytest.mark.parametrize("name", CODECS)
def test_any_range_gives_the_pictures_of_the_whole(woven, name):
    index, reader = shown(woven / name)
    whole = [checksum(frame) for frame in reader.read(FrameRange(0, len(index.frames)))]
    for start, stop in ((0, 1), (0, 5), (13, 14), (20, 31), (47, 48)):
        assert [checksum(frame) for frame in reader.read(FrameRange(start, stop))] == whole[start:stop]
    assert [checksum(frame) for frame in reader.pick([3, 30])] == [whole[3], whole[30]]


@pytest.mark.parametrize("told", [True, False])
@pytest.mark.parametrize("top_first", [True, False])
def test_a_slow_scene_combs_as_deep_between_frames_as_within_if_the_field_order_is_true(top_first, told):
    """Deeper between frames would tell that each holds one moment, and leave the combs in."""
    moments = [np.full((64, 1), 128) + 90 * np.sin((np.arange(96) + n / 2) / 9) for n in range(4)]
    one, two, three, four = (moment.astype(np.int16) for moment in moments)
    odd = np.arange(64)[:, None] % 2 == 1
    before, frame = (np.where(odd == top_first, b, a) for a, b in ((one, two), (three, four)))
    facts = compare_fields(before, frame, told)
    assert facts.combing > 2
    assert facts.combing_before / facts.combing == pytest.approx(1 if told == top_first else 3, rel=0.2)
