"""Where a film may be painted: mattes are pictures or films, and another one is never taken for the last."""

import os

import fsspec
import pytest
import torch
from conftest import draw, ffmpeg, index_film

from pipelines.config import make_job
from pipelines.errors import InputError
from pipelines.looks import looks_mark
from pipelines.mattes import make_matte, read_matte
from pipelines.prepare import plan_film
from pipelines.timeline import FrameRange
from stylecore.images import to_image


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("STYLEREEL_CACHE", str(tmp_path / "cache"))


def test_a_picture_may_be_the_matte(tmp_path):
    grey = torch.zeros(3, 10, 20)
    grey[..., 10:] = 1
    to_image(grey).save(tmp_path / "m.png")
    inside, outside = (make_matte(str(tmp_path / "m.png"), side, 96) for side in (False, True))
    first, second = (list(read_matte(matte, FrameRange(3, 5), 40, 80)) for matte in (inside, outside))
    assert len(first) == 2 and first[0].shape == (40, 80)
    assert first[0][:, :30].max() == 0 and first[0][:, 50:].min() == 1
    assert torch.allclose(first[0] + second[0], torch.ones(40, 80))
    assert inside.digest == outside.digest


def test_a_film_may_be_the_matte_frame_by_frame(tmp_path):
    path = draw(tmp_path / "m.mp4", shots=(12,), sound=False)
    matte = make_matte(str(path), False, 12)
    whole = list(read_matte(matte, FrameRange(0, 12), 48, 80))
    part = list(read_matte(matte, FrameRange(7, 9), 48, 80))
    assert all(map(torch.equal, whole[7:9], part)) and not torch.equal(whole[0], whole[11])
    for frames in (11, 13):
        with pytest.raises(InputError, match=f"has 12 frames, the film has {frames}"):
            make_matte(str(path), False, frames)


def test_a_missing_matte_is_told(tmp_path):
    with pytest.raises(InputError, match="none.png"):
        make_matte(str(tmp_path / "none.png"), False, 96)


def test_a_matte_that_was_touched_up_is_another(tmp_path):
    file, grey = tmp_path / "m.tif", torch.zeros(3, 1500, 1200)
    found = []
    for place in (None, 167, 490, 954):
        if place:
            grey[:, place : place + 2, 500:520] = 1
        to_image(grey).save(file)
        found.append(make_matte(str(file), False, 96).digest)
    assert len(set(found)) == 4


def test_mattes_of_one_name_in_two_places_are_two(tmp_path):
    memory, made = fsspec.filesystem("memory"), []
    for number in (0, 1):
        to_image(torch.full((3, 20, 20), float(number))).save(tmp_path / "m.png")
        memory.pipe_file(f"/mattes/{number}/m.png", (tmp_path / "m.png").read_bytes())
        made.append(make_matte(f"memory://mattes/{number}/m.png", False, 96))
    shown = [next(read_matte(matte, FrameRange(0, 1), 20, 20)).mean() for matte in made]
    assert [round(float(each)) for each in shown] == [0, 1]


def test_a_matte_or_a_style_that_is_replaced_is_noticed(tmp_path):
    matte, style = tmp_path / "m.png", tmp_path / "s.png"
    job = make_job({"source": "a.mp4", "output": "b.mp4", "style": str(style), "matte": str(matte)})
    marks = set()
    for second in range(3):
        for file in (matte, style):
            to_image(torch.full((3, 20, 20), second / 2)).save(file)
            os.utime(file, (second, second))  # a disk's clock may tick slower than a test
            marks.add(looks_mark(job))
    assert len(marks) == 6


def test_a_scene_shown_twice_meets_two_scenes_of_a_matte(pack, tmp_path):
    draw(tmp_path / "once.mkv", size="64x48", shots=(12,), video=["-c:v", "ffv1", "-g", "1"], sound=False)
    again = ["-stream_loop", "1", "-i", str(tmp_path / "once.mkv"), "-c:v", "ffv1", "-g", "1"]
    ffmpeg(*again, str(tmp_path / "twice.mkv"))
    film = tmp_path / "twice.mkv"
    info, index, _ = index_film(film)
    keys = {}
    for matte in ("", str(film)):
        wish = {"style": f"{pack}#plain", "device": "cpu", "shard_frames": 12, "cuts": [12], "matte": matte}
        job = make_job({"source": str(film), "output": str(tmp_path / "out.mp4"), **wish})
        keys[matte] = plan_film(job, info, index).shard_keys
    first, second = keys[""]
    assert first == second and len(set(keys[str(film)])) == 2
