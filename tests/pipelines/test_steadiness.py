"""How steady a finished part is against its source: of any shard of the film, and where nothing moves."""

from dataclasses import replace

import pytest
from conftest import ffmpeg, index_film

from pipelines.attempts import OK, ShardResult
from pipelines.config import make_job
from pipelines.media.layouts import plane_arrays
from pipelines.media.parts import write_part
from pipelines.prepare import plan_film
from pipelines.steadiness import steadiness_of
from pipelines.storage import Store
from pipelines.work import Work
from stylecore.digest import file_sha256


def measured(film, folder, shake=0):
    """Of each shard of a film that is delivered as it is, but every other frame brighter by some codes."""
    wish = {"source": str(film), "output": str(folder / "out.mp4"), "device": "cpu", "lossless": True}
    info, index, reader = index_film(film)
    plan = plan_film(make_job({**wish, "preset": "ultrafast", "shard_frames": 40}), info, index)
    work, found = Work(Store(str(folder)), folder / "scratch"), []
    for shard in plan.shards:
        part = folder / f"{shard.number}.mkv"
        frames = [[view.copy() for view in plane_arrays(frame)] for frame in reader.read(shard.frames)]
        for planes in frames[::2]:
            planes[0] += shake
        write_part(part, shard.segments, frames, plan.encoding)
        size = part.stat().st_size
        result = ShardResult("k", shard.number, 1, OK, part=part.name, part_bytes=size)
        result = replace(result, part_sha256=file_sha256(part))
        found += steadiness_of(work, plan, shard, result, film)
    return found


def test_a_film_as_it_is_is_as_steady_as_itself_in_every_shard(film, tmp_path):
    found = measured(film, tmp_path)
    assert [row.shot for row in found] == [1, 2, 3]
    assert [row.warp_ratio for row in found] == pytest.approx([1, 1, 1])


def test_what_flickers_over_a_still_is_told_by_a_number(tmp_path):
    film = tmp_path / "still.mkv"
    still = ["-f", "lavfi", "-i", "smptebars=size=64x48:rate=24", "-frames:v", "12", "-pix_fmt", "yuv420p"]
    ffmpeg(*still, "-c:v", "ffv1", str(film))
    (row,) = measured(film, tmp_path, shake=5)
    codes = 5 * 255 / 219  # in RGB, of a picture in video range
    assert row.warp_ratio == pytest.approx(1 + codes**2, rel=0.15), "beside one code, not beside nothing"
    assert row.flicker == pytest.approx(codes, rel=0.15)
