"""Films that are held another way than they are stored: phones, scanners, mirrored rigs."""

from itertools import product
from types import SimpleNamespace

import av
import pytest
import torch
from conftest import draw, ffmpeg, index_film

from pipelines.config import make_job
from pipelines.errors import InputError
from pipelines.media.encoding import make_encoding
from pipelines.media.fitting import EncodeSpec
from pipelines.media.probe import probe
from pipelines.media.source_info import turn_of
from pipelines.painting import drifts_of
from pipelines.planes import frame_planes, yuv_format
from pipelines.prepare import plan_film
from pipelines.timeline import FrameRange, Shot
from stylecore.images import load_picture
from stylecore.orientation import Orientation
from stylecore.parts import apply_change
from stylecore.pixels import YuvFormat, to_rgb

HELD = {
    "quarter": ["-display_rotation", "90"],
    "half": ["-display_rotation", "180"],
    "three": ["-display_rotation", "270"],
    "across": ["-display_hflip"],
    "down": ["-display_vflip"],
    "quarter-across": ["-display_rotation", "90", "-display_hflip"],
    "quarter-down": ["-display_rotation", "90", "-display_vflip"],
}


@pytest.fixture(scope="module")
def upright(tmp_path_factory):
    path = tmp_path_factory.mktemp("held") / "upright.mp4"
    draw(path, size="96x64", video=["-pix_fmt", "yuv444p", "-c:v", "libx264", "-qp", "0"], sound=False)
    return path


@pytest.mark.parametrize("name", HELD)
def test_a_held_film_is_painted_as_ffmpeg_shows_it(upright, tmp_path, name):
    film, shown = tmp_path / "held.mp4", tmp_path / "shown.png"
    ffmpeg(*HELD[name], "-i", str(upright), "-c", "copy", str(film))
    ffmpeg("-i", str(film), "-frames:v", "1", str(shown))
    info, expected = probe(film), load_picture(shown)
    form = yuv_format(info)
    with av.open(str(film)) as container:
        planes = frame_planes(next(container.decode(video=0)))
    seen = to_rgb(planes, form)
    assert seen.shape[1:] == expected.shape and (seen[0] - expected).abs().max() < 0.03
    assert form.orientation.upright_size(info.height, info.width) == tuple(seen.shape[-2:])
    corner = torch.zeros_like(seen)
    corner[..., 0, 0] = 0.5
    painted = to_rgb(apply_change(planes, corner, form, keep_color=False), form)
    moved = (painted - seen).abs().sum((0, 1)) > 0.3
    assert moved[0, 0] and moved.sum() == 1


@pytest.mark.parametrize("held", product([False, True], repeat=3))
def test_a_camera_moves_the_way_its_picture_is_held(held):
    """Two lines down and three columns right in the file; drifts are in heights of what is seen."""
    form = YuvFormat("bt709", False, orientation=Orientation(*held))
    before, after = torch.zeros(2, 24, 40)
    before[5, 9] = after[7, 12] = 1
    places = [form.orientation.upright(each).nonzero()[0] for each in (before, after)]
    still, moved = (
        SimpleNamespace(moved_down=down / 24, moved_right=right / 24) for down, right in ((0, 0), (2, 3))
    )
    film = SimpleNamespace(
        yuv_format=form,
        info=SimpleNamespace(height=24, width=40),
        index=SimpleNamespace(frames=[moved, still, moved]),
    )
    began, drift = drifts_of(film, Shot(2, FrameRange(1, 3)))
    seen_height, _ = form.orientation.upright_size(24, 40)
    assert began == (0, 0)
    assert [step * seen_height for step in drift] == pytest.approx((places[1] - places[0]).tolist())


def test_the_same_packets_held_another_way_are_painted_anew(upright, tmp_path):
    keys = {}
    for name in ("upright", "half", "across"):
        film = tmp_path / f"{name}.mp4"
        ffmpeg(*HELD.get(name, []), "-i", str(upright), "-c", "copy", str(film))
        job = make_job({"source": str(film), "output": str(tmp_path / "out.mp4"), "device": "cpu"})
        keys[name] = plan_film(job, *index_film(film)[:2]).shard_keys
    assert len(set(keys.values())) == 3


def test_other_angles_are_refused(upright, tmp_path):
    film = tmp_path / "slanted.mp4"
    ffmpeg("-display_rotation", "30", "-i", str(upright), "-c", "copy", str(film))
    with pytest.raises(InputError, match="quarter turns"):
        probe(film)


@pytest.mark.parametrize("matrix", [(0,) * 9, (1, 1, 0, 0, 1, 0, 0, 0, 1), (1, 0, 0, 0, 0, 0, 0, 0, 1)])
def test_a_matrix_that_holds_nothing_is_none(matrix):
    assert turn_of(matrix) is None


def test_what_a_container_crops_is_told(upright, tmp_path):
    """Matroska's PixelCropRight, written over an element of the same length."""
    path, unit, crop = tmp_path / "cropped.mkv", bytes.fromhex("54b281"), bytes.fromhex("54dd8110")
    ffmpeg("-i", str(upright), "-vf", "setsar=16/11", "-c:v", "libx264", str(path))
    data = bytearray(path.read_bytes())
    place = data.index(unit)
    data[place : place + 4] = crop
    path.write_bytes(data)
    info, index, _ = index_film(path)
    assert (info.crop, info.width) == ("0/16/0/0", probe(upright).width) and probe(upright).crop == ""
    notes = make_encoding(EncodeSpec(), info, index.timeline, ".mkv").notes
    assert [note for note in notes if "crops 0/16/0/0 px" in note]
