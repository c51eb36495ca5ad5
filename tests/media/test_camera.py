"""Cameras that pan, stand still or cut, and paint that moves along."""

import numpy as np
import pytest
import torch
from conftest import ffmpeg, index_film
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.media.camera import STILL, _overlap, move_between, view
from stylecore.catalog import find_style
from stylecore.pixels import YuvFormat
from stylecore.spec import EngineSpec
from stylecore.stylize import Stylizer

RANDOM = np.random.default_rng(3)
WORLD = torch.nn.functional.interpolate(
    torch.rand(1, 1, 40, 60, generator=torch.Generator().manual_seed(4)), (600, 900), mode="bicubic"
)[0, 0].clamp(0, 1)


def window(top, left, noise=1.0):
    """A window of 270x480 on the world, with grain."""
    picture = 255 * WORLD[top : top + 270, left : left + 480].numpy() + noise * RANDOM.normal(size=(270, 480))
    return picture.clip(0, 255).astype(np.uint8)


@settings(max_examples=25)
@given(st.integers(-25, 25), st.integers(-25, 25))
def test_a_pan_is_measured(down, right):
    move = move_between(view(window(100, 200)), view(window(100 - down, 200 - right)))
    if max(abs(down), abs(right)) > 1:
        assert abs(move.down * 270 - down) < 0.3 and abs(move.right * 270 - right) < 0.3


@pytest.mark.parametrize("noise", [0.0, 1.0, 8.0])
def test_a_camera_that_stands_still_does_not_move(noise):
    assert move_between(view(window(100, 200, noise)), view(window(100, 200, noise))) == STILL


def test_an_actor_who_walks_is_no_pan():
    before, after = window(100, 200), window(100, 200)
    before[100:200, 100:180] = 30
    after[100:200, 110:190] = 30
    assert move_between(view(before), view(after)) == STILL


def test_a_cut_is_no_pan():
    assert move_between(view(window(0, 0)), view(window(300, 400))) == STILL


@given(st.floats(-19, 19), st.floats(-19, 19), st.sampled_from([0.0, -1e-15, 5e-16, 4e-13]))
def test_what_pictures_share_has_one_size(down, right, hair):
    """However near a motion is to a whole number of pixels."""
    picture = np.zeros((24, 31), np.float32)
    for shift in ((down, right), (round(down) + hair, round(right) + hair)):
        moved, seen = _overlap(picture, picture, *shift)
        assert moved.shape == seen.shape and min(seen.shape) >= 4


@pytest.mark.parametrize("value", [0, 128, 255])
def test_flat_pictures_stand_still(value):
    flat = np.full((100, 160), value, np.uint8)
    assert move_between(view(flat), view(flat)) == STILL


@settings(max_examples=40)
@given(st.sampled_from([16, 17, 33, 600]), st.sampled_from([16, 19, 40, 700]), st.integers(0, 99))
def test_pictures_that_have_nothing_in_common_give_a_motion_within_reach(height, width, seed):
    noise = np.random.default_rng(seed).integers(0, 256, (2, height, width), dtype=np.uint8)
    move = move_between(*(view(picture) for picture in noise))
    assert abs(move.down) <= 1.2 and abs(move.right) * height <= width + 1


def test_the_index_knows_the_pan(tmp_path):
    """Waves in both directions, a window moving 2 pixels right and 1 down at each frame."""
    world = "geq=lum='128+60*sin((X+2*N)/17)*cos((Y+N)/11)+50*sin((X+2*N)/7+(Y+N)/23)':cb=128:cr=128"
    film = tmp_path / "pan.mkv"
    ffmpeg("-f", "lavfi", "-i", f"color=size=320x180:rate=24:duration=0.5,{world}", "-c:v", "ffv1", str(film))
    _, index, _ = index_film(film)
    moved = [(facts.moved_down * 180, facts.moved_right * 180) for facts in index.frames]
    assert moved[0] == (0, 0)
    assert all(abs(down + 1) < 0.15 and abs(right + 2) < 0.15 for down, right in moved[1:])


def test_strokes_move_with_the_scene():
    """The same wall, 24 pixels farther: with its drift known it is painted alike, without it is not."""
    pack, name = find_style("starry-night")
    stylizer = Stylizer(pack, name, YuvFormat("bt709", True, gray=True), EngineSpec())
    wall = torch.from_numpy(window(100, 200, 0.0)) // 4 + 90
    moved = torch.from_numpy(window(100, 224, 0.0)) // 4 + 90
    state = stylizer.survey([[wall]])
    first = stylizer.stylize([[wall]], state)[0][0].float()[40:-40, 64:-40]
    errors = []
    for drift in ((0.0, 0.0), (0.0, -24 / 270)):
        second = stylizer.stylize([[moved]], state, drifts=[drift])[0][0].float()[40:-40, 40:-64]
        errors.append((second - first).abs().mean())
    assert errors[1] < 0.5 * errors[0]
