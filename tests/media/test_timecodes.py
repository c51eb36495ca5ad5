"""Timecodes of deliveries: kept, counted as the source counts, and moved to the first frame of a range."""

import av
import pytest
from conftest import draw, ffmpeg, index_film
from drawn import delivered, delivered_range

from pipelines.media.tracks import KEPT
from pipelines.timeline import FrameRange


@pytest.mark.parametrize("codec", ["h265", "prores"])
def test_a_timecode_track_is_kept_whatever_the_codec(tmp_path, codec):
    """A stream of ProRes does not tell its rate, and the muxer left the track out without a word."""
    draw(tmp_path / "plain.mp4", size="64x48", rate="30000/1001", shots=(40,), sound=False)
    start = ["-c", "copy", "-timecode", "01:00:00;00"]
    ffmpeg("-i", str(tmp_path / "plain.mp4"), *start, str(tmp_path / "film.mov"))
    target, report = delivered(tmp_path, "film.mov", ".mov", tmp_path, codec=codec)
    assert [proof.action for proof in report.tracks] == [KEPT]
    with av.open(str(target)) as made:
        assert [each.metadata.get("timecode") for each in made.streams] == ["01:00:00;00"] * 2


def test_the_timecode_of_a_range_is_that_of_its_first_frame(film, tmp_path):
    for tag, wanted in (("01:00:00:00", "01:00:01:07"), ("23:59:59:12", "00:00:00:19")):
        source = tmp_path / "tc.mov"
        ffmpeg("-i", str(film), "-c", "copy", "-timecode", tag, str(source))
        target, *_ = delivered_range(source, FrameRange(31, 55), ".mov", tmp_path)
        with av.open(str(target)) as container:
            assert container.streams.video[0].metadata["timecode"] == wanted


GAP, EACH_THIRD = "select='not(eq(n,5))'", "select='not(mod(n,3))'"


@pytest.mark.parametrize(
    ("suffix", "rate", "frames", "tag", "first", "wanted"),
    [
        (".mkv", "30000/1001", "null", "01:00:00;02", 0, "01:00:00;02"),
        (".mkv", "30000/1001", "null", "01:00:00;02", 10, "01:00:00;12"),
        (".mkv", "30000/1001", GAP, "01:00:00;02", 10, "01:00:00;13"),
        (".mov", "30000/1001", GAP, "01:00:00;02", 0, "01:00:00;02"),
        (".mov", "30000/1001", GAP, "01:00:00;02", 10, "01:00:00;13"),
        (".mov", "25", EACH_THIRD, "01:00:00:12", 0, "01:00:00:12"),
        (".mov", "25", EACH_THIRD, "01:00:00:12", 5, "01:00:01:02"),
    ],
)
def test_a_timecode_counts_as_its_source_does_whatever_is_missing(
    tmp_path, suffix, rate, frames, tag, first, wanted
):
    """Matroska calls it TIMECODE; a gap alters the mean rate, not what is counted."""
    source = tmp_path / f"film{suffix}"
    picture = ["-f", "lavfi", "-i", f"testsrc=size=64x48:rate={rate}:duration=1", "-vf", frames]
    coded = ["-fps_mode", "passthrough", "-c:v", "libx264", "-metadata:s:v", f"timecode={tag}"]
    ffmpeg(*picture, *coded, str(source))
    stop = len(index_film(source)[1].frames)
    target, *_ = delivered_range(source, FrameRange(first, stop), suffix, tmp_path)
    with av.open(str(target)) as container:
        (found,) = (
            value for key, value in container.streams.video[0].metadata.items() if key.lower() == "timecode"
        )
        assert found == wanted


def test_the_timecode_of_a_range_of_film_in_video_is_counted_as_film(tmp_path):
    """Its 20th frame is shown 25 frames of the video later."""
    draw(tmp_path / "film.mkv", size="64x48", rate="24000/1001", shots=(24, 24), sound=False)
    carried = ["-vf", "telecine=pattern=23,setfield=tff", "-c:v", "ffv1", "-timecode", "01:00:00:00"]
    ffmpeg("-i", str(tmp_path / "film.mkv"), *carried, str(tmp_path / "tc.mov"))
    target, *_ = delivered_range(tmp_path / "tc.mov", FrameRange(20, 40), ".mov", tmp_path)
    with av.open(str(target)) as container:
        assert container.streams.video[0].metadata["timecode"] == "01:00:00:20"
