"""The drawn looks: local, steady, black where the film is black, and each of them what its name says."""

import pytest
import torch

from stylecore.networks.cartoon import Cartoon
from stylecore.networks.filters import Contours, Guided, Kuwahara, luma, soft_steps
from stylecore.networks.ink import PAPER, Ink
from stylecore.networks.noir import Noir
from stylecore.networks.watercolor import Watercolor
from stylecore.normalize import FrozenNorm
from stylecore.tiling import paint_tiled

LOOKS = [Cartoon, Noir, Ink, Watercolor]
every_look = pytest.mark.parametrize("look", LOOKS, ids=lambda look: look.__name__.lower())


@torch.inference_mode()
def paint(look, rgb):
    return look().eval()(rgb.contiguous(memory_format=torch.channels_last), FrozenNorm(()))


def scene(height=120, width=160):
    """Sky that darkens downwards, a red disc, a blue box, a dark floor and a little grain."""
    y = torch.linspace(0, 1, height).view(-1, 1).expand(height, width)
    x = torch.linspace(0, 1, width).expand(height, width)
    rgb = torch.stack([0.75 - 0.3 * y, 0.8 - 0.3 * y, 0.9 - 0.25 * y])
    for where, color in (
        ((x - 0.3) ** 2 + (y - 0.4) ** 2 < 0.04, (0.75, 0.3, 0.25)),
        ((x - 0.75).abs() + (y - 0.5).abs() < 0.2, (0.15, 0.25, 0.6)),
        (y > 0.8, (0.1, 0.09, 0.08)),
    ):
        rgb = torch.where(where, torch.tensor(color).view(3, 1, 1), rgb)
    return (rgb + 0.01 * grain(height, width)).clamp(0, 1)[None]


