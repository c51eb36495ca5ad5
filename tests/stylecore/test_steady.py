"""Strokes that frames share: what agrees along the motion stays, what flickers goes, cuts part them."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from stylecore.motion import gray_view
from stylecore.orientation import Orientation
from stylecore.pack import blank_pack
from stylecore.pixels import YuvFormat
from stylecore.shot import Look
from stylecore.spec import EngineSpec
from stylecore.steady import Steadier, Strokes
from stylecore.stylize import Stylizer

HEIGHT, WIDTH, STEP_PX = 72, 120, 3
LOOK = Look((), None, None, torch.ones(1), 1.0)


def scene(seed, width=WIDTH + 60):
    """A soft texture (H,W) in 0..1, wider than the picture."""
    random = torch.Generator().manual_seed(seed)
    rough = torch.rand(1, 1, HEIGHT // 6, width // 6, generator=random)
    return F.interpolate(rough, (HEIGHT, width), mode="bicubic").clamp(0, 1)[0, 0]


def panned(texture, place):
    return texture[..., STEP_PX * place : STEP_PX * place + WIDTH]


def strokes(view, paint):
    return Strokes([], [], paint, LOOK, gray_view((255 * view).byte(), 8, HEIGHT))


def steadied(shot, reach):
    steadier = Steadier(reach)
    return [each.paint for strokes in shot for each in steadier.add([strokes])] + [
        each.paint for each in steadier.rest()
    ]


def noise(count):
    random = torch.Generator().manual_seed(1)
    return [torch.randn(1, 3, HEIGHT, WIDTH, generator=random) for _ in range(count)]


def inner(paint):
    return paint[..., 12:-12, 24:-24]


@pytest.mark.parametrize("reach", [1, 2, 3])
def test_what_flickers_averages_out_by_as_many_frames_as_agree(reach):
    shot = [strokes(panned(scene(5), place), paint) for place, paint in enumerate(noise(9))]
    left = inner(steadied(shot, reach)[4]).std() / inner(shot[4].paint).std()
    # Bilinear steps between pixels take a little more.
    assert 0.8 / (2 * reach + 1) ** 0.5 < left < 1.2 / (2 * reach + 1) ** 0.5


def test_paint_that_moves_with_the_film_stays():
    film, paint = scene(5), scene(6)
    shot = [
        strokes(panned(film, place), panned(paint, place).expand(1, 3, -1, -1).clone()) for place in range(7)
    ]
    moved = [
        (inner(made) - inner(own.paint)).abs().mean()
        for made, own in zip(steadied(shot, 2), shot, strict=True)
    ]
    unmoved = (inner(shot[3].paint) - inner(shot[2].paint)).abs().mean()
    assert max(moved) < 0.1 * unmoved


def test_across_a_cut_that_nobody_found_paint_is_its_own():
    first, second = scene(5), scene(11)
    views = [panned(first, place) for place in range(3)] + [panned(second, place) for place in range(3)]
    paints = [torch.full((1, 3, HEIGHT, WIDTH), value) for value in (0.0, 0.0, 0.0, 1.0, 1.0, 1.0)]
    made = steadied([strokes(*each) for each in zip(views, paints, strict=True)], 1)
    assert made[2].mean() < 0.1 and made[3].mean() > 0.9


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 3), st.integers(1, 8), st.data())
def test_a_frame_depends_on_those_within_reach_and_on_no_other(reach, count, data):
    shot = [strokes(panned(scene(5), place), paint) for place, paint in enumerate(noise(count))]
    whole = steadied(shot, reach)
    assert len(whole) == count
    start = data.draw(st.integers(0, count - 1))
    stop = data.draw(st.integers(start + 1, count))
    around = range(max(0, start - reach), min(count, stop + reach))
    part = steadied([shot[place] for place in around], reach)[start - around.start :][: stop - start]
    assert all(map(torch.equal, part, whole[start:stop]))


def test_a_still_film_of_still_paint_is_left_alone():
    view, paint = panned(scene(5), 0), noise(1)[0]
    made = steadied([strokes(view, paint)] * 4, 2)
    assert all(torch.allclose(each, paint, atol=1e-3) for each in made)


@pytest.mark.parametrize("bits", [8, 10, 12])
@pytest.mark.parametrize("turned", [Orientation(), Orientation(True, True)])
def test_films_of_any_depth_and_turn_are_steadied(bits, turned):
    """Frames of a shot share strokes through the engine's front door, and the first plane tells motion."""
    depth = torch.uint8 if bits == 8 else torch.int16
    frames = [
        [
            (panned(scene(5), place) * (200 << bits - 8)).to(depth),
            *[torch.full((HEIGHT // 2, WIDTH // 2), 128 << bits - 8, dtype=depth)] * 2,
        ]
        for place in range(3)
    ]
    form = YuvFormat("bt709", False, bits=bits, orientation=turned)
    pack = blank_pack("painter", ["plain"], seed=5, width=8)
    apart, shared = (Stylizer(pack, "plain", form, EngineSpec(), steady=steady) for steady in (0, 1))
    state = apart.survey(frames)
    made = [each.stylize(frames, state) for each in (apart, shared)]
    assert [plane.shape for plane in made[1][1]] == [plane.shape for plane in frames[1]]
    assert any(not torch.equal(*planes) for planes in zip(*(each[1] for each in made), strict=True))
