"""Metrics on films whose motion is known: drawn textures, moved by whole pixels."""

import math
import os
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from stylecore import metrics
from stylecore.encoders import LAYOUTS, Encoder
from stylecore.images import load_picture
from stylecore.motion import Motion, certain, track, warp

HEIGHT, WIDTH = 96, 128


def texture(seed, height=HEIGHT, width=WIDTH, cell=6):
    """A smooth random picture (3,H,W): detail that flow can hold on to."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 3, height // cell + 2, width // cell + 2, generator=generator)
    return F.interpolate(coarse, (height, width), mode="bicubic")[0].clamp(0, 1)


def pan(seed, step, count=6):
    """Frames of a camera that moves by `step` (x, y) whole pixels a frame over one picture."""
    world = texture(seed, 2 * HEIGHT, 2 * WIDTH)
    starts = [(48 + number * step[1], 64 + number * step[0]) for number in range(count)]
    return torch.stack([world[:, top : top + HEIGHT, left : left + WIDTH] for top, left in starts])


def flickering(film, amplitude):
    """Every other frame brighter, the ones between darker."""
    signs = torch.tensor([1.0 if number % 2 else -1.0 for number in range(len(film))])
    return film + amplitude * signs.view(-1, 1, 1, 1)


def uniform_motion(frames, gap, shift):
    """The exact motion of a film that moves by `shift` (x, y) over each gap."""
    flow = torch.tensor(shift, dtype=torch.float32).view(1, 2, 1, 1).expand(1, 2, HEIGHT, WIDTH)
    pairs = frames - gap
    return Motion(gap, (flow,) * pairs, (certain(flow, -flow),) * pairs)


@pytest.fixture(scope="module")
def encoder():
    """The compressed VGG's layout with random weights, few channels."""
    generator = torch.Generator().manual_seed(1)
    layout, weights, inputs = LAYOUTS["vgg19-cd16x"], {}, 3
    weights["conv0.weight"], weights["conv0.bias"] = torch.eye(3).view(3, 3, 1, 1), torch.zeros(3)
    for name in sum(layout.stages, ()):
        weights[f"{name}.weight"] = torch.randn(8, inputs, 3, 3, generator=generator) * 0.3
        weights[f"{name}.bias"] = torch.zeros(8)
        inputs = 8
    return Encoder(layout, weights)


# Distances to the source and to the painting


def test_a_picture_is_at_no_distance_from_itself(encoder):
    pictures = torch.stack([texture(1), texture(2)])
    assert metrics.style_distance(pictures[:1], pictures[0], encoder) == 0
    assert metrics.content_distance(pictures, pictures, encoder) == 0
    assert metrics.edge_loss(pictures, pictures) == 0


def test_style_distance_ignores_where_things_are_and_content_distance_does_not(encoder):
    picture, other = texture(1), texture(2, cell=16)
    mirrored = picture.flip(-1)
    assert metrics.style_distance(mirrored, picture, encoder) < metrics.style_distance(
        other, picture, encoder
    )
    assert metrics.content_distance(mirrored, picture, encoder) > 0.3


def test_distances_of_many_are_the_mean_of_each(encoder):
    pictures, sources = torch.stack([texture(1), texture(2)]), torch.stack([texture(3), texture(4)])
    each = [metrics.content_distance(a, b, encoder) for a, b in zip(pictures, sources, strict=True)]
    assert metrics.content_distance(pictures, sources, encoder) == pytest.approx(sum(each) / 2)
    each = [metrics.style_distance(picture, sources[0], encoder) for picture in pictures]
    assert metrics.style_distance(pictures, sources[0], encoder) == pytest.approx(sum(each) / 2)


# Warp error


@pytest.mark.parametrize("shift", [(0, 0), (3, -2), (-5, 4)])
@pytest.mark.parametrize("gap", [1, 3])
def test_perfectly_moved_paint_has_no_warp_error(shift, gap):
    painted = 1 - pan(8, shift)
    motion = uniform_motion(6, gap, [-gap * part for part in shift])
    assert metrics.error_along(painted, motion) < 1e-9
    assert motion.coverage == pytest.approx(
        (1 - gap * abs(shift[0]) / WIDTH) * (1 - gap * abs(shift[1]) / HEIGHT)
    )


def test_warp_error_is_the_mean_square_in_the_stated_units():
    still = torch.full((6, 3, HEIGHT, WIDTH), 0.5)
    assert metrics.error_along(flickering(still, 0.1), uniform_motion(6, 1, (0, 0))) == pytest.approx(0.04)
    assert metrics.error_along(flickering(still, 0.1), uniform_motion(6, 2, (0, 0))) == pytest.approx(0)


@pytest.mark.parametrize(("shift", "gap"), [((2, 1), 1), ((-3, 0), 1), ((2, -1), 3)])
def test_found_flow_is_nearly_as_good_as_known_flow(shift, gap):
    source = pan(5, shift)
    motion = track(source, gap)
    # The second picture moves alike but was never shown to the flow; unmoved, it would differ by 0.02.
    assert metrics.error_along(source, motion) < 1e-5
    assert metrics.error_along(pan(6, shift), motion) < 1e-5


def test_warp_error_rises_with_flicker():
    source = pan(5, (2, 1))
    motion, painted = track(source, 1), 0.5 + 0.4 * (pan(6, (2, 1)) - 0.5)
    errors = [metrics.error_along(flickering(painted, size), motion) for size in (0, 0.004, 0.01, 0.03, 0.1)]
    assert errors == sorted(errors)
    assert errors[-1] - errors[0] == pytest.approx(0.04, rel=0.02)


