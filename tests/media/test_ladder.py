"""Frames far into a film are reached from the key before them, whatever the packets there look like."""

import pytest
from conftest import draw, ffmpeg, index_film

from pipelines.media.ladder import Ladder
from pipelines.timeline import FrameRange

SMALL = ["-c:v", "libx264", "-crf", "30", "-bf", "2", "-g", "12"]


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ladder")
    draw(folder / "once.mp4", size="64x48", shots=(24,), video=SMALL, sound=False)
    for suffix in (".mp4", ".mkv", ".ts"):
        again = ["-stream_loop", "9", "-i", str(folder / "once.mp4"), "-c", "copy"]
        ffmpeg(*again, str(folder / f"loop{suffix}"))
    still = ["-f", "lavfi", "-i", "color=gray:size=64x48:rate=24:duration=10", *SMALL]
    ffmpeg(*still, "-pix_fmt", "yuv420p", str(folder / "still.mp4"))
    return folder


@pytest.mark.parametrize("name", ["loop.mp4", "loop.mkv", "loop.ts", "still.mp4"])
def test_packets_that_are_alike_are_told_apart(films, monkeypatch, name):
    info, index, reader = index_film(films / name)
    all_ways = Ladder._ladder
    monkeypatch.setattr(Ladder, "_ladder", lambda self, frame: [r for r in all_ways(self, frame) if r.seek])
    ladder, last = Ladder(reader.path, info, reader._proofs), len(index.frames)
    for start in (30, 100, last - 13):
        frames = list(ladder.read(FrameRange(start, start + 9)))
        assert [frame.pts for frame in frames] == list(range(start, start + 9))