def grain(height, width, seed=0):
    return torch.rand(3, height, width, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def halves(left, right, height=64, width=128):
    """Two colours that meet in the middle."""
    pair = torch.tensor([left, right]).permute(1, 0).view(1, 3, 1, 2)
    return pair.repeat_interleave(width // 2, dim=3).expand(1, 3, height, width).contiguous()


def roughness(rgb):
    return luma(rgb).diff(dim=-1).abs().mean()


@every_look
@pytest.mark.parametrize(("height", "width"), [(45, 301), (215, 59)])
def test_tiles_equal_the_whole_frame(look, height, width):
    rgb = scene(height, width)
    tiled = paint_tiled(lambda box: paint(look, box), rgb, 48, look.halo_px, look.stride_px)
    assert (tiled - paint(look, rgb)).abs().max() < 1e-4, "a fortieth of an 8-bit step"


@every_look
def test_a_batch_equals_its_frames(look):
    one, other = scene(48, 65), scene(48, 65).flip(3)
    assert torch.allclose(paint(look, torch.cat([one, other]))[1:], paint(look, other), atol=1e-5)


@every_look
@pytest.mark.parametrize(("height", "width"), [(16, 16), (17, 23)])
def test_any_picture_gives_a_picture(look, height, width):
    extremes = torch.stack([torch.zeros(3, height, width), torch.ones(3, height, width)])
    rgb = torch.cat([extremes, (grain(height, width) > 0).float()[None]])
    painted = paint(look, rgb)
    assert painted.shape == rgb.shape and painted.isfinite().all()
    assert painted.min() >= 0 and painted.max() <= 1


@every_look
def test_black_stays_black_beside_the_picture(look):
    assert look.keeps_black
    rgb = scene(120, 160)
    rgb[..., :40, :] = 0
    assert paint(look, rgb)[..., :39, :].max() < 0.5 / 255
    assert paint(look, torch.zeros(1, 3, 40, 40)).max() == 0


@every_look
def test_a_look_keeps_nothing_to_learn_or_store(look):
    assert not look().state_dict() and look.norm_channels == ()


@every_look
def test_grain_that_nobody_sees_moves_nothing_that_anybody_sees(look):
    rgb = scene()
    moved = (paint(look, (rgb + grain(120, 160, seed=1) / 255).clamp(0, 1)) - paint(look, rgb)).abs()
    assert moved.mean() < 1.5 / 255 and moved.max() < 0.15


@every_look
def test_a_fade_fades_in_small_steps_to_black(look):
    frames = paint(look, torch.cat([scene(40, 60) * (1 - step / 50) for step in range(51)]))
    steps = luma(frames).diff(dim=0).abs()
    assert steps.mean(dim=(1, 2, 3)).max() < 0.07 and frames[-1].max() == 0


@every_look
def test_shading_stays_in_order(look):
    """Brighter in, brighter out: broad greys never change places."""
    greys = torch.linspace(0, 1, 41).view(-1, 1, 1, 1).expand(-1, 3, 40, 40)
    shown = luma(paint(look, greys))[:, 0, 20, 20]
    assert shown.diff().min() > -0.002 and shown[0] == 0 and shown[-1] > 0.9


def test_noir_is_neutral_and_prefers_red_to_blue():
    painted = paint(Noir, scene())
    assert torch.equal(painted[:, 0], painted[:, 1]) and torch.equal(painted[:, 0], painted[:, 2])
    skin, sky = (0.7, 0.45, 0.4), (0.4, 0.52, 0.8)
    both = paint(Noir, halves(skin, sky))
    assert luma(both)[..., :40].mean() > luma(both)[..., -40:].mean() + 0.05
    assert painted.std() > luma(scene()).std()


def test_noir_holds_the_drawing_of_a_night_scene():
    night = halves((0.06,) * 3, (0.14,) * 3)
    painted = luma(paint(Noir, night))
    assert painted[..., -40:].mean() - painted[..., :40].mean() > 0.03


def test_cartoon_is_flat_where_the_picture_is_rough():
    rgb = (torch.tensor([0.6, 0.45, 0.35]).view(1, 3, 1, 1) + 0.04 * grain(80, 80)).clamp(0, 1)
    assert roughness(paint(Cartoon, rgb)) < 0.2 * roughness(rgb)


def test_cartoon_has_few_tones():
    ramp = torch.linspace(0.05, 0.95, 360).expand(1, 3, 48, 360)
    share = torch.histc(luma(paint(Cartoon, ramp)), bins=64, min=0, max=1).div(48 * 360)
    assert (
        share.topk(16).values.sum()
        > 0.65
        > 0.3
        > luma(ramp).histc(bins=64).div(48 * 360).topk(16).values.sum()
    )


def test_cartoon_draws_a_line_and_keeps_colours_apart():
    rgb = halves((0.7, 0.4, 0.3), (0.8, 0.75, 0.6))
    painted = paint(Cartoon, rgb)[0, :, 32]
    assert luma(painted[None, :, None])[..., 58:64].min() < 0.5 * luma(rgb)[..., 0, 0]
    assert (painted[0] - painted[2])[20] > 0.4, "more colour than the 0.4 it came with"


def test_ink_is_paper_ink_and_two_washes():
    painted = luma(paint(Ink, scene(240, 320)))
    tones = torch.tensor([0.02, 0.06, 0.41, 0.45, 0.69, 0.955])
    near = (painted.flatten()[:, None] - tones).abs().min(dim=1).values < 0.05
    assert near.float().mean() > 0.85
    white = paint(Ink, torch.ones(1, 3, 32, 32))[0, :, 16, 16]
    assert torch.allclose(white, torch.tensor(PAPER)) and white[0] > white[2]


def test_ink_draws_a_dim_scene_instead_of_flooding_it():
    dim = luma(paint(Ink, halves((0.04,) * 3, (0.24,) * 3)))
    assert dim[..., :40].mean() < 0.1 and dim[..., -40:].mean() > 0.5


def test_watercolour_is_light_and_on_paper():
    rgb = scene()
    painted = paint(Watercolor, rgb)
    before, after = luma(rgb), luma(painted)
    assert after.mean() > before.mean() + 0.05
    assert after.quantile(0.05) > before.quantile(0.05) + 0.05, "shadows are transparent"
    white = paint(Watercolor, torch.ones(1, 3, 32, 32))[0, :, 16, 16]
    assert white.min() > 0.9 and white[0] > white[2]


def test_watercolour_is_denser_at_the_rim_of_a_wash():
    painted = luma(paint(Watercolor, halves((0.5, 0.3, 0.3), (0.9, 0.85, 0.8))))[0, 0, 32]
    assert painted[58:64].min() < 0.85 * painted[10:40].mean()


@pytest.mark.parametrize("sharpness", [0.01, 3.0, 12.0])
def test_soft_steps_rise_without_a_jump(sharpness):
    x = torch.linspace(0, 1, 20001)[None]
    stairs = soft_steps(x, 1 / 7, torch.full_like(x, sharpness))
    assert stairs.diff().min() > -1e-6 and stairs.diff().max() < 1e-4 * max(1, sharpness)
    assert stairs[0, 0] == 0 and abs(float(stairs[0, -1]) - 1) < 1e-5


def test_guided_smooths_grain_and_keeps_a_border():
    rgb = halves((0.3,) * 3, (0.7,) * 3)
    made = Guided(6, 0.1)((rgb + 0.02 * grain(64, 128)).clamp(0, 1))
    assert roughness(made[..., :40]) < 0.002 and made[..., 66:].min() - made[..., :62].max() > 0.3


def test_kuwahara_sharpens_a_soft_border_and_leaves_a_flat_alone():
    ramp = torch.linspace(-8, 8, 65).sigmoid().expand(1, 3, 33, 65)
    made = Kuwahara(2.8, 1.4, calm=0.03, power=2)(ramp)
    assert luma(made)[..., 16, :].diff().max() > 1.3 * luma(ramp)[..., 16, :].diff().max()
    flat = torch.full((1, 3, 20, 20), 0.37)
    assert torch.allclose(Kuwahara(2.8, 1.4, calm=0.03, power=2)(flat), flat, atol=1e-5)


def test_contours_follow_a_line_in_any_direction():
    y, x = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    found = []
    for angle in torch.linspace(0, 3.0, 7):
        away = (x - 32) * angle.sin() - (y - 32) * angle.cos()
        grey = 0.8 - 0.4 * torch.exp(-0.5 * (away / 1.5) ** 2)
        found.append(Contours(1.1, 3.5)(grey[None, None], grey[None, None])[0, 0, 32, 32])
    assert min(found) > 0.8 * max(found) > 0.05
