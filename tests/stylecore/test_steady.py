"""Strokes that frames share: what agrees along the motion stays, what flickers goes, cuts part them."""

from dataclasses import replace
from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from stylecore.motion import fast_flow, gray_view, warp
from stylecore.orientation import Orientation
from stylecore.pack import blank_pack
from stylecore.pixels import YuvFormat
from stylecore.scaling import enlarge, resize
from stylecore.shot import Look
from stylecore.spec import EngineSpec
from stylecore.steady import Steadier, Strokes
from stylecore.stylize import Stylizer
from stylecore.ways import ways_between

HEIGHT, WIDTH, STEP_PX = 72, 120, 3
LOOK = Look((), None, None, torch.ones(1), 1.0)


def scene(seed, width=WIDTH + 60):
    """A soft texture (H,W) in 0..1, wider than the picture."""
    random = torch.Generator().manual_seed(seed)
    rough = torch.rand(1, 1, HEIGHT // 6, width // 6, generator=random)
    return F.interpolate(rough, (HEIGHT, width), mode="bicubic").clamp(0, 1)[0, 0]


def panned(texture, place):
    return texture[..., STEP_PX * place : STEP_PX * place + WIDTH]


def strokes(views, paints):
    """Painted frames of a shot, with the ways from one view to the next."""
    seen = [gray_view((255 * view).byte(), 8, HEIGHT) for view in views]
    ways = [None, *(ways_between(*pair) for pair in pairwise(seen))]
    return [Strokes([], [], paint, LOOK, way) for paint, way in zip(paints, ways, strict=True)]


def panning(paints):
    """The same of a pan to the right."""
    return strokes([panned(scene(5), place) for place in range(len(paints))], paints)


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
    shot = panning(noise(9))
    left = inner(steadied(shot, reach)[4]).std() / inner(shot[4].paint).std()
    # Bilinear steps between pixels take a little more.
    assert 0.8 / (2 * reach + 1) ** 0.5 < left < 1.2 / (2 * reach + 1) ** 0.5


def test_paint_that_moves_with_the_film_stays():
    shot = panning([panned(scene(6), place).expand(1, 3, -1, -1).clone() for place in range(7)])
    moved = [
        (inner(made) - inner(own.paint)).abs().mean()
        for made, own in zip(steadied(shot, 2), shot, strict=True)
    ]
    unmoved = (inner(shot[3].paint) - inner(shot[2].paint)).abs().mean()
    assert max(moved) < 0.1 * unmoved


@pytest.mark.parametrize("moved_px", [(0.5, 0.0), (1.3, -0.7), (4.25, 2.5)])
def test_motion_is_found_to_hundredths_of_a_pixel(moved_px):
    flow = torch.tensor(moved_px).view(1, 2, 1, 1).expand(1, 2, HEIGHT, WIDTH)
    here = scene(5)[None, None, :, :WIDTH]
    views = [gray_view((255 * picture[0, 0]).byte(), 8, HEIGHT) for picture in (here, warp(here, flow))]
    error = (fast_flow(*views) + flow).norm(dim=1)[:, 12:-12, 12:-12]
    assert error.quantile(0.95) < 0.07


def test_what_was_covered_lends_nothing_and_the_border_of_what_moves_does():
    """A square over a still ground, both of greys so near each other that light tells nothing."""
    grey = (0.45 + 0.1 * scene(5), 0.45 + 0.1 * scene(6))
    views = []
    for left in (40, 46):
        picture = grey[0][:, :WIDTH].clone()
        picture[20:52, left : left + 32] = grey[1][20:52, :32]
        views.append(gray_view((255 * picture).byte(), 8, HEIGHT))
    _, back = ways_between(*views)
    sure = back.certain[0, 0, 24:48]
    assert sure[:, 41:45].mean() < 0.3, "uncovered since"
    assert sure[:, 60:70].mean() > 0.95 and sure[:, 74:78].mean() > 0.7, "the square, up to its edge"


@pytest.mark.parametrize("reach", [1, 2])
def test_across_a_cut_that_nobody_found_paint_is_its_own(reach):
    """Nor does it come over the cut by way of a frame beside it."""
    first, second = scene(5), scene(11)
    views = [panned(first, place) for place in range(3)] + [panned(second, place) for place in range(3)]
    paints = [torch.full((1, 3, HEIGHT, WIDTH), value) for value in (0.0, 0.0, 0.0, 1.0, 1.0, 1.0)]
    made = steadied(strokes(views, paints), reach)
    assert max(each.mean() for each in made[:3]) < 0.1 and min(each.mean() for each in made[3:]) > 0.9


@settings(max_examples=25)
@given(st.integers(0, 3), st.integers(1, 8), st.data())
def test_a_frame_depends_on_those_within_reach_and_on_no_other(reach, count, data):
    shot = panning(noise(count))
    whole = steadied(shot, reach)
    assert len(whole) == count
    start = data.draw(st.integers(0, count - 1))
    stop = data.draw(st.integers(start + 1, count))
    around = range(max(0, start - reach), min(count, stop + reach))
    part = steadied([shot[place] for place in around], reach)[start - around.start :][: stop - start]
    assert all(map(torch.equal, part, whole[start:stop]))


@pytest.mark.parametrize("kernel", ["bilinear", "bicubic"])
def test_a_cpu_enlarges_as_torch_does(kernel):
    x = torch.rand(2, 3, 37, 53)
    made = enlarge(x, (91, 120), kernel)
    assert torch.allclose(made, F.interpolate(x, (91, 120), mode=kernel), atol=1e-5)


@pytest.mark.parametrize("size", [(2, 3), (17, 23), (90, 160)])
def test_a_cpu_halves_as_torch_does(size):
    x = torch.rand(2, 3, 2 * size[0], 2 * size[1])
    expected = F.interpolate(x, size, mode="bilinear", antialias=True)
    assert torch.allclose(resize(x, size), expected, atol=1e-5)


def test_a_still_film_of_still_paint_is_left_alone():
    view, paint = panned(scene(5), 0), noise(1)[0]
    made = steadied(strokes([view] * 4, [paint] * 4), 2)
    assert all(torch.allclose(each, paint, atol=1e-3) for each in made)


def film(form, places=range(3)):
    """A pan in a form's planes, stored as it is held."""
    depth = torch.uint8 if form.bits == 8 else torch.int16
    chroma = torch.full((HEIGHT // 2, WIDTH // 2), 128)
    seen = [[200 * panned(scene(5), place), chroma, chroma] for place in places]
    return [
        [form.orientation.stored(plane.int() << form.bits - 8).to(depth) for plane in frame] for frame in seen
    ]


def opened(form, steady=1):
    pack = blank_pack("painter", ["plain"], 5, width=8)
    return Stylizer(pack, "plain", form, EngineSpec(), steady=steady)


def painted(form, steady=1):
    stylizer, frames = opened(form, steady), film(form)
    return stylizer.stylize(frames, stylizer.survey(frames))[1]


def paints(form):
    """Of the same, what is to be laid."""
    stylizer, frames = opened(form), film(form)
    shown = stylizer.shown(frames, range(3), [(0.0, 0.0)] * 3)
    return [each.paint for each in stylizer.steadied(shown, stylizer.survey(frames))]


UPRIGHT = YuvFormat("bt709", False)


def test_a_film_held_another_way_is_steadied_alike():
    turned = replace(UPRIGHT, orientation=Orientation(True, True))
    assert all(map(torch.equal, paints(turned), paints(UPRIGHT)))
    pairs = zip(painted(turned), painted(UPRIGHT), strict=True)
    apart = [(turned.orientation.upright(a).int() - b.int()).abs() for a, b in pairs]
    # Chroma lies beside other pixels, and dither is its file's: a code, very seldom two.
    assert all(each.max() <= 2 and (each > 1).float().mean() < 1e-3 for each in apart)
    assert not torch.equal(painted(UPRIGHT)[0], painted(UPRIGHT, steady=0)[0])


@pytest.mark.parametrize("bits", [10, 12])
def test_a_deeper_film_is_steadied_alike(bits):
    pairs = zip(painted(replace(UPRIGHT, bits=bits)), painted(UPRIGHT), strict=True)
    assert all(((a >> bits - 8).int() - b.int()).abs().max() <= 1 for a, b in pairs)


@pytest.mark.parametrize(("lift", "own"), [(0.0, False), (0.01, False), (0.3, True)])
def test_a_flash_keeps_its_own_paint_and_gives_none(lift, own):
    """Motion alone looks certain when everything turns brighter."""
    views = [0.6 * panned(scene(5), 0) + (lift if place == 1 else 0) for place in range(3)]
    paints = [torch.full((1, 3, HEIGHT, WIDTH), float(place == 1)) for place in range(3)]
    made = [each.mean() for each in steadied(strokes(views, paints), 1)]
    assert torch.allclose(
        torch.stack(made), torch.tensor([0.0, 1.0, 0.0] if own else [1 / 2, 1 / 3, 1 / 2]), atol=0.02
    )


@pytest.mark.parametrize("size", [(16, 16), (12, 64), (64, 9), (8, 400)])
def test_pictures_too_small_for_motion_are_painted(size):
    frames = [[torch.full(size, 90 + 10 * place, dtype=torch.uint8)] for place in range(3)]
    pack = blank_pack("painter", ["plain"], 5, width=8)
    stylizer = Stylizer(pack, "plain", YuvFormat("bt709", False, gray=True), EngineSpec(), steady=1)
    made = stylizer.stylize(frames, stylizer.survey(frames))
    assert [plane.shape for (plane,) in made] == [size] * 3
    assert all((plane != frame).any() for (plane,), (frame,) in zip(made, frames, strict=True))
    assert all(plane.float().std() < 40 for (plane,) in made), "of flat frames nothing wild is made"