def test_what_gets_covered_is_not_judged():
    ground, square = texture(1, cell=12), texture(2, 40, 40, cell=12)
    source = ground.repeat(2, 1, 1, 1)
    source[0, :, 30:70, 30:70] = source[1, :, 30:70, 42:82] = square
    valid = track(source, 1).valid[0][0, 0]
    assert valid[34:66, 72:80].float().mean() < 0.1, "covered by the square in the second frame"
    assert valid[36:64, 36:64].float().mean() > 0.9, "the square itself is seen twice"
    assert valid[:20].float().mean() > 0.95


def test_ways_that_do_not_come_back_or_leave_the_frame_are_uncertain():
    flow = torch.zeros(1, 2, HEIGHT, WIDTH)
    flow[:, 0] = 4
    assert certain(flow, -flow)[..., : WIDTH - 4].all() and not certain(flow, -flow)[..., WIDTH - 4 :].any()
    assert not certain(flow, flow).any()
    torn = flow.clone()
    torn[..., : WIDTH // 2] = 0
    assert not certain(torn, -torn)[..., WIDTH // 2 - 1].any()


def test_warp_brings_back_what_moved():
    picture = texture(3)
    flow = torch.zeros(1, 2, HEIGHT, WIDTH)
    flow[:, 0], flow[:, 1] = 3, 2
    there = picture.roll((2, 3), (1, 2))
    assert torch.allclose(warp(there[None], flow)[0, :, :-2, :-3], picture[:, :-2, :-3], atol=1e-4)


@pytest.mark.parametrize("gap", [0, 6])
def test_a_gap_needs_two_frames(gap):
    with pytest.raises(ValueError, match="gap must be"):
        track(pan(1, (1, 1)), gap)


def test_motion_of_another_film_is_refused():
    with pytest.raises(ValueError, match="the film has 5"):
        metrics.error_along(pan(1, (1, 1), 5), uniform_motion(6, 1, (1, 1)))


@pytest.mark.long
def test_flow_against_the_ground_truth_of_sintel():
    if "STYLEREEL_DATA" not in os.environ:
        pytest.skip("set STYLEREEL_DATA to the folder of shared data")
    folder = Path(os.environ["STYLEREEL_DATA"]) / "flow/sintel_alley_1"
    stored = np.fromfile(folder / "frame_0001.flo", np.float32)
    width, height = stored[1:3].view(np.int32)
    truth = torch.from_numpy(stored[3:].reshape(height, width, 2)).permute(2, 0, 1)[None]
    motion = track([load_picture(folder / f"frame_000{number}.png") for number in (1, 2)], 1)
    error_px = (motion.flow[0] - truth).norm(dim=1, keepdim=True)
    assert error_px.mean() < 0.25 and error_px[motion.valid[0]].mean() < 0.16
    assert motion.coverage > 0.9


# Flicker


@settings(max_examples=20)
@given(st.integers(0, 99), st.integers(2, 5), st.floats(0, 0.3))
def test_flicker_is_the_step_in_codes_and_the_same_backwards(seed, count, amplitude):
    source = texture(seed, 32, 32).expand(count, 3, 32, 32)
    film = flickering(source, amplitude)
    found = metrics.luma_flicker(film, source)
    assert found == pytest.approx(2 * amplitude * metrics.CODES, abs=1e-3)
    assert metrics.luma_flicker(film.flip(0), source.flip(0)) == pytest.approx(found)
    assert metrics.luma_flicker(source, source) == 0


def test_flicker_is_asked_only_of_what_stands_still():
    source = torch.zeros(2, 3, 32, 32)
    source[1, ..., :16] = 0.2
    film = torch.zeros_like(source)
    film[1, ..., :16] = 0.7
    film[1, ..., 16:] = 0.1
    assert metrics.luma_flicker(film, source) == pytest.approx(25.5, abs=1e-3)
    assert math.isnan(metrics.luma_flicker(film, torch.stack([source[0], source[0] + 0.5])))


# Edges


def test_edge_loss_grows_with_blur_up_to_all():
    picture = texture(1)
    losses = [
        metrics.edge_loss(metrics._blur(picture[None], sigma), picture[None]) for sigma in (0.5, 1, 3, 9)
    ]
    assert losses == sorted(losses) and losses[0] > 0
    assert metrics.edge_loss(torch.full_like(picture, 0.5)[None], picture[None]) == pytest.approx(1)


@pytest.mark.parametrize("recolour", [lambda x: 1 - x, lambda x: x.flip(0), lambda x: 1.5 * x - 0.25])
def test_recoloured_or_stronger_edges_are_not_lost(recolour):
    source = texture(1).mean(0).expand(1, 3, HEIGHT, WIDTH)
    assert metrics.edge_loss(recolour(source), source) == pytest.approx(0, abs=1e-5)


def test_strokes_are_no_substitute_for_an_edge():
    source = torch.zeros(1, 3, HEIGHT, WIDTH)
    source[..., WIDTH // 2 :] = 0.4
    generator = torch.Generator().manual_seed(4)
    strokes = 0.5 + 0.2 * torch.randn(1, 3, HEIGHT, WIDTH, generator=generator)
    assert metrics.edge_loss(strokes, source) > 0.7
    assert metrics.edge_loss(0.5 * source + strokes - 0.5, source) < 0.6


def test_a_flat_picture_has_no_edges_to_lose():
    flat = torch.full((1, 3, HEIGHT, WIDTH), 0.5)
    assert metrics.edge_loss(texture(1)[None], flat) == 0
